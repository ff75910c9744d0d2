//: op conv2d
//: in w f32
//: scratch_out u f32
//: const C u32
//: const F u32
//: const WHOLE_F u32
//: const FLIP bool
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// Winograd's F(4 x 4, 3 x 3) (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015), the weights:
// U = G g G', (36, C, WHOLE_F), zero beyond F. FLIP: the weights of the adjoint, whose kernels are the channels here.

fn spread(g0: f32, g1: f32, g2: f32) -> array<f32, 6> {
  let even = (g0 + g2) / 6.0;
  let far = g0 / 24.0 + g2 / 6.0;
  return array<f32, 6>(g0 / 4.0, -even - g1 / 6.0, g1 / 6.0 - even, far + g1 / 12.0, far - g1 / 12.0, g2);
}

fn column(at: u32, j: u32) -> array<f32, 6> {
  if (FLIP) { return spread(w[at + 8u - j], w[at + 5u - j], w[at + 2u - j]); }
  return spread(w[at + j], w[at + 3u + j], w[at + 6u + j]);
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let c = g / WHOLE_F;
  let f = g % WHOLE_F;
  let last = min(f, F - 1u);
  let at = select(last * C + c, c * F + last, FLIP) * 9u;
  var left = column(at, 0u);
  var middle = column(at, 1u);
  var right = column(at, 2u);
  for (var i = 0u; i < 6u; i++) {
    var row = spread(left[i], middle[i], right[i]);
    for (var j = 0u; j < 6u; j++) { u[(i * 6u + j) * SIZE + g] = select(0.0, row[j], f < F); }
  }
}
