// Sums over rows of memory: several float32 accumulators within a stretch, float64 from stretch to stretch.
#ifndef HANDLENS_SUMS_H
#define HANDLENS_SUMS_H

#include "arithmetic.h"

enum { HL_SUMS = 4, HL_STRETCH = 64 * HL_SUMS * HL_LANES };  // accumulators; elements added in float32

typedef double hl_doubles __attribute__((vector_size(8 * HL_LANES)));

HL_INLINE hl_doubles hl_widen(hl_vec x) { return __builtin_convertvector(x, hl_doubles); }

// A term of a sum, from the values of up to two arrays at one place and a number.
typedef hl_vec hl_term(hl_vec a, hl_vec b, hl_vec parameter);

HL_INLINE hl_vec hl_itself(hl_vec a, hl_vec b, hl_vec parameter) {
  (void)b, (void)parameter;
  return a;
}
HL_INLINE hl_vec hl_less(hl_vec a, hl_vec b, hl_vec number) {
  (void)b;
  return a - number;
}
HL_INLINE hl_vec hl_square_around(hl_vec a, hl_vec b, hl_vec centre) {
  (void)b;
  return (a - centre) * (a - centre);
}
HL_INLINE hl_vec hl_product_around(hl_vec a, hl_vec b, hl_vec centre) { return (a - centre) * b; }
HL_INLINE hl_vec hl_difference_square(hl_vec a, hl_vec b, hl_vec parameter) {
  (void)parameter;
  return (a - b) * (a - b);
}

// The last, partial vector's terms with 0 beyond it. (0 loaded there would not do: 0 - centre is a term.)
HL_INLINE hl_vec hl_last_term(const float *a, const float *b, ptrdiff_t count, hl_term *f, hl_vec parameter) {
  const hl_vec last = f(hl_load_some(a, count, 0), hl_load_some(b, count, 0), parameter);
  hl_ivec lane;
  for (int k = 0; k < HL_LANES; k++) lane[k] = k;
  return hl_keep(lane < (int32_t)count, last);
}

// Sum of f over `count` places; `b` may be `a` where f does not read it.
HL_INLINE double hl_sum_of(const float *a, const float *b, ptrdiff_t count, hl_term *f, float number) {
  const hl_vec parameter = hl_splat(number);
  double total = 0;
  while (count > 0) {
    const ptrdiff_t length = hl_min(count, HL_STRETCH);
    hl_vec sum[HL_SUMS] = {{0}};
    ptrdiff_t k = 0;
    for (; k + HL_SUMS * HL_LANES <= length; k += HL_SUMS * HL_LANES)
      for (int s = 0; s < HL_SUMS; s++)
        sum[s] += f(hl_load(a + k + s * HL_LANES), hl_load(b + k + s * HL_LANES), parameter);
    for (; k + HL_LANES <= length; k += HL_LANES) sum[0] += f(hl_load(a + k), hl_load(b + k), parameter);
    if (k < length) sum[1] += hl_last_term(a + k, b + k, length - k, f, parameter);
    total += (double)hl_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    a += length;
    b += length;
    count -= length;
  }
  return total;
}

HL_INLINE double hl_sum_row(const float *x, ptrdiff_t count) { return hl_sum_of(x, x, count, hl_itself, 0); }

#endif
