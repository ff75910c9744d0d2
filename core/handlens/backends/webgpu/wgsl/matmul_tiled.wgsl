//: op matmul
//: in a f32
//: in b f32
//: out y f32
//: const M u32
//: const N u32
//: const K u32
//: const A_ROW u32
//: const A_STEP u32
//: const B_STEP u32
//: const B_COLUMN u32
//: const D1 u32
//: const D2 u32
//: const A0 u32
//: const A1 u32
//: const A2 u32
//: const B0 u32
//: const B1 u32
//: const B2 u32
//: const TILES_M u32
//: const TILES_N u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 256 1 1

// y = a b through workgroup memory: a workgroup makes 64 x 64, 16 terms at a time; an invocation makes 4 x 4 of them,
// 16 apart, so that neighbours write neighbouring columns. For steps and leading axes see matmul.wgsl.

const SIDE = 64u;
const DEPTH = 16u;

var<workgroup> left: array<f32, DEPTH * SIDE>;
var<workgroup> right: array<f32, DEPTH * SIDE>;

fn put(matrix: u32, m: u32, n: u32, v: f32) {
  if (m < M && n < N) { y[(matrix * M + m) * N + n] = v; }
}

fn put_row(matrix: u32, m: u32, n: u32, v: vec4f) {
  put(matrix, m, n, v.x);
  put(matrix, m, n + 16u, v.y);
  put(matrix, m, n + 32u, v.z);
  put(matrix, m, n + 48u, v.w);
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32) {
  let g = group.x + group.y * WIDE;
  if (g >= SIZE) { return; }  // a whole workgroup, so that all reach the barriers or none
  let n = g % TILES_N * SIDE;
  let m = g / TILES_N % TILES_M * SIDE;
  let matrix = g / (TILES_N * TILES_M);
  let axes = vec3u(matrix / (D1 * D2), matrix / D2 % D1, matrix % D2);
  let first_a = axes.x * A0 + axes.y * A1 + axes.z * A2;
  let first_b = axes.x * B0 + axes.y * B1 + axes.z * B2;
  let tx = t % 16u;
  let ty = t / 16u;

  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  for (var k0 = 0u; k0 < K; k0 += DEPTH) {
    for (var e = 0u; e < 4u; e++) {
      // Neighbours fetch along the axis whose elements are neighbours in memory.
      var row = t % SIDE;
      var k = t / SIDE + 4u * e;
      if (A_STEP == 1u) { row = ty + 16u * e; k = tx; }
      var value = 0.0;
      if (m + row < M && k0 + k < K) { value = a[first_a + (m + row) * A_ROW + (k0 + k) * A_STEP]; }
      left[k * SIDE + row] = value;

      var column = t % SIDE;
      k = t / SIDE + 4u * e;
      if (B_COLUMN != 1u) { column = ty + 16u * e; k = tx; }
      value = 0.0;
      if (n + column < N && k0 + k < K) { value = b[first_b + (n + column) * B_COLUMN + (k0 + k) * B_STEP]; }
      right[k * SIDE + column] = value;
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let at = k * SIDE + ty;
      let to = k * SIDE + tx;
      let l = vec4f(left[at], left[at + 16u], left[at + 32u], left[at + 48u]);
      let r = vec4f(right[to], right[to + 16u], right[to + 32u], right[to + 48u]);
      s0 += l.x * r;
      s1 += l.y * r;
      s2 += l.z * r;
      s3 += l.w * r;
    }
    workgroupBarrier();
  }
  put_row(matrix, m + ty, n + tx, s0);
  put_row(matrix, m + ty + 16u, n + tx, s1);
  put_row(matrix, m + ty + 32u, n + tx, s2);
  put_row(matrix, m + ty + 48u, n + tx, s3);
}
