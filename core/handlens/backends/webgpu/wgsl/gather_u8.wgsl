//: op gather
//: in data u32
//: in rows i32
//: out y f32
//: const ROW u32
//: const SCALE f32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let at = u32(rows[i / ROW]) * ROW + i % ROW;
  let word = data[at / 4]; // four pixels, the first lowest; a row may begin inside a word
  y[i] = SCALE * f32((word >> (at % 4 * 8)) & 255u);
}
