// Matrix product: a tile of sums held in registers, the panels that feed it, and a blocked driver (gemm.c).
//
// A panel of A is [k][rows]: for each step of the sum, the factors of `rows` rows of C, which the tile broadcasts. A
// panel of B is [k][columns]: whole vectors. (Goto, van de Geijn, "Anatomy of high-performance matrix multiplication",
// 2008.)
#ifndef HANDLENS_GEMM_H
#define HANDLENS_GEMM_H

#include "handlens.h"

// Rows x vectors of a tile: as many sums as fit the registers beside the vectors of B and one broadcast factor.
#if HL_LANES == 16
#define HL_MR 14
#define HL_EACH_ROWS(DO) \
  DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) default: DO(14)
#else
#define HL_MR 6  // V8 has 15 registers to give: 12 sums, 2 of B, 1 factor
#define HL_EACH_ROWS(DO) DO(1) DO(2) DO(3) DO(4) DO(5) default: DO(6)
#endif
#define HL_NV 2
#define HL_NR (HL_NV * HL_LANES)

#define HL_UNROLL _Pragma("clang loop unroll(full)")

// LLVM's WebAssembly loads all factors of a step before it uses the first, more than V8 has registers for, and counts up
// each address by itself. A value that is held is made where the source makes it, and a held pointer is the one that
// offsets are added to; the instruction is empty.
#ifdef __wasm__
#define HL_HOLD(value) __asm__ volatile("" : "+r"(value))
#else
#define HL_HOLD(value) (void)0
#endif

typedef hl_vec hl_sums[HL_MR][HL_NV];

// sums[r][v] = sum over i < k of a[i * a_step + r] * b[i * b_step + v * HL_LANES ...]. `rows` and `vectors` must be
// constants where this is inlined: the sums are registers.
HL_INLINE void hl_tile(int rows, int vectors, ptrdiff_t k, const float *a, ptrdiff_t a_step, const float *b,
                       ptrdiff_t b_step, hl_sums sums) {
  HL_UNROLL for (int r = 0; r < rows; r++)
    HL_UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = (hl_vec){0};
  for (ptrdiff_t i = 0; i < k; i++) {
    hl_vec row[HL_NV];
    HL_HOLD(a);
    HL_HOLD(b);
    HL_UNROLL for (int v = 0; v < vectors; v++) row[v] = hl_load(b + v * HL_LANES);
    HL_UNROLL for (int r = 0; r < rows; r++) {
      const hl_vec factor = hl_splat(a[r]);
      HL_UNROLL for (int v = 0; v < vectors; v++) {
        sums[r][v] = factor * row[v] + sums[r][v];
        HL_HOLD(sums[r][v]);
      }
    }
    a += a_step;
    b += b_step;
  }
}

// Stores a tile (or adds it to what is there); of the last vector only the first `last` lanes.
HL_INLINE void hl_tile_store(int rows, int vectors, int last, hl_sums sums, float *c, ptrdiff_t c_row, int accumulate) {
  HL_UNROLL for (int r = 0; r < rows; r++) {
    float *row = c + r * c_row;
    HL_UNROLL for (int v = 0; v < vectors; v++) {
      if (v == vectors - 1 && last < HL_LANES) {
        for (int lane = 0; lane < last; lane++)
          row[v * HL_LANES + lane] = (accumulate ? row[v * HL_LANES + lane] : 0.0f) + sums[r][v][lane];
      } else {
        hl_store(row + v * HL_LANES, accumulate ? hl_load(row + v * HL_LANES) + sums[r][v] : sums[r][v]);
      }
    }
  }
}

// c (m x n, columns side by side, rows c_row apart) = a * b, or += with `accumulate`. Element (i, j) of a matrix X is
// at x[i * x_row + j * x_col], so a transposed operand costs nothing but its strides. `scratch` holds
// hl_gemm_scratch(m, n, k) bytes. Sums over more than HL_KC terms are made in blocks, which keeps their error small.
void hl_gemm(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_col, const float *b,
             ptrdiff_t b_row, ptrdiff_t b_col, float *c, ptrdiff_t c_row, int accumulate, char *scratch);
int64_t hl_gemm_scratch(int64_t m, int64_t n, int64_t k);

// Panels from any strides: `rows` x k of A, and k x `columns` (at most HL_NR) of B, filled up with zeros to whole
// vectors, `width` floats a step.
void hl_pack_a(ptrdiff_t rows, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_col, float *panel);
void hl_pack_b(ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, const float *b, ptrdiff_t b_row, ptrdiff_t b_col,
               float *panel);

#endif
