//: op warp
//: in x f32
//: in field f32
//: out y f32
//: const C u32
//: const H u32
//: const W u32
//: const CELLS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

const SPLINES = CELLS + 3; // along an axis
const TERMS = select(3u, 3 + SPLINES * SPLINES, CELLS > 0);

// The four cubic B-splines that reach a place ``t`` into its cell.
fn splines(t: f32) -> vec4f {
  let s = 1.0 - t;
  return vec4f(
    s * s * s / 6.0,
    2.0 / 3.0 - t * t + t * t * t / 2.0,
    2.0 / 3.0 - s * s + s * s * s / 2.0,
    t * t * t / 6.0);
}

// From -1 to 1 along an axis.
fn across(i: u32, size: u32) -> f32 {
  return select(0.0, f32(2 * i) / f32(max(size, 2) - 1) - 1.0, size > 1);
}

// How far, in rows and columns, pixel (h, w) of image n is read from its place.
fn displacement(n: u32, h: u32, w: u32) -> vec2f {
  let rows = n * 2 * TERMS; // the field's coefficients for the rows, then those for the columns
  let columns = rows + TERMS;
  let v = across(h, H);
  let u = across(w, W);
  var moved = vec2f(field[rows], field[columns])
    + v * vec2f(field[rows + 1], field[columns + 1])
    + u * vec2f(field[rows + 2], field[columns + 2]);
  if (CELLS > 0) {
    let place = f32(CELLS) * vec2f(f32(h) + 0.5, f32(w) + 0.5) / vec2f(f32(H), f32(W));
    let cell = min(vec2u(place), vec2u(max(CELLS, 1) - 1));
    let down = splines(place.x - f32(cell.x));
    let right = splines(place.y - f32(cell.y));
    for (var a = 0u; a < 4; a++) {
      for (var b = 0u; b < 4; b++) {
        let k = 3 + (cell.x + a) * SPLINES + cell.y + b;
        moved += down[a] * right[b] * vec2f(field[rows + k], field[columns + k]);
      }
    }
  }
  return moved;
}

// A pixel, 0 outside the image.
fn pixel(image: u32, at: vec2i) -> f32 {
  let inside = all(at >= vec2i()) && all(at < vec2i(i32(H), i32(W)));
  return select(0.0, x[image + select(0u, u32(at.x) * W + u32(at.y), inside)], inside);
}

// An invocation a pixel of an image, all its channels.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let n = i / (H * W);
  let h = i / W % H;
  let w = i % W;
  let read = vec2f(f32(h), f32(w)) + displacement(n, h, w);
  let place = clamp(read, vec2f(-1.0), vec2f(f32(H), f32(W))); // beyond the frame all is 0, as on it
  let corner = min(floor(place), vec2f(f32(H) - 1.0, f32(W) - 1.0));
  let part = place - corner; // the shares of the far corners
  let at = vec2i(corner);
  for (var c = 0u; c < C; c++) {
    let image = (n * C + c) * (H * W);
    let upper = mix(pixel(image, at), pixel(image, at + vec2i(0, 1)), part.y);
    let lower = mix(pixel(image, at + vec2i(1, 0)), pixel(image, at + vec2i(1, 1)), part.y);
    y[image + h * W + w] = mix(upper, lower, part.x);
  }
}
