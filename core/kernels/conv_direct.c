// Convolution as a matrix product whose second operand is never written down (implicit GEMM): the pixels that a kernel
// cell meets lie side by side in the padded image, so a vector of outputs needs one load per cell, at a fixed offset.
//
// With strides the image is first sorted by row and column modulo the stride (planes), which puts those pixels side by
// side again.
#include "conv.h"

typedef struct {
  ptrdiff_t cells;                   // C * KH * KW: terms of a sum
  ptrdiff_t planes_h, planes_w;      // planes a channel
  ptrdiff_t height, width, plane;    // of a plane
  ptrdiff_t padded;                  // floats of the padded image
  int rows;                          // vectors go row by row straight into y; else through `maps`, image width and all
  int pairs;                         // rows go two by two, pooled before they are written
  ptrdiff_t maps;                    // floats of one map of `maps`
} layout;

static layout layout_of(const hl_conv *v) {
  layout l;
  l.cells = (ptrdiff_t)hl_times(v->c, hl_times(v->kh, v->kw));
  l.planes_h = hl_min(v->stride_h, v->kh);
  l.planes_w = hl_min(v->stride_w, v->kw);
  l.height = v->p + (ptrdiff_t)((v->kh - 1) / v->stride_h);
  l.width = v->q + (ptrdiff_t)((v->kw - 1) / v->stride_w);
  l.plane = (ptrdiff_t)hl_times(l.height, l.width);
  l.maps = (ptrdiff_t)hl_times(v->p, l.width) + HL_LANES;
  // the last vector of the last cell looks this far past the image
  l.padded = (ptrdiff_t)hl_times(hl_times(v->c, l.planes_h * l.planes_w), l.plane);
  l.padded += (v->kw - 1) / v->stride_w + HL_LANES;
  const ptrdiff_t by_rows = (v->q + HL_LANES - 1) / HL_LANES * HL_LANES;
  const int whole = v->column == 1 && v->row == v->q && v->q >= HL_LANES && by_rows <= l.width + l.width / 8;
  l.rows = whole && v->pool == 0;
  l.pairs = whole && v->pool && v->q >= 2 * HL_LANES && hl_activation_is_floor(v->activation);
  return l;
}

int64_t hl_direct_scratch(const hl_conv *v) {
  const int64_t width = v->q + (int64_t)((v->kw - 1) / v->stride_w);
  const int64_t height = v->p + (int64_t)((v->kh - 1) / v->stride_h);
  const int64_t planes = hl_times(v->c, hl_times(v->stride_h < v->kh ? v->stride_h : v->kh,
                                                 v->stride_w < v->kw ? v->stride_w : v->kw));
  const int64_t cells = hl_times(v->c, hl_times(v->kh, v->kw));
  const int64_t image = hl_times(planes, hl_times(height, width)) + v->kw + HL_LANES;
  return hl_room(hl_times(cells, v->f)) + hl_room(hl_times(cells, sizeof(ptrdiff_t) / sizeof(float))) + hl_room(image) +
         hl_room(hl_times(HL_MR, hl_times(v->p, width) + HL_LANES));
}

static void pack(const hl_conv *v, const layout *l, float *weights, ptrdiff_t *offsets) {
  ptrdiff_t cell = 0;
  for (ptrdiff_t c = 0; c < v->c; c++)
    for (ptrdiff_t i = 0; i < v->kh; i++)
      for (ptrdiff_t j = 0; j < v->kw; j++, cell++) {
        const ptrdiff_t plane = (c * l->planes_h + i % v->stride_h) * l->planes_w + j % v->stride_w;
        offsets[cell] = plane * l->plane + i / v->stride_h * l->width + j / v->stride_w;
        const float *from = v->weights + c * v->weight_c + i * v->weight_i + j * v->weight_j;
        for (ptrdiff_t f = 0; f < v->f; f += HL_MR) {
          const ptrdiff_t rows = hl_min(HL_MR, v->f - f);
          float *to = weights + f * l->cells + cell * rows;
          for (ptrdiff_t r = 0; r < rows; r++) to[r] = from[(f + r) * v->weight_f];
        }
      }
}

// First index u with u * stride + phase - before >= limit, within [0, most].
static ptrdiff_t first_at(ptrdiff_t limit, ptrdiff_t stride, ptrdiff_t phase, ptrdiff_t before, ptrdiff_t most) {
  const ptrdiff_t need = limit + before - phase;
  return need <= 0 ? 0 : hl_min(most, (need + stride - 1) / stride);
}

