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
//: const COLUMNS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The register tile of matmul.wgsl: 8 vectors by 4 neurons, which lie COLUMNS apart.

fn activate(v: vec4f) -> vec4f {
  if (ACTIVATION == 1u) { return max(v, vec4f()); }
  if (ACTIVATION == 2u) { return select(v, v * ALPHA, v < vec4f()); }
  if (ACTIVATION == 3u) { return 0.5 * tanh(clamp(0.5 * v, vec4f(-20.0), vec4f(20.0))) + 0.5; }
  if (ACTIVATION == 4u) { return tanh(clamp(v, vec4f(-20.0), vec4f(20.0))); }
  return v;
}

fn put(n: u32, o: vec4u, sum: vec4f) {
  if (n >= N) { return; }
  var v = sum;
  if (BIAS) { v += vec4f(b[o.x], b[o.y], b[o.z], b[o.w]); }
  v = activate(v);
  let at = n * O + o;
  if (o.x < O) { y[at.x] = v.x; }
  if (o.y < O) { y[at.y] = v.y; }
  if (o.z < O) { y[at.z] = v.z; }
  if (o.w < O) { y[at.w] = v.w; }
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let o = g % COLUMNS + vec4u(0u, 1u, 2u, 3u) * COLUMNS;
  let n = g / COLUMNS * 8u;
  let most = N - 1u;  // vectors beyond the last are the last once more, and are not stored
  let r0 = n * I;
  let r1 = min(n + 1u, most) * I;
  let r2 = min(n + 2u, most) * I;
  let r3 = min(n + 3u, most) * I;
  let r4 = min(n + 4u, most) * I;
  let r5 = min(n + 5u, most) * I;
  let r6 = min(n + 6u, most) * I;
  let r7 = min(n + 7u, most) * I;
  let at = min(o, vec4u(O - 1u)) * I;

  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  var s4 = vec4f(); var s5 = vec4f(); var s6 = vec4f(); var s7 = vec4f();
  for (var i = 0u; i < I; i++) {
    let v = vec4f(w[at.x + i], w[at.y + i], w[at.z + i], w[at.w + i]);
    s0 += x[r0 + i] * v;
    s1 += x[r1 + i] * v;
    s2 += x[r2 + i] * v;
    s3 += x[r3 + i] * v;
    s4 += x[r4 + i] * v;
    s5 += x[r5 + i] * v;
    s6 += x[r6 + i] * v;
    s7 += x[r7 + i] * v;
  }
  put(n, o, s0);
  put(n + 1u, o, s1);
  put(n + 2u, o, s2);
  put(n + 3u, o, s3);
  put(n + 4u, o, s4);
  put(n + 5u, o, s5);
  put(n + 6u, o, s6);
  put(n + 7u, o, s7);
}
