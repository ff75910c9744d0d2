//: op softmax_cross_entropy
//: in logits f32
//: in labels i32
//: out loss f32
//: out correct f32
//: out probabilities f32
//: const ROWS u32
//: const CLASSES u32
//: const SMOOTHING f32
//: workgroup 256 1 1

const BLOCK = 32u; // terms of one sum; their sums are added in turn, which keeps long rows exact
const PARTS = 16u;
var<workgroup> shares: array<vec2f, WORKGROUP_X>;
var<workgroup> parts: array<vec2f, PARTS>;

// The sum over the workgroup, for every invocation, in two barriers.
fn total(mine: vec2f, local: u32) -> vec2f {
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

// One row: writes its probabilities, returns its loss and whether its first largest logit is at the label.
fn row(n: u32) -> vec2f {
  let first = n * CLASSES;
  let label = u32(labels[n]);
  var largest = logits[first];
  var best = 0u;
  for (var k = 1u; k < CLASSES; k++) {
    let logit = logits[first + k];
    if (logit > largest) { largest = logit; best = k; }
  }
  var sum = 0.0;
  var sum_of_logits = 0.0;
  for (var block = 0u; block < CLASSES; block += BLOCK) {
    var part = vec2f();
    for (var k = block; k < min(block + BLOCK, CLASSES); k++) {
      let logit = logits[first + k] - largest;
      let e = exp(logit);
      probabilities[first + k] = e;
      part += vec2f(e, logit);
    }
    sum += part.x;
    sum_of_logits += part.y;
  }
  for (var k = 0u; k < CLASSES; k++) { probabilities[first + k] /= sum; }
  let hit = logits[first + label] - largest;
  let goal = (1.0 - SMOOTHING) * hit + SMOOTHING / f32(CLASSES) * sum_of_logits;
  return vec2f(log(sum) - goal, select(0.0, 1.0, best == label));
}

// One workgroup, which sums over the batch.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(local_invocation_index) local: u32) {
  var mine = vec2f();
  for (var n = local; n < ROWS; n += WORKGROUP_X) { mine += row(n); }
  let sums = total(mine, local);
  if (local == 0) {
    loss[0] = sums.x / f32(ROWS);
    correct[0] = sums.y;
  }
}
