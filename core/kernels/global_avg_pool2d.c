// y[n,c] = sum over h, w of x[n,c,h,w] / (H W)
#include "sums.h"

ptrdiff_t global_avg_pool2d_check(const hl_call *call) {
  const hl_tensor *x = call->in[0];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (x->rank != 4 || call->out[0]->size != (int64_t)x->dim[0] * x->dim[1]) return HL_E_SHAPE;
  return HL_OK;
}

void global_avg_pool2d_run(const hl_call *call) {
  const float *x = hl_floats(call->in[0]);
  float *y = hl_floats(call->out[0]);
  const ptrdiff_t planes = call->out[0]->size, size = call->in[0]->size / planes;
  for (ptrdiff_t k = 0; k < planes; k++) y[k] = (float)(hl_sum_row(x + k * size, size) / (double)size);
}
