// The weight gradient of a convolution: what its two ways (conv2d_dw.c, conv2d_dw_winograd.c) share.
#ifndef HANDLENS_CONV2D_DW_H
#define HANDLENS_CONV2D_DW_H

#include "gemm.h"
#include "window.h"

typedef struct {
  hl_window g;
  const float *x, *dy;
  float *dw, *db;  // db may be NULL
} hl_conv_dw;

// Kernels 3x3 at stride 1: minimal filtering. hl_winograd_dw_pays says where it is the faster way.
int hl_winograd_dw_pays(const hl_window *g);
int64_t hl_winograd_dw_scratch(const hl_window *g);
void hl_winograd_dw_run(const hl_conv_dw *v, char *scratch);

typedef float hl_four __attribute__((vector_size(16)));
typedef float hl_four_anywhere __attribute__((vector_size(16), aligned(4), may_alias));

// Four planes of `count` pixels, `plane` floats apart, side by side: to[pixel * step + 0..3]. Returns their four sums.
static inline hl_four hl_pack_four(const float *from, ptrdiff_t plane, ptrdiff_t count, float *to, ptrdiff_t step) {
  hl_four sum = {0}, other = {0};
  ptrdiff_t k = 0;
  for (; k + 4 <= count; k += 4, to += 4 * step) {
    const hl_four a = *(const hl_four_anywhere *)(from + k), b = *(const hl_four_anywhere *)(from + plane + k);
    const hl_four c = *(const hl_four_anywhere *)(from + 2 * plane + k);
    const hl_four d = *(const hl_four_anywhere *)(from + 3 * plane + k);
    const hl_four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const hl_four AB = __builtin_shufflevector(a, b, 2, 6, 3, 7), CD = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    const hl_four t0 = __builtin_shufflevector(ab, cd, 0, 1, 4, 5), t1 = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    const hl_four t2 = __builtin_shufflevector(AB, CD, 0, 1, 4, 5), t3 = __builtin_shufflevector(AB, CD, 2, 3, 6, 7);
    *(hl_four_anywhere *)to = t0, *(hl_four_anywhere *)(to + step) = t1;
    *(hl_four_anywhere *)(to + 2 * step) = t2, *(hl_four_anywhere *)(to + 3 * step) = t3;
    sum += t0 + t1, other += t2 + t3;
  }
  for (; k < count; k++, to += step) {
    const hl_four t = {from[k], from[plane + k], from[2 * plane + k], from[3 * plane + k]};
    *(hl_four_anywhere *)to = t;
    sum += t;
  }
  return sum + other;
}

// The same of `planes` planes for a step of `width`, a multiple of 4, with zeros where there is no plane; their sums go
// onto `sums`, where that is not NULL.
static inline void hl_pack_planes(const float *from, ptrdiff_t plane, ptrdiff_t planes, ptrdiff_t width,
                                  ptrdiff_t count, float *to, ptrdiff_t step, float *sums) {
  for (ptrdiff_t m = 0; m < width; m += 4) {
    if (m + 4 <= planes) {
      const hl_four sum = hl_pack_four(from + m * plane, plane, count, to + m, step);
      if (sums) *(hl_four_anywhere *)(sums + m) += sum;
      continue;
    }
    for (ptrdiff_t k = 0; k < count; k++)
      for (ptrdiff_t lane = m; lane < m + 4; lane++) {
        const float value = lane < planes ? from[lane * plane + k] : 0.0f;
        to[k * step + lane] = value;
        if (sums) sums[lane] += value;
      }
  }
}

#endif
