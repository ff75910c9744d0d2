// What the batch normalisations share: (N, C, ..) seen as N rows of C channels of L values, and sums over a channel.
//
// All is done channel by channel: a channel's values (128 maps of 24x24: 295 KB) stay in a core's cache between the
// mean, the squares around it and the result. Where a channel has one value a row, a vector of channels goes at a time.
#ifndef HANDLENS_NORMALIZATION_H
#define HANDLENS_NORMALIZATION_H

#include "elementwise.h"
#include "sums.h"

typedef struct {
  ptrdiff_t n, channels, length;
} hl_maps;

HL_INLINE hl_maps hl_maps_of(const hl_tensor *x) {
  return (hl_maps){x->dim[0], x->dim[1], x->size / x->dim[0] / x->dim[1]};
}

// Inputs 1 to `vectors` hold one value for each of `channels`.
HL_INLINE int hl_per_channel(const hl_call *call, int32_t channels, int vectors) {
  for (int k = 1; k <= vectors; k++)
    if (call->in[k]->size != channels) return 0;
  return 1;
}

// Sum of f over channel `c`, each row in float32, the rows in float64.
HL_INLINE double hl_channel_sum(const hl_maps *m, const float *a, const float *b, ptrdiff_t c, hl_term *f,
                                float parameter) {
  double total = 0;
  for (ptrdiff_t n = 0; n < m->n; n++) {
    const ptrdiff_t at = (n * m->channels + c) * m->length;
    total += hl_sum_of(a + at, b + at, m->length, f, parameter);
  }
  return total;
}

// The same over rows of one value, for the `count` channels from `c` on.
HL_INLINE hl_doubles hl_column_sums(const hl_maps *m, const float *a, const float *b, ptrdiff_t c, ptrdiff_t count,
                                    hl_term *f, hl_vec parameter) {
  hl_doubles total = {0};
  for (ptrdiff_t n = 0; n < m->n; n++) {
    const ptrdiff_t at = n * m->channels + c;
    total += hl_widen(f(hl_load_up_to(a + at, count), hl_load_up_to(b + at, count), parameter));
  }
  return total;
}

HL_INLINE hl_vec hl_narrow(hl_doubles x) { return __builtin_convertvector(x, hl_vec); }

#endif
