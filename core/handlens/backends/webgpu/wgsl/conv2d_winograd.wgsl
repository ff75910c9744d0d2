//: op conv2d
//: scratch_in u vec4f
//: scratch_in v vec4f
//: scratch_out m vec4f
//: const C u32
//: const WHOLE_F u32
//: const FOURS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// Winograd's 36 matrix products M = U' V, (36, WHOLE_F, tiles): an invocation makes 8 kernels of four tiles in
// registers. Neighbouring invocations take neighbouring tiles.

const EIGHTS = WHOLE_F / 8u;

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let t = g % FOURS;
  let f = g / FOURS % EIGHTS;
  let cell = g / (FOURS * EIGHTS);
  var p = cell * C * FOURS + t;
  var k = (cell * C * EIGHTS + f) * 2u;
  var a0 = vec4f(); var a1 = vec4f(); var a2 = vec4f(); var a3 = vec4f();
  var a4 = vec4f(); var a5 = vec4f(); var a6 = vec4f(); var a7 = vec4f();
  for (var c = 0u; c < C; c++) {
    let d = v[p];
    let low = u[k];
    let high = u[k + 1u];
    a0 += low.x * d;
    a1 += low.y * d;
    a2 += low.z * d;
    a3 += low.w * d;
    a4 += high.x * d;
    a5 += high.y * d;
    a6 += high.z * d;
    a7 += high.w * d;
    p += FOURS;
    k += EIGHTS * 2u;
  }
  let at = (cell * WHOLE_F + f * 8u) * FOURS + t;
  m[at] = a0;
  m[at + FOURS] = a1;
  m[at + 2u * FOURS] = a2;
  m[at + 3u * FOURS] = a3;
  m[at + 4u * FOURS] = a4;
  m[at + 5u * FOURS] = a5;
  m[at + 6u * FOURS] = a6;
  m[at + 7u * FOURS] = a7;
}
