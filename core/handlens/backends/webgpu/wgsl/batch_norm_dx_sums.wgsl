//: op batch_norm_dx
//: in x f32
//: in mean f32
//: in inv_std f32
//: in dy f32
//: out dgamma f32
//: out dbeta f32
//: const IMAGES u32
//: const CHANNELS u32
//: const PIXELS u32
//: const WIDE u32
//: workgroup 256 1 1

const BLOCK = 32u; // terms of one sum; their sums are added in turn
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

// A workgroup a channel, an invocation every 256th of its values.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let channel = group.x + group.y * WIDE;
  if (channel >= CHANNELS) { return; } // the whole workgroup
  let centre = mean[channel];
  var image = local / PIXELS;
  var pixel = local % PIXELS;
  var sum = vec2f();
  while (image < IMAGES) {
    var part = vec2f();
    for (var k = 0u; k < BLOCK && image < IMAGES; k++) {
      let at = (image * CHANNELS + channel) * PIXELS + pixel;
      part += dy[at] * vec2f(x[at] - centre, 1.0);
      image += WORKGROUP_X / PIXELS; // the 256th value on, without a division
      pixel += WORKGROUP_X % PIXELS;
      if (pixel >= PIXELS) {
        pixel -= PIXELS;
        image++;
      }
    }
    sum += part;
  }
  let all = total(sum, local);
  if (local == 0) {
    dgamma[channel] = all.x * inv_std[channel];
    dbeta[channel] = all.y;
  }
}
