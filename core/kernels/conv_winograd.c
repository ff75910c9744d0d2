// Convolution by 3x3 kernels at stride 1 through Winograd's minimal filtering F(2x2, 3x3) (Lavin, Gray, "Fast
// algorithms for convolutional neural networks", 2016): tiles of 4x4 pixels and kernels are transformed, multiplied cell
// by cell (16 matrix products over the channels) and transformed back to 2x2 outputs.
//
// With these matrices an output depends on nothing outside its own 3x3 patch, cell by cell: where the patch is all
// zeros, so are all products that reach the output, and it is exactly 0. F(4x4, 3x3) has no such structure: there zeros
// become rounding errors, half of which a relu lets pass.
#include "conv.h"

// Tiles are handled in vectors along a row of tiles, which is seldom long.
#if HL_LANES == 16
#define WIDE 8
typedef float tiles __attribute__((vector_size(32)));
typedef float tiles_anywhere __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t tiles_where __attribute__((vector_size(32)));
#else
#define WIDE HL_LANES
typedef hl_vec tiles;
typedef hl_vec_anywhere tiles_anywhere;
#endif
#if WIDE == 4
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7)
#define LOWER(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define UPPER(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#else
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#define LOWER(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define UPPER(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#endif

HL_INLINE tiles get(const float *from) { return *(const tiles_anywhere *)from; }
HL_INLINE void put(float *to, tiles value) { *(tiles_anywhere *)to = value; }
#if WIDE == HL_LANES
HL_INLINE tiles larger(tiles a, tiles b) { return hl_larger(a, b); }
#else
// Where one is NaN, the second comes out.
HL_INLINE tiles larger(tiles a, tiles b) {
  const tiles_where first = a > b;
  return (tiles)((first & (tiles_where)a) | (~first & (tiles_where)b));
}
#endif

enum { FEW = 4 };                 // images up to which transformed kernels are kept
enum { CELLS = 16, BLOCK = 96 };  // BLOCK: tiles at a time, about; their products stay in the second cache

typedef struct {
  int64_t rows, columns;  // of tiles, an image
  int64_t at_once;        // rows of tiles in a block
  int64_t step;           // floats from one channel's or map's tiles to the next
  int64_t kernels;        // F, rounded up to vectors
  int64_t pixels, products;  // floats from one cell to the next: a line of the cache more than they take, lest the
                             // 16 cells of a tile meet in the same set of it
  int64_t width, pooled;  // of a padded row of pixels, of a row of outputs; a row of pooled outputs
  int64_t out;
} layout;

static layout layout_of(const hl_conv *v) {
  layout l;
  l.rows = v->only_pool ? v->p / 2 : ((int64_t)v->p + 1) / 2;
  l.columns = v->only_pool ? v->q / 2 : ((int64_t)v->q + 1) / 2;
  const int64_t all = hl_times(l.rows, v->n), most = l.columns > BLOCK ? 1 : BLOCK / l.columns;
  l.at_once = most < all ? most : all;
  l.step = (hl_times(l.at_once, l.columns) + WIDE + HL_LANES + 15) / 16 * 16;
  l.kernels = ((int64_t)v->f + HL_LANES - 1) / HL_LANES * HL_LANES;
  l.pixels = hl_times(v->c, l.step) + HL_ALIGNMENT / sizeof(float);
  l.products = hl_times(v->f, l.step) + HL_ALIGNMENT / sizeof(float);
  l.pooled = (l.columns + WIDE - 1) / WIDE * WIDE;
  l.out = 2 * l.pooled;
  l.width = l.out + 2;
  return l;
}

int64_t hl_winograd_scratch(const hl_conv *v) {
  const layout l = layout_of(v);
  return hl_room(hl_times(CELLS, hl_times(v->c, l.kernels))) + hl_room(hl_times(CELLS, l.pixels)) +
         hl_room(hl_times(CELLS, l.products)) + hl_room(hl_times(2 * l.at_once + 2, l.width)) +
         hl_room(hl_times(2 * l.at_once, l.out)) + hl_room(hl_times(l.at_once, l.pooled));
}

// ---- kernels

