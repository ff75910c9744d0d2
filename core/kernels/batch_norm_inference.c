// y = gamma (x - running_mean) / sqrt(running_var + epsilon) + beta
#include "normalization.h"

enum { X, GAMMA, BETA, MEAN, VARIANCE };

ptrdiff_t batch_norm_inference_check(const hl_call *call) {
  const hl_tensor *x = call->in[X];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (x->rank < 2 || call->out[0]->size != x->size || !hl_per_channel(call, x->dim[1], 4)) return HL_E_SHAPE;
  return hl_scratch(2 * (x->dim[1] * (int64_t)sizeof(float) + HL_ALIGNMENT));
}

static void prepare(const hl_call *call, ptrdiff_t channels, float *scale, float *shift) {
  const float epsilon = (float)call->attr[0];
  const float *gamma = hl_floats(call->in[GAMMA]), *beta = hl_floats(call->in[BETA]);
  const float *mean = hl_floats(call->in[MEAN]), *variance = hl_floats(call->in[VARIANCE]);
  for (ptrdiff_t c = 0; c < channels; c++) {
    scale[c] = gamma[c] / hl_sqrt_one(variance[c] + epsilon);
    shift[c] = beta[c] - mean[c] * scale[c];
  }
}

static void row(const float *x, float *y, ptrdiff_t count, hl_vec scale, hl_vec shift) {
  ptrdiff_t k = 0;
  for (; k + HL_LANES <= count; k += HL_LANES) hl_store(y + k, hl_load(x + k) * scale + shift);
  for (; k < count; k++) y[k] = x[k] * scale[0] + shift[0];
}

void batch_norm_inference_run(const hl_call *call) {
  const float *x = hl_floats(call->in[X]);
  float *y = hl_floats(call->out[0]);
  const hl_maps m = hl_maps_of(call->in[X]);
  char *left = call->scratch;
  float *scale = hl_cut(&left, m.channels), *shift = hl_cut(&left, m.channels);
  prepare(call, m.channels, scale, shift);
  for (ptrdiff_t n = 0; n < m.n; n++) {
    const ptrdiff_t at = n * m.channels * m.length;
    if (m.length == 1)
      for (ptrdiff_t c = 0; c < m.channels; c++) y[at + c] = x[at + c] * scale[c] + shift[c];
    else
      for (ptrdiff_t c = 0; c < m.channels; c++)
        row(x + at + c * m.length, y + at + c * m.length, m.length, hl_splat(scale[c]), hl_splat(shift[c]));
  }
}
