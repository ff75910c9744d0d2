//: op global_avg_pool2d
//: in x f32
//: out y f32
//: const PIXELS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

const BLOCK = 32u; // terms of one sum; their sums are added in turn

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let end = (i + 1) * PIXELS;
  var sum = 0.0;
  for (var block = i * PIXELS; block < end; block += BLOCK) {
    var part = 0.0;
    for (var at = block; at < min(block + BLOCK, end); at++) { part += x[at]; }
    sum += part;
  }
  y[i] = sum / f32(PIXELS);
}
