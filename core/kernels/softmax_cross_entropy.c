// loss = -1/N sum over n, k of t[n,k] log p[n,k], p = softmax(logits),
// t = (1 - smoothing) onehot(label) + smoothing / K;  correct = rows whose first largest logit is at the label.
// Labels come at run time: one that is no class counts as wrong and makes the loss NaN, rather than be read somewhere.
#include "softmax.h"

ptrdiff_t softmax_cross_entropy_check(const hl_call *call) {
  const hl_tensor *x = call->in[0], *labels = call->in[1];
  if (x->dtype != HL_FLOAT32 || labels->dtype != HL_INT32) return HL_E_DTYPE;
  for (int k = 0; k < 3; k++)
    if (call->out[k]->dtype != HL_FLOAT32) return HL_E_DTYPE;
  if (x->rank != 2 || labels->size != x->dim[0] || call->out[2]->size != x->size) return HL_E_SHAPE;
  return call->out[0]->size == 1 && call->out[1]->size == 1 ? HL_OK : HL_E_SHAPE;
}

// np.argmax: the first NaN, else the first of the largest.
static ptrdiff_t first_largest(const float *x, ptrdiff_t count) {
  ptrdiff_t best = 0;
  for (ptrdiff_t k = 0; k < count; k++) {
    if (x[k] != x[k]) return k;
    if (x[k] > x[best]) best = k;
  }
  return best;
}

void softmax_cross_entropy_run(const hl_call *call) {
  const float *logits = hl_floats(call->in[0]);
  const int32_t *labels = call->in[1]->data;
  float *p = hl_floats(call->out[2]);
  const ptrdiff_t rows = call->in[0]->dim[0], classes = call->in[0]->dim[1];
  const double smoothing = call->attr[0];
  double loss = 0;
  ptrdiff_t correct = 0;
  for (ptrdiff_t n = 0; n < rows; n++) {
    const float *x = logits + n * classes;
    const ptrdiff_t label = labels[n];
    const int known = label >= 0 && label < classes;
    float largest;
    const float log_sum = hl_log_one(hl_softmax_row(x, p + n * classes, classes, &largest));
    const double hit = known ? (double)(x[label] - largest - log_sum) : __builtin_nan("");
    const double mean = hl_sum_of(x, x, classes, hl_less, largest) / (double)classes - (double)log_sum;
    loss -= (1 - smoothing) * hit + smoothing * mean;
    correct += known && first_largest(x, classes) == label;
  }
  hl_floats(call->out[0])[0] = (float)(loss / (double)rows);
  hl_floats(call->out[1])[0] = (float)correct;
}
