//: op batch_norm_inference
//: in x f32
//: in gamma f32
//: in beta f32
//: in running_mean f32
//: in running_var f32
//: out y f32
//: const CHANNELS u32
//: const PIXELS u32
//: const EPSILON f32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let c = i / PIXELS % CHANNELS;
  y[i] = (x[i] - running_mean[c]) * (gamma[c] / sqrt(running_var[c] + EPSILON)) + beta[c];
}
