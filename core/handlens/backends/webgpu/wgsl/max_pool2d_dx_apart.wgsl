//: op max_pool2d_dx
//: in x f32
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

// The rows (or columns) that window p alone answers for: its own, and those up to the next window, or the edge.
fn cell(p: u32, stride: u32, before: u32, count: u32, size: u32) -> vec2u {
  return vec2u(max(p * stride, before) - before, select((p + 1) * stride - before, size, p + 1 == count));
}

// The usual case: windows of 2 x 2 that leave nothing over need no loop.
const PAIRS = KH == 2 && KW == 2 && SH == 2 && SW == 2 && TOP == 0 && LEFT == 0 && 2 * P == H && 2 * Q == W;

// For windows that do not overlap: an invocation a window, which finds its first maximum and writes all its pixels.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let image = i / (P * Q) * (H * W);
  let p = i / Q % P;
  let q = i % Q;
  if (PAIRS) {
    let at = image + 2 * (p * W + q);
    let four = vec4f(x[at], x[at + 1], x[at + W], x[at + W + 1]);
    let largest = max(max(four.x, four.y), max(four.z, four.w));
    let equal = four == vec4f(largest);
    dx[at] = select(0.0, dy[i], equal.x);
    dx[at + 1] = select(0.0, dy[i], equal.y && !equal.x);
    dx[at + W] = select(0.0, dy[i], equal.z && !(equal.x || equal.y));
    dx[at + W + 1] = select(0.0, dy[i], equal.w && !(equal.x || equal.y || equal.z));
    return;
  }
  let rows = cell(p, SH, TOP, P, H);
  let columns = cell(q, SW, LEFT, Q, W);
  let bottom = min(p * SH + KH - TOP, H);
  let right = min(q * SW + KW - LEFT, W);
  var winner = image + rows.x * W + columns.x;
  var largest = x[winner];
  for (var h = rows.x; h < bottom; h++) {
    for (var w = columns.x; w < right; w++) {
      let at = image + h * W + w;
      let value = x[at];
      if (value > largest) {
        largest = value;
        winner = at;
      }
    }
  }
  for (var h = rows.x; h < rows.y; h++) {
    for (var w = columns.x; w < columns.y; w++) {
      let at = image + h * W + w;
      dx[at] = select(0.0, dy[i], at == winner);
    }
  }
}
