//: op conv2d_dw
//: scratch_in v vec4f
//: scratch_in d vec4f
//: scratch_out part vec4f
//: scratch_out part_b vec4f
//: const WHOLE_C u32
//: const WHOLE_F u32
//: const TILES u32
//: const EACH u32
//: const BIAS bool
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The weight gradient's 36 matrix products, V D', summed over one of the parts of EACH tiles: (parts, 36, WHOLE_C,
// WHOLE_F). An invocation makes 4 channels of 8 kernels in registers.

const EIGHTS = WHOLE_F / 8u;
const CHANNELS = WHOLE_C / 4u;
const SUM = 7u;  // the cell of D that holds the sum of a tile, which is what the bias is after

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let f = g % EIGHTS;
  let c = g / EIGHTS % CHANNELS;
  let cell = g / (EIGHTS * CHANNELS) % 36u;
  let split = g / (EIGHTS * CHANNELS * 36u);
  let first = split * EACH;
  let end = min(first + EACH, TILES);
  var a0 = vec4f(); var a1 = vec4f(); var a2 = vec4f(); var a3 = vec4f();
  var a4 = vec4f(); var a5 = vec4f(); var a6 = vec4f(); var a7 = vec4f();
  var p = (cell * TILES + first) * CHANNELS + c;
  var k = ((cell * TILES + first) * EIGHTS + f) * 2u;
  for (var t = first; t < end; t++) {
    let x = v[p];
    let low = d[k];
    let high = d[k + 1u];
    a0 += x.x * low;
    a1 += x.x * high;
    a2 += x.y * low;
    a3 += x.y * high;
    a4 += x.z * low;
    a5 += x.z * high;
    a6 += x.w * low;
    a7 += x.w * high;
    p += CHANNELS;
    k += EIGHTS * 2u;
  }
  let row = EIGHTS * 2u;
  let at = (((split * 36u + cell) * WHOLE_C + c * 4u) * EIGHTS + f) * 2u;
  part[at] = a0;
  part[at + 1u] = a1;
  part[at + row] = a2;
  part[at + row + 1u] = a3;
  part[at + 2u * row] = a4;
  part[at + 2u * row + 1u] = a5;
  part[at + 3u * row] = a6;
  part[at + 3u * row + 1u] = a7;
  if (BIAS && cell == SUM && c == 0u) {
    var b0 = vec4f(); var b1 = vec4f();
    for (var t = first; t < end; t++) {
      let at_d = ((SUM * TILES + t) * EIGHTS + f) * 2u;
      b0 += d[at_d];
      b1 += d[at_d + 1u];
    }
    part_b[(split * EIGHTS + f) * 2u] = b0;
    part_b[(split * EIGHTS + f) * 2u + 1u] = b1;
  }
}
