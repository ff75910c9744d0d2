// dx = dy where x > 0, else alpha dy
#include "elementwise.h"

HL_INLINE hl_vec of(hl_vec x, hl_vec dy, hl_vec alpha) { return hl_pick(x > 0, dy, dy * alpha); }

ptrdiff_t leaky_relu_dx_check(const hl_call *call) { return hl_check_alike(call); }

void leaky_relu_dx_run(const hl_call *call) { hl_map_two_call(call, of, (float)call->attr[0]); }
