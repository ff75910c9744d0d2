// The weight gradient of 3x3 kernels at stride 1 through minimal filtering F(3x3, 4x4) (Winograd, "Arithmetic
// complexity of computations", 1980; Lavin, Gray, "Fast algorithms for convolutional neural networks", 2016).
//
// Here a tile of 6x6 pixels is filtered by a tile of 4x4 of dy to 3x3 sums: 36 multiplications instead of 144. Both are
// transformed with their channels in vectors, multiplied cell by cell (36 matrix products whose inner side is all tiles
// of all images) and only the sums are transformed back, once. A channel or map of zeros gives exactly 0; elsewhere the
// error is within 2e-6 of the sum of the absolute terms.
#include "conv2d_dw.h"

enum {
  SIDE = 4, REACH = SIDE + 2, CELLS = REACH * REACH,
  BLOCK = 4096,                         // floats of both matrices of a cell's product: they stay in the first cache
  TILE_ROWS = HL_LANES == 16 ? 8 : 4,   // with two vectors of maps: what V8's registers hold together
};
_Static_assert((int)TILE_ROWS <= (int)HL_MR, "a tile of gemm.h has that many rows");

typedef struct {
  int64_t rows, columns, tiles;  // of tiles, an image
  int64_t c, f;                  // rounded up to whole vectors
  int64_t height, width;         // of an image padded to whole tiles
  int64_t block;                 // tiles of a product
} layout;

typedef struct {
  float *x, *dy;        // one image and its maps, [pixel][channel], zeros around
  float *pixels, *maps; // transformed tiles of a block, [cell][tile][channel]
  float *sums;          // [cell][c][f]
  float *bias;
} work;

static layout layout_of(const hl_window *g) {
  layout l;
  l.rows = ((int64_t)g->p + SIDE - 1) / SIDE, l.columns = ((int64_t)g->q + SIDE - 1) / SIDE;
  l.tiles = hl_times(l.rows, l.columns);
  l.c = ((int64_t)g->c + HL_LANES - 1) / HL_LANES * HL_LANES;
  l.f = ((int64_t)g->f + HL_LANES - 1) / HL_LANES * HL_LANES;
  if (l.c % TILE_ROWS) l.c += TILE_ROWS - l.c % TILE_ROWS;
  l.height = SIDE * l.rows + 2, l.width = SIDE * l.columns + 2;
  const int64_t all = hl_times(l.tiles, g->n), most = BLOCK / (l.c + l.f) < 16 ? 16 : BLOCK / (l.c + l.f);
  l.block = most < all ? most : all;
  return l;
}

int64_t hl_winograd_dw_scratch(const hl_window *g) {
  const layout l = layout_of(g);
  return hl_room(hl_times(l.c, hl_times(l.height, l.width))) + hl_room(hl_times(l.f, SIDE * SIDE * l.tiles)) +
         hl_room(hl_times(CELLS * l.block, l.c)) + hl_room(hl_times(CELLS * l.block, l.f)) +
         hl_room(hl_times(CELLS * l.c, l.f)) + hl_room(l.f);
}

int hl_winograd_dw_pays(const hl_window *g) {
  if (g->kh != 3 || g->kw != 3 || g->stride_h != 1 || g->stride_w != 1 || g->c < 8 || g->f < 8) return 0;
  if (hl_times(g->c, g->f) > 1 << 15) return 0;  // the sums of all cells would leave the second cache
  const layout l = layout_of(g);
  // Products, and what the sums cost once; against the direct way's nine a pixel. Rounding up counts for both.
  const int64_t here = hl_times(hl_times(l.tiles, g->n) + 16, CELLS);
  const int64_t there = hl_times(hl_times(9, g->n), hl_times(g->p, g->q));
  return hl_times(hl_times(here, l.c), 4) < hl_times(hl_times(there, g->c), 3);
}

// ---- transforms

// Six pixels to six cells: the rows of B' for the points 0, 1, -1, 2, -2 and infinity.
HL_INLINE void transform_six(const hl_vec x[REACH], hl_vec v[REACH]) {
  const hl_vec a = x[4] - 4.0f * x[2], b = x[3] - 4.0f * x[1], c = x[4] - x[2], d = 2.0f * (x[3] - x[1]);
  v[0] = 4.0f * x[0] - 5.0f * x[2] + x[4];
  v[1] = a + b, v[2] = a - b, v[3] = c + d, v[4] = c - d;
  v[5] = 4.0f * x[1] - 5.0f * x[3] + x[5];
}