static void pad_plane(const hl_conv *v, const layout *l, const float *x, ptrdiff_t a, ptrdiff_t b, float *to) {
  const ptrdiff_t u0 = first_at(0, v->stride_h, a, v->top, l->height);
  const ptrdiff_t w0 = first_at(0, v->stride_w, b, v->left, l->width);
  const ptrdiff_t u1 = first_at(v->h, v->stride_h, a, v->top, l->height);
  const ptrdiff_t w1 = first_at(v->w, v->stride_w, b, v->left, l->width);
  hl_zero(to, u0 * l->width);
  for (ptrdiff_t u = u0; u < u1; u++) {
    float *row = to + u * l->width;
    const float *from = x + (u * v->stride_h + a - v->top) * v->w + b - v->left;
    hl_zero(row, w0);
    if (v->stride_w == 1)
      hl_copy_row(row + w0, from + w0, w1 - w0);
    else
      for (ptrdiff_t k = w0; k < w1; k++) row[k] = from[k * v->stride_w];
    hl_zero(row + w1, l->width - w1);
  }
  hl_zero(to + u1 * l->width, (l->height - u1) * l->width);
}

static void pad_image(const hl_conv *v, const layout *l, const float *x, float *to) {
  for (ptrdiff_t c = 0; c < v->c; c++)
    for (ptrdiff_t a = 0; a < l->planes_h; a++)
      for (ptrdiff_t b = 0; b < l->planes_w; b++, to += l->plane) pad_plane(v, l, x + c * v->h * v->w, a, b, to);
}

// Where the vectors of a map lie: `count` rows of `vectors`, the last of a row moved back to end with it.
typedef struct {
  ptrdiff_t count, vectors, last;
  ptrdiff_t in_row, out_row, out_map;
} walk;

HL_INLINE ptrdiff_t walk_start(const walk *w, ptrdiff_t v) { return hl_min(v * HL_LANES, w->last); }

HL_INLINE void sum_cells(int rows, int vectors, ptrdiff_t cells, const float *weights, const ptrdiff_t *offsets,
                         const float *bias, const float *x0, const float *x1, hl_sums sums) {
  HL_UNROLL for (int r = 0; r < rows; r++)
    HL_UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = hl_splat(bias[r]);
  for (ptrdiff_t k = 0; k < cells; k++) {
    const ptrdiff_t offset = offsets[k];
    HL_HOLD(weights);
    const hl_vec a = hl_load(x0 + offset), b = vectors > 1 ? hl_load(x1 + offset) : a;
    HL_UNROLL for (int r = 0; r < rows; r++) {
      const hl_vec factor = hl_splat(weights[r]);
      sums[r][0] = factor * a + sums[r][0];
      HL_HOLD(sums[r][0]);
      if (vectors == 1) continue;
      sums[r][1] = factor * b + sums[r][1];
      HL_HOLD(sums[r][1]);
    }
    weights += rows;
  }
}

HL_INLINE void two_vectors(int rows, int vectors, ptrdiff_t cells, const float *weights, const ptrdiff_t *offsets,
                           const float *bias, hl_vec floor, const float *x0, const float *x1, float *y0, float *y1,
                           ptrdiff_t map) {
  hl_sums sums;
  sum_cells(rows, vectors, cells, weights, offsets, bias, x0, x1, sums);
  HL_UNROLL for (int r = 0; r < rows; r++) {
    hl_store(y0 + r * map, hl_larger(floor, sums[r][0]));
    if (vectors > 1) hl_store(y1 + r * map, hl_larger(floor, sums[r][1]));
  }
}

// All pixels of `rows` maps, two vectors at a time, of which the second may lie in the next row.
HL_INLINE void panel(int rows, const walk *w, ptrdiff_t cells, const float *weights, const ptrdiff_t *offsets,
                     const float *bias, hl_vec floor, const float *x, float *y) {
  ptrdiff_t v = 0;
  for (ptrdiff_t p = 0; p < w->count;) {
    const ptrdiff_t q0 = walk_start(w, v);
    const float *x0 = x + p * w->in_row + q0;
    float *y0 = y + p * w->out_row + q0;
    if (++v == w->vectors) v = 0, p++;
    if (p == w->count) {
      two_vectors(rows, 1, cells, weights, offsets, bias, floor, x0, x0, y0, y0, w->out_map);
      return;
    }
    const ptrdiff_t q1 = walk_start(w, v);
    const float *x1 = x + p * w->in_row + q1;
    float *y1 = y + p * w->out_row + q1;
    if (++v == w->vectors) v = 0, p++;
    two_vectors(rows, 2, cells, weights, offsets, bias, floor, x0, x1, y0, y1, w->out_map);
  }
}