// Kernels f .. f + lanes - 1 for one channel: cell (i, j) of each, in a vector.
HL_INLINE void gather_kernels(const hl_conv *v, ptrdiff_t c, ptrdiff_t f, hl_vec g[3][3]) {
  const float *from[HL_LANES];
  HL_UNROLL for (int lane = 0; lane < HL_LANES; lane++)
    from[lane] = v->weights + hl_min(f + lane, v->f - 1) * v->weight_f + c * v->weight_c;
  HL_UNROLL for (int i = 0; i < 3; i++)
    HL_UNROLL for (int j = 0; j < 3; j++) {
      const ptrdiff_t at = i * v->weight_i + j * v->weight_j;
      HL_UNROLL for (int lane = 0; lane < HL_LANES; lane++) g[i][j][lane] = from[lane][at];
    }
}

// u[cell][c][f] = G g G'
static void transform_kernels(const hl_conv *v, const layout *l, float *u) {
  const ptrdiff_t cell = v->c * l->kernels;
  for (ptrdiff_t c = 0; c < v->c; c++)
    for (ptrdiff_t f = 0; f < v->f; f += HL_LANES) {
      hl_vec g[3][3], h[4][3];
      gather_kernels(v, c, f, g);
      HL_UNROLL for (int j = 0; j < 3; j++) {
        const hl_vec ends = (g[0][j] + g[2][j]) * 0.5f, middle = g[1][j] * 0.5f;
        h[0][j] = g[0][j], h[1][j] = ends + middle, h[2][j] = ends - middle, h[3][j] = g[2][j];
      }
      float *to = u + c * l->kernels + f;
      HL_UNROLL for (int a = 0; a < 4; a++) {
        const hl_vec ends = (h[a][0] + h[a][2]) * 0.5f, middle = h[a][1] * 0.5f;
        hl_store(to + (4 * a + 0) * cell, h[a][0]);
        hl_store(to + (4 * a + 1) * cell, ends + middle);
        hl_store(to + (4 * a + 2) * cell, ends - middle);
        hl_store(to + (4 * a + 3) * cell, h[a][2]);
      }
    }
}

int64_t hl_winograd_kept(const hl_conv *v) {
  if (v->n > FEW) return 0;
  const layout l = layout_of(v);
  return hl_room(hl_times(CELLS, hl_times(v->c, l.kernels))) + hl_room(hl_times(hl_times(v->f, v->c), 9)) + HL_ALIGNMENT;
}

typedef int32_t __attribute__((may_alias)) word;

static int same(const float *a, const float *b, ptrdiff_t count) {  // bit for bit
  const word *x = (const word *)a, *y = (const word *)b;
  int32_t other = 0;
  for (ptrdiff_t k = 0; k < count; k++) other |= x[k] ^ y[k];
  return !other;
}

// The transformed kernels: kept ones where the weights are what those were made of, else made now.
static const float *transformed(const hl_conv *v, const layout *l, float *u) {
  if (!v->kept) {
    transform_kernels(v, l, u);
    return u;
  }
  const ptrdiff_t count = (ptrdiff_t)v->f * v->c * 9;  // side by side: only an adjoint turns its kernels
  word *full = (word *)v->kept;
  char *left = v->kept + HL_ALIGNMENT;
  float *own = hl_cut(&left, CELLS * v->c * l->kernels), *weights = hl_cut(&left, count);
  if (*full && same(weights, v->weights, count)) return own;
  transform_kernels(v, l, own);
  hl_copy(weights, v->weights, count);
  *full = 1;
  return own;
}

// ---- pixels

// `rows` rows of the padded plane from row `first` on; the borders to the left and right are zeros already.
static void pad_rows(const hl_conv *v, const layout *l, const float *plane, ptrdiff_t first, ptrdiff_t rows,
                     float *to) {
  const ptrdiff_t skip = hl_max(0, -v->left), before = hl_max(0, v->left);
  const ptrdiff_t count = hl_max(0, hl_min(v->w - skip, l->width - before));
  for (ptrdiff_t r = 0; r < rows; r++, to += l->width) {
    const ptrdiff_t h = first + r - v->top;
    if (h < 0 || h >= v->h)
      hl_zero(to, l->width);
    else if (count)
      hl_copy_row(to + before, plane + h * v->w + skip, count);
  }
}

// One row of pixels times B: the four columns of each tile.
HL_INLINE void across(const float *row, tiles t[4]) {
  const tiles a = get(row), b = get(row + WIDE), c = get(row + 2), d = get(row + 2 + WIDE);
  const tiles d0 = EVEN(a, b), d1 = ODD(a, b), d2 = EVEN(c, d), d3 = ODD(c, d);
  t[0] = d0 - d2, t[1] = d1 + d2, t[2] = d2 - d1, t[3] = d1 - d3;
}

