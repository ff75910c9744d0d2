//: op conv2d_dw
//: in x f32
//: in dy f32
//: scratch_out part f32
//: scratch_out part_b f32
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
//: const ROW u32
//: const LANES u32
//: const PARTS u32
//: const IMAGES u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// Split-K: the sum over pixels and images is dealt out to LANES invocations a part, PARTS parts of IMAGES images, and
// each adds up its own share of 8 kernels x 8 weights in registers. Neighbouring invocations read neighbouring pixels.
// Shares lie in `part` as (F, K, PARTS * LANES), which conv2d_dw_sum.wgsl adds up.

const K = C * KH * KW;
const SHARES = LANES * PARTS;
const TILES = (K + 7u) / 8u;
const EIGHT = vec4u(0u, 1u, 2u, 3u);
const LAST = N * C * H * W - 1u;

fn put(f: u32, k: u32, share: u32, low: vec4f, high: vec4f) {
  if (f >= F) { return; }
  put_four(k, (f * K + k) * SHARES + share, low);
  put_four(k + 4u, (f * K + k + 4u) * SHARES + share, high);
}

// Conditions cost more than the stores: none where every tile is whole.
fn put_four(k: u32, at: u32, v: vec4f) {
  if (K % 8u == 0u || k < K) { part[at] = v.x; }
  if (K % 8u == 0u || k + 1u < K) { part[at + SHARES] = v.y; }
  if (K % 8u == 0u || k + 2u < K) { part[at + 2u * SHARES] = v.z; }
  if (K % 8u == 0u || k + 3u < K) { part[at + 3u * SHARES] = v.w; }
}

fn put_bias(f: u32, share: u32, v: f32) {
  if (f < F) { part_b[f * SHARES + share] = v; }
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let lane = g % LANES;
  let k = g / LANES % TILES * 8u;
  let f = g / (LANES * TILES) % ((F + 7u) / 8u) * 8u;
  let split = g / (LANES * TILES * ((F + 7u) / 8u));
  let first = split * IMAGES;
  let end = min(first + IMAGES, N);

  // The eight weights' places in the kernel. Beyond K there is nothing to be done right: these are not stored.
  let c0 = (k + EIGHT) / (KH * KW);
  let c1 = (k + 4u + EIGHT) / (KH * KW);
  let i0 = (k + EIGHT) / KW % KH;
  let i1 = (k + 4u + EIGHT) / KW % KH;
  let j0 = (k + EIGHT) % KW;
  let j1 = (k + 4u + EIGHT) % KW;

  var l0 = vec4f(); var l1 = vec4f(); var l2 = vec4f(); var l3 = vec4f();
  var l4 = vec4f(); var l5 = vec4f(); var l6 = vec4f(); var l7 = vec4f();
  var h0 = vec4f(); var h1 = vec4f(); var h2 = vec4f(); var h3 = vec4f();
  var h4 = vec4f(); var h5 = vec4f(); var h6 = vec4f(); var h7 = vec4f();
  var b0 = vec4f(); var b1 = vec4f();
  for (var r = lane; r < P * ROW; r += LANES) {
    let p = r / ROW;
    let q = r % ROW;
    let live = vec4<bool>(q < Q);  // beyond Q the addresses only keep in step with the neighbours'
    let y0 = p * SV + i0 - TOP;
    let y1 = p * SV + i1 - TOP;
    let x0 = q * SH + j0 - LEFT;
    let x1 = q * SH + j1 - LEFT;
    let inside0 = (y0 < vec4u(H)) & (x0 < vec4u(W));
    let inside1 = (y1 < vec4u(H)) & (x1 < vec4u(W));
    var at0 = (c0 * H + y0) * W + x0 + first * (C * H * W);
    var at1 = (c1 * H + y1) * W + x1 + first * (C * H * W);
    if (PADDED) { at0 = min(at0, vec4u(LAST)); at1 = min(at1, vec4u(LAST)); }
    var d = (first * F + f) * (P * Q) + p * Q + q;
    for (var n = first; n < end; n++) {
      var v0 = vec4f(x[at0.x], x[at0.y], x[at0.z], x[at0.w]);
      var v1 = vec4f(x[at1.x], x[at1.y], x[at1.z], x[at1.w]);
      if (PADDED) { v0 = select(vec4f(), v0, inside0); v1 = select(vec4f(), v1, inside1); }
      var d0 = vec4f(dy[d], dy[d + P * Q], dy[d + 2u * P * Q], dy[d + 3u * P * Q]);
      var d1 = vec4f(dy[d + 4u * P * Q], dy[d + 5u * P * Q], dy[d + 6u * P * Q], dy[d + 7u * P * Q]);
      if (ROW > Q) { d0 = select(vec4f(), d0, live); d1 = select(vec4f(), d1, live); }
      l0 += d0.x * v0; l1 += d0.y * v0; l2 += d0.z * v0; l3 += d0.w * v0;
      l4 += d1.x * v0; l5 += d1.y * v0; l6 += d1.z * v0; l7 += d1.w * v0;
      h0 += d0.x * v1; h1 += d0.y * v1; h2 += d0.z * v1; h3 += d0.w * v1;
      h4 += d1.x * v1; h5 += d1.y * v1; h6 += d1.z * v1; h7 += d1.w * v1;
      if (BIAS) { b0 += d0; b1 += d1; }
      at0 += C * H * W;
      at1 += C * H * W;
      d += F * P * Q;
    }
  }

  let share = split * LANES + lane;
  put(f, k, share, l0, h0);
  put(f + 1u, k, share, l1, h1);
  put(f + 2u, k, share, l2, h2);
  put(f + 3u, k, share, l3, h3);
  put(f + 4u, k, share, l4, h4);
  put(f + 5u, k, share, l5, h5);
  put(f + 6u, k, share, l6, h6);
  put(f + 7u, k, share, l7, h7);
  if (BIAS && k == 0u) {
    put_bias(f, share, b0.x);
    put_bias(f + 1u, share, b0.y);
    put_bias(f + 2u, share, b0.z);
    put_bias(f + 3u, share, b0.w);
    put_bias(f + 4u, share, b1.x);
    put_bias(f + 5u, share, b1.y);
    put_bias(f + 6u, share, b1.z);
    put_bias(f + 7u, share, b1.w);
  }
}
