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
//: const BIAS bool
//: const ACTIVATION u32
//: const ALPHA f32
//: const WIDE u32
//: workgroup 256 1 1

// Implicit GEMM through workgroup memory: a workgroup makes 64 kernels of 64 pixels (of all images, one after another),
// 16 terms at a time; an invocation makes 4 x 4 of them, 16 apart, so that neighbours write neighbouring pixels.

const K = C * KH * KW;
const PIXELS = N * P * Q;
const SIDE = 64u;
const DEPTH = 16u;

var<workgroup> left: array<f32, DEPTH * SIDE>;
var<workgroup> right: array<f32, DEPTH * SIDE>;

fn activate(v: f32) -> f32 {
  if (ACTIVATION == 1u) { return max(v, 0.0); }
  if (ACTIVATION == 2u) { return select(v, v * ALPHA, v < 0.0); }
  if (ACTIVATION == 3u) { return 0.5 * tanh(clamp(0.5 * v, -20.0, 20.0)) + 0.5; }
  if (ACTIVATION == 4u) { return tanh(clamp(v, -20.0, 20.0)); }
  return v;
}

fn put(f: u32, pixel: u32, v: f32) {
  if (f >= F || pixel >= PIXELS) { return; }
  var bias = 0.0;
  if (BIAS) { bias = b[f]; }
  y[(pixel / (P * Q) * F + f) * (P * Q) + pixel % (P * Q)] = activate(v + bias);
}

fn put_row(f: u32, pixel: u32, v: vec4f) {
  put(f, pixel, v.x);
  put(f, pixel + 16u, v.y);
  put(f, pixel + 32u, v.z);
  put(f, pixel + 48u, v.w);
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32) {
  let first = (group.x + group.z * WIDE) * SIDE;
  let f = group.y * SIDE;
  let tx = t % 16u;
  let ty = t / 16u;
  // The pixel whose terms this invocation fetches.
  let pixel = first + t % SIDE;
  let top = pixel / Q % P * SV - TOP;
  let side = pixel % Q * SH - LEFT;
  let image = pixel / (P * Q) * (C * H * W);

  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  for (var k0 = 0u; k0 < K; k0 += DEPTH) {
    for (var e = 0u; e < 4u; e++) {
      let kernel = f + ty + 16u * e;
      var weight = 0.0;
      if (kernel < F && k0 + tx < K) { weight = w[kernel * K + k0 + tx]; }
      left[tx * SIDE + ty + 16u * e] = weight;

      let k = k0 + t / SIDE + 4u * e;
      let h = top + k / KW % KH;  // outside of the image these wrap around
      let column = side + k % KW;
      var value = 0.0;
      if (k < K && pixel < PIXELS && h < H && column < W) {
        value = x[image + (k / (KH * KW) * H + h) * W + column];
      }
      right[(t / SIDE + 4u * e) * SIDE + t % SIDE] = value;
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let a = k * SIDE + ty;
      let b = k * SIDE + tx;
      let l = vec4f(left[a], left[a + 16u], left[a + 32u], left[a + 48u]);
      let r = vec4f(right[b], right[b + 16u], right[b + 32u], right[b + 48u]);
      s0 += l.x * r;
      s1 += l.y * r;
      s2 += l.z * r;
      s3 += l.w * r;
    }
    workgroupBarrier();
  }
  put_row(f + ty, first + tx, s0);
  put_row(f + ty + 16u, first + tx, s1);
  put_row(f + ty + 32u, first + tx, s2);
  put_row(f + ty + 48u, first + tx, s3);
}