// Four values of dy at the same points; what G divides by is left to the sums.
HL_INLINE void transform_four(const hl_vec d[SIDE], hl_vec u[REACH]) {
  const hl_vec even = d[0] + d[2], odd = d[1] + d[3];
  const hl_vec twice_even = d[0] + 4.0f * d[2], twice_odd = 2.0f * d[1] + 8.0f * d[3];
  u[0] = d[0];
  u[1] = even + odd, u[2] = even - odd, u[3] = twice_even + twice_odd, u[4] = twice_even - twice_odd;
  u[5] = d[3];
}

static const float scales[REACH] = {0.25f, -1.0f / 6, -1.0f / 6, 1.0f / 24, 1.0f / 24, 1.0f};

// A tile of `side` x `side` pixels, rows `jump` apart, all `channels`; to[cell * stride].
HL_INLINE void transform(int side, const float *from, ptrdiff_t jump, ptrdiff_t channels, float *to, ptrdiff_t stride) {
  for (ptrdiff_t c = 0; c < channels; c += HL_LANES, from += HL_LANES, to += HL_LANES) {
    hl_vec half[REACH][REACH];  // [cell across][row]
    for (int i = 0; i < side; i++) {
      hl_vec row[REACH], out[REACH];
      HL_UNROLL for (int j = 0; j < side; j++) row[j] = hl_load(from + i * jump + j * channels);
      if (side == SIDE) transform_four(row, out);
      else transform_six(row, out);
      HL_UNROLL for (int j = 0; j < REACH; j++) half[j][i] = out[j];
    }
    for (int j = 0; j < REACH; j++) {
      hl_vec out[REACH];
      if (side == SIDE) transform_four(half[j], out);
      else transform_six(half[j], out);
      HL_UNROLL for (int i = 0; i < REACH; i++) hl_store(to + (i * REACH + j) * stride, out[i]);
    }
  }
}

static void transform_pixels(const float *from, ptrdiff_t jump, ptrdiff_t channels, float *to, ptrdiff_t stride) {
  transform(REACH, from, jump, channels, to, stride);
}

static void transform_maps(const float *from, ptrdiff_t jump, ptrdiff_t maps, float *to, ptrdiff_t stride) {
  transform(SIDE, from, jump, maps, to, stride);
}

// The 3x3 of HL_LANES kernels from their cells: A' m A.
static void transform_back(const float *m, ptrdiff_t stride, hl_vec w[3][3]) {
  hl_vec half[3][REACH];
  for (int j = 0; j < REACH; j++) {
    hl_vec t[REACH];
    HL_UNROLL for (int i = 0; i < REACH; i++) t[i] = hl_load(m + (i * REACH + j) * stride) * (scales[i] * scales[j]);
    half[0][j] = t[0] + (t[1] + t[2]) + (t[3] + t[4]);
    half[1][j] = (t[1] - t[2]) + 2.0f * (t[3] - t[4]);
    half[2][j] = (t[1] + t[2]) + 4.0f * (t[3] + t[4]) + t[5];
  }
  for (int i = 0; i < 3; i++) {
    const hl_vec *t = half[i];
    w[i][0] = t[0] + (t[1] + t[2]) + (t[3] + t[4]);
    w[i][1] = (t[1] - t[2]) + 2.0f * (t[3] - t[4]);
    w[i][2] = (t[1] + t[2]) + 4.0f * (t[3] + t[4]) + t[5];
  }
}

// ---- products

HL_INLINE void panel(int vectors, const layout *l, ptrdiff_t tiles, const float *pixels, const float *maps,
                     float *sums) {
  for (ptrdiff_t c = 0; c < l->c; c += TILE_ROWS) {
    hl_sums tile;
    hl_tile(TILE_ROWS, vectors, tiles, pixels + c, l->c, maps, l->f, tile);
    hl_tile_store(TILE_ROWS, vectors, HL_LANES, tile, sums + c * l->f, l->f, 1);
  }
}

