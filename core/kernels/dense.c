// y[n,o] = activation(b[o] + sum over i of w[o,i] * x[n,i])
//
// Rows of x and of w both lie along the sum. Few of either: products of rows as they lie, which reads every weight once
// and packs nothing. Many: the blocked matrix product.
#include "activation.h"
#include "gemm.h"

enum {
  ONE = 6,            // outputs of one image at a time, and
  ROWS = 4, TWO = 2,  // images by outputs of several: their sums and factors fit 15 registers together
  PIECE = 2048,       // terms in one chain of additions; a piece of all rows of a tile stays in the first cache
};

typedef struct {
  int32_t n, o, i, activation;
  float alpha;
  int packed;
} layout;

static ptrdiff_t layout_of(const hl_call *call, layout *l) {
  const hl_tensor *x = call->in[0], *w = call->in[1], *y = call->out[0];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  const hl_error error = hl_activation_of(call, 0, &l->activation, &l->alpha);
  if (error != HL_OK) return error;
  if (x->rank != 2 || w->rank != 2 || y->rank != 2) return HL_E_SHAPE;
  l->n = x->dim[0], l->o = w->dim[0], l->i = x->dim[1];
  if (l->n < 1 || l->o < 1 || l->i < 1) return HL_E_SHAPE;
  if (w->dim[1] != l->i || y->dim[0] != l->n || y->dim[1] != l->o) return HL_E_SHAPE;
  if (call->ins > 2 && (call->in[2]->rank != 1 || call->in[2]->dim[0] != l->o)) return HL_E_SHAPE;
  l->packed = l->n >= 16 && l->o >= 32;
  return l->packed ? hl_scratch(hl_gemm_scratch(l->n, l->o, l->i)) : 0;
}

ptrdiff_t dense_check(const hl_call *call) {
  layout l;
  return layout_of(call, &l);
}

static float lanes_sum(hl_vec v) {
  float sum[HL_LANES];
  hl_store(sum, v);
  for (int half = HL_LANES / 2; half > 0; half /= 2)
    for (int k = 0; k < half; k++) sum[k] += sum[k + half];
  return sum[0];
}

// y of `rows` images by `outputs` outputs: row r of x with row s of w.
HL_INLINE void tile(const int rows, const int outputs, ptrdiff_t count, const float *x, const float *w, const float *b,
                    float *y, ptrdiff_t y_row) {
  float total[ROWS][ONE];
  HL_UNROLL for (int r = 0; r < rows; r++)
    HL_UNROLL for (int s = 0; s < outputs; s++) total[r][s] = b ? b[s] : 0.0f;
  for (ptrdiff_t first = 0; first < count; first += PIECE) {
    const ptrdiff_t end = hl_min(first + PIECE, count);
    hl_vec sums[ROWS][ONE];
    HL_UNROLL for (int r = 0; r < rows; r++)
      HL_UNROLL for (int s = 0; s < outputs; s++) sums[r][s] = (hl_vec){0};
    ptrdiff_t k = first;
    for (; k + HL_LANES <= end; k += HL_LANES) {
      hl_vec image[ROWS];
      HL_UNROLL for (int r = 0; r < rows; r++) image[r] = hl_load(x + r * count + k);
      HL_UNROLL for (int s = 0; s < outputs; s++) {
        const hl_vec weight = hl_load(w + s * count + k);
        HL_UNROLL for (int r = 0; r < rows; r++) sums[r][s] = image[r] * weight + sums[r][s];
      }
    }
    HL_UNROLL for (int r = 0; r < rows; r++)
      HL_UNROLL for (int s = 0; s < outputs; s++) {
        float sum = lanes_sum(sums[r][s]);
        for (ptrdiff_t rest = k; rest < end; rest++) sum += x[r * count + rest] * w[s * count + rest];
        total[r][s] += sum;
      }
  }
  HL_UNROLL for (int r = 0; r < rows; r++)
    HL_UNROLL for (int s = 0; s < outputs; s++) y[r * y_row + s] = total[r][s];
}

static void four_images(ptrdiff_t o, ptrdiff_t i, const float *x, const float *w, const float *b, float *y) {
  ptrdiff_t s = 0;
  for (; s + TWO <= o; s += TWO) tile(ROWS, TWO, i, x, w + s * i, b ? b + s : NULL, y + s, o);
  for (; s < o; s++) tile(ROWS, 1, i, x, w + s * i, b ? b + s : NULL, y + s, o);
}

static void one_image(ptrdiff_t o, ptrdiff_t i, const float *x, const float *w, const float *b, float *y) {
  ptrdiff_t s = 0;
  for (; s + ONE <= o; s += ONE) tile(1, ONE, i, x, w + s * i, b ? b + s : NULL, y + s, o);
  for (; s + TWO <= o; s += TWO) tile(1, TWO, i, x, w + s * i, b ? b + s : NULL, y + s, o);
  for (; s < o; s++) tile(1, 1, i, x, w + s * i, b ? b + s : NULL, y + s, o);
}

void dense_run(const hl_call *call) {
  layout l;
  layout_of(call, &l);
  const float *x = hl_floats(call->in[0]), *w = hl_floats(call->in[1]);
  const float *b = call->ins > 2 ? hl_floats(call->in[2]) : NULL;
  float *y = hl_floats(call->out[0]);
  const ptrdiff_t o = l.o, i = l.i, all = (ptrdiff_t)l.n * o;
  if (l.packed) {
    for (ptrdiff_t n = 0; n < l.n; n++)
      if (b) hl_copy(y + n * o, b, o);
    hl_gemm(l.n, o, i, x, i, 1, w, 1, i, y, o, b != NULL, call->scratch);
  } else {
    ptrdiff_t n = 0;
    for (; n + ROWS <= l.n; n += ROWS) four_images(o, i, x + n * i, w, b, y + n * o);
    for (; n < l.n; n++) one_image(o, i, x + n * i, w, b, y + n * o);
  }
  hl_activate(y, all, l.activation, l.alpha);
}
