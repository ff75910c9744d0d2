//: op dense
//: in x f32
//: in w f32
//: in b f32
//: out y f32
//: const N u32
//: const I u32
//: const O u32
//: const BIAS bool
//: const ACTIVATION u32
//: const ALPHA f32
//: const WIDE u32
//: workgroup 256 1 1

// Through workgroup memory: a workgroup makes 64 vectors of 64 neurons, 16 inputs at a time; an invocation makes 4 x 4
// of them, 16 apart, so that neighbours write neighbouring neurons.

const SIDE = 64u;
const DEPTH = 16u;

var<workgroup> left: array<f32, DEPTH * SIDE>;
var<workgroup> right: array<f32, DEPTH * SIDE>;

fn activate(v: f32) -> f32 {
  if (ACTIVATION == 1u) { return max(v, 0.0); }
  if (ACTIVATION == 2u) { return select(v, v * ALPHA, v < 0.0); }
  if (ACTIVATION == 3u) { return 0.5 * tanh(clamp(0.5 * v, -20.0, 20.0)) + 0.5; }
  if (ACTIVATION == 4u) { return tanh(clamp(v, -20.0, 20.0)); }
  return v;
}

fn put(n: u32, o: u32, v: f32) {
  if (n >= N || o >= O) { return; }
  var bias = 0.0;
  if (BIAS) { bias = b[o]; }
  y[n * O + o] = activate(v + bias);
}

fn put_row(n: u32, o: u32, v: vec4f) {
  put(n, o, v.x);
  put(n, o + 16u, v.y);
  put(n, o + 32u, v.z);
  put(n, o + 48u, v.w);
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) t: u32) {
  let n = (group.x + group.z * WIDE) * SIDE;
  let o = group.y * SIDE;
  let tx = t % 16u;
  let ty = t / 16u;

  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  for (var k0 = 0u; k0 < I; k0 += DEPTH) {
    for (var e = 0u; e < 4u; e++) {
      let row = ty + 16u * e;
      let i = k0 + tx;
      var value = 0.0;
      var weight = 0.0;
      if (i < I && n + row < N) { value = x[(n + row) * I + i]; }
      if (i < I && o + row < O) { weight = w[(o + row) * I + i]; }
      left[tx * SIDE + row] = value;
      right[tx * SIDE + row] = weight;
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let a = k * SIDE + ty;
      let b = k * SIDE + tx;
      let l = vec4f(left[a], left[a + 16u], left[a + 32u], left[a + 48u]);
      let r = vec4f(right[b], right[b + 16u], right[b + 32u], right[b + 48u]);
      s0 += l.x * r;
      s1 += l.y * r;
      s2 += l.z * r;
      s3 += l.w * r;
    }
    workgroupBarrier();
  }
  put_row(n + ty, o + tx, s0);
  put_row(n + ty + 16u, o + tx, s1);
  put_row(n + ty + 32u, o + tx, s2);
  put_row(n + ty + 48u, o + tx, s3);
}
