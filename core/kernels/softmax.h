// Softmax along an axis: (outer, n, inner), one row of n where inner is 1, a vector of columns at a time elsewhere.
#ifndef HANDLENS_SOFTMAX_H
#define HANDLENS_SOFTMAX_H

#include "elementwise.h"
#include "sums.h"

typedef struct {
  ptrdiff_t outer, n, inner;
} hl_axis;

// The axis that attribute 0 names, counted from the end where negative; 0 where the tensor has no such axis.
HL_INLINE int hl_axis_of(const hl_call *call, hl_axis *a) {
  const hl_tensor *x = call->in[0];
  int32_t axis;
  if (!hl_whole(call, 0, -x->rank, x->rank - 1, &axis)) return 0;
  if (axis < 0) axis += x->rank;
  *a = (hl_axis){1, x->dim[axis], 1};
  for (int k = 0; k < axis; k++) a->outer *= x->dim[k];
  for (int k = axis + 1; k < x->rank; k++) a->inner *= x->dim[k];
  return 1;
}

HL_INLINE float hl_largest_of(const float *x, ptrdiff_t count) {
  hl_vec most = hl_splat(-__builtin_inff());
  ptrdiff_t k = 0;
  for (; k + HL_LANES <= count; k += HL_LANES) most = hl_maximum(most, hl_load(x + k));
  if (k < count) most = hl_maximum(most, hl_load_some(x + k, count - k, -__builtin_inff()));
  return hl_largest(most);
}

// exp(x - max x) / sum, with the maximum taken off first, so that no exponential overflows. Returns the sum.
HL_INLINE float hl_softmax_row(const float *x, float *y, ptrdiff_t count, float *largest) {
  *largest = hl_largest_of(x, count);
  const hl_vec most = hl_splat(*largest);
  ptrdiff_t k = 0;
  for (; k + HL_LANES <= count; k += HL_LANES) hl_store(y + k, hl_exp(hl_load(x + k) - most));
  if (k < count) hl_store_some(y + k, count - k, hl_exp(hl_load_some(x + k, count - k, 0) - most));
  const float sum = (float)hl_sum_row(y, count);
  const hl_vec divisor = hl_splat(sum);
  for (k = 0; k + HL_LANES <= count; k += HL_LANES) hl_store(y + k, hl_load(y + k) / divisor);
  for (; k < count; k++) y[k] /= sum;
  return sum;
}

#endif
