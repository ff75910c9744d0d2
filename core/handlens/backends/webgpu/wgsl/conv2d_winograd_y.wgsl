//: op conv2d
//: then max_pool2d
//: scratch_in m f32
//: in b f32
//: out y f32
//: const F u32
//: const WHOLE_F u32
//: const P u32
//: const Q u32
//: const DOWN u32
//: const ACROSS u32
//: const TILES u32
//: const COUNT u32
//: const BIAS bool
//: const POOL bool
//: const ACTIVATION u32
//: const ALPHA f32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// Winograd's way back: y = A' m A, 4 x 4 pixels of each of COUNT tiles. An invocation takes one kernel of one tile.
// POOL: of which only the largest of each 2 x 2 are stored; P and Q are then the pooled map's, which y is.
// A sum that is lost in the rounding of its tile is 0: where a kernel meets nothing but background the direct sum is 0
// exactly, and a ReLU behind it passes no gradient; what is left of a cancellation here would pass half of it.

const CELL = WHOLE_F * TILES;
const ROUNDING = 4e-6;

fn activate(v: vec4f) -> vec4f {
  if (ACTIVATION == 1u) { return max(v, vec4f()); }
  if (ACTIVATION == 2u) { return select(v, v * ALPHA, v < vec4f()); }
  if (ACTIVATION == 3u) { return 0.5 * tanh(clamp(0.5 * v, vec4f(-20.0), vec4f(20.0))) + 0.5; }
  if (ACTIVATION == 4u) { return tanh(clamp(v, vec4f(-20.0), vec4f(20.0))); }
  return v;
}

fn gather(a: vec4f, b: vec4f, c: vec4f, d: vec4f, e: vec4f, f: vec4f) -> mat4x4f {
  let p = b + c;
  let q = b - c;
  let r = d + e;
  let s = d - e;
  return mat4x4f(a + p + r, q + 2.0 * s, p + 4.0 * r, q + 8.0 * s + f);
}

// Of one row of cells: four sums of its six.
fn across(at: u32) -> vec4f {
  let p = m[at + CELL] + m[at + 2u * CELL];
  let q = m[at + CELL] - m[at + 2u * CELL];
  let r = m[at + 3u * CELL] + m[at + 4u * CELL];
  let s = m[at + 3u * CELL] - m[at + 4u * CELL];
  return vec4f(m[at] + p + r, q + 2.0 * s, p + 4.0 * r, q + 8.0 * s + m[at + 5u * CELL]);
}

fn largest(v: vec4f) -> f32 {
  let a = abs(v);
  return max(max(a.x, a.y), max(a.z, a.w));
}

fn put(at: u32, columns: u32, sum: vec4f) {
  let v = activate(sum);
  y[at] = v.x;
  if (columns > 1u) { y[at + 1u] = v.y; }
  if (columns > 2u) { y[at + 2u] = v.z; }
  if (columns > 3u) { y[at + 3u] = v.w; }
}

fn put_largest(at: u32, p: u32, q: u32, upper: vec4f, lower: vec4f) {
  let v = max(activate(upper), activate(lower));
  if (p < P && q < Q) { y[at] = max(v.x, v.y); }
  if (p < P && q + 1u < Q) { y[at + 1u] = max(v.z, v.w); }
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let t = g % COUNT;
  let f = g / COUNT;
  let at = f * TILES + t;
  var bias = 0.0;
  if (BIAS) { bias = b[f]; }
  let a = across(at);
  let c = across(at + 6u * CELL);
  let d = across(at + 12u * CELL);
  let e = across(at + 18u * CELL);
  let h = across(at + 24u * CELL);
  let k = across(at + 30u * CELL);
  let least = vec4f(ROUNDING * max(max(max(largest(a), largest(c)), max(largest(d), largest(e))),
                                   max(largest(h), largest(k))));
  let sums = gather(a, c, d, e, h, k);
  let p = t / ACROSS % DOWN * 4u;
  let q = t % ACROSS * 4u;
  let map = (t / (DOWN * ACROSS) * F + f) * P;
  let first = select(sums[0], vec4f(), abs(sums[0]) < least) + bias;
  let second = select(sums[1], vec4f(), abs(sums[1]) < least) + bias;
  let third = select(sums[2], vec4f(), abs(sums[2]) < least) + bias;
  let fourth = select(sums[3], vec4f(), abs(sums[3]) < least) + bias;
  if (POOL) {
    let to = (map + p / 2u) * Q + q / 2u;
    put_largest(to, p / 2u, q / 2u, first, second);
    put_largest(to + Q, p / 2u + 1u, q / 2u, third, fourth);
    return;
  }
  let to = (map + p) * Q + q;
  put(to, Q - q, first);
  if (p + 1u < P) { put(to + Q, Q - q, second); }
  if (p + 2u < P) { put(to + 2u * Q, Q - q, third); }
  if (p + 3u < P) { put(to + 3u * Q, Q - q, fourth); }
}
