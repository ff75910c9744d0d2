// y = x where x >= 0, else alpha x
#include "elementwise.h"

HL_INLINE hl_vec of(hl_vec x, hl_vec alpha) { return hl_pick(x < 0, x * alpha, x); }

ptrdiff_t leaky_relu_check(const hl_call *call) { return hl_check_alike(call); }

void leaky_relu_run(const hl_call *call) { hl_map_call(call, of, (float)call->attr[0]); }
