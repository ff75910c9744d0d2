//: op dropout
//: in x f32
//: in seed u32
//: out y f32
//: const SALT u32
//: const THRESHOLD u32
//: const FACTOR f32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  // The same bits as NumPy's: lowbias32 of seed, salt and the element's number.
  var bits = i * 0x9e3779b9u + seed[0] + SALT;
  bits = (bits ^ (bits >> 16u)) * 0x7feb352du;
  bits = (bits ^ (bits >> 15u)) * 0x846ca68bu;
  bits ^= bits >> 16u;
  y[i] = select(0.0, x[i] * FACTOR, bits >= THRESHOLD);
}
