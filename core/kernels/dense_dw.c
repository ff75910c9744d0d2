// dw[o,i] = sum over n of dy[n,o] * x[n,i];  db[o] = sum over n of dy[n,o]
#include "gemm.h"

enum { BLOCK = 64 };  // images in one chain of additions, which keeps long sums exact; columns summed together

ptrdiff_t dense_dw_check(const hl_call *call) {
  const hl_tensor *x = call->in[0], *dy = call->in[1], *dw = call->out[0];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (x->rank != 2 || dy->rank != 2 || dw->rank != 2) return HL_E_SHAPE;
  const int32_t n = x->dim[0], o = dy->dim[1], i = x->dim[1];
  if (n < 1 || o < 1 || i < 1) return HL_E_SHAPE;
  if (dy->dim[0] != n || dw->dim[0] != o || dw->dim[1] != i) return HL_E_SHAPE;
  if (call->outs > 1 && (call->out[1]->rank != 1 || call->out[1]->dim[0] != o)) return HL_E_SHAPE;
  return hl_scratch(hl_gemm_scratch(o, i, n < BLOCK ? n : BLOCK));
}

static void sum_rows(ptrdiff_t n, ptrdiff_t o, const float *dy, float *db) {
  for (ptrdiff_t first = 0; first < o; first += BLOCK) {
    const ptrdiff_t columns = hl_min(BLOCK, o - first);
    float total[BLOCK] = {0};
    for (ptrdiff_t row = 0; row < n; row += BLOCK) {
      float part[BLOCK] = {0};
      for (ptrdiff_t r = row; r < hl_min(row + BLOCK, n); r++)
        for (ptrdiff_t k = 0; k < columns; k++) part[k] += dy[r * o + first + k];
      for (ptrdiff_t k = 0; k < columns; k++) total[k] += part[k];
    }
    hl_copy(db + first, total, columns);
  }
}

void dense_dw_run(const hl_call *call) {
  const hl_tensor *x = call->in[0], *dy = call->in[1];
  const ptrdiff_t n = x->dim[0], o = dy->dim[1], i = x->dim[1];
  for (ptrdiff_t row = 0; row < n; row += BLOCK)
    hl_gemm(o, i, hl_min(BLOCK, n - row), hl_floats(dy) + row * o, 1, o, hl_floats(x) + row * i, i, 1,
            hl_floats(call->out[0]), i, row > 0, call->scratch);
  if (call->outs > 1) sum_rows(n, o, hl_floats(dy), hl_floats(call->out[1]));
}
