//: op batch_norm
//: in x f32
//: out mean f32
//: out inv_std f32
//: update running_mean f32
//: update running_var f32
//: const IMAGES u32
//: const CHANNELS u32
//: const PIXELS u32
//: const WIDE u32
//: const EPSILON f32
//: const MOMENTUM f32
//: const REST f32
//: workgroup 256 1 1

const COUNT = IMAGES * PIXELS;
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

// What this invocation adds, over the first ``images``, of (x - centre) and its square: every 256th value.
fn share(channel: u32, local: u32, images: u32, centre: f32) -> vec2f {
  var image = local / PIXELS;
  var pixel = local % PIXELS;
  var sum = vec2f();
  while (image < images) {
    var part = vec2f();
    for (var k = 0u; k < BLOCK && image < images; k++) {
      let off = x[(image * CHANNELS + channel) * PIXELS + pixel] - centre;
      part += vec2f(off, off * off);
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

// A workgroup a channel. One pass over the batch: the squares are taken around the first image's mean, m1. The variance
// is at least (m1 - mean)^2 / IMAGES, as that image alone has a share of it, so that taking (m1 - mean)^2 off the mean
// square loses at most a factor IMAGES of float32's 1e-7.
@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let channel = group.x + group.y * WIDE;
  if (channel >= CHANNELS) { return; } // the whole workgroup
  let first = total(share(channel, local, 1, 0.0), local).x / f32(PIXELS);
  let off = total(share(channel, local, IMAGES, first), local) / f32(COUNT);
  let variance = max(off.y - off.x * off.x, 0.0);
  if (local == 0) {
    let centre = first + off.x;
    mean[channel] = centre;
    inv_std[channel] = 1.0 / sqrt(variance + EPSILON);
    if (COUNT > 1) { // one value a channel has no variance to learn from
      running_mean[channel] = MOMENTUM * running_mean[channel] + REST * centre;
      running_var[channel] = MOMENTUM * running_var[channel] + REST * variance;
    }
  }
}
