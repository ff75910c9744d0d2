// Vector arithmetic without libc: choosing between lanes, and exp, log, tanh, sigmoid, square roots and powers.
//
// Largest errors over all of float32 (every 257th value, against float64): exp 1.01 ulp, log 0.79, tanh 1.30, root
// 0.50; sigmoid 2.5 down to -87.
#ifndef HANDLENS_ARITHMETIC_H
#define HANDLENS_ARITHMETIC_H

#include "handlens.h"

typedef uint32_t hl_uvec __attribute__((vector_size(4 * HL_LANES)));

// ---- lanes

// Per lane `yes` where the comparison held, else `no`.
HL_INLINE hl_vec hl_pick(hl_ivec where, hl_vec yes, hl_vec no) {
  return (hl_vec)((where & (hl_ivec)yes) | (~where & (hl_ivec)no));
}

// `value` where the comparison held, else 0.
HL_INLINE hl_vec hl_keep(hl_ivec where, hl_vec value) { return (hl_vec)(where & (hl_ivec)value); }

HL_INLINE hl_uvec hl_usplat(uint32_t value) { return value - (hl_uvec){0}; }

// The comparison is written so that a NaN in x stays one, as in np.maximum and np.minimum with a number.
HL_INLINE hl_vec hl_at_least(hl_vec x, hl_vec low) { return hl_pick(low > x, low, x); }
HL_INLINE hl_vec hl_at_most(hl_vec x, hl_vec high) { return hl_pick(high < x, high, x); }

// np.maximum: a NaN on either side makes the result one.
HL_INLINE hl_vec hl_maximum(hl_vec a, hl_vec b) { return hl_pick(a != a, a, hl_pick(a > b, a, b)); }
HL_INLINE float hl_maximum_one(float a, float b) { return a != a || a > b ? a : b; }

HL_INLINE float hl_sum(hl_vec x) {
  float part[HL_LANES / 2];
  for (int k = 0; k < HL_LANES / 2; k++) part[k] = x[k] + x[k + HL_LANES / 2];
  for (int n = HL_LANES / 4; n > 0; n /= 2)
    for (int k = 0; k < n; k++) part[k] += part[k + n];
  return part[0];
}

HL_INLINE float hl_largest(hl_vec x) {
  float most = x[0];
  for (int k = 1; k < HL_LANES; k++) most = hl_maximum_one(most, x[k]);
  return most;
}

// The first `count` < HL_LANES lanes; the others are `rest` when loaded and left alone when stored.
#if defined(__AVX2__) && __has_builtin(__builtin_masked_load)
typedef _Bool hl_lanes_there __attribute__((ext_vector_type(HL_LANES)));
typedef float hl_lanes_of __attribute__((ext_vector_type(HL_LANES)));

HL_INLINE hl_lanes_there hl_first(ptrdiff_t count) {
  hl_ivec lane;
  for (int k = 0; k < HL_LANES; k++) lane[k] = k;
  return __builtin_convertvector(lane < (int32_t)count, hl_lanes_there);
}
HL_INLINE hl_vec hl_load_some(const float *from, ptrdiff_t count, float rest) {
  return (hl_vec)__builtin_masked_load(hl_first(count), from, (hl_lanes_of)hl_splat(rest));
}
HL_INLINE void hl_store_some(float *to, ptrdiff_t count, hl_vec value) {
  __builtin_masked_store(hl_first(count), (hl_lanes_of)value, to);
}
#else
HL_INLINE hl_vec hl_load_some(const float *from, ptrdiff_t count, float rest) {
  hl_vec value = hl_splat(rest);
  for (int k = 0; k < HL_LANES; k++)
    if (k < count) value[k] = from[k];
  return value;
}
HL_INLINE void hl_store_some(float *to, ptrdiff_t count, hl_vec value) {
  for (int k = 0; k < HL_LANES; k++)
    if (k < count) to[k] = value[k];
}
#endif

// Up to HL_LANES values.
HL_INLINE hl_vec hl_load_up_to(const float *from, ptrdiff_t count) {
  return count >= HL_LANES ? hl_load(from) : hl_load_some(from, count, 0);
}
HL_INLINE void hl_store_up_to(float *to, ptrdiff_t count, hl_vec value) {
  if (count >= HL_LANES)
    hl_store(to, value);
  else
    hl_store_some(to, count, value);
}

// ---- functions

HL_INLINE hl_vec hl_sqrt(hl_vec x) { return __builtin_elementwise_sqrt(x); }
HL_INLINE float hl_sqrt_one(float x) { return __builtin_sqrtf(x); }

