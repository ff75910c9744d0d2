//: op broadcast_to
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
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  // Four axes, last first; a size is 1 where there is no such axis, a stride 0 where an operand is repeated.
  let rest = vec4u(i, i / SIZE_0, i / (SIZE_0 * SIZE_1), i / (SIZE_0 * SIZE_1 * SIZE_2));
  let at = rest % vec4u(SIZE_0, SIZE_1, SIZE_2, SIZE_3);
  y[i] = x[dot(at, vec4u(X_0, X_1, X_2, X_3))];
}
