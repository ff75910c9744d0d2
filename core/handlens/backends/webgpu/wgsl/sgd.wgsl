//: op sgd
//: in gradients vec4f
//: in learning_rate f32
//: update parameters vec4f
//: update velocity vec4f
//: const MOMENTUM f32
//: const DECAY f32
//: const NESTEROV bool
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let g = gradients[i] + DECAY * parameters[i];
  let v = MOMENTUM * velocity[i] + g;
  velocity[i] = v;
  parameters[i] -= learning_rate[0] * select(v, g + MOMENTUM * v, NESTEROV);
}
