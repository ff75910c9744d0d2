//: op softmax_cross_entropy_dx
//: in probabilities f32
//: in labels i32
//: out dlogits f32
//: const ROWS u32
//: const CLASSES u32
//: const SMOOTHING f32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let hit = select(0.0, 1.0 - SMOOTHING, i % CLASSES == u32(labels[i / CLASSES]));
  dlogits[i] = (probabilities[i] - SMOOTHING / f32(CLASSES) - hit) / f32(ROWS);
}
