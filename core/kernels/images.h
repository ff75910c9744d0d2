// What the ops on whole images share: their checks, and three rows of an image with a frame around them.
#ifndef HANDLENS_IMAGES_H
#define HANDLENS_IMAGES_H

#include "elementwise.h"

// Images (N, C, H, W) in and out, and one amount an image.
HL_INLINE hl_error hl_check_images(const hl_call *call) {
  const hl_tensor *x = call->in[0];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (x->rank != 4 || !hl_same_shape(x, call->out[0])) return HL_E_SHAPE;
  return HL_OK;
}
HL_INLINE hl_error hl_check_amounts(const hl_call *call) {
  const hl_error error = hl_check_images(call);
  if (error) return error;
  return call->in[1]->size == call->in[0]->dim[0] ? HL_OK : HL_E_SHAPE;
}

// Where a pixel's neighbours are read from: a row's values with one value before and one after them, and room for a
// whole vector at its end.
HL_INLINE int64_t hl_line_room(int64_t width) { return hl_room(width + 2 + HL_LANES); }
HL_INLINE float *hl_line(char *scratch) { return (float *)scratch + 1; }

HL_INLINE hl_vec hl_clip(hl_vec x) { return hl_at_most(hl_at_least(x, hl_splat(0)), hl_splat(1)); }

#endif
