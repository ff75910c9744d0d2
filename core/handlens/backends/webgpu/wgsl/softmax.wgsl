//: op softmax
//: in x f32
//: out y f32
//: const LENGTH u32
//: const INNER u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

const BLOCK = 32u; // terms of one sum; their sums are added in turn, which keeps long rows exact

// An invocation for each line along the axis.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let first = i / INNER * LENGTH * INNER + i % INNER;
  let end = first + LENGTH * INNER;
  var largest = x[first];
  for (var at = first; at < end; at += INNER) { largest = max(largest, x[at]); }
  var sum = 0.0;
  for (var block = first; block < end; block += BLOCK * INNER) {
    var part = 0.0;
    for (var at = block; at < min(block + BLOCK * INNER, end); at += INNER) {
      let e = exp(x[at] - largest);
      y[at] = e;
      part += e;
    }
    sum += part;
  }
  for (var at = first; at < end; at += INNER) { y[at] /= sum; }
}
