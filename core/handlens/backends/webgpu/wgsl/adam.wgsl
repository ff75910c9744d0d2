//: op adam
//: in gradients vec4f
//: in learning_rate f32
//: in step f32
//: update parameters vec4f
//: update moment_1 vec4f
//: update moment_2 vec4f
//: const BETA_1 f32
//: const BETA_2 f32
//: const REST_1 f32
//: const REST_2 f32
//: const LOG_1 f32
//: const LOG_2 f32
//: const EPSILON f32
//: const DECAY f32
//: const DECOUPLED bool
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// 1 - exp(z) for z < 0: near 0, where beta^t is near 1 and pow too coarse, by its series.
fn short_of_one(z: f32) -> f32 {
  if (z < -0.5) { return 1.0 - exp(z); }
  return -z * (1.0 + z / 2.0 * (1.0 + z / 3.0 * (1.0 + z / 4.0 * (1.0 + z / 5.0 * (1.0 + z / 6.0 * (1.0 + z / 7.0))))));
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let rate = learning_rate[0];
  var w = parameters[i];
  var g = gradients[i];
  if (DECOUPLED) { w *= 1.0 - rate * DECAY; } else { g += DECAY * w; }
  let m = BETA_1 * moment_1[i] + REST_1 * g;
  let v = BETA_2 * moment_2[i] + REST_2 * g * g;
  moment_1[i] = m;
  moment_2[i] = v;
  let size = sqrt(v / short_of_one(step[0] * LOG_2)) + EPSILON;
  parameters[i] = w - rate / short_of_one(step[0] * LOG_1) * m / size;
}
