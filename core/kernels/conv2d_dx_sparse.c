// The adjoint of a convolution at stride 1 where most of dy is zero, as it is behind a max pooling (at most one pixel
// of four gets a gradient) and a relu: each pixel that is not adds its multiple of the kernel to dx, whose channels lie
// side by side meanwhile. A few cells of a kernel stay in registers for all pixels of a map.
#include "conv2d_dx.h"

#include "conv2d_dw.h"

enum {
  VECTORS = HL_LANES == 16 ? 2 : 4,  // of channels at a time
  WIDTH = VECTORS * HL_LANES,
  CELLS = 3,  // of a kernel's row at a time: 12 vectors, which leaves V8 what it needs
};

typedef struct {
  ptrdiff_t c;              // rounded up to whole WIDTHs
  ptrdiff_t height, width;  // of dx with its padding
} layout;

static layout layout_of(const hl_window *g) {
  return (layout){(g->c + (ptrdiff_t)WIDTH - 1) / WIDTH * WIDTH, g->p + (ptrdiff_t)g->kh - 1,
                  g->q + (ptrdiff_t)g->kw - 1};
}

int hl_sparse_dx_fits(const hl_window *g) {
  const int64_t size = hl_times(hl_times((int64_t)g->p + g->kh, (int64_t)g->q + g->kw), (int64_t)g->c + WIDTH);
  return g->stride_h == 1 && g->stride_w == 1 && g->c >= WIDTH && size <= INT32_MAX;  // places have 32 bits
}

int64_t hl_sparse_dx_scratch(const hl_window *g) {
  const int64_t c = ((int64_t)g->c + WIDTH - 1) / WIDTH * WIDTH;
  const int64_t height = (int64_t)g->p + g->kh - 1, width = (int64_t)g->q + g->kw - 1;
  return hl_room(hl_times(hl_times(g->f, c), hl_times(g->kh, g->kw))) + hl_room(hl_times(c, hl_times(height, width))) +
         2 * hl_room(hl_times(g->p, g->q));
}

// Whether it is the faster way: a quarter is where the dense ways, minimal filtering among them, catch up.
int hl_sparse_dx_pays(const hl_window *g, const float *dy) {
  const ptrdiff_t size = (ptrdiff_t)g->n * g->f * g->p * g->q;
  hl_ivec full = {0};
  ptrdiff_t k = 0, count = 0;
  for (; k + HL_LANES <= size; k += HL_LANES) full -= hl_load(dy + k) != 0.0f;
  for (int lane = 0; lane < HL_LANES; lane++) count += full[lane];
  for (; k < size; k++) count += dy[k] != 0.0f;
  return count <= size / 4;
}

// to[f][i][j][c]
static void pack(const hl_window *g, const layout *l, const float *weights, float *to) {
  const ptrdiff_t kernel = (ptrdiff_t)g->kh * g->kw;
  for (ptrdiff_t f = 0; f < g->f; f++)
    for (ptrdiff_t cell = 0; cell < kernel; cell++, to += l->c)
      for (ptrdiff_t c = 0; c < l->c; c++) to[c] = c < g->c ? weights[(f * g->c + c) * kernel + cell] : 0.0f;
}

// At each of `count` pixels, `cells` cells of one row of a kernel times what dy has there, `step` floats from one cell
// and from one pixel to the next; WIDTH channels.
HL_INLINE void add_cells(int cells, ptrdiff_t count, const int32_t *where, const float *what, ptrdiff_t step,
                         const float *kernel, float *sums) {
  hl_vec held[CELLS][VECTORS];
  HL_UNROLL for (int j = 0; j < cells; j++)
    HL_UNROLL for (int v = 0; v < VECTORS; v++) held[j][v] = hl_load(kernel + j * step + v * HL_LANES);
  for (ptrdiff_t k = 0; k < count; k++) {
    const hl_vec times = hl_splat(what[k]);
    float *sum = sums + where[k];
    HL_UNROLL for (int j = 0; j < cells; j++, sum += step)
      HL_UNROLL for (int v = 0; v < VECTORS; v++) {
        hl_vec more = times * held[j][v] + hl_load(sum + v * HL_LANES);
        HL_HOLD(more);
        hl_store(sum + v * HL_LANES, more);
      }
  }
}

