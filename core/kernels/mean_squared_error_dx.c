// dy = 2 (y - target) / (number of elements)
#include "elementwise.h"

HL_INLINE hl_vec of(hl_vec y, hl_vec target, hl_vec factor) { return (y - target) * factor; }

ptrdiff_t mean_squared_error_dx_check(const hl_call *call) { return hl_check_alike(call); }

void mean_squared_error_dx_run(const hl_call *call) {
  hl_map_two_call(call, of, (float)(2.0 / (double)call->in[0]->size));
}
