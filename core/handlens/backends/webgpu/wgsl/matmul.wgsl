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
//: const COLUMNS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// y = a b in registers: an invocation makes 8 rows of 4 columns, which lie COLUMNS apart so that neighbouring
// invocations have neighbouring columns. A transposed operand differs in its steps only. The leading axes are merged
// to three, of sizes (any, D1, D2); where an operand is repeated along one, its step there is 0.

const ROWS = (M + 7u) / 8u;

fn put(matrix: u32, m: u32, n: vec4u, v: vec4f) {
  if (m >= M) { return; }
  let at = (matrix * M + m) * N + n;
  if (n.x < N) { y[at.x] = v.x; }
  if (n.y < N) { y[at.y] = v.y; }
  if (n.z < N) { y[at.z] = v.z; }
  if (n.w < N) { y[at.w] = v.w; }
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let n = g % COLUMNS + vec4u(0u, 1u, 2u, 3u) * COLUMNS;
  let m = g / COLUMNS % ROWS * 8u;
  let matrix = g / (COLUMNS * ROWS);
  let axes = vec3u(matrix / (D1 * D2), matrix / D2 % D1, matrix % D2);
  let first = axes.x * A0 + axes.y * A1 + axes.z * A2;
  let most = M - 1u;  // rows beyond the last are the last once more, and are not stored
  let r0 = first + m * A_ROW;
  let r1 = first + min(m + 1u, most) * A_ROW;
  let r2 = first + min(m + 2u, most) * A_ROW;
  let r3 = first + min(m + 3u, most) * A_ROW;
  let r4 = first + min(m + 4u, most) * A_ROW;
  let r5 = first + min(m + 5u, most) * A_ROW;
  let r6 = first + min(m + 6u, most) * A_ROW;
  let r7 = first + min(m + 7u, most) * A_ROW;
  var at = axes.x * B0 + axes.y * B1 + axes.z * B2 + min(n, vec4u(N - 1u)) * B_COLUMN;

  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  var s4 = vec4f(); var s5 = vec4f(); var s6 = vec4f(); var s7 = vec4f();
  for (var k = 0u; k < K; k++) {
    let v = vec4f(b[at.x], b[at.y], b[at.z], b[at.w]);
    let step = k * A_STEP;
    s0 += a[r0 + step] * v;
    s1 += a[r1 + step] * v;
    s2 += a[r2 + step] * v;
    s3 += a[r3 + step] * v;
    s4 += a[r4 + step] * v;
    s5 += a[r5 + step] * v;
    s6 += a[r6 + step] * v;
    s7 += a[r7 + step] * v;
    at += B_STEP;
  }
  put(matrix, m, n, s0);
  put(matrix, m + 1u, n, s1);
  put(matrix, m + 2u, n, s2);
  put(matrix, m + 3u, n, s3);
  put(matrix, m + 4u, n, s4);
  put(matrix, m + 5u, n, s5);
  put(matrix, m + 6u, n, s6);
  put(matrix, m + 7u, n, s7);
}