// sums[cell][c][f] += sum over the block's tiles of pixels[cell][tile][c] * maps[cell][tile][f]
static void multiply(const layout *l, const work *w, ptrdiff_t tiles) {
  for (ptrdiff_t cell = 0; cell < CELLS; cell++) {
    const float *pixels = w->pixels + cell * l->block * l->c, *maps = w->maps + cell * l->block * l->f;
    float *sums = w->sums + cell * l->c * l->f;
    ptrdiff_t f = 0;
    for (; f + HL_NR <= l->f; f += HL_NR) panel(HL_NV, l, tiles, pixels, maps + f, sums + f);
    if (f < l->f) panel(1, l, tiles, pixels, maps + f, sums + f);
  }
}

// ---- the whole

static void start(const layout *l, char *scratch, work *w) {
  w->x = hl_cut(&scratch, l->c * l->height * l->width);
  w->dy = hl_cut(&scratch, l->f * SIDE * SIDE * l->tiles);
  w->pixels = hl_cut(&scratch, CELLS * l->block * l->c);
  w->maps = hl_cut(&scratch, CELLS * l->block * l->f);
  w->sums = hl_cut(&scratch, CELLS * l->c * l->f);
  w->bias = hl_cut(&scratch, l->f);
  hl_zero(w->x, l->c * l->height * l->width);
  hl_zero(w->dy, l->f * SIDE * SIDE * l->tiles);
  hl_zero(w->sums, CELLS * l->c * l->f);
  hl_zero(w->bias, l->f);
}

// Image n and its maps with their channels side by side; the zeros around stay.
static void pack(const hl_conv_dw *v, const layout *l, ptrdiff_t n, const work *w) {
  const hl_window *g = &v->g;
  const ptrdiff_t plane = (ptrdiff_t)g->h * g->w, map = (ptrdiff_t)g->p * g->q;
  const float *x = v->x + n * g->c * plane, *dy = v->dy + n * g->f * map;
  for (ptrdiff_t h = 0; h < g->h; h++)
    hl_pack_planes(x + h * g->w, plane, g->c, l->c, g->w, w->x + ((h + g->top) * l->width + g->left) * l->c, l->c,
                   NULL);
  for (ptrdiff_t p = 0; p < g->p; p++)
    hl_pack_planes(dy + p * g->q, map, g->f, l->f, g->q, w->dy + p * SIDE * l->columns * l->f, l->f, w->bias);
}

static void finish(const hl_conv_dw *v, const layout *l, const work *w) {
  const hl_window *g = &v->g;
  for (ptrdiff_t f = 0; f < g->f; f += HL_LANES)
    for (ptrdiff_t c = 0; c < g->c; c++) {
      hl_vec kernel[3][3];
      transform_back(w->sums + c * l->f + f, l->c * l->f, kernel);
      for (ptrdiff_t lane = 0; lane < hl_min(HL_LANES, g->f - f); lane++)
        for (int k = 0; k < 9; k++) v->dw[((f + lane) * g->c + c) * 9 + k] = kernel[k / 3][k % 3][lane];
    }
  if (v->db) hl_copy(v->db, w->bias, g->f);
}

void hl_winograd_dw_run(const hl_conv_dw *v, char *scratch) {
  const layout l = layout_of(&v->g);
  work w;
  start(&l, scratch, &w);
  ptrdiff_t tile = 0;
  for (ptrdiff_t n = 0; n < v->g.n; n++) {
    pack(v, &l, n, &w);
    for (ptrdiff_t row = 0; row < l.rows; row++)
      for (ptrdiff_t column = 0; column < l.columns; column++) {
        const float *x = w.x + (row * l.width + column) * SIDE * l.c;
        const float *dy = w.dy + (row * SIDE * l.columns + column) * SIDE * l.f;
        transform_pixels(x, l.width * l.c, l.c, w.pixels + tile * l.c, l.block * l.c);
        transform_maps(dy, SIDE * l.columns * l.f, l.f, w.maps + tile * l.f, l.block * l.f);
        if (++tile == l.block) multiply(&l, &w, tile), tile = 0;
      }
  }
  if (tile > 0) multiply(&l, &w, tile);
  finish(v, &l, &w);
}
