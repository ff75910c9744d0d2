// y = x, repeated along the axes where x is 1 or absent
#include "broadcast.h"

ptrdiff_t broadcast_to_check(const hl_call *call) {
  if (!hl_all_float(call)) return HL_E_DTYPE;
  return hl_broadcasts(call->in[0], call->out[0]) ? HL_OK : HL_E_SHAPE;
}

void broadcast_to_run(const hl_call *call) {
  const float *x = hl_floats(call->in[0]);
  float *y = hl_floats(call->out[0]);
  const ptrdiff_t size = call->out[0]->size;
  hl_walk walk;
  hl_walk_of(&walk, call->out[0], call->in[0], NULL);
  const ptrdiff_t row = hl_row(&walk), step = hl_row_step(&walk, 0);
  ptrdiff_t place[HL_RANK] = {0}, offset = 0;
  for (ptrdiff_t k = 0; k < size; k += row, hl_next_row(&walk, place, &offset, 1)) {
    if (step)
      hl_copy(y + k, x + offset, row);
    else
      for (ptrdiff_t j = 0; j < row; j++) y[k + j] = x[offset];
  }
}
