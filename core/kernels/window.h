// The window that slides over an image: its geometry and the checks that keep it inside. Shared by convolution and
// pooling; the counterpart of handlens/ops/window.py.
#ifndef HANDLENS_WINDOW_H
#define HANDLENS_WINDOW_H

#include "handlens.h"

typedef struct {
  int32_t n, c, h, w;  // images
  int32_t f, p, q;     // maps
  int32_t kh, kw, stride_h, stride_w, top, left, bottom, right;
} hl_window;

enum {
  HL_WINDOW_ATTRS = 6,        // stride_h stride_w top left bottom right
  HL_WINDOW_MOST = 1 << 24,   // of a stride, pad or kernel side: sums of a few never leave 32 bits' reach by much
};

// Whether `out` windows fit `size` pixels; with `overhang` the last one may end past the padding (ceil_mode), as long
// as it starts inside the image or its leading padding.
HL_INLINE int hl_window_fits(int64_t size, int64_t k, int64_t stride, int64_t begin, int64_t end, int64_t out,
                             int overhang) {
  const int64_t span = size + begin + end - k;
  if (span < 0 || out < 1) return 0;
  if (out == span / stride + 1) return 1;
  return overhang && out == (span + stride - 1) / stride + 1 && (out - 1) * stride < size + begin;
}

// Reads HL_WINDOW's six attributes from number `first` on, takes images (N, C, H, W), maps (N, F, P, Q) and a kernel of
// kh x kw, and checks that they fit each other. HL_OK or an error. Afterwards every p * stride_h + i - top is within
// (-2^25, H + 2^25), and so are columns: no sum or difference of such overflows ptrdiff_t on any target.
HL_INLINE hl_error hl_window_of(const hl_call *call, int first, const hl_tensor *images, const hl_tensor *maps,
                                int64_t kh, int64_t kw, int overhang, hl_window *g) {
  int32_t value[HL_WINDOW_ATTRS];
  for (int k = 0; k < HL_WINDOW_ATTRS; k++)
    if (!hl_whole(call, first + k, k < 2, HL_WINDOW_MOST, &value[k])) return HL_E_ATTRIBUTE;
  if (images->rank != 4 || maps->rank != 4) return HL_E_SHAPE;
  for (int k = 0; k < 4; k++)
    if (images->dim[k] < 1 || maps->dim[k] < 1) return HL_E_SHAPE;
  if (kh < 1 || kw < 1 || kh > HL_WINDOW_MOST || kw > HL_WINDOW_MOST) return HL_E_SHAPE;
  *g = (hl_window){images->dim[0], images->dim[1], images->dim[2], images->dim[3], maps->dim[1],
                   maps->dim[2],   maps->dim[3],   (int32_t)kh,    (int32_t)kw,    value[0],
                   value[1],       value[2],       value[3],       value[4],       value[5]};
  if (g->n != maps->dim[0]) return HL_E_SHAPE;
  if (!hl_window_fits(g->h, kh, g->stride_h, g->top, g->bottom, g->p, overhang)) return HL_E_SHAPE;
  if (!hl_window_fits(g->w, kw, g->stride_w, g->left, g->right, g->q, overhang)) return HL_E_SHAPE;
  return HL_OK;
}

// The part of window number `p` along one side that lies inside the image: cells [*begin, *end) of its kernel, empty
// where they are equal; returns the pixel that cell 0 would be at (negative inside the leading padding).
HL_INLINE ptrdiff_t hl_window_inside(ptrdiff_t p, ptrdiff_t stride, ptrdiff_t before, ptrdiff_t k, ptrdiff_t size,
                                     ptrdiff_t *begin, ptrdiff_t *end) {
  const ptrdiff_t start = p * stride - before;
  *begin = hl_min(hl_max(0, -start), k);
  *end = hl_max(*begin, hl_min(k, size - start));
  return start;
}

#endif
