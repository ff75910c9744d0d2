//: op dense
//: then softmax
//: in x f32
//: in w f32
//: in b f32
//: out y f32
//: out softmax_y f32
//: const I u32
//: const O u32
//: const BIAS bool
//: const ADDERS u32
//: workgroup 64 1 1

// A workgroup makes the logits of one vector and their softmax. First its invocations take a share of each sum, of four
// neurons at a time, neighbours reading neighbouring weights; I is no less than the invocations, so that each has a
// first input. Then ADDERS of them add up the shares of a neuron; O times ADDERS is no more than the invocations.

const FOURS = (O + 3u) / 4u;
const EACH = WORKGROUP_X / ADDERS;

var<workgroup> shares: array<f32, FOURS * 4u * WORKGROUP_X>;
var<workgroup> sums: array<f32, WORKGROUP_X>;
var<workgroup> terms: array<f32, WORKGROUP_X>;

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * I;
  var o = 0u;
  loop {
    let at = min(vec4u(o, o + 1u, o + 2u, o + 3u), vec4u(O - 1u)) * I;
    var sum = vec4f();
    var i = lane;
    loop {
      sum += x[row + i] * vec4f(w[at.x + i], w[at.y + i], w[at.z + i], w[at.w + i]);
      continuing {
        i += WORKGROUP_X;
        break if i >= I;
      }
    }
    shares[o * WORKGROUP_X + lane] = sum.x;
    shares[(o + 1u) * WORKGROUP_X + lane] = sum.y;
    shares[(o + 2u) * WORKGROUP_X + lane] = sum.z;
    shares[(o + 3u) * WORKGROUP_X + lane] = sum.w;
    continuing {
      o += 4u;
      break if o >= O;
    }
  }
  workgroupBarrier();
  let mine = min(lane / ADDERS, O - 1u);
  let first = mine * WORKGROUP_X + lane % ADDERS * EACH;
  var part = 0.0;
  var k = 0u;
  loop {
    part += shares[first + k];
    continuing {
      k += 1u;
      break if k >= EACH;
    }
  }
  sums[lane] = part;
  workgroupBarrier();
  let own = min(lane, O - 1u);
  var logit = 0.0;
  for (var k = 0u; k < ADDERS; k++) { logit += sums[own * ADDERS + k]; }
  if (BIAS) { logit += b[own]; }
  if (lane < O) { y[group.x * O + lane] = logit; }
  terms[lane] = logit;
  workgroupBarrier();
  var largest = terms[0];
  for (var k = 1u; k < O; k++) { largest = max(largest, terms[k]); }
  let term = exp(logit - largest);
  workgroupBarrier();
  terms[lane] = term;
  workgroupBarrier();
  var total = 0.0;
  for (var k = 0u; k < O; k++) { total += terms[k]; }
  if (lane < O) { softmax_y[group.x * O + lane] = term / total; }
}
