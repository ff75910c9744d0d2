// y[n,c,p,q] = sum over i, j of x[n,c,p s + i - top,q s + j - left] / count[p,q]
#include "pool.h"

enum { INCLUDE_PAD = HL_POOL_LAST };

ptrdiff_t avg_pool2d_check(const hl_call *call) {
  hl_window g;
  int32_t include_pad;
  if (!hl_all_float(call)) return HL_E_DTYPE;
  const hl_error error = hl_pool_of(call, call->in[0], call->out[0], &g);
  if (error) return error;
  return hl_whole(call, INCLUDE_PAD, 0, 1, &include_pad) ? hl_scratch(hl_room(g.q)) : HL_E_ATTRIBUTE;
}

HL_INLINE void pair8(ptrdiff_t k, const float *top, const float *bottom, float *y) {
  hl_eight a, b, c, d;
  hl_split8(top + 2 * k, &a, &b);
  hl_split8(bottom + 2 * k, &c, &d);
  hl_store8(y + k, (a + b + c + d) * 0.25f);
}
HL_INLINE void pair4(ptrdiff_t k, const float *top, const float *bottom, float *y) {
  hl_four a, b, c, d;
  hl_split4(top + 2 * k, &a, &b);
  hl_split4(bottom + 2 * k, &c, &d);
  hl_store4(y + k, (a + b + c + d) * 0.25f);
}
HL_INLINE void pair1(ptrdiff_t k, const float *top, const float *bottom, float *y) {
  y[k] = (top[2 * k] + top[2 * k + 1] + bottom[2 * k] + bottom[2 * k + 1]) * 0.25f;
}

// One cell of `count` windows.
HL_INLINE void fold(const float *x, float *y, ptrdiff_t count, ptrdiff_t stride) {
  ptrdiff_t k = 0;
  if (stride <= 2)
    for (; k + 4 <= count; k += 4) hl_store4(y + k, hl_load4(y + k) + hl_take4(x + k * stride, stride));
  for (; k < count; k++) y[k] += x[k * stride];
}

// A row of windows of any kind, a cell of all of them after the other.
static void fold_row(const hl_window *g, ptrdiff_t p, const float *x, float *y) {
  ptrdiff_t from, to, begin, end;
  const ptrdiff_t start = hl_window_inside(p, g->stride_h, g->top, g->kh, g->h, &from, &to);
  const ptrdiff_t reach = hl_pool_reach(g), stride = g->stride_w;
  hl_zero(y, g->q);
  for (ptrdiff_t i = from; i < to; i++) {
    const float *line = x + (start + i) * g->w;
    for (ptrdiff_t j = 0; j < reach; j++) {
      hl_pool_columns(g, j, &begin, &end);
      if (begin >= end) continue;
      const float *first = line + begin * stride + j - g->left;
      if (stride == 1)
        fold(first, y + begin, end - begin, 1);
      else if (stride == 2)
        fold(first, y + begin, end - begin, 2);
      else
        fold(first, y + begin, end - begin, stride);
    }
  }
}

void avg_pool2d_run(const hl_call *call) {
  hl_window g;
  if (hl_pool_of(call, call->in[0], call->out[0], &g)) return;
  const float *x = hl_floats(call->in[0]);
  float *y = hl_floats(call->out[0]), *columns = (float *)call->scratch;
  const int pairs = hl_pool_of_pairs(&g), include_pad = call->attr[INCLUDE_PAD] != 0;
  const ptrdiff_t planes = (ptrdiff_t)g.n * g.c, w = g.w;
  for (ptrdiff_t q = 0; q < g.q; q++)
    columns[q] = hl_pool_count(q, g.stride_w, g.kw, g.left, g.right, g.w, include_pad);
  for (ptrdiff_t k = 0; k < planes; k++, x += (ptrdiff_t)g.h * w) {
    for (ptrdiff_t p = 0; p < g.p; p++, y += g.q) {
      if (pairs) {
        const float *top = x + 2 * p * w;
        HL_ALONG_ROW(g.q, pair, top, top + w, y);
        continue;
      }
      fold_row(&g, p, x, y);
      const float lines = hl_pool_count(p, g.stride_h, g.kh, g.top, g.bottom, g.h, include_pad);
      for (ptrdiff_t q = 0; q < g.q; q++) y[q] /= lines * columns[q];
    }
  }
}
