// y = x summed over every axis along which y is 1 or absent
#include "broadcast.h"
#include "sums.h"

ptrdiff_t sum_to_check(const hl_call *call) {
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (!hl_broadcasts(call->out[0], call->in[0])) return HL_E_SHAPE;
  return hl_scratch(call->out[0]->size * (int64_t)sizeof(double));
}

void sum_to_run(const hl_call *call) {
  const float *x = hl_floats(call->in[0]);
  float *y = hl_floats(call->out[0]);
  double *total = (double *)call->scratch;
  const ptrdiff_t size = call->in[0]->size, count = call->out[0]->size;
  hl_walk walk;
  hl_walk_of(&walk, call->in[0], call->out[0], NULL);
  const ptrdiff_t row = hl_row(&walk), step = hl_row_step(&walk, 0);
  ptrdiff_t place[HL_RANK] = {0}, offset = 0;
  for (ptrdiff_t k = 0; k < count; k++) total[k] = 0;
  for (ptrdiff_t k = 0; k < size; k += row, hl_next_row(&walk, place, &offset, 1)) {
    if (step)
      for (ptrdiff_t j = 0; j < row; j++) total[offset + j] += (double)x[k + j];
    else
      total[offset] += hl_sum_row(x + k, row);
  }
  for (ptrdiff_t k = 0; k < count; k++) y[k] = (float)total[k];
}
