//: op dense_dw
//: scratch_in part f32
//: scratch_in part_b f32
//: out dw f32
//: out db f32
//: const WEIGHTS u32
//: const O u32
//: const PARTS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The second half of the weight gradient: the PARTS partial sums of each of the WEIGHTS weights, and of each bias after
// them, in order.

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  var sum = 0.0;
  if (g < WEIGHTS) {
    for (var s = 0u; s < PARTS; s++) { sum += part[s * WEIGHTS + g]; }
    dw[g] = sum;
  } else {
    for (var s = 0u; s < PARTS; s++) { sum += part_b[s * O + g - WEIGHTS]; }
    db[g - WEIGHTS] = sum;
  }
}
