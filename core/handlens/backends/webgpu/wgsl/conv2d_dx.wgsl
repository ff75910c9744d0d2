//: op conv2d_dx
//: in w f32
//: in dy f32
//: out dx f32
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
//: const ROW u32
//: const STEP_N u32
//: const STEP_H u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The register tile of conv2d.wgsl, turned around: 8 channels of 4 pixels of dx, gathered from every place of dy that
// they had a part in.

const K = C * KH * KW;
// Whether all four pixels always are there: conditions cost more than the stores.
const WHOLE = select(STEP_H * 4u == H, STEP_N * 4u == N, STEP_N > 0u);
const LAST = N * F * P * Q - 1u;

fn put(c: u32, n: vec4u, h: vec4u, column: u32, v: vec4f) {
  if (c >= C || column >= W) { return; }
  let at = ((n * C + c) * H + h) * W + column;
  let there = (n < vec4u(N)) & (h < vec4u(H));
  if (WHOLE || there.x) { dx[at.x] = v.x; }
  if (WHOLE || there.y) { dx[at.y] = v.y; }
  if (WHOLE || there.z) { dx[at.z] = v.z; }
  if (WHOLE || there.w) { dx[at.w] = v.w; }
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.z * WIDE;
  if (g >= SIZE) { return; }
  let each = vec4u(0u, 1u, 2u, 3u);
  let column = g % ROW;
  let h = g / ROW % STEP_H + each * select(STEP_H, 0u, STEP_N > 0u);
  let n = g / (ROW * STEP_H) + each * STEP_N;
  let c = id.y * 8u;
  let image = n * (F * P * Q);

  var a0 = vec4f(); var a1 = vec4f(); var a2 = vec4f(); var a3 = vec4f();
  var a4 = vec4f(); var a5 = vec4f(); var a6 = vec4f(); var a7 = vec4f();
  for (var r = 0u; r < F * KH * KW; r++) {
    let tap = r / F;
    let f = r % F;
    let row = h + TOP - tap / KW;  // p * SV, and q * SH; outside the image they wrap around
    let across = column + LEFT - tap % KW;
    let p = row / SV;
    let q = across / SH;
    let inside = (p < vec4u(P)) & (row % SV == vec4u()) & vec4<bool>(q < Q && across % SH == 0u);
    let at = min(image + (f * P + p) * Q + q, vec4u(LAST));
    let k = f * K + c * (KH * KW) + tap;
    let v = select(vec4f(), vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), inside);
    a0 += w[k] * v;
    a1 += w[k + KH * KW] * v;
    a2 += w[k + 2u * KH * KW] * v;
    a3 += w[k + 3u * KH * KW] * v;
    a4 += w[k + 4u * KH * KW] * v;
    a5 += w[k + 5u * KH * KW] * v;
    a6 += w[k + 6u * KH * KW] * v;
    a7 += w[k + 7u * KH * KW] * v;
  }
  put(c, n, h, column, a0);
  put(c + 1u, n, h, column, a1);
  put(c + 2u, n, h, column, a2);
  put(c + 3u, n, h, column, a3);
  put(c + 4u, n, h, column, a4);
  put(c + 5u, n, h, column, a5);
  put(c + 6u, n, h, column, a6);
  put(c + 7u, n, h, column, a7);
}
