//: op conv2d_dw
//: scratch_in part f32
//: scratch_in part_b f32
//: out dw f32
//: out db f32
//: const C u32
//: const F u32
//: const WHOLE_C u32
//: const WHOLE_F u32
//: const PARTS u32
//: const BIAS bool
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The weight gradient back from Winograd's domain, the parts added up: G' U G of one channel of one kernel.

const CELL = WHOLE_C * WHOLE_F;

fn gather(a: vec3f, b: vec3f, c: vec3f, d: vec3f, e: vec3f, f: vec3f) -> mat3x3f {
  let near = (b + c) / 6.0;
  let far = d + e;
  return mat3x3f(a / 4.0 - near + far / 24.0, (c - b) / 6.0 + (d - e) / 12.0, far / 6.0 - near + f);
}

fn sum(at: u32) -> f32 {
  var total = 0.0;
  for (var s = 0u; s < PARTS; s++) { total += part[s * 36u * CELL + at]; }
  return total;
}

fn row(at: u32) -> vec3f {
  let near = vec2f(sum(at + CELL), sum(at + 2u * CELL));
  let far = vec2f(sum(at + 3u * CELL), sum(at + 4u * CELL));
  let sixth = (near.x + near.y) / 6.0;
  return vec3f(
    sum(at) / 4.0 - sixth + (far.x + far.y) / 24.0,
    (near.y - near.x) / 6.0 + (far.x - far.y) / 12.0,
    (far.x + far.y) / 6.0 - sixth + sum(at + 5u * CELL),
  );
}

fn put(at: u32, v: vec3f) {
  dw[at] = v.x;
  dw[at + 1u] = v.y;
  dw[at + 2u] = v.z;
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let f = g % F;
  let c = g / F;
  let at = c * WHOLE_F + f;
  let made = gather(row(at), row(at + 6u * CELL), row(at + 12u * CELL),
                    row(at + 18u * CELL), row(at + 24u * CELL), row(at + 30u * CELL));
  let to = (f * C + c) * 9u;
  put(to, made[0]);
  put(to + 3u, made[1]);
  put(to + 6u, made[2]);
  if (BIAS && c == 0u) {
    var total = 0.0;
    for (var s = 0u; s < PARTS; s++) { total += part_b[s * WHOLE_F + f]; }
    db[f] = total;
  }
}
