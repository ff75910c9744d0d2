//: op batch_norm
//: in x vec4f
//: in gamma f32
//: in beta f32
//: out mean f32
//: out inv_std f32
//: out y vec4f
//: const CHANNELS u32
//: const PIXELS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// A channel's mean, factor and shift.
fn terms(c: u32) -> vec3f { return vec3f(mean[c], gamma[c] * inv_std[c], beta[c]); }

// The second pass: batch_norm_stats has left mean and inv_std.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let c = (4 * i + vec4u(0, 1, 2, 3)) / PIXELS % CHANNELS;
  let all = transpose(mat4x3f(terms(c.x), terms(c.y), terms(c.z), terms(c.w)));
  y[i] = (x[i] - all[0]) * all[1] + all[2];
}
