//: op dropout
//: in x vec4f
//: in seed u32
//: out y vec4f
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
  var bits = (4 * i + vec4u(0, 1, 2, 3)) * 0x9e3779b9u + seed[0] + SALT;
  bits = (bits ^ (bits >> vec4u(16))) * 0x7feb352du;
  bits = (bits ^ (bits >> vec4u(15))) * 0x846ca68bu;
  bits ^= bits >> vec4u(16);
  y[i] = select(vec4f(), x[i] * FACTOR, bits >= vec4u(THRESHOLD));
}
