//: op conv2d
//: in x f32
//: in w f32
//: in b f32
//: out y f32
//: const N u32
//: const C u32
//: const H u32
//: const W u32
//: const F u32
//: const P u32
//: const Q u32
//: const KH u32
//: const KW u32
//: const SV u32
//: const SH u32
//: const TOP u32
//: const LEFT u32
//: const PADDED bool
//: const BIAS bool
//: const ACTIVATION u32
//: const ALPHA f32
//: const ROW u32
//: const STEP_N u32
//: const STEP_P u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// Implicit GEMM in registers: an invocation makes 8 kernels of 4 pixels, which are the same pixel of 4 images (STEP_N
// apart) or 4 rows of one image (STEP_P apart), so that one row and column serve all four. Neighbouring invocations
// take neighbouring pixels. Rows are ROW wide: what is beyond Q keeps groups of invocations on one row.

const K = C * KH * KW;
// Whether all four pixels always are there: conditions cost more than the stores.
const WHOLE = select(STEP_P * 4u == P, STEP_N * 4u == N, STEP_N > 0u);
const LAST = N * C * H * W - 1u;

fn activate(v: vec4f) -> vec4f {
  if (ACTIVATION == 1u) { return max(v, vec4f()); }
  if (ACTIVATION == 2u) { return select(v, v * ALPHA, v < vec4f()); }
  if (ACTIVATION == 3u) { return 0.5 * tanh(clamp(0.5 * v, vec4f(-20.0), vec4f(20.0))) + 0.5; }
  if (ACTIVATION == 4u) { return tanh(clamp(v, vec4f(-20.0), vec4f(20.0))); }
  return v;
}

fn put(f: u32, n: vec4u, p: vec4u, q: u32, sum: vec4f) {
  if (f >= F || q >= Q) { return; }
  var v = sum;
  if (BIAS) { v += b[f]; }
  v = activate(v);
  let at = ((n * F + f) * P + p) * Q + q;
  let there = (n < vec4u(N)) & (p < vec4u(P));
  if (WHOLE || there.x) { y[at.x] = v.x; }
  if (WHOLE || there.y) { y[at.y] = v.y; }
  if (WHOLE || there.z) { y[at.z] = v.z; }
  if (WHOLE || there.w) { y[at.w] = v.w; }
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.z * WIDE;
  if (g >= SIZE) { return; }
  let each = vec4u(0u, 1u, 2u, 3u);
  let q = g % ROW;
  let p = g / ROW % STEP_P + each * select(STEP_P, 0u, STEP_N > 0u);
  let n = g / (ROW * STEP_P) + each * STEP_N;
  let f = id.y * 8u;
  let image = n * (C * H * W);

  var a0 = vec4f(); var a1 = vec4f(); var a2 = vec4f(); var a3 = vec4f();
  var a4 = vec4f(); var a5 = vec4f(); var a6 = vec4f(); var a7 = vec4f();
  for (var r = 0u; r < K; r++) {  // one loop, not two: a software adapter pays for each round of each
    let tap = r / C;
    let c = r % C;
    // Outside the image these wrap around, or run on into the next row: the address stays in step with that of the
    // neighbouring invocations, and the value is not used.
    let h = p * SV + (tap / KW) - TOP;
    let column = q * SH + tap % KW - LEFT;
    var at = image + (c * H + h) * W + column;
    if (PADDED) { at = min(at, vec4u(LAST)); }
    let k = f * K + c * (KH * KW) + tap;
    var v = vec4f(x[at.x], x[at.y], x[at.z], x[at.w]);
    if (PADDED) { v = select(vec4f(), v, (h < vec4u(H)) & vec4<bool>(column < W)); }
    a0 += w[k] * v;
    a1 += w[k + K] * v;
    a2 += w[k + 2u * K] * v;
    a3 += w[k + 3u * K] * v;
    a4 += w[k + 4u * K] * v;
    a5 += w[k + 5u * K] * v;
    a6 += w[k + 6u * K] * v;
    a7 += w[k + 7u * K] * v;
  }
  put(f, n, p, q, a0);
  put(f + 1u, n, p, q, a1);
  put(f + 2u, n, p, q, a2);
  put(f + 3u, n, p, q, a3);
  put(f + 4u, n, p, q, a4);
  put(f + 5u, n, p, q, a5);
  put(f + 6u, n, p, q, a6);
  put(f + 7u, n, p, q, a7);
}
