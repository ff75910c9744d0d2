// The blocked matrix product of gemm.h: a block of B stays in the second cache, panels in the first.
#include "gemm.h"

enum { HL_KC = 256, HL_MC = HL_MR * 16, HL_NC = HL_NR * 32 };

void hl_pack_a(ptrdiff_t rows, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_col, float *panel) {
  if (a_row == 1) {
    for (ptrdiff_t i = 0; i < k; i++)
      for (ptrdiff_t r = 0; r < rows; r++) panel[i * rows + r] = a[i * a_col + r];
  } else {
    for (ptrdiff_t r = 0; r < rows; r++)
      for (ptrdiff_t i = 0; i < k; i++) panel[i * rows + r] = a[r * a_row + i * a_col];
  }
}

void hl_pack_b(ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, const float *b, ptrdiff_t b_row, ptrdiff_t b_col,
               float *panel) {
  if (b_col == 1 && columns == HL_NR && width == HL_NR) {
    for (ptrdiff_t i = 0; i < k; i++)
      HL_UNROLL for (int v = 0; v < HL_NV; v++)
        hl_store(panel + i * HL_NR + v * HL_LANES, hl_load(b + i * b_row + v * HL_LANES));
  } else if (b_col == 1) {
    for (ptrdiff_t i = 0; i < k; i++)
      for (ptrdiff_t j = 0; j < width; j++) panel[i * width + j] = j < columns ? b[i * b_row + j] : 0.0f;
  } else {
    for (ptrdiff_t j = 0; j < width; j++)
      for (ptrdiff_t i = 0; i < k; i++) panel[i * width + j] = j < columns ? b[i * b_row + j * b_col] : 0.0f;
  }
}

// Rows [0, m) of C against one panel of B; the panels of A lie one after another.
HL_INLINE void panel_times(int vectors, int last, ptrdiff_t m, ptrdiff_t k, const float *a, const float *b,
                           ptrdiff_t b_step, float *c, ptrdiff_t c_row, int accumulate) {
  for (ptrdiff_t r = 0; r < m; r += HL_MR) {
    hl_sums sums;
    switch (hl_min(HL_MR, m - r)) {
#define TILE(ROWS)                                                                 \
  case ROWS:                                                                       \
    hl_tile(ROWS, vectors, k, a + r * k, ROWS, b, b_step, sums);                   \
    hl_tile_store(ROWS, vectors, last, sums, c + r * c_row, c_row, accumulate);    \
    break;
      HL_EACH_ROWS(TILE)
#undef TILE
    }
  }
}

static void wide_panel(int last, ptrdiff_t m, ptrdiff_t k, const float *a, const float *b, ptrdiff_t b_step, float *c,
                       ptrdiff_t c_row, int accumulate) {
  panel_times(HL_NV, last, m, k, a, b, b_step, c, c_row, accumulate);
}

static void narrow_panel(int last, ptrdiff_t m, ptrdiff_t k, const float *a, const float *b, ptrdiff_t b_step, float *c,
                         ptrdiff_t c_row, int accumulate) {
  panel_times(1, last, m, k, a, b, b_step, c, c_row, accumulate);
}

static ptrdiff_t panel_width(ptrdiff_t columns) { return columns > HL_LANES ? HL_NR : HL_LANES; }

int64_t hl_gemm_scratch(int64_t m, int64_t n, int64_t k) {
  const int64_t kc = k < HL_KC ? k : HL_KC, mc = m < HL_MC ? m : HL_MC, nc = n < HL_NC ? n + HL_NR : HL_NC;
  return hl_room(kc * mc) + hl_room(kc * nc);
}

// One block of C: packs A's rows, then runs every panel of B over them.
static void block_times(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *packed_a, const float *packed_b, float *c,
                        ptrdiff_t c_row, int accumulate) {
  for (ptrdiff_t j = 0; j < n; j += HL_NR) {
    const ptrdiff_t columns = hl_min(HL_NR, n - j);
    const int last = (int)((columns - 1) % HL_LANES + 1);
    if (columns > HL_LANES)
      wide_panel(last, m, k, packed_a, packed_b + j * k, HL_NR, c + j, c_row, accumulate);
    else
      narrow_panel(last, m, k, packed_a, packed_b + j * k, HL_LANES, c + j, c_row, accumulate);
  }
}

void hl_gemm(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_col, const float *b,
             ptrdiff_t b_row, ptrdiff_t b_col, float *c, ptrdiff_t c_row, int accumulate, char *scratch) {
  float *packed_a = hl_cut(&scratch, hl_min(k, HL_KC) * hl_min(m, HL_MC)), *packed_b = (float *)scratch;
  for (ptrdiff_t j = 0; j < n; j += HL_NC) {
    const ptrdiff_t nc = hl_min(HL_NC, n - j);
    for (ptrdiff_t i = 0; i < k; i += HL_KC) {
      const ptrdiff_t kc = hl_min(HL_KC, k - i);
      for (ptrdiff_t p = 0; p < nc; p += HL_NR) {
        const ptrdiff_t columns = hl_min(HL_NR, nc - p);
        hl_pack_b(kc, columns, panel_width(columns), b + i * b_row + (j + p) * b_col, b_row, b_col, packed_b + p * kc);
      }
      for (ptrdiff_t r = 0; r < m; r += HL_MC) {
        const ptrdiff_t mc = hl_min(HL_MC, m - r);
        for (ptrdiff_t s = 0; s < mc; s += HL_MR)
          hl_pack_a(hl_min(HL_MR, mc - s), kc, a + (r + s) * a_row + i * a_col, a_row, a_col, packed_a + s * kc);
        block_times(mc, nc, kc, packed_a, packed_b, c + r * c_row + j, c_row, accumulate || i > 0);
      }
    }
  }
}
