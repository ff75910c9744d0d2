//: op batch_norm_dx
//: in x f32
//: in gamma f32
//: in mean f32
//: in inv_std f32
//: in dy f32
//: out dgamma f32
//: out dbeta f32
//: out dx f32
//: const CHANNELS u32
//: const PIXELS u32
//: const COUNT u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The second pass: batch_norm_dx_sums has left dgamma and dbeta.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let c = i / PIXELS % CHANNELS;
  let around = (x[i] - mean[c]) * inv_std[c] * dgamma[c] + dbeta[c];
  dx[i] = gamma[c] * inv_std[c] * (dy[i] - around / f32(COUNT));
}
