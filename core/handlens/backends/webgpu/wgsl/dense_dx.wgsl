//: op dense_dx
//: in w f32
//: in dy f32
//: out dx f32
//: const N u32
//: const I u32
//: const O u32
//: const COLUMNS u32
//: const SIZE u32
//: const WIDE u32
//: workgroup 64 1 1

// The register tile of matmul.wgsl: 8 vectors by 4 of their inputs, which lie COLUMNS apart.

fn put(n: u32, i: vec4u, v: vec4f) {
  if (n >= N) { return; }
  let at = n * I + i;
  if (i.x < I) { dx[at.x] = v.x; }
  if (i.y < I) { dx[at.y] = v.y; }
  if (i.z < I) { dx[at.z] = v.z; }
  if (i.w < I) { dx[at.w] = v.w; }
}

@compute @workgroup_size(WORKGROUP_X)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let g = id.x + id.y * WIDE;
  if (g >= SIZE) { return; }
  let i = g % COLUMNS + vec4u(0u, 1u, 2u, 3u) * COLUMNS;
  let n = g / COLUMNS * 8u;
  let most = N - 1u;  // vectors beyond the last are the last once more, and are not stored
  let r0 = n * O;
  let r1 = min(n + 1u, most) * O;
  let r2 = min(n + 2u, most) * O;
  let r3 = min(n + 3u, most) * O;
  let r4 = min(n + 4u, most) * O;
  let r5 = min(n + 5u, most) * O;
  let r6 = min(n + 6u, most) * O;
  let r7 = min(n + 7u, most) * O;
  var at = min(i, vec4u(I - 1u));

  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  var s4 = vec4f(); var s5 = vec4f(); var s6 = vec4f(); var s7 = vec4f();
  for (var o = 0u; o < O; o++) {
    let v = vec4f(w[at.x], w[at.y], w[at.z], w[at.w]);
    s0 += dy[r0 + o] * v;
    s1 += dy[r1 + o] * v;
    s2 += dy[r2 + o] * v;
    s3 += dy[r3 + o] * v;
    s4 += dy[r4 + o] * v;
    s5 += dy[r5 + o] * v;
    s6 += dy[r6 + o] * v;
    s7 += dy[r7 + o] * v;
    at += I;
  }
  put(n, i, s0);
  put(n + 1u, i, s1);
  put(n + 2u, i, s2);
  put(n + 3u, i, s3);
  put(n + 4u, i, s4);
  put(n + 5u, i, s5);
  put(n + 6u, i, s6);
  put(n + 7u, i, s7);
}
