// y_i = exp(x_i - max x) / sum over j of exp(x_j - max x), along one axis
#include "softmax.h"

ptrdiff_t softmax_check(const hl_call *call) {
  hl_axis a;
  if (!hl_axis_of(call, &a)) return HL_E_ATTRIBUTE;
  return hl_check_alike(call);
}

// `count` <= HL_LANES columns whose elements lie `step` apart.
static void columns(const float *x, float *y, ptrdiff_t n, ptrdiff_t step, ptrdiff_t count) {
  hl_vec most = hl_load_up_to(x, count), sum = {0};
  for (ptrdiff_t k = 1; k < n; k++) most = hl_maximum(most, hl_load_up_to(x + k * step, count));
  for (ptrdiff_t k = 0; k < n; k++) {
    const hl_vec e = hl_exp(hl_load_up_to(x + k * step, count) - most);
    hl_store_up_to(y + k * step, count, e);
    sum += e;
  }
  for (ptrdiff_t k = 0; k < n; k++) hl_store_up_to(y + k * step, count, hl_load_up_to(y + k * step, count) / sum);
}

void softmax_run(const hl_call *call) {
  const float *x = hl_floats(call->in[0]);
  float *y = hl_floats(call->out[0]);
  hl_axis a;
  if (!hl_axis_of(call, &a)) return;
  for (ptrdiff_t o = 0; o < a.outer; o++, x += a.n * a.inner, y += a.n * a.inner) {
    float largest;
    if (a.inner == 1)
      hl_softmax_row(x, y, a.n, &largest);
    else
      for (ptrdiff_t k = 0; k < a.inner; k += HL_LANES)
        columns(x + k, y + k, a.n, a.inner, hl_min(HL_LANES, a.inner - k));
  }
}
