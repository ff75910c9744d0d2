//: op dense
//: then softmax
//: scratch_in part vec4f
//: in b f32
//: out y f32
//: out softmax_y f32
//: const O u32
//: const SHARES u32
//: const BIAS bool
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// What dense_shares has made, added up, and the softmax of it: an invocation a vector, of few classes.

const FOURS = (O + 3u) / 4u;

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x + id.y * WIDE;
  if (n >= SIZE) { return; }
  for (var four = 0u; four < FOURS; four++) {
    var sum = vec4f();
    let first = (n * FOURS + four) * SHARES;
    for (var k = first; k < first + SHARES; k++) { sum += part[k]; }
    for (var k = 0u; k < 4u; k++) {
      let o = four * 4u + k;
      if (o < O) {
        var logit = sum[k];
        if (BIAS) { logit += b[o]; }
        y[n * O + o] = logit;
      }
    }
  }
  let end = (n + 1u) * O;
  var largest = y[n * O];
  for (var at = n * O; at < end; at++) { largest = max(largest, y[at]); }
  var total = 0.0;
  for (var at = n * O; at < end; at++) {
    let term = exp(y[at] - largest);
    softmax_y[at] = term;
    total += term;
  }
  for (var at = n * O; at < end; at++) { softmax_y[at] /= total; }
}
