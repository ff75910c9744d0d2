//: op smoothing
//: in x f32
//: in amount f32
//: out y f32
//: const C u32
//: const H u32
//: const W u32
//: const GAIN f32
//: const LEVEL f32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let image = i / (H * W) * (H * W);
  let h = i / W % H;
  let w = i % W;
  var sum = 0.0; // weights 1 2 1 along both axes, 0 outside
  for (var row = max(h, 1) - 1; row < min(h + 2, H); row++) {
    for (var column = max(w, 1) - 1; column < min(w + 2, W); column++) {
      sum += select(1.0, 2.0, row == h) * select(1.0, 2.0, column == w) * x[image + row * W + column];
    }
  }
  let pen = clamp(0.5 + GAIN * (sum / 16.0 - LEVEL), 0.0, 1.0);
  y[i] = x[i] + amount[i / (C * H * W)] * (pen - x[i]);
}
