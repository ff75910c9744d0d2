// dlogits[n,k] = (p[n,k] - t[n,k]) / N, t = (1 - smoothing) onehot(label) + smoothing / K. A label that is no class
// (they come at run time) hits nothing.
#include "elementwise.h"

ptrdiff_t softmax_cross_entropy_dx_check(const hl_call *call) {
  const hl_tensor *p = call->in[0], *labels = call->in[1], *dx = call->out[0];
  if (p->dtype != HL_FLOAT32 || labels->dtype != HL_INT32 || dx->dtype != HL_FLOAT32) return HL_E_DTYPE;
  if (p->rank != 2 || labels->size != p->dim[0] || dx->size != p->size) return HL_E_SHAPE;
  return HL_OK;
}

void softmax_cross_entropy_dx_run(const hl_call *call) {
  const float *p = hl_floats(call->in[0]);
  const int32_t *labels = call->in[1]->data;
  float *dx = hl_floats(call->out[0]);
  const ptrdiff_t rows = call->in[0]->dim[0], classes = call->in[0]->dim[1];
  const double smoothing = call->attr[0];
  const float share = (float)(smoothing / (double)classes), at_label = (float)(1 - smoothing);
  const float part = (float)(1.0 / (double)rows);
  for (ptrdiff_t n = 0; n < rows; n++, p += classes, dx += classes) {
    for (ptrdiff_t k = 0; k < classes; k++) dx[k] = (p[k] - share) * part;
    const ptrdiff_t label = labels[n];
    if (label >= 0 && label < classes) dx[label] = (p[label] - share - at_label) * part;
  }
}
