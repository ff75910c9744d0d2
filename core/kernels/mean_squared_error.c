// loss = sum (y - target)^2 / (number of elements)
#include "elementwise.h"
#include "sums.h"

ptrdiff_t mean_squared_error_check(const hl_call *call) {
  if (!hl_all_float(call)) return HL_E_DTYPE;
  return call->in[0]->size == call->in[1]->size && call->out[0]->size == 1 ? HL_OK : HL_E_SHAPE;
}

void mean_squared_error_run(const hl_call *call) {
  const ptrdiff_t count = call->in[0]->size;
  const double sum = hl_sum_of(hl_floats(call->in[0]), hl_floats(call->in[1]), count, hl_difference_square, 0);
  hl_floats(call->out[0])[0] = (float)(sum / (double)count);
}
