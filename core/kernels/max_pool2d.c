// y[n,c,p,q] = max over i, j of x[n,c,p s + i - top,q s + j - left], pixels of the padding left out
#include "pool.h"

ptrdiff_t max_pool2d_check(const hl_call *call) {
  hl_window g;
  return hl_all_float(call) ? hl_pool_of(call, call->in[0], call->out[0], &g) : HL_E_DTYPE;
}

HL_INLINE void pair8(ptrdiff_t k, const float *top, const float *bottom, float *y) {
  hl_eight a, b, c, d;
  hl_split8(top + 2 * k, &a, &b);
  hl_split8(bottom + 2 * k, &c, &d);
  hl_store8(y + k, hl_maximum8(hl_maximum8(a, b), hl_maximum8(c, d)));
}
HL_INLINE void pair4(ptrdiff_t k, const float *top, const float *bottom, float *y) {
  hl_four a, b, c, d;
  hl_split4(top + 2 * k, &a, &b);
  hl_split4(bottom + 2 * k, &c, &d);
  hl_store4(y + k, hl_maximum4(hl_maximum4(a, b), hl_maximum4(c, d)));
}
HL_INLINE void pair1(ptrdiff_t k, const float *top, const float *bottom, float *y) {
  y[k] = hl_maximum_one(hl_maximum_one(top[2 * k], top[2 * k + 1]), hl_maximum_one(bottom[2 * k], bottom[2 * k + 1]));
}

HL_INLINE void fold8(ptrdiff_t k, const float *x, float *y, ptrdiff_t stride) {
  hl_store8(y + k, hl_maximum8(hl_load8(y + k), hl_take8(x + k * stride, stride)));
}
HL_INLINE void fold4(ptrdiff_t k, const float *x, float *y, ptrdiff_t stride) {
  hl_store4(y + k, hl_maximum4(hl_load4(y + k), hl_take4(x + k * stride, stride)));
}
HL_INLINE void fold1(ptrdiff_t k, const float *x, float *y, ptrdiff_t stride) {
  y[k] = hl_maximum_one(y[k], x[k * stride]);
}

// One cell of `count` windows. The maximum may be taken twice, so that a row can end in a whole vector.
HL_INLINE void fold(const float *x, float *y, ptrdiff_t count, ptrdiff_t stride) {
  if (stride == 1)
    HL_ALONG_ROW(count, fold, x, y, 1);
  else if (stride == 2)
    HL_ALONG_ROW(count, fold, x, y, 2);
  else
    for (ptrdiff_t k = 0; k < count; k++) fold1(k, x, y, stride);
}

// A row of windows of any kind, a cell of all of them after the other.
static void fold_row(const hl_window *g, ptrdiff_t p, const float *x, float *y) {
  ptrdiff_t from, to, begin, end;
  const ptrdiff_t start = hl_window_inside(p, g->stride_h, g->top, g->kh, g->h, &from, &to);
  const ptrdiff_t reach = hl_pool_reach(g), stride = g->stride_w;
  for (ptrdiff_t q = 0; q < g->q; q++) y[q] = -__builtin_inff();
  for (ptrdiff_t i = from; i < to; i++) {
    const float *line = x + (start + i) * g->w;
    for (ptrdiff_t j = 0; j < reach; j++) {
      hl_pool_columns(g, j, &begin, &end);
      if (begin >= end) continue;
      fold(line + begin * stride + j - g->left, y + begin, end - begin, stride);
    }
  }
}

void max_pool2d_run(const hl_call *call) {
  hl_window g;
  if (hl_pool_of(call, call->in[0], call->out[0], &g)) return;
  const float *x = hl_floats(call->in[0]);
  float *y = hl_floats(call->out[0]);
  const int pairs = hl_pool_of_pairs(&g);
  const ptrdiff_t planes = (ptrdiff_t)g.n * g.c, w = g.w, q = g.q;
  for (ptrdiff_t k = 0; k < planes; k++, x += (ptrdiff_t)g.h * w) {
    for (ptrdiff_t p = 0; p < g.p; p++, y += q) {
      if (pairs) {
        const float *top = x + 2 * p * w;
        HL_ALONG_ROW(q, pair, top, top + w, y);
      } else {
        fold_row(&g, p, x, y);
      }
    }
  }
}
