// y[..,m,n] = sum over k of a[..,m,k] * b[..,k,n]; transpose_a, transpose_b exchange the last two axes. The leading
// axes of a and b broadcast.
#include "gemm.h"

typedef struct {
  ptrdiff_t m, n, k;
  ptrdiff_t a_row, a_col, b_row, b_col;
  int32_t lead[HL_RANK];                      // y's leading axes, from the last one on
  ptrdiff_t a_step[HL_RANK], b_step[HL_RANK];  // along them: 0 where the operand has one matrix for all
  int axes;
} layout;

// Axis `k` before the last two, counted from the end; 1 where there is none.
static int32_t lead_of(const hl_tensor *t, int k) { return k < t->rank - 2 ? t->dim[t->rank - 3 - k] : 1; }

static void steps_of(const hl_tensor *t, const layout *l, ptrdiff_t step[]) {
  ptrdiff_t size = (ptrdiff_t)t->dim[t->rank - 2] * t->dim[t->rank - 1];
  for (int k = 0; k < l->axes; k++) {
    step[k] = lead_of(t, k) == 1 ? 0 : size;
    size *= lead_of(t, k);
  }
}

static ptrdiff_t layout_of(const hl_call *call, layout *l) {
  const hl_tensor *a = call->in[0], *b = call->in[1], *y = call->out[0];
  int32_t turn_a, turn_b;
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (!hl_whole(call, 0, 0, 1, &turn_a) || !hl_whole(call, 1, 0, 1, &turn_b)) return HL_E_ATTRIBUTE;
  const hl_tensor *all[] = {a, b, y};
  for (int t = 0; t < 3; t++) {
    if (all[t]->rank < 2 || all[t]->rank > HL_RANK) return HL_E_SHAPE;
    int64_t size = 1;
    for (int k = 0; k < all[t]->rank; k++) {
      if (all[t]->dim[k] < 1) return HL_E_SHAPE;
      size = hl_times(size, all[t]->dim[k]);
    }
    if (size >= HL_MOST || size > PTRDIFF_MAX / 4) return HL_E_MEMORY;  // no place in it overflows
  }
  l->axes = y->rank - 2;
  if (y->rank != (a->rank > b->rank ? a->rank : b->rank)) return HL_E_SHAPE;
  for (int k = 0; k < l->axes; k++) {
    const int32_t here = lead_of(a, k), there = lead_of(b, k);
    if (here != there && here != 1 && there != 1) return HL_E_SHAPE;
    l->lead[k] = lead_of(y, k);
    if (l->lead[k] != (here == 1 ? there : here)) return HL_E_SHAPE;
  }
  const int32_t *da = a->dim + a->rank - 2, *db = b->dim + b->rank - 2, *dy = y->dim + y->rank - 2;
  if (dy[0] != da[turn_a] || dy[1] != db[!turn_b] || da[!turn_a] != db[turn_b]) return HL_E_SHAPE;
  l->m = dy[0], l->n = dy[1], l->k = da[!turn_a];
  l->a_row = turn_a ? 1 : da[1], l->a_col = turn_a ? da[1] : 1;
  l->b_row = turn_b ? 1 : db[1], l->b_col = turn_b ? db[1] : 1;
  steps_of(a, l, l->a_step);
  steps_of(b, l, l->b_step);
  // One matrix b for all: the matrices of a lie one below the other and are one tall matrix.
  while (l->axes > 0 && !turn_a && l->b_step[0] == 0 && l->a_step[0] == l->m * l->k) {
    l->m *= l->lead[0];
    l->axes--;
    for (int k = 0; k < l->axes; k++)
      l->lead[k] = l->lead[k + 1], l->a_step[k] = l->a_step[k + 1], l->b_step[k] = l->b_step[k + 1];
  }
  return hl_scratch(hl_gemm_scratch(l->m, l->n, l->k));
}

ptrdiff_t matmul_check(const hl_call *call) {
  layout l;
  return layout_of(call, &l);
}

void matmul_run(const hl_call *call) {
  layout l;
  layout_of(call, &l);
  const float *a = hl_floats(call->in[0]), *b = hl_floats(call->in[1]);
  float *y = hl_floats(call->out[0]);
  int32_t at[HL_RANK] = {0};
  for (;;) {
    hl_gemm(l.m, l.n, l.k, a, l.a_row, l.a_col, b, l.b_row, l.b_col, y, l.n, 0, call->scratch);
    y += l.m * l.n;
    int axis = 0;
    for (; axis < l.axes; axis++) {  // the next matrices, as an odometer counts
      a += l.a_step[axis], b += l.b_step[axis];
      if (++at[axis] < l.lead[axis]) break;
      a -= l.a_step[axis] * l.lead[axis], b -= l.b_step[axis] * l.lead[axis];
      at[axis] = 0;
    }
    if (axis == l.axes) return;
  }
}
