// Ops that compute each element on its own: checks, and loops over whole vectors with one partial vector at the end.
#ifndef HANDLENS_ELEMENTWISE_H
#define HANDLENS_ELEMENTWISE_H

#include "arithmetic.h"

typedef hl_vec hl_of_one(hl_vec x, hl_vec parameter);
typedef hl_vec hl_of_two(hl_vec a, hl_vec b, hl_vec parameter);

// All inputs and the outputs float32 and of one size.
HL_INLINE ptrdiff_t hl_check_alike(const hl_call *call) {
  if (!hl_all_float(call)) return HL_E_DTYPE;
  for (int k = 0; k < call->ins; k++)
    if (call->in[k]->size != call->out[0]->size) return HL_E_SHAPE;
  return HL_OK;
}

HL_INLINE void hl_map(const float *x, float *y, ptrdiff_t count, hl_of_one *f, float parameter) {
  const hl_vec p = hl_splat(parameter);
  ptrdiff_t k = 0;
  for (; k + HL_LANES <= count; k += HL_LANES) hl_store(y + k, f(hl_load(x + k), p));
  if (k < count) hl_store_some(y + k, count - k, f(hl_load_some(x + k, count - k, 0), p));
}

HL_INLINE void hl_map_two(const float *a, const float *b, float *y, ptrdiff_t count, hl_of_two *f, float parameter) {
  const hl_vec p = hl_splat(parameter);
  ptrdiff_t k = 0;
  for (; k + HL_LANES <= count; k += HL_LANES) hl_store(y + k, f(hl_load(a + k), hl_load(b + k), p));
  if (k == count) return;
  const hl_vec last_a = hl_load_some(a + k, count - k, 0), last_b = hl_load_some(b + k, count - k, 0);
  hl_store_some(y + k, count - k, f(last_a, last_b, p));
}

// The whole of an op with one input, or with two, and one output.
HL_INLINE void hl_map_call(const hl_call *call, hl_of_one *f, float parameter) {
  hl_map(hl_floats(call->in[0]), hl_floats(call->out[0]), call->out[0]->size, f, parameter);
}
HL_INLINE void hl_map_two_call(const hl_call *call, hl_of_two *f, float parameter) {
  hl_map_two(hl_floats(call->in[0]), hl_floats(call->in[1]), hl_floats(call->out[0]), call->out[0]->size, f, parameter);
}

#endif
