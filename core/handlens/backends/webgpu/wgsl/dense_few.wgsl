//: op dense
//: in x f32
//: in w f32
//: in b f32
//: out y f32
//: const N u32
//: const I u32
//: const O u32
//: const BIAS bool
//: const ACTIVATION u32
//: const ALPHA f32
//: const SIZE u32
//: const WIDE u32
//: workgroup 16 1 1

// Few vectors: a workgroup makes one neuron of one vector, its invocations a share of the sum each. Neighbouring
// invocations read neighbouring weights.

var<workgroup> shares: array<f32, WORKGROUP_X>;

fn activate(v: f32) -> f32 {
  if (ACTIVATION == 1u) { return max(v, 0.0); }
  if (ACTIVATION == 2u) { return select(v, v * ALPHA, v < 0.0); }
  if (ACTIVATION == 3u) { return 0.5 * tanh(clamp(0.5 * v, -20.0, 20.0)) + 0.5; }
  if (ACTIVATION == 4u) { return tanh(clamp(v, -20.0, 20.0)); }
  return v;
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let g = group.x + group.y * WIDE;
  if (g >= SIZE) { return; }
  let o = g % O;
  let row = g / O * I;
  var sum = 0.0;
  for (var i = lane; i < I; i += WORKGROUP_X) { sum += x[row + i] * w[o * I + i]; }
  shares[lane] = sum;
  workgroupBarrier();
  if (lane > 0u) { return; }
  var total = 0.0;
  for (var k = 0u; k < WORKGROUP_X; k++) { total += shares[k]; }
  if (BIAS) { total += b[o]; }
  y[g] = activate(total);
}
