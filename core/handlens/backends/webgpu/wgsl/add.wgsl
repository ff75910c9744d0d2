//: op add
//: in a f32
//: in b f32
//: out y f32
//: const SIZE_0 u32
//: const SIZE_1 u32
//: const SIZE_2 u32
//: const SIZE_3 u32
//: const A_0 u32
//: const A_1 u32
//: const A_2 u32
//: const A_3 u32
//: const B_0 u32
//: const B_1 u32
//: const B_2 u32
//: const B_3 u32
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
  y[i] = a[dot(at, vec4u(A_0, A_1, A_2, A_3))] + b[dot(at, vec4u(B_0, B_1, B_2, B_3))];
}
