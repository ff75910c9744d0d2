//: op batch_norm
//: in x f32
//: out mean f32
//: out inv_std f32
//: update running_mean f32
//: update running_var f32
//: const IMAGES u32
//: const CHANNELS u32
//: const PIXELS u32
//: const EPSILON f32
//: const MOMENTUM f32
//: const REST f32
//: workgroup 256 1 1

const COUNT = IMAGES * PIXELS;
const BLOCK = 32u; // terms of one sum; their sums are added in turn
const PARTS = 16u;
var<workgroup> shares: array<f32, WORKGROUP_X>;
var<workgroup> parts: array<f32, PARTS>;

// The sum over the workgroup, for every invocation, in two barriers.
fn total(mine: f32, local: u32) -> f32 {
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

// What this invocation adds of (x - centre), or of its square: every 256th value of the channel.
fn share(channel: u32, local: u32, centre: f32, squared: bool) -> f32 {
  var image = local / PIXELS;
  var pixel = local % PIXELS;
  var sum = 0.0;
  while (image < IMAGES) {
    var part = 0.0;
    for (var k = 0u; k < BLOCK && image < IMAGES; k++) {
      let value = x[(image * CHANNELS + channel) * PIXELS + pixel] - centre;
      part += select(value, value * value, squared);
      image += WORKGROUP_X / PIXELS; // the 256th value on, without a division
      pixel += WORKGROUP_X % PIXELS;
      if (pixel >= PIXELS) {
        pixel -= PIXELS;
        image++;
      }
    }
    sum += part;
  }
  return sum;
}

// A workgroup a channel: the mean first, then squares around it, so that nothing cancels.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let channel = group.x;
  let centre = total(share(channel, local, 0.0, false), local) / f32(COUNT);
  let variance = total(share(channel, local, centre, true), local) / f32(COUNT);
  if (local == 0) {
    mean[channel] = centre;
    inv_std[channel] = 1.0 / sqrt(variance + EPSILON);
    if (COUNT > 1) { // one value a channel has no variance to learn from
      running_mean[channel] = MOMENTUM * running_mean[channel] + REST * centre;
      running_var[channel] = MOMENTUM * running_var[channel] + REST * variance;
    }
  }
}
