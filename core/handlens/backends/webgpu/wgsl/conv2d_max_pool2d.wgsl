//: op conv2d
//: then max_pool2d
//: in x f32
//: in w f32
//: in b f32
//: out max_pool2d_y f32
//: const C u32
//: const H u32
//: const W u32
//: const F u32
//: const P u32
//: const Q u32
//: const BIAS bool
//: const ACTIVATION u32
//: const ALPHA f32
//: const WINDOWS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// Kernels of 3 x 3, not padded, one step apart, and the largest of each 2 x 2 of what they make: an invocation makes
// two pooled pixels, one below the other, of 8 kernels. A vec4f holds the four pixels of a window. Neighbouring
// invocations take neighbouring windows; P and Q are the pooled map's. The loop is tested where it ends: SwiftShader
// takes a `for` once more than it has rounds, with nothing to do, and here there may be one round only.

struct Taps { a: vec4f, b: vec4f, c: vec4f, d: vec4f, e: vec4f, f: vec4f, g: vec4f, h: vec4f, i: vec4f }

fn activate(v: vec4f) -> vec4f {
  if (ACTIVATION == 1u) { return max(v, vec4f()); }
  if (ACTIVATION == 2u) { return select(v, v * ALPHA, v < vec4f()); }
  if (ACTIVATION == 3u) { return 0.5 * tanh(clamp(0.5 * v, vec4f(-20.0), vec4f(20.0))) + 0.5; }
  if (ACTIVATION == 4u) { return tanh(clamp(v, vec4f(-20.0), vec4f(20.0))); }
  return v;
}

fn row(at: u32) -> vec4f {
  return vec4f(x[at], x[at + 1u], x[at + 2u], x[at + 3u]);
}

// What each of the nine weights meets in the four pixels of a window, from the rows of its image.
fn taps(a: vec4f, b: vec4f, c: vec4f, d: vec4f) -> Taps {
  return Taps(
    vec4f(a.xy, b.xy), vec4f(a.yz, b.yz), vec4f(a.zw, b.zw),
    vec4f(b.xy, c.xy), vec4f(b.yz, c.yz), vec4f(b.zw, c.zw),
    vec4f(c.xy, d.xy), vec4f(c.yz, d.yz), vec4f(c.zw, d.zw),
  );
}

fn weights(k: u32) -> mat3x3f {
  return mat3x3f(w[k], w[k + 1u], w[k + 2u], w[k + 3u], w[k + 4u], w[k + 5u], w[k + 6u], w[k + 7u], w[k + 8u]);
}

fn sum(m: mat3x3f, t: Taps) -> vec4f {
  return m[0].x * t.a + m[0].y * t.b + m[0].z * t.c + m[1].x * t.d + m[1].y * t.e + m[1].z * t.f
    + m[2].x * t.g + m[2].y * t.h + m[2].z * t.i;
}

fn put(f: u32, g: u32, above: vec4f, below: vec4f) {
  if (f >= F) { return; }
  var bias = 0.0;
  if (BIAS) { bias = b[f]; }
  let u = activate(above + bias);
  let v = activate(below + bias);
  let p = g / Q % ROWS * 2u;
  let at = ((g / (Q * ROWS) * F + f) * P + p) * Q + g % Q;
  max_pool2d_y[at] = max(max(u.x, u.y), max(u.z, u.w));
  if (p + 1u < P) { max_pool2d_y[at + Q] = max(max(v.x, v.y), max(v.z, v.w)); }
}

const ROWS = (P + 1u) / 2u;
const K = C * 9u;

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let g = i % WINDOWS;
  let f = i / WINDOWS * 8u;
  var at = (g / (Q * ROWS) * C * H + g / Q % ROWS * 4u) * W + g % Q * 2u;
  var k = f * K;
  var c = 0u;
  var a0 = vec4f(); var a1 = vec4f(); var a2 = vec4f(); var a3 = vec4f();
  var a4 = vec4f(); var a5 = vec4f(); var a6 = vec4f(); var a7 = vec4f();
  var b0 = vec4f(); var b1 = vec4f(); var b2 = vec4f(); var b3 = vec4f();
  var b4 = vec4f(); var b5 = vec4f(); var b6 = vec4f(); var b7 = vec4f();
  loop {
    let third = row(at + 2u * W);
    let fourth = row(at + 3u * W);
    let s = taps(row(at), row(at + W), third, fourth);
    let t = taps(third, fourth, row(at + 4u * W), row(at + 5u * W));
    let m0 = weights(k);
    a0 += sum(m0, s);
    b0 += sum(m0, t);
    let m1 = weights(k + K);
    a1 += sum(m1, s);
    b1 += sum(m1, t);
    let m2 = weights(k + 2u * K);
    a2 += sum(m2, s);
    b2 += sum(m2, t);
    let m3 = weights(k + 3u * K);
    a3 += sum(m3, s);
    b3 += sum(m3, t);
    let m4 = weights(k + 4u * K);
    a4 += sum(m4, s);
    b4 += sum(m4, t);
    let m5 = weights(k + 5u * K);
    a5 += sum(m5, s);
    b5 += sum(m5, t);
    let m6 = weights(k + 6u * K);
    a6 += sum(m6, s);
    b6 += sum(m6, t);
    let m7 = weights(k + 7u * K);
    a7 += sum(m7, s);
    b7 += sum(m7, t);
    at += H * W;
    k += 9u;
    continuing {
      c += 1u;
      break if c >= C;
    }
  }
  put(f, g, a0, b0);
  put(f + 1u, g, a1, b1);
  put(f + 2u, g, a2, b2);
  put(f + 3u, g, a3, b3);
  put(f + 4u, g, a4, b4);
  put(f + 5u, g, a5, b5);
  put(f + 6u, g, a6, b6);
  put(f + 7u, g, a7, b7);
}
