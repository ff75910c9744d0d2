//: op sigmoid
//: in x vec4f
//: out y vec4f
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * WIDE;
  if (i >= SIZE) { return; }
  let e = exp(-abs(x[i])); // at most 1: nothing overflows, at either end
  y[i] = select(e, vec4f(1.0), x[i] >= vec4f()) / (1.0 + e);
}
