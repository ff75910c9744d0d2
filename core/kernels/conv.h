// A convolution as conv2d and its adjoint conv2d_dx ask for it, and the two ways to do it.
//
// Strides of w and y may be anything, signed too: the adjoint is the convolution of dy with turned kernels, its phases
// written at a stride.
#ifndef HANDLENS_CONV_H
#define HANDLENS_CONV_H

#include "activation.h"
#include "gemm.h"
#include "window.h"

typedef struct {
  int32_t n, c, h, w, f, p, q, kh, kw, stride_h, stride_w;
  ptrdiff_t top, left;  // a negative pad cuts: the windows start inside the image
  ptrdiff_t weight_f, weight_c, weight_i, weight_j;
  ptrdiff_t image;                   // floats from one image of y to the next
  ptrdiff_t plane, row, column;      // of y: from one map, row, pixel to the next
  int32_t activation;
  int32_t pool, only_pool;           // also, or only, the largest of every 2x2, p / 2 by q / 2 of them
  float alpha;
  const float *x, *weights, *bias;   // bias may be NULL
  float *y, *pooled;                 // NULL where not wanted, and while a plan is only being measured
  char *kept;                        // hl_conv_kept bytes, or NULL
} hl_conv;

// Reads and checks a call of x, w and perhaps b, whose maps have the shape of `maps`, attributes from the window on.
hl_error hl_conv_of(const hl_call *call, const hl_tensor *maps, hl_conv *conv);

// Fastest for these sizes.
int64_t hl_conv_scratch(const hl_conv *conv);
void hl_conv_run(const hl_conv *conv, char *scratch);

// Bytes in which a convolution of few images keeps what it makes of its weights, with the weights that it was made of:
// for a single image that is a third of the work. 0 where nothing is worth keeping.
int64_t hl_conv_kept(const hl_conv *conv);

// Any convolution: tiles of kernels x pixels, straight from a padded image.
int64_t hl_direct_scratch(const hl_conv *conv);
void hl_direct_run(const hl_conv *conv, char *scratch);

// Kernels 3x3, stride 1, column 1: Winograd's minimal filtering, 16 multiplications for 4 pixels instead of 36.
int64_t hl_winograd_scratch(const hl_conv *conv);
int64_t hl_winograd_kept(const hl_conv *conv);
void hl_winograd_run(const hl_conv *conv, char *scratch);

// Rows of a few floats: whole vectors, the last one overlapping the one before.
HL_INLINE void hl_copy_row(float *to, const float *from, ptrdiff_t count) {
  if (count < HL_LANES) {
    for (ptrdiff_t k = 0; k < count; k++) to[k] = from[k];
    return;
  }
  for (ptrdiff_t k = 0; k + HL_LANES < count; k += HL_LANES) hl_store(to + k, hl_load(from + k));
  hl_store(to + count - HL_LANES, hl_load(from + count - HL_LANES));
}

// The larger of each pair; where one is NaN, the second comes out.
#ifdef __wasm_simd128__
HL_INLINE hl_vec hl_larger(hl_vec a, hl_vec b) { return __builtin_wasm_pmax_f32x4(b, a); }
#else
HL_INLINE hl_vec hl_larger(hl_vec a, hl_vec b) { return hl_pick(a > b, a, b); }
#endif

// Vectors of which a tile of pixels is half as wide as the row: lanes 0 2 4 .. and 1 3 5 .. of two vectors, and back.
#if HL_LANES == 4
#define HL_EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define HL_ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7)
#elif HL_LANES == 8
#define HL_EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define HL_ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#else
#define HL_EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define HL_ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#endif

#endif
