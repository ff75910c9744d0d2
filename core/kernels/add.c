// y = a + b, broadcasting
#include "broadcast.h"

ptrdiff_t add_check(const hl_call *call) {
  const hl_tensor *a = call->in[0], *b = call->in[1], *y = call->out[0];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (!hl_broadcasts(a, y) || !hl_broadcasts(b, y)) return HL_E_SHAPE;
  for (int k = 1; k <= y->rank; k++) {  // y is no larger than a and b ask for
    const int from_a = k <= a->rank && a->dim[a->rank - k] == y->dim[y->rank - k];
    const int from_b = k <= b->rank && b->dim[b->rank - k] == y->dim[y->rank - k];
    if (!from_a && !from_b) return HL_E_SHAPE;
  }
  return HL_OK;
}

HL_INLINE hl_vec sum(hl_vec a, hl_vec b, hl_vec unused) {
  (void)unused;
  return a + b;
}
HL_INLINE hl_vec sum_one(hl_vec a, hl_vec b) { return a + b; }

void add_run(const hl_call *call) {
  const float *a = hl_floats(call->in[0]), *b = hl_floats(call->in[1]);
  float *y = hl_floats(call->out[0]);
  const ptrdiff_t size = call->out[0]->size;
  hl_walk walk;
  hl_walk_of(&walk, call->out[0], call->in[0], call->in[1]);
  const ptrdiff_t row = hl_row(&walk), step_a = hl_row_step(&walk, 0), step_b = hl_row_step(&walk, 1);
  ptrdiff_t place[HL_RANK] = {0}, offset[2] = {0, 0};
  for (ptrdiff_t k = 0; k < size; k += row, hl_next_row(&walk, place, offset, 2)) {
    const float *row_a = a + offset[0], *row_b = b + offset[1];
    if (step_a && step_b)
      hl_map_two(row_a, row_b, y + k, row, sum, 0);
    else if (step_a)
      hl_map(row_a, y + k, row, sum_one, *row_b);
    else
      hl_map(row_b, y + k, row, sum_one, *row_a);
  }
}
