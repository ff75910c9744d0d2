// y = factor x
#include "elementwise.h"

HL_INLINE hl_vec of(hl_vec x, hl_vec factor) { return x * factor; }

ptrdiff_t scale_check(const hl_call *call) { return hl_check_alike(call); }

void scale_run(const hl_call *call) { hl_map_call(call, of, (float)call->attr[0]); }
