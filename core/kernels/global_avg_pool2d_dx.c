// dx[n,c,h,w] = dy[n,c] / (H W)
#include "handlens.h"

ptrdiff_t global_avg_pool2d_dx_check(const hl_call *call) {
  const hl_tensor *dx = call->out[0];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (dx->rank != 4 || call->in[0]->size != (int64_t)dx->dim[0] * dx->dim[1]) return HL_E_SHAPE;
  return HL_OK;
}

void global_avg_pool2d_dx_run(const hl_call *call) {
  const float *dy = hl_floats(call->in[0]);
  float *dx = hl_floats(call->out[0]);
  const ptrdiff_t planes = call->in[0]->size, size = call->out[0]->size / planes;
  for (ptrdiff_t k = 0; k < planes; k++) {
    const float part = dy[k] / (float)size;
    for (ptrdiff_t j = 0; j < size; j++) dx[k * size + j] = part;
  }
}
