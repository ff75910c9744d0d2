//: op avg_pool2d_dx
//: in dy f32
//: out dx f32
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

// The windows that hold row (or column) h: from and up to.
fn holding(h: u32, stride: u32, before: u32, kernel: u32, count: u32) -> vec2u {
  let at = h + before;
  return vec2u(select(0u, (at - kernel) / stride + 1, at >= kernel), min(at / stride + 1, count));
}

// The pixels along one axis that an average is over: those of the image, or of its padding too, but none that ceil_mode
// reaches beyond. All places are counted from where the padding begins.
fn counted(p: u32, stride: u32, before: u32, after: u32, kernel: u32, size: u32) -> u32 {
  let low = select(before, 0u, INCLUDE_PAD);
  let high = before + size + select(0u, after, INCLUDE_PAD);
  return min(p * stride + kernel, high) - max(p * stride, low);
}

// An invocation an input pixel: it collects its share from the windows that hold it.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let image = i / (H * W);
  let rows = holding(i / W % H, SH, TOP, KH, P);
  let columns = holding(i % W, SW, LEFT, KW, Q);
  var sum = 0.0;
  for (var p = rows.x; p < rows.y; p++) {
    for (var q = columns.x; q < columns.y; q++) {
      let count = counted(p, SH, TOP, BOTTOM, KH, H) * counted(q, SW, LEFT, RIGHT, KW, W);
      sum += dy[(image * P + p) * Q + q] / f32(count);
    }
  }
  dx[i] = sum;
}