static void any_panel(ptrdiff_t rows, const walk *w, ptrdiff_t cells, const float *weights, const ptrdiff_t *offsets,
                      const float *bias, hl_vec floor, const float *x, float *y) {
  switch (rows) {
#define PANEL(ROWS)                                                     \
  case ROWS:                                                            \
    panel(ROWS, w, cells, weights, offsets, bias, floor, x, y);         \
    break;
    HL_EACH_ROWS(PANEL)
#undef PANEL
  }
}

// Two rows of `rows` maps: into y, where that is wanted, and the larger of each pair of pixels, one above the other,
// into `most`, v->q floats a map.
HL_INLINE void pair(int rows, const hl_conv *v, const layout *l, const float *weights, const ptrdiff_t *offsets,
                    const float *bias, hl_vec floor, const float *x, float *y, float *most) {
  for (ptrdiff_t begin = 0; begin < v->q; begin += HL_LANES) {
    const ptrdiff_t q = hl_min(begin, v->q - HL_LANES);
    hl_sums sums;
    sum_cells(rows, 2, l->cells, weights, offsets, bias, x + q, x + l->width + q, sums);
    HL_UNROLL for (int r = 0; r < rows; r++)
      hl_store(most + r * v->q + q, hl_larger(floor, hl_larger(sums[r][0], sums[r][1])));
    if (!y) continue;
    HL_UNROLL for (int r = 0; r < rows; r++) {
      hl_store(y + r * v->plane + q, hl_larger(floor, sums[r][0]));
      hl_store(y + r * v->plane + v->row + q, hl_larger(floor, sums[r][1]));
    }
  }
}

static void any_pair(ptrdiff_t rows, const hl_conv *v, const layout *l, const float *weights, const ptrdiff_t *offsets,
                     const float *bias, hl_vec floor, const float *x, float *y, float *most) {
  switch (rows) {
#define PAIR(ROWS)                                                        \
  case ROWS:                                                              \
    pair(ROWS, v, l, weights, offsets, bias, floor, x, y, most);          \
    break;
    HL_EACH_ROWS(PAIR)
#undef PAIR
  }
}

// `rows` maps of image n from map f on, pooled on the way; the last row of an odd number is in no pooled one.
static void pooled_panel(const hl_conv *v, const layout *l, ptrdiff_t n, ptrdiff_t f, ptrdiff_t rows,
                         const float *weights, const ptrdiff_t *offsets, const float *bias, hl_vec floor,
                         const float *padded, float *most) {
  const ptrdiff_t half = v->p / 2, columns = v->q / 2;
  float *y = v->only_pool ? NULL : v->y + n * v->image + f * v->plane;
  for (ptrdiff_t p = 0; p < half; p++) {
    any_pair(rows, v, l, weights, offsets, bias, floor, padded + 2 * p * l->width, y ? y + 2 * p * v->row : NULL, most);
    for (ptrdiff_t r = 0; r < rows; r++) {
      float *to = v->pooled + ((n * v->f + f + r) * half + p) * columns;
      for (ptrdiff_t begin = 0; begin < columns; begin += HL_LANES) {
        const ptrdiff_t q = hl_min(begin, columns - HL_LANES);
        const float *from = most + r * v->q + 2 * q;
        const hl_vec low = hl_load(from), high = hl_load(from + HL_LANES);
        hl_store(to + q, hl_larger(HL_EVEN(low, high), HL_ODD(low, high)));
      }
    }
  }
  if (!y || v->p % 2 == 0) return;
  const walk last = {1, (v->q + HL_LANES - 1) / HL_LANES, v->q - HL_LANES, 0, 0, v->plane};
  any_panel(rows, &last, l->cells, weights, offsets, bias, floor, padded + 2 * half * l->width, y + 2 * half * v->row);
}

