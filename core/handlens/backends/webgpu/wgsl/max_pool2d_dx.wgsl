//: op max_pool2d_dx
//: in x f32
//: in y f32
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
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The window's rows (or columns) inside the image, from and up to, for output p.
fn span(p: u32, stride: u32, before: u32, kernel: u32, size: u32) -> vec2u {
  let start = p * stride;
  return vec2u(max(start, before) - before, min(start + kernel - before, size));
}

// The windows that hold row (or column) h: from and up to.
fn holding(h: u32, stride: u32, before: u32, kernel: u32, count: u32) -> vec2u {
  let at = h + before;
  return vec2u(select(0u, (at - kernel) / stride + 1, at >= kernel), min(at / stride + 1, count));
}

// Whether (h, w) is the first of its window's pixels, in row-major order, that equals the maximum.
fn wins(image: u32, h: u32, w: u32, p: u32, q: u32, maximum: f32) -> bool {
  if (x[image + h * W + w] != maximum) { return false; }
  let rows = span(p, SH, TOP, KH, H);
  let columns = span(q, SW, LEFT, KW, W);
  for (var row = rows.x; row <= h; row++) {
    for (var column = columns.x; column < select(columns.y, w, row == h); column++) {
      if (x[image + row * W + column] == maximum) { return false; }
    }
  }
  return true;
}

// An invocation an input pixel: it asks the windows that hold it. No window writes, so none has to wait.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let image = i / (H * W);
  let h = i / W % H;
  let w = i % W;
  let rows = holding(h, SH, TOP, KH, P);
  let columns = holding(w, SW, LEFT, KW, Q);
  var sum = 0.0;
  for (var p = rows.x; p < rows.y; p++) {
    for (var q = columns.x; q < columns.y; q++) {
      let at = (image * P + p) * Q + q;
      if (wins(image * (H * W), h, w, p, q, y[at])) { sum += dy[at]; }
    }
  }
  dx[i] = sum;
}
