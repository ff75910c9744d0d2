//: op batch_norm_fold
//: in w f32
//: in gamma f32
//: in beta f32
//: in running_mean f32
//: in running_var f32
//: in b f32
//: out folded_w f32
//: out folded_b f32
//: const PER_KERNEL u32
//: const EPSILON f32
//: const BIAS bool
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let f = i / PER_KERNEL;
  let factor = gamma[f] / sqrt(running_var[f] + EPSILON);
  folded_w[i] = w[i] * factor;
  if (i % PER_KERNEL == 0) {
    var shift = -running_mean[f];
    if (BIAS) { shift += b[f]; }
    folded_b[f] = shift * factor + beta[f];
  }
}
