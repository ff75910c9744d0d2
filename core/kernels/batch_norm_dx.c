// dbeta = sum dy;  dgamma = sum dy xhat;  dx = gamma inv_std (dy - dbeta / m - xhat dgamma / m),
// xhat = (x - mean) inv_std, sums over the m values of a channel.
#include "normalization.h"

enum { X, GAMMA, MEAN, INV_STD, DY };
enum { DX, DGAMMA, DBETA };

ptrdiff_t batch_norm_dx_check(const hl_call *call) {
  const hl_tensor *x = call->in[X];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (x->rank < 2 || call->in[DY]->size != x->size || call->out[DX]->size != x->size) return HL_E_SHAPE;
  if (!hl_per_channel(call, x->dim[1], 3)) return HL_E_SHAPE;
  if (call->out[DGAMMA]->size != x->dim[1] || call->out[DBETA]->size != x->dim[1]) return HL_E_SHAPE;
  return HL_OK;
}

typedef struct {
  hl_vec mean, factor, slope, shift;  // dx = factor dy - slope (x - mean) - shift
} affine;

HL_INLINE hl_vec of(hl_vec x, hl_vec dy, const affine *t) {
  return dy * t->factor - (x - t->mean) * t->slope - t->shift;
}

static void row(const float *x, const float *dy, float *dx, ptrdiff_t count, const affine *t) {
  ptrdiff_t k = 0;
  for (; k + HL_LANES <= count; k += HL_LANES) hl_store(dx + k, of(hl_load(x + k), hl_load(dy + k), t));
  if (k == count) return;
  const hl_vec last_x = hl_load_some(x + k, count - k, 0), last_dy = hl_load_some(dy + k, count - k, 0);
  hl_store_some(dx + k, count - k, of(last_x, last_dy, t));
}

// Up to HL_LANES channels' sums into the outputs, and as dx's terms.
HL_INLINE affine settle(const hl_call *call, ptrdiff_t c, ptrdiff_t count, hl_vec dgamma, hl_vec dbeta, float values) {
  hl_store_up_to(hl_floats(call->out[DGAMMA]) + c, count, dgamma);
  hl_store_up_to(hl_floats(call->out[DBETA]) + c, count, dbeta);
  const hl_vec inv_std = hl_load_up_to(hl_floats(call->in[INV_STD]) + c, count);
  const hl_vec factor = hl_load_up_to(hl_floats(call->in[GAMMA]) + c, count) * inv_std;
  return (affine){hl_load_up_to(hl_floats(call->in[MEAN]) + c, count), factor, factor * inv_std * dgamma / values,
                  factor * dbeta / values};
}

static void run_columns(const hl_call *call, const hl_maps *m) {
  const float *x = hl_floats(call->in[X]), *dy = hl_floats(call->in[DY]);
  float *dx = hl_floats(call->out[DX]);
  for (ptrdiff_t c = 0; c < m->channels; c += HL_LANES) {
    const ptrdiff_t count = hl_min(HL_LANES, m->channels - c);
    const hl_vec mean = hl_load_up_to(hl_floats(call->in[MEAN]) + c, count);
    const hl_doubles inv_std = hl_widen(hl_load_up_to(hl_floats(call->in[INV_STD]) + c, count));
    const hl_vec dbeta = hl_narrow(hl_column_sums(m, dy, dy, c, count, hl_itself, hl_splat(0)));
    const hl_vec dgamma = hl_narrow(hl_column_sums(m, x, dy, c, count, hl_product_around, mean) * inv_std);
    const affine t = settle(call, c, count, dgamma, dbeta, (float)m->n);
    for (ptrdiff_t n = 0; n < m->n; n++) {
      const ptrdiff_t at = n * m->channels + c;
      hl_store_up_to(dx + at, count, of(hl_load_up_to(x + at, count), hl_load_up_to(dy + at, count), &t));
    }
  }
}

void batch_norm_dx_run(const hl_call *call) {
  const float *x = hl_floats(call->in[X]), *dy = hl_floats(call->in[DY]);
  float *dx = hl_floats(call->out[DX]);
  const hl_maps m = hl_maps_of(call->in[X]);
  if (m.length == 1) {
    run_columns(call, &m);
    return;
  }
  const float values = (float)m.n * (float)m.length;
  for (ptrdiff_t c = 0; c < m.channels; c++) {
    const float mean = hl_floats(call->in[MEAN])[c];
    const double inv_std = (double)hl_floats(call->in[INV_STD])[c];
    const double dbeta = hl_channel_sum(&m, dy, dy, c, hl_itself, 0);
    const double dgamma = hl_channel_sum(&m, x, dy, c, hl_product_around, mean) * inv_std;
    affine t = settle(call, c, 1, hl_splat((float)dgamma), hl_splat((float)dbeta), values);
    t = (affine){hl_splat(t.mean[0]), hl_splat(t.factor[0]), hl_splat(t.slope[0]), hl_splat(t.shift[0])};
    for (ptrdiff_t n = 0; n < m.n; n++) {
      const ptrdiff_t at = (n * m.channels + c) * m.length;
      row(x + at, dy + at, dx + at, m.length, &t);
    }
  }
}
