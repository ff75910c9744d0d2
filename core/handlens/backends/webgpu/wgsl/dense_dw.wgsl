//: op dense_dw
//: in x f32
//: in dy f32
//: scratch_out part f32
//: scratch_out part_b f32
//: const N u32
//: const I u32
//: const O u32
//: const BIAS bool
//: const VECTORS u32
//: const COLUMNS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The register tile of matmul.wgsl: 8 neurons by 4 of their weights, which lie COLUMNS apart, summed over one of the
// parts of VECTORS vectors that the batch is cut into: `part` is (parts, O, I), which dense_dw_sum.wgsl adds up where
// there is more than one.

const ROWS = (O + 7u) / 8u;

fn put(split: u32, o: u32, i: vec4u, v: vec4f, bias: f32) {
  if (o >= O) { return; }
  let row = split * O + o;
  let at = row * I + i;
  if (i.x < I) { part[at.x] = v.x; }
  if (i.y < I) { part[at.y] = v.y; }
  if (i.z < I) { part[at.z] = v.z; }
  if (i.w < I) { part[at.w] = v.w; }
  if (BIAS && i.x == 0u) { part_b[row] = bias; }
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let i = g % COLUMNS + vec4u(0u, 1u, 2u, 3u) * COLUMNS;
  let o = g / COLUMNS % ROWS * 8u;
  let split = g / (COLUMNS * ROWS);
  let first = split * VECTORS;
  let end = min(first + VECTORS, N);
  var at = first * I + min(i, vec4u(I - 1u));
  var d = first * O + o;  // neurons beyond the last read something else, and are not stored

  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  var s4 = vec4f(); var s5 = vec4f(); var s6 = vec4f(); var s7 = vec4f();
  var b0 = vec4f(); var b1 = vec4f();
  for (var n = first; n < end; n++) {
    let v = vec4f(x[at.x], x[at.y], x[at.z], x[at.w]);
    let d0 = vec4f(dy[d], dy[d + 1u], dy[d + 2u], dy[d + 3u]);
    let d1 = vec4f(dy[d + 4u], dy[d + 5u], dy[d + 6u], dy[d + 7u]);
    s0 += d0.x * v; s1 += d0.y * v; s2 += d0.z * v; s3 += d0.w * v;
    s4 += d1.x * v; s5 += d1.y * v; s6 += d1.z * v; s7 += d1.w * v;
    if (BIAS) { b0 += d0; b1 += d1; }
    at += I;
    d += O;
  }
  put(split, o, i, s0, b0.x);
  put(split, o + 1u, i, s1, b0.y);
  put(split, o + 2u, i, s2, b0.z);
  put(split, o + 3u, i, s3, b0.w);
  put(split, o + 4u, i, s4, b1.x);
  put(split, o + 5u, i, s5, b1.y);
  put(split, o + 6u, i, s6, b1.z);
  put(split, o + 7u, i, s7, b1.w);
}
