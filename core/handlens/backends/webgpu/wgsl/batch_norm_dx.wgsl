//: op batch_norm_dx
//: in x vec4f
//: in gamma f32
//: in mean f32
//: in inv_std f32
//: in dy vec4f
//: out dgamma f32
//: out dbeta f32
//: out dx vec4f
//: const CHANNELS u32
//: const PIXELS u32
//: const COUNT u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// A channel's mean, factor of dy, and what (x - mean) and 1 are multiplied by to take the sums' share off dy.
fn terms(c: u32) -> vec4f {
  return vec4f(mean[c], gamma[c] * inv_std[c], inv_std[c] * dgamma[c] / f32(COUNT), dbeta[c] / f32(COUNT));
}

// The second pass: batch_norm_dx_sums has left dgamma and dbeta.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let c = (4 * i + vec4u(0, 1, 2, 3)) / PIXELS % CHANNELS;
  let all = transpose(mat4x4f(terms(c.x), terms(c.y), terms(c.z), terms(c.w)));
  dx[i] = all[1] * (dy[i] - (x[i] - all[0]) * all[2] - all[3]);
}
