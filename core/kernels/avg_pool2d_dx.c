// dx[n,c,h,w] = sum over the windows (p, q) that hold (h, w) of dy[n,c,p,q] / count[p,q]
#include "pool.h"

enum { INCLUDE_PAD = HL_POOL_LAST };

ptrdiff_t avg_pool2d_dx_check(const hl_call *call) {
  hl_window g;
  int32_t include_pad;
  if (!hl_all_float(call)) return HL_E_DTYPE;
  const hl_error error = hl_pool_of(call, call->out[0], call->in[0], &g);
  if (error) return error;
  return hl_whole(call, INCLUDE_PAD, 0, 1, &include_pad) ? hl_scratch(2 * hl_room(g.q)) : HL_E_ATTRIBUTE;
}

HL_INLINE void pair8(ptrdiff_t k, const float *dy, float *top, float *bottom) {
  const hl_eight part = hl_load8(dy + k) * 0.25f;
  hl_zip8(top + 2 * k, part, part);
  hl_zip8(bottom + 2 * k, part, part);
}
HL_INLINE void pair4(ptrdiff_t k, const float *dy, float *top, float *bottom) {
  const hl_four part = hl_load4(dy + k) * 0.25f;
  hl_zip4(top + 2 * k, part, part);
  hl_zip4(bottom + 2 * k, part, part);
}
HL_INLINE void pair1(ptrdiff_t k, const float *dy, float *top, float *bottom) {
  top[2 * k] = top[2 * k + 1] = bottom[2 * k] = bottom[2 * k + 1] = dy[k] * 0.25f;
}

static void pairs_plane(const hl_window *g, const float *dy, float *dx) {
  const ptrdiff_t w = g->w, q = g->q;
  for (ptrdiff_t p = 0; p < g->p; p++, dy += q) {
    float *top = dx + 2 * p * w, *bottom = top + w;
    HL_ALONG_ROW(q, pair, dy, top, bottom);
    for (ptrdiff_t k = 2 * q; k < w; k++) top[k] = bottom[k] = 0;
  }
  hl_zero(dx + 2 * (ptrdiff_t)g->p * w, (g->h - 2 * (ptrdiff_t)g->p) * w);
}

HL_INLINE void spread(const float *restrict part, float *restrict dx, ptrdiff_t count, ptrdiff_t stride) {
  for (ptrdiff_t k = 0; k < count; k++) dx[k * stride] += part[k];
}

// A row of windows of any kind, a cell of all of them after the other.
static void spread_row(const hl_window *g, ptrdiff_t p, const float *part, float *dx) {
  ptrdiff_t from, to, begin, end;
  const ptrdiff_t start = hl_window_inside(p, g->stride_h, g->top, g->kh, g->h, &from, &to);
  const ptrdiff_t reach = hl_pool_reach(g), stride = g->stride_w;
  for (ptrdiff_t i = from; i < to; i++) {
    float *line = dx + (start + i) * g->w;
    for (ptrdiff_t j = 0; j < reach; j++) {
      hl_pool_columns(g, j, &begin, &end);
      if (begin >= end) continue;
      float *first = line + begin * stride + j - g->left;
      if (stride == 1)
        spread(part + begin, first, end - begin, 1);
      else
        spread(part + begin, first, end - begin, stride);
    }
  }
}

void avg_pool2d_dx_run(const hl_call *call) {
  hl_window g;
  if (hl_pool_of(call, call->out[0], call->in[0], &g)) return;
  const float *dy = hl_floats(call->in[0]);
  float *dx = hl_floats(call->out[0]);
  char *left = call->scratch;
  float *columns = hl_cut(&left, g.q), *part = hl_cut(&left, g.q);
  const int pairs = hl_pool_of_pairs(&g), include_pad = call->attr[INCLUDE_PAD] != 0;
  const ptrdiff_t planes = (ptrdiff_t)g.n * g.c, size = (ptrdiff_t)g.h * g.w, made = (ptrdiff_t)g.p * g.q;
  for (ptrdiff_t q = 0; q < g.q; q++)
    columns[q] = hl_pool_count(q, g.stride_w, g.kw, g.left, g.right, g.w, include_pad);
  for (ptrdiff_t k = 0; k < planes; k++, dx += size, dy += made) {
    if (pairs) {
      pairs_plane(&g, dy, dx);
      continue;
    }
    hl_zero(dx, size);
    for (ptrdiff_t p = 0; p < g.p; p++) {
      const float lines = hl_pool_count(p, g.stride_h, g.kh, g.top, g.bottom, g.h, include_pad);
      for (ptrdiff_t q = 0; q < g.q; q++) part[q] = dy[p * g.q + q] / (lines * columns[q]);
      spread_row(&g, p, part, dx);
    }
  }
}
