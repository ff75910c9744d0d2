// dx[n,c,h,w] = sum of dy[n,c,p,q] over the windows whose first maximum, in row-major order, is (h, w). With attribute
// relu it is also multiplied by x > 0, which the maximum tells: the adjoint of a ReLU before the pooling, in one pass.
#include "pool.h"

enum { RELU = HL_POOL_LAST };

ptrdiff_t max_pool2d_dx_check(const hl_call *call) {
  hl_window g;
  int32_t relu;
  if (!hl_all_float(call)) return HL_E_DTYPE;
  const hl_error error = hl_pool_of(call, call->in[0], call->in[1], &g);
  if (error) return error;
  if (!hl_same_shape(call->in[1], call->in[2]) || !hl_same_shape(call->in[0], call->out[0])) return HL_E_SHAPE;
  if (!hl_whole(call, RELU, 0, 1, &relu)) return HL_E_ATTRIBUTE;
  return hl_pool_of_pairs(&g) ? HL_OK : hl_scratch(2 * hl_room(g.q));
}

// Rows of x, y and dy, and where their shares go.
typedef struct {
  const float *top, *bottom, *y, *dy;
  float *dtop, *dbottom, most;  // a maximum of at most `most` passes nothing on; NaN: all pass
} rows;

#define PAIR(n, vec, ivec)                                                                    \
  HL_INLINE void pair##n(ptrdiff_t k, const rows *r) {                                        \
    vec a, b, c, d;                                                                           \
    hl_split##n(r->top + 2 * k, &a, &b);                                                      \
    hl_split##n(r->bottom + 2 * k, &c, &d);                                                   \
    const vec y = hl_load##n(r->y + k);                                                       \
    const ivec passed = (ivec)hl_load##n(r->dy + k) & ~(y <= r->most);                        \
    const ivec at_a = a == y, at_b = (b == y) & ~at_a, above = at_a | at_b;                   \
    const ivec at_c = (c == y) & ~above, at_d = (d == y) & ~(above | at_c);                   \
    hl_zip##n(r->dtop + 2 * k, (vec)(passed & at_a), (vec)(passed & at_b));                   \
    hl_zip##n(r->dbottom + 2 * k, (vec)(passed & at_c), (vec)(passed & at_d));                \
  }
PAIR(8, hl_eight, hl_ieight)
PAIR(4, hl_four, hl_ifour)

HL_INLINE void pair1(ptrdiff_t k, const rows *r) {
  const float y = r->y[k], dy = y <= r->most ? 0 : r->dy[k];
  const float cell[4] = {r->top[2 * k], r->top[2 * k + 1], r->bottom[2 * k], r->bottom[2 * k + 1]};
  float *to[4] = {r->dtop + 2 * k, r->dtop + 2 * k + 1, r->dbottom + 2 * k, r->dbottom + 2 * k + 1};
  int open = 1;
  for (int j = 0; j < 4; j++) {
    *to[j] = open && cell[j] == y ? dy : 0;
    open = open && cell[j] != y;
  }
}

// A map of 2x2 windows next to each other; what no window reaches at the end of rows and columns gets 0.
static void pairs_plane(const hl_window *g, const float *x, const float *y, const float *dy, float *dx, float most) {
  const ptrdiff_t w = g->w, q = g->q;
  for (ptrdiff_t p = 0; p < g->p; p++, y += q, dy += q) {
    const rows r = {x + 2 * p * w, x + (2 * p + 1) * w, y, dy, dx + 2 * p * w, dx + (2 * p + 1) * w, most};
    HL_ALONG_ROW(q, pair, &r);
    for (ptrdiff_t k = 2 * q; k < w; k++) r.dtop[k] = r.dbottom[k] = 0;
  }
  hl_zero(dx + 2 * (ptrdiff_t)g->p * w, (g->h - 2 * (ptrdiff_t)g->p) * w);
}

// Gives dy to those of `count` cells that hold the maximum `open`, which is NaN, equal to nothing, once it is found.
HL_INLINE void share(const float *x, float *open, const float *dy, float *dx, ptrdiff_t count, ptrdiff_t stride) {
  ptrdiff_t k = 0;
  for (; stride <= 2 && k + 4 <= count; k += 4) {
    const hl_four most = hl_load4(open + k);
    const hl_ifour hit = hl_take4(x + k * stride, stride) == most;
    const hl_four part = (hl_four)(hit & (hl_ifour)hl_load4(dy + k));
    hl_store4(open + k, (hl_four)(hit | (hl_ifour)most));  // all bits set: a NaN
    if (stride == 1)
      hl_store4(dx + k, hl_load4(dx + k) + part);
    else
      for (int j = 0; j < 4; j++) dx[(k + j) * stride] += part[j];
  }
  for (; k < count; k++) {
    const int hit = x[k * stride] == open[k];
    dx[k * stride] += hit ? dy[k] : 0;
    open[k] = hit ? __builtin_nanf("") : open[k];
  }
}

// A row of windows of any kind, a cell of all of them after the other.
static void share_row(const hl_window *g, ptrdiff_t p, const float *x, float *open, const float *dy, float *dx) {
  ptrdiff_t from, to, begin, end;
  const ptrdiff_t start = hl_window_inside(p, g->stride_h, g->top, g->kh, g->h, &from, &to);
  const ptrdiff_t reach = hl_pool_reach(g), stride = g->stride_w;
  for (ptrdiff_t i = from; i < to; i++) {
    for (ptrdiff_t j = 0; j < reach; j++) {
      hl_pool_columns(g, j, &begin, &end);
      if (begin >= end) continue;
      const ptrdiff_t at = (start + i) * g->w + begin * stride + j - g->left;
      share(x + at, open + begin, dy + begin, dx + at, end - begin, stride);
    }
  }
}

static void plane(const hl_window *g, const float *x, const float *y, const float *dy, float *dx, float most,
                  char *scratch) {
  float *open = hl_cut(&scratch, g->q), *passed = hl_cut(&scratch, g->q);
  hl_zero(dx, (ptrdiff_t)g->h * g->w);
  for (ptrdiff_t p = 0; p < g->p; p++, y += g->q, dy += g->q) {
    for (ptrdiff_t q = 0; q < g->q; q++) {
      open[q] = y[q];
      passed[q] = y[q] <= most ? 0 : dy[q];
    }
    share_row(g, p, x, open, passed, dx);
  }
}

void max_pool2d_dx_run(const hl_call *call) {
  hl_window g;
  if (hl_pool_of(call, call->in[0], call->in[1], &g)) return;
  const float *x = hl_floats(call->in[0]), *y = hl_floats(call->in[1]), *dy = hl_floats(call->in[2]);
  float *dx = hl_floats(call->out[0]);
  const float most = call->attr[RELU] != 0 ? 0 : __builtin_nanf("");
  const int pairs = hl_pool_of_pairs(&g);
  const ptrdiff_t planes = (ptrdiff_t)g.n * g.c, size = (ptrdiff_t)g.h * g.w, made = (ptrdiff_t)g.p * g.q;
  for (ptrdiff_t k = 0; k < planes; k++) {
    if (pairs)
      pairs_plane(&g, x + k * size, y + k * made, dy + k * made, dx + k * size, most);
    else
      plane(&g, x + k * size, y + k * made, dy + k * made, dx + k * size, most, call->scratch);
  }
}