static void add_three(ptrdiff_t count, const int32_t *where, const float *what, ptrdiff_t step, const float *kernel,
                      float *sums) {
  add_cells(CELLS, count, where, what, step, kernel, sums);
}

static void add_one(ptrdiff_t count, const int32_t *where, const float *what, ptrdiff_t step, const float *kernel,
                    float *sums) {
  add_cells(1, count, where, what, step, kernel, sums);
}

// A whole kernel, row by row.
static void add_kernel(const hl_window *g, const layout *l, ptrdiff_t count, const int32_t *where, const float *what,
                       const float *kernel, float *sums) {
  for (ptrdiff_t i = 0; i < g->kh; i++, kernel += g->kw * l->c, sums += l->width * l->c)
    for (ptrdiff_t c = 0; c < l->c; c += WIDTH) {
      ptrdiff_t j = 0;
      for (; j + CELLS <= g->kw; j += CELLS)
        add_three(count, where, what, l->c, kernel + j * l->c + c, sums + j * l->c + c);
      for (; j < g->kw; j++) add_one(count, where, what, l->c, kernel + j * l->c + c, sums + j * l->c + c);
    }
}

// The maps of one image onto `sums`, [pixel][channel]; `where` and `what` have room for a map.
static void add_maps(const hl_window *g, const layout *l, const float *dy, const float *packed, int32_t *where,
                     float *what, float *sums) {
  for (ptrdiff_t f = 0; f < g->f; f++, packed += g->kh * g->kw * l->c) {
    ptrdiff_t count = 0;
    for (ptrdiff_t p = 0; p < g->p; p++)
      for (ptrdiff_t q = 0; q < g->q; q++) {
        const float value = *dy++;
        where[count] = (int32_t)((p * l->width + q) * l->c), what[count] = value;
        count += value != 0.0f;
      }
    if (count) add_kernel(g, l, count, where, what, packed, sums);
  }
}

// One image's sums without their padding, plane by plane.
static void hand_out(const hl_window *g, const layout *l, const float *sums, float *dx) {
  const ptrdiff_t plane = (ptrdiff_t)g->h * g->w;
  for (ptrdiff_t h = 0; h < g->h; h++) {
    const float *from = sums + ((h + g->top) * l->width + g->left) * l->c;
    float *to = dx + h * g->w;
    ptrdiff_t w = 0;
    for (; w + 4 <= g->w; w += 4) hl_pack_four(from + w * l->c, l->c, g->c, to + w, plane);
    for (; w < g->w; w++)
      for (ptrdiff_t c = 0; c < g->c; c++) to[c * plane + w] = from[w * l->c + c];
  }
}

void hl_sparse_dx_run(const hl_window *g, const float *weights, const float *dy, float *dx, char *scratch) {
  const layout l = layout_of(g);
  const ptrdiff_t map = (ptrdiff_t)g->p * g->q, size = l.height * l.width * l.c;
  float *packed = hl_cut(&scratch, (ptrdiff_t)g->f * g->kh * g->kw * l.c), *sums = hl_cut(&scratch, size);
  int32_t *where = (int32_t *)hl_cut(&scratch, map);
  float *what = hl_cut(&scratch, map);
  pack(g, &l, weights, packed);
  for (ptrdiff_t n = 0; n < g->n; n++) {
    hl_zero(sums, size);
    add_maps(g, &l, dy + n * g->f * map, packed, where, what, sums);
    hand_out(g, &l, sums, dx + n * g->c * g->h * g->w);
  }
}
