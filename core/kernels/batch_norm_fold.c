// The normalisation disappears into the layer before it, once, when a plan's parameters are loaded:
// w' = w f, b' = (b - running_mean) f + beta, f = gamma / sqrt(running_var + epsilon), for each kernel.
#include "normalization.h"

enum { W, GAMMA, BETA, MEAN, VARIANCE, BIAS };

ptrdiff_t batch_norm_fold_check(const hl_call *call) {
  const hl_tensor *w = call->in[W];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (w->rank < 1 || call->out[0]->size != w->size || call->out[1]->size != w->dim[0]) return HL_E_SHAPE;
  return hl_per_channel(call, w->dim[0], call->ins - 1) ? HL_OK : HL_E_SHAPE;
}

HL_INLINE hl_vec times(hl_vec x, hl_vec factor) { return x * factor; }

void batch_norm_fold_run(const hl_call *call) {
  const float *w = hl_floats(call->in[W]), *gamma = hl_floats(call->in[GAMMA]), *beta = hl_floats(call->in[BETA]);
  const float *mean = hl_floats(call->in[MEAN]), *variance = hl_floats(call->in[VARIANCE]);
  const float *bias = call->ins > BIAS ? hl_floats(call->in[BIAS]) : NULL;
  float *folded_w = hl_floats(call->out[0]), *folded_b = hl_floats(call->out[1]);
  const ptrdiff_t kernels = call->in[W]->dim[0], length = call->in[W]->size / kernels;
  const float epsilon = (float)call->attr[0];
  for (ptrdiff_t f = 0; f < kernels; f++) {
    const float factor = gamma[f] / hl_sqrt_one(variance[f] + epsilon);
    hl_map(w + f * length, folded_w + f * length, length, times, factor);
    folded_b[f] = ((bias ? bias[f] : 0) - mean[f]) * factor + beta[f];
  }
}
