//: op max_pool2d
//: in x f32
//: out y f32
//: const H u32
//: const W u32
//: const P u32
//: const Q u32
//: const KH u32
//: const KW u32
//: const SH u32
//: const SW u32
//: const TOP u32
//: const LEFT u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The window's rows (or columns) inside the image, from and up to, for output p.
fn span(p: u32, stride: u32, before: u32, kernel: u32, size: u32) -> vec2u {
  let start = p * stride;
  return vec2u(max(start, before) - before, min(start + kernel - before, size));
}

// The usual case: windows of 2 x 2 that stay inside need no loop.
const PAIRS = KH == 2 && KW == 2 && SH == 2 && SW == 2 && TOP == 0 && LEFT == 0 && 2 * P <= H && 2 * Q <= W;

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let image = i / (P * Q) * (H * W);
  if (PAIRS) {
    let at = image + 2 * (i / Q % P * W + i % Q);
    y[i] = max(max(x[at], x[at + 1]), max(x[at + W], x[at + W + 1]));
    return;
  }
  let rows = span(i / Q % P, SH, TOP, KH, H);
  let columns = span(i % Q, SW, LEFT, KW, W);
  var largest = x[image + rows.x * W + columns.x]; // of the image, never of the padding
  for (var h = rows.x; h < rows.y; h++) {
    for (var w = columns.x; w < columns.y; w++) { largest = max(largest, x[image + h * W + w]); }
  }
  y[i] = largest;
}