// The largest of every 2x2 of one map.
static void pool_map(const hl_conv *v, ptrdiff_t width, const float *map, float *pooled) {
  const ptrdiff_t rows = v->p / 2, columns = v->q / 2;
  for (ptrdiff_t p = 0; p < rows; p++, pooled += columns) {
    const float *upper = map + 2 * p * width, *lower = upper + width;
    for (ptrdiff_t begin = 0; begin < columns; begin += HL_LANES) {
      const ptrdiff_t q = columns >= HL_LANES ? hl_min(begin, columns - HL_LANES) : 0, at = 2 * q;
      if (columns < HL_LANES && at + 2 * HL_LANES > 2 * columns) {
        for (ptrdiff_t k = 0; k < columns; k++) {
          const float left = upper[2 * k] > lower[2 * k] ? upper[2 * k] : lower[2 * k];
          const float right = upper[2 * k + 1] > lower[2 * k + 1] ? upper[2 * k + 1] : lower[2 * k + 1];
          pooled[k] = left > right ? left : right;
        }
        break;
      }
      const hl_vec low = hl_larger(hl_load(upper + at), hl_load(lower + at));
      const hl_vec high = hl_larger(hl_load(upper + at + HL_LANES), hl_load(lower + at + HL_LANES));
      hl_store(pooled + q, hl_larger(HL_EVEN(low, high), HL_ODD(low, high)));
    }
  }
}

// From maps as wide as the padded image to y, and to its pooled maps.
static void hand_out(const hl_conv *v, const layout *l, ptrdiff_t n, ptrdiff_t f, ptrdiff_t rows, float *maps) {
  if (!hl_activation_is_floor(v->activation)) hl_activate(maps, rows * l->maps, v->activation, v->alpha);
  for (ptrdiff_t r = 0; r < rows; r++) {
    const float *map = maps + r * l->maps;
    if (v->pool) pool_map(v, l->width, map, v->pooled + (n * v->f + f + r) * (v->p / 2) * (v->q / 2));
    if (v->only_pool) continue;
    float *y = v->y + n * v->image + (f + r) * v->plane;
    for (ptrdiff_t p = 0; p < v->p; p++) {
      if (v->column == 1)
        hl_copy_row(y + p * v->row, map + p * l->width, v->q);
      else
        for (ptrdiff_t q = 0; q < v->q; q++) y[p * v->row + q * v->column] = map[p * l->width + q];
    }
  }
}

void hl_direct_run(const hl_conv *v, char *scratch) {
  const layout l = layout_of(v);
  float *weights = hl_cut(&scratch, l.cells * v->f), *padded, *maps;
  ptrdiff_t *offsets = (ptrdiff_t *)hl_cut(&scratch, l.cells * (ptrdiff_t)(sizeof(ptrdiff_t) / sizeof(float)));
  padded = hl_cut(&scratch, l.padded);
  maps = hl_cut(&scratch, HL_MR * l.maps);
  hl_zero(padded + l.padded - HL_LANES - (v->kw - 1) / v->stride_w, HL_LANES + (v->kw - 1) / v->stride_w);
  pack(v, &l, weights, offsets);
  const hl_vec floor = hl_activation_floor(v->activation);
  const ptrdiff_t flat = (v->p * l.width + HL_LANES - 1) / HL_LANES;
  const walk by_rows = {v->p, (v->q + HL_LANES - 1) / HL_LANES, v->q - HL_LANES, l.width, v->row, v->plane};
  const walk by_image = {1, flat, flat * HL_LANES, 0, 0, l.maps};
  for (ptrdiff_t n = 0; n < v->n; n++) {
    pad_image(v, &l, v->x + n * v->c * v->h * v->w, padded);
    for (ptrdiff_t f = 0; f < v->f; f += HL_MR) {
      const ptrdiff_t rows = hl_min(HL_MR, v->f - f);
      float bias[HL_MR] = {0};
      for (ptrdiff_t r = 0; r < rows && v->bias; r++) bias[r] = v->bias[f + r];
      if (l.pairs) {
        pooled_panel(v, &l, n, f, rows, weights + f * l.cells, offsets, bias, floor, padded, maps);
        continue;
      }
      float *y = l.rows ? v->y + n * v->image + f * v->plane : maps;
      any_panel(rows, l.rows ? &by_rows : &by_image, l.cells, weights + f * l.cells, offsets, bias, floor, padded, y);
      if (!l.rows)
        hand_out(v, &l, n, f, rows, maps);
      else if (!hl_activation_is_floor(v->activation))
        hl_activate(y, rows * v->plane, v->activation, v->alpha);
    }
  }
}
