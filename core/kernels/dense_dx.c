// dx[n,i] = sum over o of dy[n,o] * w[o,i]
#include "gemm.h"

ptrdiff_t dense_dx_check(const hl_call *call) {
  const hl_tensor *w = call->in[0], *dy = call->in[1], *dx = call->out[0];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (w->rank != 2 || dy->rank != 2 || dx->rank != 2) return HL_E_SHAPE;
  const int32_t n = dy->dim[0], o = w->dim[0], i = w->dim[1];
  if (n < 1 || o < 1 || i < 1) return HL_E_SHAPE;
  if (dy->dim[1] != o || dx->dim[0] != n || dx->dim[1] != i) return HL_E_SHAPE;
  return hl_scratch(hl_gemm_scratch(n, i, o));
}

void dense_dx_run(const hl_call *call) {
  const hl_tensor *w = call->in[0], *dy = call->in[1];
  const ptrdiff_t n = dy->dim[0], o = w->dim[0], i = w->dim[1];
  hl_gemm(n, i, o, hl_floats(dy), o, 1, hl_floats(w), i, 1, hl_floats(call->out[0]), i, 0, call->scratch);
}
