// dx[n,c,h,w] = sum over f,i,j with h = p*s + i - top, w = q*s + j - left of w[f,c,i,j] * dy[n,f,p,q]
//
// With stride 1 that is the convolution of dy, padded, with the kernels turned by half a circle. With stride s, the
// pixels whose h + top leaves the same rest on division by s meet the same rows of the kernel, every s-th: each such
// phase is a convolution of its own, whose outputs lie s pixels apart. So are columns.
#include "conv.h"
#include "conv2d_dx.h"

// Along one side: which cells of a kernel the pixels from `first` on, `stride` apart, meet.
typedef struct {
  ptrdiff_t cell, cells, count, before;  // first cell and number of cells, number of pixels, padding of dy
} phase;

static phase phase_of(ptrdiff_t first, ptrdiff_t stride, ptrdiff_t pad, ptrdiff_t kernel, ptrdiff_t size) {
  phase s;
  s.cell = (first + pad) % stride;
  s.cells = s.cell < kernel ? (kernel - 1 - s.cell) / stride + 1 : 0;
  s.count = (size - 1 - first) / stride + 1;
  s.before = s.cells - 1 - (first + pad) / stride;
  return s;
}

static hl_error geometry(const hl_call *call, hl_window *g) {
  const hl_tensor *w = call->in[0];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (w->rank != 4) return HL_E_SHAPE;
  const hl_error error = hl_window_of(call, 0, call->out[0], call->in[1], w->dim[2], w->dim[3], 0, g);
  if (error) return error;
  return w->dim[0] == g->f && w->dim[1] == g->c ? HL_OK : HL_E_SHAPE;
}

// The convolution for the pixels from (h, w) on; 0 where no cell of a kernel meets them.
static int phase_conv(const hl_call *call, const hl_window *g, ptrdiff_t h, ptrdiff_t w, hl_conv *v) {
  const phase down = phase_of(h, g->stride_h, g->top, g->kh, g->h);
  const phase along = phase_of(w, g->stride_w, g->left, g->kw, g->w);
  if (!down.cells || !along.cells) return 0;
  const ptrdiff_t kernel = (ptrdiff_t)g->kh * g->kw, plane = (ptrdiff_t)g->h * g->w;
  *v = (hl_conv){.n = g->n, .c = g->f, .h = g->p, .w = g->q, .f = g->c, .stride_h = 1, .stride_w = 1};
  v->p = (int32_t)down.count, v->q = (int32_t)along.count, v->kh = (int32_t)down.cells, v->kw = (int32_t)along.cells;
  v->top = down.before, v->left = along.before;
  v->weight_f = kernel, v->weight_c = g->c * kernel;
  v->weight_i = -(ptrdiff_t)g->stride_h * g->kw, v->weight_j = -(ptrdiff_t)g->stride_w;
  v->image = g->c * plane, v->plane = plane, v->row = (ptrdiff_t)g->stride_h * g->w, v->column = g->stride_w;
  if (!call->out[0]->data) return 1;  // only measured
  const ptrdiff_t i = down.cell + (down.cells - 1) * g->stride_h, j = along.cell + (along.cells - 1) * g->stride_w;
  v->x = hl_floats(call->in[1]), v->weights = hl_floats(call->in[0]) + i * g->kw + j;
  v->y = hl_floats(call->out[0]) + h * g->w + w;
  return 1;
}

ptrdiff_t conv2d_dx_check(const hl_call *call) {
  hl_window g;
  const hl_error error = geometry(call, &g);
  if (error) return error;
  int64_t most = hl_sparse_dx_fits(&g) ? hl_sparse_dx_scratch(&g) : 0;
  for (ptrdiff_t h = 0; h < hl_min(g.stride_h, g.h); h++)
    for (ptrdiff_t w = 0; w < hl_min(g.stride_w, g.w); w++) {
      hl_conv v;
      const int64_t bytes = phase_conv(call, &g, h, w, &v) ? hl_conv_scratch(&v) : 0;
      most = bytes > most ? bytes : most;
    }
  return hl_scratch(most);
}

void conv2d_dx_run(const hl_call *call) {
  hl_window g;
  geometry(call, &g);
  const float *dy = hl_floats(call->in[1]);
  if (hl_sparse_dx_fits(&g) && hl_sparse_dx_pays(&g, dy)) {
    hl_sparse_dx_run(&g, hl_floats(call->in[0]), dy, hl_floats(call->out[0]), call->scratch);
    return;
  }
  if (g.stride_h > g.kh || g.stride_w > g.kw) hl_zero(hl_floats(call->out[0]), call->out[0]->size);
  for (ptrdiff_t h = 0; h < hl_min(g.stride_h, g.h); h++)
    for (ptrdiff_t w = 0; w < hl_min(g.stride_w, g.w); w++) {
      hl_conv v;
      if (phase_conv(call, &g, h, w, &v)) hl_conv_run(&v, call->scratch);
    }
}
