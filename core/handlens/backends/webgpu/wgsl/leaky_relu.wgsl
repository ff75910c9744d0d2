//: op leaky_relu
//: in x vec4f
//: out y vec4f
//: const ALPHA f32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  y[i] = select(ALPHA * x[i], x[i], x[i] > vec4f());
}
