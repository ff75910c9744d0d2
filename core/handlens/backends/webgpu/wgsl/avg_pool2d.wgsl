//: op avg_pool2d
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
//: const BOTTOM u32
//: const RIGHT u32
//: const INCLUDE_PAD bool
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The window's rows (or columns) inside the image, from and up to, for output p.
fn span(p: u32, stride: u32, before: u32, kernel: u32, size: u32) -> vec2u {
  let start = p * stride;
  return vec2u(max(start, before) - before, min(start + kernel - before, size));
}

// The pixels along one axis that an average is over: those of the image, or of its padding too, but none that ceil_mode
// reaches beyond. All places are counted from where the padding begins.
fn counted(p: u32, stride: u32, before: u32, after: u32, kernel: u32, size: u32) -> u32 {
  let low = select(before, 0u, INCLUDE_PAD);
  let high = before + size + select(0u, after, INCLUDE_PAD);
  return min(p * stride + kernel, high) - max(p * stride, low);
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let image = i / (P * Q) * (H * W);
  let p = i / Q % P;
  let q = i % Q;
  let rows = span(p, SH, TOP, KH, H);
  let columns = span(q, SW, LEFT, KW, W);
  var sum = 0.0;
  for (var h = rows.x; h < rows.y; h++) {
    var part = 0.0;
    for (var w = columns.x; w < columns.y; w++) { part += x[image + h * W + w]; }
    sum += part;
  }
  y[i] = sum / f32(counted(p, SH, TOP, BOTTOM, KH, H) * counted(q, SW, LEFT, RIGHT, KW, W));
}