// exp(x) = 2^n exp(r) with |r| <= ln 2 / 2 (Cody & Waite, 1980): returns exp(r), and n as a whole number; NaN stays.
HL_INLINE hl_vec hl_exp_parts(hl_vec x, hl_uvec *n) {
  const hl_vec shifter = hl_splat(12582912.0f);  // 1.5 * 2^23: adding it rounds, and leaves n in the lowest bits
  const hl_vec shifted = x * 1.442695041f + shifter;
  const hl_vec whole = shifted - shifter;
  const hl_vec r = (x - whole * 0.693359375f) - whole * -2.12194440e-4f;  // the first product is exact
  hl_vec p = hl_splat(1.9875691500e-4f);                                  // coefficients: Cephes, S. Moshier
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  *n = (hl_uvec)shifted - hl_usplat(0x4B400000u);
  return (p * (r * r) + r) + 1.0f;
}
HL_INLINE hl_vec hl_two_to(hl_uvec n) { return (hl_vec)((n + 127u) << 23); }  // |n| <= 126

// 2^n goes on in two halves, so that every result from the smallest denormal number to infinity comes out.
HL_INLINE hl_vec hl_exp(hl_vec x) {
  hl_uvec n;
  const hl_vec p = hl_exp_parts(hl_at_most(hl_at_least(x, hl_splat(-104.0f)), hl_splat(89.0f)), &n);
  const hl_uvec half = (hl_uvec)((hl_ivec)n >> 1);
  return p * hl_two_to(half) * hl_two_to(n - half);
}

// For |x| <= 87 or NaN: results are far from denormal and infinite.
HL_INLINE hl_vec hl_exp_within(hl_vec x) {
  hl_uvec n;
  const hl_vec p = hl_exp_parts(x, &n);
  return p * hl_two_to(n);
}

// log(x) = n ln 2 + log(m), m in [sqrt(1/2), sqrt(2)); -inf at 0, NaN below, inf at inf (after musl's logf).
HL_INLINE hl_vec hl_log(hl_vec x) {
  const hl_ivec tiny = x < hl_splat(1.17549435e-38f);
  const hl_vec grown = hl_pick(tiny, x * 33554432.0f, x);  // 2^25, out of the denormal numbers
  const hl_uvec bits = (hl_uvec)grown + (0x3F800000u - 0x3F3504F3u);
  const hl_ivec whole = (hl_ivec)(bits >> 23) - 127 - (tiny & 25);
  const hl_vec f = (hl_vec)((bits & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
  const hl_vec n = __builtin_convertvector(whole, hl_vec);
  const hl_vec s = f / (f + 2.0f), z = s * s, w = z * z;
  const hl_vec odd = w * (w * 0.24279078841f + 0.40000972152f);
  const hl_vec even = z * (w * 0.28498786688f + 0.66666662693f);
  const hl_vec square = f * f * 0.5f;
  const hl_vec value = s * (square + odd + even) + n * 9.0580006145e-6f - square + f + n * 6.9313812256e-1f;
  const hl_vec infinity = hl_splat(__builtin_inff());
  const hl_vec edge = hl_pick(x == 0.0f, -infinity, hl_splat(__builtin_nanf("")));
  const hl_vec above = hl_pick(x == infinity, infinity, value);
  return hl_pick(x > 0.0f, above, edge);
}

// 1 / (1 + exp(-x)); below -87 it stays at 1.6e-38.
HL_INLINE hl_vec hl_sigmoid(hl_vec x) {
  const hl_vec within = hl_at_most(hl_at_least(-x, hl_splat(-87.0f)), hl_splat(87.0f));
  return 1.0f / (1.0f + hl_exp_within(within));
}

// Near 0 a polynomial in x^2, elsewhere 1 - 2 / (exp(2 |x|) + 1), with the sign of x.
HL_INLINE hl_vec hl_tanh(hl_vec x) {
  const hl_ivec sign = (hl_ivec)x & (hl_ivec)hl_splat(-0.0f);
  const hl_vec size = (hl_vec)((hl_ivec)x ^ sign);
  const hl_vec most = hl_at_most(size, hl_splat(10.0f));  // from 9.02 on it is 1
  const hl_vec far = 1.0f - 2.0f / (hl_exp_within(most + most) + 1.0f);
  const hl_vec z = size * size;
  hl_vec p = hl_splat(-5.70498872745e-3f);  // coefficients: Cephes, S. Moshier
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const hl_vec near = p * z * size + size;
  return (hl_vec)((hl_ivec)hl_pick(size < 0.625f, near, far) | sign);
}

HL_INLINE float hl_log_one(float x) { return hl_log(hl_splat(x))[0]; }

// base^exponent in float64, base > 0: the whole part of the exponent by squaring, each binary place after the point by
// another square root.
HL_INLINE double hl_power(double base, double exponent) {
  const int turned = exponent < 0;
  const double size = turned ? -exponent : exponent;
  if (!(size < 9007199254740992.0)) return size != size ? size : base < 1 ? 0.0 : base > 1 ? __builtin_inf() : 1.0;
  double result = 1, square = base;
  for (uint64_t left = (uint64_t)size; left; left >>= 1) {
    if (left & 1) result *= square;
    square *= square;
  }
  for (double rest = size - (double)(uint64_t)size; rest > 0; rest = rest >= 0.5 ? 2 * rest - 1 : 2 * rest) {
    base = __builtin_sqrt(base);
    if (rest >= 0.5) result *= base;
  }
  return turned ? 1 / result : result;
}

#endif
