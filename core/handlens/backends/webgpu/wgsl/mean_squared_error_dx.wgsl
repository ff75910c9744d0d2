//: op mean_squared_error_dx
//: in y vec4f
//: in target_ vec4f
//: out dy vec4f
//: const COUNT u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  dy[i] = 2.0 / f32(COUNT) * (y[i] - target_[i]);
}
