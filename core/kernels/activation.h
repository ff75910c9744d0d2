// Activations that a kernel applies to what it has just made, with the functions of arithmetic.h.
#ifndef HANDLENS_ACTIVATION_H
#define HANDLENS_ACTIVATION_H

#include "arithmetic.h"

// Reads a code of handlens.h from attribute `k` and alpha from the next.
HL_INLINE hl_error hl_activation_of(const hl_call *call, int k, int32_t *activation, float *alpha) {
  if (!hl_whole(call, k, HL_ACTIVATION_NONE, HL_ACTIVATION_TANH, activation)) return HL_E_ATTRIBUTE;
  *alpha = (float)call->attr[k + 1];
  return HL_OK;
}

// A lower bound is all that relu is, and -infinity bounds nothing: kernels apply it to every sum without a branch, and
// leave the other activations to hl_activate.
HL_INLINE hl_vec hl_activation_floor(int32_t activation) {
  return hl_splat(activation == HL_ACTIVATION_RELU ? 0.0f : -__builtin_inff());
}
HL_INLINE int hl_activation_is_floor(int32_t activation) { return activation <= HL_ACTIVATION_RELU; }

HL_INLINE hl_vec hl_activated(hl_vec x, int32_t activation, float alpha) {
  switch (activation) {
    case HL_ACTIVATION_RELU: return hl_at_least(x, hl_splat(0.0f));
    case HL_ACTIVATION_LEAKY_RELU: return hl_pick(x < 0.0f, x * alpha, x);
    case HL_ACTIVATION_SIGMOID: return hl_sigmoid(x);
    case HL_ACTIVATION_TANH: return hl_tanh(x);
    default: return x;
  }
}

HL_INLINE void hl_activate_as(float *values, ptrdiff_t count, int32_t activation, float alpha) {
  ptrdiff_t k = 0;
  for (; k + HL_LANES <= count; k += HL_LANES)
    hl_store(values + k, hl_activated(hl_load(values + k), activation, alpha));
  if (k < count)
    hl_store_some(values + k, count - k, hl_activated(hl_load_some(values + k, count - k, 0.0f), activation, alpha));
}

// In place; the switch stands outside the loops.
static inline void hl_activate(float *values, ptrdiff_t count, int32_t activation, float alpha) {
  switch (activation) {
    case HL_ACTIVATION_RELU: hl_activate_as(values, count, HL_ACTIVATION_RELU, alpha); break;
    case HL_ACTIVATION_LEAKY_RELU: hl_activate_as(values, count, HL_ACTIVATION_LEAKY_RELU, alpha); break;
    case HL_ACTIVATION_SIGMOID: hl_activate_as(values, count, HL_ACTIVATION_SIGMOID, alpha); break;
    case HL_ACTIVATION_TANH: hl_activate_as(values, count, HL_ACTIVATION_TANH, alpha); break;
    default: break;
  }
}

#endif
