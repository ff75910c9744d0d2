//: op mean_squared_error
//: in y f32
//: in target_ f32
//: out loss f32
//: const SIZE u32
//: workgroup 256 1 1

const BLOCK = 32u; // terms of one sum; their sums are added in turn
const PARTS = 16u;
var<workgroup> shares: array<f32, WORKGROUP_X>;
var<workgroup> parts: array<f32, PARTS>;

// The sum over the workgroup, for every invocation, in two barriers.
fn total(mine: f32, local: u32) -> f32 {
  shares[local] = mine;
  workgroupBarrier();
  if (local < PARTS) {
    var part = shares[local];
    for (var k = local + PARTS; k < WORKGROUP_X; k += PARTS) { part += shares[k]; }
    parts[local] = part;
  }
  workgroupBarrier();
  var sum = parts[0];
  for (var k = 1u; k < PARTS; k++) { sum += parts[k]; }
  return sum;
}

// One workgroup, which sums over everything.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(local_invocation_index) local: u32) {
  var sum = 0.0;
  for (var block = local; block < SIZE; block += BLOCK * WORKGROUP_X) {
    var part = 0.0;
    for (var k = block; k < min(block + BLOCK * WORKGROUP_X, SIZE); k += WORKGROUP_X) {
      let error = y[k] - target_[k];
      part += error * error;
    }
    sum += part;
  }
  let all = total(sum, local);
  if (local == 0) { loss[0] = all / f32(SIZE); }
}