// to[cell][tile] = B' d B for `rows` rows of tiles. The vectors of a row overlap, or are longer than it and reach into
// the next row, which is written afterwards.
static void transform_pixels(const layout *l, const float *padded, ptrdiff_t rows, float *to, ptrdiff_t cell) {
  const ptrdiff_t columns = l->columns, width = l->width;
  for (ptrdiff_t begin = 0; begin < columns; begin += WIDE) {
    const ptrdiff_t q = columns >= WIDE ? hl_min(begin, columns - WIDE) : 0;
    const float *row = padded + 2 * q;
    tiles t[4][4];
    across(row, t[0]);
    across(row + width, t[1]);
    for (ptrdiff_t p = 0; p < rows; p++) {
      float *out = to + p * columns + q;
      row += 2 * width;
      across(row, t[2]);
      across(row + width, t[3]);
      HL_UNROLL for (int b = 0; b < 4; b++) {
        put(out + b * cell, t[0][b] - t[2][b]);
        put(out + (4 + b) * cell, t[1][b] + t[2][b]);
        put(out + (8 + b) * cell, t[2][b] - t[1][b]);
        put(out + (12 + b) * cell, t[1][b] - t[3][b]);
        t[0][b] = t[2][b], t[1][b] = t[3][b];
      }
    }
  }
}

// ---- products

HL_INLINE void panel(int vectors, const hl_conv *v, const layout *l, const float *u, const float *pixels, float *to) {
  for (ptrdiff_t f = 0; f < v->f; f += HL_MR) {
    hl_sums sums;
    switch (hl_min(HL_MR, v->f - f)) {
#define TILE(ROWS)                                                                        \
  case ROWS:                                                                              \
    hl_tile(ROWS, vectors, v->c, u + f, l->kernels, pixels, l->step, sums);               \
    hl_tile_store(ROWS, vectors, HL_LANES, sums, to + f * l->step, l->step, 0);           \
    break;
      HL_EACH_ROWS(TILE)
#undef TILE
    }
  }
}

// to[cell][f][tile] = sum over c of u[cell][c][f] * pixels[cell][c][tile]
static void multiply(const hl_conv *v, const layout *l, ptrdiff_t count, const float *u, const float *pixels,
                     float *to) {
  for (int cell = 0; cell < CELLS; cell++) {
    ptrdiff_t j = 0;
    for (; j + HL_LANES < count; j += HL_NR) panel(HL_NV, v, l, u, pixels + j, to + j);
    if (j < count) panel(1, v, l, u, pixels + j, to + j);
    u += v->c * l->kernels;
    pixels += l->pixels;
    to += l->products;
  }
}

// ---- outputs

// The 2x2 outputs A' m A of a vector of tiles.
HL_INLINE void back(const float *m, ptrdiff_t cell, tiles y[2][2]) {
  tiles s[2][4];
  HL_UNROLL for (int b = 0; b < 4; b++) {
    const tiles m0 = get(m + b * cell), m1 = get(m + (4 + b) * cell), m2 = get(m + (8 + b) * cell);
    s[0][b] = m0 + m1 + m2;
    s[1][b] = m1 - m2 - get(m + (12 + b) * cell);
  }
  HL_UNROLL for (int a = 0; a < 2; a++) {
    y[a][0] = s[a][0] + s[a][1] + s[a][2];
    y[a][1] = s[a][1] - s[a][2] - s[a][3];
  }
}

typedef struct {
  float bias, floor;
  float *y, *pooled;  // scratch: `rows` rows of tiles of one map
} stage;

HL_INLINE void rows_back(int with_y, int with_pool, const layout *l, const float *m, ptrdiff_t cell, ptrdiff_t rows,
                         const stage *s) {
  const tiles floor = s->floor - (tiles){0}, bias = s->bias - (tiles){0};
  for (ptrdiff_t p = 0; p < rows; p++)
    for (ptrdiff_t q = 0; q < l->columns; q += WIDE) {
      tiles y[2][2];
      back(m + p * l->columns + q, cell, y);
      if (with_pool) {
        const tiles most = larger(larger(y[0][0], y[0][1]), larger(y[1][0], y[1][1])) + bias;
        put(s->pooled + p * l->pooled + q, larger(floor, most));
      }
      if (!with_y) continue;
      HL_UNROLL for (int a = 0; a < 2; a++) {
        const tiles even = larger(floor, y[a][0] + bias), odd = larger(floor, y[a][1] + bias);
        float *row = s->y + (2 * p + a) * l->out + 2 * q;
        put(row, LOWER(even, odd));
        put(row + WIDE, UPPER(even, odd));
      }
    }
}

