//: op sum_to
//: in x f32
//: out y f32
//: const SIZE_0 u32
//: const SIZE_1 u32
//: const SIZE_2 u32
//: const SIZE_3 u32
//: const X_0 u32
//: const X_1 u32
//: const X_2 u32
//: const X_3 u32
//: const SUM_0 u32
//: const SUM_1 u32
//: const SUM_2 u32
//: const SUM_3 u32
//: const STRIDE_0 u32
//: const STRIDE_1 u32
//: const STRIDE_2 u32
//: const STRIDE_3 u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

var<workgroup> shares: array<f32, WORKGROUP_X>;

// The place in x of number i of a set of axes, last axis first.
fn place(i: u32, sizes: vec4u, strides: vec4u) -> u32 {
  let rest = vec4u(i, i / sizes.x, i / (sizes.x * sizes.y), i / (sizes.x * sizes.y * sizes.z));
  return dot(rest % sizes, strides);
}

// A workgroup an output: each invocation adds every 64th of its terms.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let i = group.x + group.y * (WIDE / WORKGROUP_X);
  if (i * WORKGROUP_X >= SIZE) { return; }
  let sums = vec4u(SUM_0, SUM_1, SUM_2, SUM_3);
  let start = place(i, vec4u(SIZE_0, SIZE_1, SIZE_2, SIZE_3), vec4u(X_0, X_1, X_2, X_3));
  var sum = 0.0;
  for (var k = local; k < SUM_0 * SUM_1 * SUM_2 * SUM_3; k += WORKGROUP_X) {
    sum += x[start + place(k, sums, vec4u(STRIDE_0, STRIDE_1, STRIDE_2, STRIDE_3))];
  }
  shares[local] = sum;
  for (var half = WORKGROUP_X / 2; half > 0; half /= 2) {
    workgroupBarrier();
    if (local < half) { shares[local] += shares[local + half]; }
  }
  if (local == 0) { y[i] = shares[0]; }
}
