// dx = dy (1 - y^2)
#include "elementwise.h"

HL_INLINE hl_vec of(hl_vec y, hl_vec dy, hl_vec one) { return (one - y * y) * dy; }

ptrdiff_t tanh_dx_check(const hl_call *call) { return hl_check_alike(call); }

void tanh_dx_run(const hl_call *call) { hl_map_two_call(call, of, 1); }
