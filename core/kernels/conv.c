// Which way a convolution goes.
#include "conv.h"

// Transforming pixels and outputs pays once enough kernels share the ones and enough channels the others.
static int by_winograd(const hl_conv *v) {
  return v->kh == 3 && v->kw == 3 && v->stride_h == 1 && v->stride_w == 1 && v->column == 1 && v->c >= 8 && v->f >= 8;
}

int64_t hl_conv_scratch(const hl_conv *v) { return by_winograd(v) ? hl_winograd_scratch(v) : hl_direct_scratch(v); }

int64_t hl_conv_kept(const hl_conv *v) { return by_winograd(v) ? hl_winograd_kept(v) : 0; }

void hl_conv_run(const hl_conv *v, char *scratch) {
  if (by_winograd(v))
    hl_winograd_run(v, scratch);
  else
    hl_direct_run(v, scratch);
}

hl_error hl_conv_of(const hl_call *call, const hl_tensor *maps, hl_conv *v) {
  hl_window g;
  const hl_tensor *x = call->in[0], *w = call->in[1], *b = call->ins > 2 ? call->in[2] : NULL;
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (w->rank != 4) return HL_E_SHAPE;
  const hl_error error = hl_window_of(call, 0, x, maps, w->dim[2], w->dim[3], 0, &g);
  if (error) return error;
  if (w->dim[0] != g.f || w->dim[1] != g.c || (b && (b->rank != 1 || b->dim[0] != g.f))) return HL_E_SHAPE;
  const ptrdiff_t kernel = (ptrdiff_t)g.kh * g.kw, plane = (ptrdiff_t)g.p * g.q;
  *v = (hl_conv){.n = g.n, .c = g.c, .h = g.h, .w = g.w, .f = g.f, .p = g.p, .q = g.q, .kh = g.kh, .kw = g.kw};
  v->stride_h = g.stride_h, v->stride_w = g.stride_w, v->top = g.top, v->left = g.left;
  v->weight_f = g.c * kernel, v->weight_c = kernel, v->weight_i = g.kw, v->weight_j = 1;
  v->image = g.f * plane, v->plane = plane, v->row = g.q, v->column = 1;
  v->kept = call->kept;
  v->x = hl_floats(x), v->weights = hl_floats(w), v->bias = b ? hl_floats(b) : NULL, v->y = hl_floats(maps);
  return hl_activation_of(call, HL_WINDOW_ATTRS, &v->activation, &v->alpha);
}
