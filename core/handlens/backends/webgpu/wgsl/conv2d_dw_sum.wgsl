//: op conv2d_dw
//: scratch_in part f32
//: scratch_in part_b f32
//: out dw f32
//: out db f32
//: const WEIGHTS u32
//: const SHARES u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The second half of the weight gradient: SHARES partial sums of each of the WEIGHTS weights, and of each bias after
// them, in a fixed order and four chains.

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  var sum = vec4f();
  if (g < WEIGHTS) {
    for (var s = g * SHARES; s < (g + 1u) * SHARES; s += 4u) {
      sum += vec4f(part[s], part[s + 1u], part[s + 2u], part[s + 3u]);
    }
    dw[g] = (sum.x + sum.y) + (sum.z + sum.w);
  } else {
    let f = g - WEIGHTS;
    for (var s = f * SHARES; s < (f + 1u) * SHARES; s += 4u) {
      sum += vec4f(part_b[s], part_b[s + 1u], part_b[s + 2u], part_b[s + 3u]);
    }
    db[f] = (sum.x + sum.y) + (sum.z + sum.w);
  }
}
