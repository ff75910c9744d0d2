// dw[f,c,i,j] = sum over n,p,q of dy[n,f,p,q] * x[n,c,p*s+i-top,q*s+j-left];  db[f] = sum over n,p,q of dy[n,f,p,q]
//
// A product of two matrices whose inner side is all pixels of all images. Run by run of pixels, dy is packed with its
// kernels side by side, and a tile of KR kernel cells by a panel of kernels stays in registers: the pixels of x are
// read where they lie, no patch is ever unfolded. Each run's sums are added to the whole's in memory, so that no chain
// of additions is longer than a run or than the number of runs. conv2d_dw_winograd.c has another way for 3x3 kernels.
#include "conv2d_dw.h"

// Kernel cells of a tile. V8's 15 registers would hold 6, but 3x3 kernels of one channel have 9.
#if HL_LANES == 4 && !defined(__aarch64__)
#define KR 5
#else
#define KR 6
#endif

enum {
  PANEL = 2 * HL_LANES,  // kernels side by side
  RUN = 4096 / PANEL,    // pixels of a run, more where one row has more: a packed panel takes 16 KB of the first cache
};

typedef struct {
  hl_window g;
  int64_t height, width;  // of an image with its padding
  int64_t cells, tiled;   // C * KH * KW, and rounded up to whole tiles
  int64_t kernels;        // F, rounded up to whole vectors
  int64_t rows;           // of a run
  int pads;               // whether there is padding
  int winograd;
} layout;

typedef struct {
  float *padded;     // one image with its padding
  float *packed;     // dy of one run: panels of [pixel][kernel]
  float *sums;       // dw: panels of [cell][kernel]
  float *bias;       // db, whole vectors
  int32_t *offsets;  // of each cell, from the pixel that cell 0 meets; those beyond the last are 0
} work;

static ptrdiff_t layout_of(const hl_call *call, layout *l) {
  const hl_tensor *x = call->in[0], *dy = call->in[1], *dw = call->out[0];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (x->rank != 4 || dy->rank != 4 || dw->rank != 4) return HL_E_SHAPE;
  const hl_error error = hl_window_of(call, 0, x, dy, dw->dim[2], dw->dim[3], 0, &l->g);
  if (error != HL_OK) return error;
  const hl_window *g = &l->g;
  if (dw->dim[0] != g->f || dw->dim[1] != g->c) return HL_E_SHAPE;
  if (call->outs > 1 && (call->out[1]->rank != 1 || call->out[1]->dim[0] != g->f)) return HL_E_SHAPE;
  l->pads = g->top || g->left || g->bottom || g->right;
  l->height = (int64_t)g->h + g->top + g->bottom;
  l->width = (int64_t)g->w + g->left + g->right;
  l->cells = hl_times(g->c, hl_times(g->kh, g->kw));
  l->tiled = (l->cells + KR - 1) / KR * KR;
  l->kernels = ((int64_t)g->f + HL_LANES - 1) / HL_LANES * HL_LANES;
  l->rows = RUN / g->q < 1 ? 1 : RUN / g->q < g->p ? RUN / g->q : g->p;
  l->winograd = hl_winograd_dw_pays(g);
  if (l->winograd) return hl_scratch(hl_winograd_dw_scratch(g));
  const int64_t image = hl_times(g->c, hl_times(l->height, l->width));
  if (image > INT32_MAX) return HL_E_MEMORY;  // offsets into it have 32 bits
  return hl_scratch((l->pads ? hl_room(image) : 0) + hl_room(hl_times(l->kernels, hl_times(l->rows, g->q))) +
                    hl_room(hl_times(l->kernels, l->tiled)) + hl_room(l->kernels) + hl_room(l->tiled));
}

ptrdiff_t conv2d_dw_check(const hl_call *call) {
  layout l;
  return layout_of(call, &l);
}

// ---- packing

// `count` pixels of dy's maps, `map` apart, into panels, and their sums onto `bias`; what rounding up added is zero.
static void pack(const layout *l, const float *dy, ptrdiff_t map, ptrdiff_t count, const work *w) {
  for (ptrdiff_t first = 0; first < l->kernels; first += PANEL) {
    const ptrdiff_t width = hl_min(PANEL, l->kernels - first);
    hl_pack_planes(dy + first * map, map, l->g.f - first, width, count, w->packed + first * count, width,
                   w->bias + first);
  }
}

// The image into the middle of `padded`, whose border stays zero.
static void pad(const layout *l, const float *x, float *padded) {
  const hl_window *g = &l->g;
  for (ptrdiff_t c = 0; c < g->c; c++)
    for (ptrdiff_t h = 0; h < g->h; h++)
      hl_copy(padded + (c * l->height + h + g->top) * l->width + g->left, x + (c * g->h + h) * g->w, g->w);
}

// ---- the product

