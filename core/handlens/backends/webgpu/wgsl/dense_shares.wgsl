//: op dense
//: in x f32
//: in w f32
//: scratch_out part vec4f
//: const I u32
//: const O u32
//: const SHARES u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 16 1 1

// Few vectors: an invocation makes a share of the sums of four neurons for one vector. Neighbouring invocations read
// neighbouring weights. No barrier: dense_softmax adds the shares up. I is no less than SHARES.

const FOURS = (O + 3u) / 4u;

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let o = g / SHARES % FOURS * 4u;
  let row = g / (SHARES * FOURS) * I;
  let at = min(vec4u(o, o + 1u, o + 2u, o + 3u), vec4u(O - 1u)) * I;
  var sum = vec4f();
  var i = g % SHARES;
  loop {
    sum += x[row + i] * vec4f(w[at.x + i], w[at.y + i], w[at.z + i], w[at.w + i]);
    continuing {
      i += SHARES;
      break if i >= I;
    }
  }
  part[g] = sum;
}
