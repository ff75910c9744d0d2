//: op batch_norm
//: in x f32
//: in gamma f32
//: in beta f32
//: out mean f32
//: out inv_std f32
//: out y f32
//: const CHANNELS u32
//: const PIXELS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The second pass: batch_norm_stats has left mean and inv_std.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let c = i / PIXELS % CHANNELS;
  y[i] = (x[i] - mean[c]) * (gamma[c] * inv_std[c]) + beta[c];
}
