//: op global_avg_pool2d_dx
//: in dy f32
//: out dx f32
//: const PIXELS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  dx[i] = dy[i / PIXELS] / f32(PIXELS);
}