// Tile rows [first, first + rows) of image n, of which m holds the products.
static void outputs(const hl_conv *v, const layout *l, const float *m, ptrdiff_t n, ptrdiff_t first, ptrdiff_t rows,
                    stage *s) {
  const ptrdiff_t cell = l->products, half = v->p / 2, columns = v->q / 2;
  s->floor = hl_activation_floor(v->activation)[0];
  for (ptrdiff_t f = 0; f < v->f; f++, m += l->step) {
    s->bias = v->bias ? v->bias[f] : 0.0f;
    if (!v->pool)
      rows_back(1, 0, l, m, cell, rows, s);
    else if (!v->only_pool)
      rows_back(1, 1, l, m, cell, rows, s);
    else
      rows_back(0, 1, l, m, cell, rows, s);
    if (!hl_activation_is_floor(v->activation)) {
      if (!v->only_pool) hl_activate(s->y, 2 * rows * l->out, v->activation, v->alpha);
      if (v->pool) hl_activate(s->pooled, rows * l->pooled, v->activation, v->alpha);
    }
    float *y = v->only_pool ? NULL : v->y + n * v->image + f * v->plane;
    for (ptrdiff_t r = 0; y && r < hl_min(2 * rows, v->p - 2 * first); r++)
      hl_copy_row(y + (2 * first + r) * v->row, s->y + r * l->out, v->q);
    if (!v->pool) continue;
    float *pooled = v->pooled + (n * v->f + f) * half * columns;
    for (ptrdiff_t r = 0; r < hl_min(rows, half - first); r++)
      hl_copy_row(pooled + (first + r) * columns, s->pooled + r * l->pooled, columns);
  }
}

void hl_winograd_run(const hl_conv *v, char *scratch) {
  const layout l = layout_of(v);
  float *room = hl_cut(&scratch, CELLS * v->c * l.kernels), *pixels = hl_cut(&scratch, CELLS * l.pixels);
  float *products = hl_cut(&scratch, CELLS * l.products), *padded = hl_cut(&scratch, (2 * l.at_once + 2) * l.width);
  stage s = {0};
  s.y = hl_cut(&scratch, 2 * l.at_once * l.out);
  s.pooled = hl_cut(&scratch, l.at_once * l.pooled);
  const float *u = transformed(v, &l, room);
  const ptrdiff_t most = l.at_once * l.columns;  // vectors of products end past the tiles, and must meet numbers there
  for (ptrdiff_t cell = 0; cell < CELLS; cell++)
    for (ptrdiff_t c = 0; c < v->c; c++) hl_zero(pixels + cell * l.pixels + c * l.step + most, l.step - most);
  hl_zero(padded, (2 * l.at_once + 2) * l.width);
  const ptrdiff_t all = l.rows * v->n;
  for (ptrdiff_t begin = 0; begin < all; begin += l.at_once) {
    const ptrdiff_t end = hl_min(all, begin + l.at_once);
    for (ptrdiff_t at = begin; at < end;) {
      const ptrdiff_t n = at / l.rows, first = at % l.rows, rows = hl_min(end - at, l.rows - first);
      for (ptrdiff_t c = 0; c < v->c; c++) {
        pad_rows(v, &l, v->x + (n * v->c + c) * v->h * v->w, 2 * first, 2 * rows + 2, padded);
        transform_pixels(&l, padded, rows, pixels + c * l.step + (at - begin) * l.columns, l.pixels);
      }
      at += rows;
    }
    multiply(v, &l, (end - begin) * l.columns, u, pixels, products);
    for (ptrdiff_t at = begin; at < end;) {
      const ptrdiff_t n = at / l.rows, first = at % l.rows, rows = hl_min(end - at, l.rows - first);
      outputs(v, &l, products + (at - begin) * l.columns, n, first, rows, &s);
      at += rows;
    }
  }
}
