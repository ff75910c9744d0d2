//: op conv2d
//: in x f32
//: scratch_out v f32
//: const N u32
//: const C u32
//: const H u32
//: const W u32
//: const DOWN u32
//: const ACROSS u32
//: const TILES u32
//: const TOP u32
//: const LEFT u32
//: const STEP_C u32
//: const STEP_T u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// Winograd's transform of the images: V = B' d B of 6 x 6 pixels, 4 apart: (36, channels, TILES), or transposed, as
// STEP_C and STEP_T say. Tiles and channels beyond the last are like the last, and nothing is made of them.

struct Six { a: f32, b: f32, c: f32, d: f32, e: f32, f: f32 }

fn spread(d: Six) -> Six {
  let p = d.e - 4.0 * d.c;
  let q = d.d - 4.0 * d.b;
  let r = d.e - d.c;
  let s = 2.0 * (d.d - d.b);
  return Six(4.0 * d.a - 5.0 * d.c + d.e, p + q, p - q, r + s, r - s, 4.0 * d.b - 5.0 * d.d + d.f);
}

fn load(image: u32, h: u32, column: u32) -> f32 {
  let value = x[image + min(h, H - 1u) * W + min(column, W - 1u)];
  return select(0.0, value, h < H && column < W);  // outside the image they wrap around
}

fn down(image: u32, h: u32, column: u32) -> Six {
  return spread(Six(
    load(image, h, column), load(image, h + 1u, column), load(image, h + 2u, column),
    load(image, h + 3u, column), load(image, h + 4u, column), load(image, h + 5u, column),
  ));
}

fn put(row: u32, at: u32, d: Six) {
  let r = spread(d);
  v[row * SIZE + at] = r.a;
  v[(row + 1u) * SIZE + at] = r.b;
  v[(row + 2u) * SIZE + at] = r.c;
  v[(row + 3u) * SIZE + at] = r.d;
  v[(row + 4u) * SIZE + at] = r.e;
  v[(row + 5u) * SIZE + at] = r.f;
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let t = g % TILES;
  let n = min(t / (DOWN * ACROSS), N - 1u);
  let channel = g / TILES;
  let image = (n * C + min(channel, C - 1u)) * (H * W);
  let at = channel * STEP_C + t * STEP_T;
  let h = t / ACROSS % DOWN * 4u - TOP;
  let column = t % ACROSS * 4u - LEFT;
  let a = down(image, h, column);
  let b = down(image, h, column + 1u);
  let c = down(image, h, column + 2u);
  let d = down(image, h, column + 3u);
  let e = down(image, h, column + 4u);
  let f = down(image, h, column + 5u);
  put(0u, at, Six(a.a, b.a, c.a, d.a, e.a, f.a));
  put(6u, at, Six(a.b, b.b, c.b, d.b, e.b, f.b));
  put(12u, at, Six(a.c, b.c, c.c, d.c, e.c, f.c));
  put(18u, at, Six(a.d, b.d, c.d, d.d, e.d, f.d));
  put(24u, at, Six(a.e, b.e, c.e, d.e, e.e, f.e));
  put(30u, at, Six(a.f, b.f, c.f, d.f, e.f, f.f));
}
