// dx = y (dy - sum of dy y along the axis)
#include "softmax.h"

ptrdiff_t softmax_dx_check(const hl_call *call) {
  hl_axis a;
  if (!hl_axis_of(call, &a)) return HL_E_ATTRIBUTE;
  return hl_check_alike(call);
}

HL_INLINE hl_vec of(hl_vec y, hl_vec dy, hl_vec sum) { return (dy - sum) * y; }

static void column(const float *y, const float *dy, float *dx, ptrdiff_t n, ptrdiff_t step) {
  double sum = 0;
  for (ptrdiff_t k = 0; k < n; k++) sum += (double)(y[k * step] * dy[k * step]);
  for (ptrdiff_t k = 0; k < n; k++) dx[k * step] = (dy[k * step] - (float)sum) * y[k * step];
}

void softmax_dx_run(const hl_call *call) {
  const float *y = hl_floats(call->in[0]), *dy = hl_floats(call->in[1]);
  float *dx = hl_floats(call->out[0]);
  hl_axis a;
  if (!hl_axis_of(call, &a)) return;
  const ptrdiff_t block = a.n * a.inner;
  for (ptrdiff_t o = 0; o < a.outer; o++, y += block, dy += block, dx += block) {
    if (a.inner == 1)
      hl_map_two(y, dy, dx, a.n, of, (float)hl_sum_of(y, dy, a.n, hl_product_around, 0));
    else
      for (ptrdiff_t k = 0; k < a.inner; k++) column(y + k, dy + k, dx + k, a.n, a.inner);
  }
}
