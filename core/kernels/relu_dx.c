// dx = dy where y > 0, else 0; a product, so that an infinite dy shows as in NumPy
#include "elementwise.h"

HL_INLINE hl_vec of(hl_vec y, hl_vec dy, hl_vec one) { return dy * hl_keep(y > 0, one); }

ptrdiff_t relu_dx_check(const hl_call *call) { return hl_check_alike(call); }

void relu_dx_run(const hl_call *call) { hl_map_two_call(call, of, 1); }