// sums[cell][kernel] += the run's pixels times the `vectors` * HL_LANES kernels of a panel, for KR cells.
HL_INLINE void tile(const int vectors, const float *x, const int32_t *offsets, const float *dy, ptrdiff_t rows,
                    ptrdiff_t q, ptrdiff_t step, ptrdiff_t jump, float *sums) {
  const ptrdiff_t width = vectors * HL_LANES;
  hl_vec total[KR][2] = {{{0}}};
  const float *at[KR];
  for (int r = 0; r < KR; r++) at[r] = x + offsets[r];
  for (ptrdiff_t row = 0; row < rows; row++) {
    for (ptrdiff_t k = 0; k < q; k++) {
      hl_vec kernel[2];
      HL_HOLD(dy);
      for (int v = 0; v < vectors; v++) kernel[v] = hl_load(dy + v * HL_LANES);
      for (int r = 0; r < KR; r++) {
        const hl_vec pixel = hl_splat(at[r][k * step]);
        for (int v = 0; v < vectors; v++) {
          total[r][v] = pixel * kernel[v] + total[r][v];
          HL_HOLD(total[r][v]);
        }
      }
      dy += width;
    }
    for (int r = 0; r < KR; r++) at[r] += jump;
  }
  for (int r = 0; r < KR; r++)
    for (int v = 0; v < vectors; v++) {
      float *sum = sums + r * width + v * HL_LANES;
      hl_store(sum, hl_load(sum) + total[r][v]);
    }
}

static void tile_two(const float *x, const int32_t *offsets, const float *dy, ptrdiff_t rows, ptrdiff_t q,
                     ptrdiff_t step, ptrdiff_t jump, float *sums) {
  if (step == 1) tile(2, x, offsets, dy, rows, q, 1, jump, sums);
  else tile(2, x, offsets, dy, rows, q, step, jump, sums);
}

static void tile_one(const float *x, const int32_t *offsets, const float *dy, ptrdiff_t rows, ptrdiff_t q,
                     ptrdiff_t step, ptrdiff_t jump, float *sums) {
  tile(1, x, offsets, dy, rows, q, step, jump, sums);
}

// All cells by all kernels over one run of `rows` rows, whose first pixel's cell 0 meets `x`.
static void multiply(const layout *l, const work *w, const float *x, ptrdiff_t rows) {
  const hl_window *g = &l->g;
  const ptrdiff_t jump = g->stride_h * (ptrdiff_t)l->width;
  for (ptrdiff_t first = 0; first < l->kernels; first += PANEL) {
    const float *dy = w->packed + first * rows * g->q;
    float *sums = w->sums + first * l->tiled;
    const ptrdiff_t width = hl_min(PANEL, l->kernels - first);
    for (ptrdiff_t cell = 0; cell < l->tiled; cell += KR)
      (width == PANEL ? tile_two : tile_one)(x, w->offsets + cell, dy, rows, g->q, g->stride_w, jump,
                                             sums + cell * width);
  }
}

// ---- the whole

static void start(const layout *l, const hl_call *call, work *w) {
  const hl_window *g = &l->g;
  char *left = call->scratch;
  const int64_t image = l->pads ? g->c * l->height * l->width : 0;
  w->padded = hl_cut(&left, (ptrdiff_t)image);
  w->packed = hl_cut(&left, (ptrdiff_t)(l->kernels * l->rows * g->q));
  w->sums = hl_cut(&left, (ptrdiff_t)(l->kernels * l->tiled));
  w->bias = hl_cut(&left, (ptrdiff_t)l->kernels);
  w->offsets = (int32_t *)hl_cut(&left, (ptrdiff_t)l->tiled);
  hl_zero(w->padded, (ptrdiff_t)image);
  hl_zero(w->sums, (ptrdiff_t)(l->kernels * l->tiled));
  hl_zero(w->bias, (ptrdiff_t)l->kernels);
  int32_t *offset = w->offsets;
  for (int64_t c = 0; c < g->c; c++)
    for (int64_t i = 0; i < g->kh; i++)
      for (int64_t j = 0; j < g->kw; j++) *offset++ = (int32_t)((c * l->height + i) * l->width + j);
  while (offset < w->offsets + l->tiled) *offset++ = 0;
}

static void finish(const layout *l, const hl_call *call, const work *w) {
  float *dw = hl_floats(call->out[0]);
  for (ptrdiff_t first = 0; first < l->g.f; first += PANEL) {
    const ptrdiff_t width = hl_min(PANEL, l->kernels - first);
    const float *sums = w->sums + first * l->tiled;
    for (ptrdiff_t m = 0; m < hl_min(width, l->g.f - first); m++)
      for (ptrdiff_t cell = 0; cell < l->cells; cell++) *dw++ = sums[cell * width + m];
  }
  if (call->outs > 1) hl_copy(hl_floats(call->out[1]), w->bias, l->g.f);
}

void conv2d_dw_run(const hl_call *call) {
  layout l;
  work w;
  layout_of(call, &l);
  const hl_window *g = &l.g;
  if (l.winograd) {
    float *db = call->outs > 1 ? hl_floats(call->out[1]) : NULL;
    const hl_conv_dw v = {*g, hl_floats(call->in[0]), hl_floats(call->in[1]), hl_floats(call->out[0]), db};
    hl_winograd_dw_run(&v, call->scratch);
    return;
  }
  start(&l, call, &w);
  const ptrdiff_t map = (ptrdiff_t)g->p * g->q, image = (ptrdiff_t)g->c * g->h * g->w;
  for (ptrdiff_t n = 0; n < g->n; n++) {
    const float *x = hl_floats(call->in[0]) + n * image, *dy = hl_floats(call->in[1]) + n * g->f * map;
    if (l.pads) pad(&l, x, w.padded), x = w.padded;
    for (ptrdiff_t first = 0; first < g->p; first += l.rows) {
      const ptrdiff_t rows = hl_min(l.rows, g->p - first);
      pack(&l, dy + first * g->q, map, rows * g->q, &w);
      multiply(&l, &w, x + first * g->stride_h * l.width, rows);
    }
  }
  finish(&l, call, &w);
}
