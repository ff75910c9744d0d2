//: op gather
//: in data i32
//: in rows i32
//: out y i32
//: const ROW u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  y[i] = data[u32(rows[i / ROW]) * ROW + i % ROW];
}
