// The functions of math.h that ink needs, in float64.
#include "ink.h"

#define HL_LN2_HIGH 6.93147180369123816490e-01  // with its low bits zero, so that its product with a whole number is exact
#define HL_LN2_LOW 1.90821492927058770002e-10

typedef union {
  double value;
  uint64_t bits;
} hl_double;

// The exact product of a and b is the result and *rest (Dekker).
static double product(double a, double b, double *rest) {
  const double split = 134217729.0;  // 2^27 + 1
  const double p = a * b, ca = split * a, cb = split * b;
  const double a1 = ca - (ca - a), b1 = cb - (cb - b), a2 = a - a1, b2 = b - b1;
  *rest = ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2;
  return p;
}

// Rounded as well as libm's: whether points merge hangs on whole multiples of a length.
double hl_hypot(double x, double y) {
  x = __builtin_fabs(x), y = __builtin_fabs(y);
  if (x < y) {
    const double larger = y;
    y = x, x = larger;
  }
  if (y == 0.0 || !(x > 1e-140)) return x + y;  // what is that small has no length on any pad
  double low_x, low_y, low_h;
  const double xx = product(x, x, &low_x), yy = product(y, y, &low_y), sum = xx + yy;
  const double h = __builtin_sqrt(sum), hh = product(h, h, &low_h);
  const double rest = (yy - (sum - xx)) + low_x + low_y + ((sum - hh) - low_h);  // of x^2 + y^2 - h^2
  return h + rest / (2.0 * h);
}

// log m = 2 atanh s,  s = (m - 1) / (m + 1), with the power of two taken out.
double hl_log(double x) {
  hl_double m = {x};
  int32_t power = (int32_t)(m.bits >> 52 & 0x7ff) - 1023;
  m.bits = (m.bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL;
  if (m.value > 1.4142135623730951) m.value *= 0.5, power++;
  const double s = (m.value - 1.0) / (m.value + 1.0), square = s * s;
  double sum = 0.0;
  for (int k = 23; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return power * HL_LN2_HIGH + (2.0 * s * sum + power * HL_LN2_LOW);
}

double hl_exp(double x) {
  if (!(x > -700.0)) return 0.0;
  if (x > 700.0) x = 700.0;
  const double power = __builtin_floor(x / HL_LN2_HIGH + 0.5);
  const double rest = (x - power * HL_LN2_HIGH) - power * HL_LN2_LOW;
  double sum = 1.0;
  for (int k = 14; k >= 1; k--) sum = 1.0 + sum * rest / k;
  const hl_double scale = {.bits = (uint64_t)((int64_t)power + 1023) << 52};
  return sum * scale.value;
}

double hl_add_logs(double a, double b) {
  const double high = hl_most(a, b), low = hl_least(a, b);
  if (!(low > high - 700.0)) return high;  // also where one is minus infinity
  return high + hl_log(1.0 + hl_exp(low - high));
}
