//: op conv2d_dw
//: in dy f32
//: scratch_out d f32
//: const F u32
//: const WHOLE_F u32
//: const P u32
//: const Q u32
//: const DOWN u32
//: const ACROSS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The weight gradient in Winograd's domain, the gradient of what was made: D = A dy A' of 4 x 4 pixels, zero beyond the
// last row, column and kernel: (36, tiles, WHOLE_F). The mirror of conv2d_winograd_y.wgsl.

struct Six { a: vec4f, b: vec4f, c: vec4f, d: vec4f, e: vec4f, f: vec4f }

fn load(at: u32, columns: u32, live: bool) -> vec4f {
  let last = columns - 1u;
  let v = vec4f(dy[at], dy[at + min(1u, last)], dy[at + min(2u, last)], dy[at + min(3u, last)]);
  return select(vec4f(), v, vec4<bool>(live) & (vec4u(0u, 1u, 2u, 3u) < vec4u(columns)));
}

fn put(row: u32, at: u32, v: vec4f) {
  let p = v.x + v.z;
  let q = v.y + v.w;
  let r = v.x + 4.0 * v.z;
  let s = 2.0 * v.y + 8.0 * v.w;
  d[row * SIZE + at] = v.x;
  d[(row + 1u) * SIZE + at] = p + q;
  d[(row + 2u) * SIZE + at] = p - q;
  d[(row + 3u) * SIZE + at] = r + s;
  d[(row + 4u) * SIZE + at] = r - s;
  d[(row + 5u) * SIZE + at] = v.w;
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let f = g % WHOLE_F;
  let t = g / WHOLE_F;
  let p = t / ACROSS % DOWN * 4u;
  let q = t % ACROSS * 4u;
  let image = (t / (DOWN * ACROSS) * F + min(f, F - 1u)) * (P * Q) + q;
  let live = f < F;
  let a = load(image + p * Q, Q - q, live);
  let b = load(image + min(p + 1u, P - 1u) * Q, Q - q, live && p + 1u < P);
  let c = load(image + min(p + 2u, P - 1u) * Q, Q - q, live && p + 2u < P);
  let e = load(image + min(p + 3u, P - 1u) * Q, Q - q, live && p + 3u < P);
  put(0u, g, a);
  put(6u, g, a + c + b + e);
  put(12u, g, a + c - b - e);
  put(18u, g, a + 4.0 * c + 2.0 * b + 8.0 * e);
  put(24u, g, a + 4.0 * c - 2.0 * b - 8.0 * e);
  put(30u, g, e);
}
