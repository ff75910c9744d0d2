//: op thickness
//: in x f32
//: in amount f32
//: out y f32
//: const C u32
//: const H u32
//: const W u32
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
  var largest = x[i];
  for (var row = max(h, 1) - 1; row < min(h + 2, H); row++) {
    for (var column = max(w, 1) - 1; column < min(w + 2, W); column++) {
      largest = max(largest, x[image + row * W + column]);
    }
  }
  y[i] = clamp(x[i] + amount[i / (C * H * W)] * (largest - x[i]), 0.0, 1.0);
}
