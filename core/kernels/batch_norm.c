// Batch normalisation (Ioffe & Szegedy, 2015) in training: y = gamma (x - mean) / sqrt(var + epsilon) + beta with the
// mean and variance of this batch, over every axis but the channels; running = momentum running + (1 - momentum) batch.
// The mean first, then the squares around it: no cancellation. Values far from 0 lose nothing: the first one is taken
// off before they are added up, and what the mean loses as float32 goes into y's shift.
#include "normalization.h"

enum { EPSILON, MOMENTUM };
enum { X, GAMMA, BETA };
enum { Y, MEAN, INV_STD };

ptrdiff_t batch_norm_check(const hl_call *call) {
  const hl_tensor *x = call->in[X];
  if (!hl_all_float(call)) return HL_E_DTYPE;
  if (x->rank < 2 || call->out[Y]->size != x->size) return HL_E_SHAPE;
  if (!hl_per_channel(call, x->dim[1], 2)) return HL_E_SHAPE;
  if (call->out[MEAN]->size != x->dim[1] || call->out[INV_STD]->size != x->dim[1]) return HL_E_SHAPE;
  if (call->update[0]->size != x->dim[1] || call->update[1]->size != x->dim[1]) return HL_E_SHAPE;
  return HL_OK;
}

typedef struct {
  hl_vec scale, shift, mean;
} affine;

HL_INLINE hl_vec normalised(hl_vec x, const affine *t) { return (x - t->mean) * t->scale + t->shift; }

static void normalise_row(const float *x, float *y, ptrdiff_t count, const affine *t) {
  ptrdiff_t k = 0;
  for (; k + HL_LANES <= count; k += HL_LANES) hl_store(y + k, normalised(hl_load(x + k), t));
  if (k < count) hl_store_some(y + k, count - k, normalised(hl_load_some(x + k, count - k, 0), t));
}

// Up to HL_LANES channels' mean (`lost`: its part below float32) and variance: into the outputs and the running values,
// and as y's scale and shift.
HL_INLINE affine settle(const hl_call *call, ptrdiff_t c, ptrdiff_t count, hl_vec mean, hl_vec lost, hl_vec variance,
                        int moves) {
  const float momentum = (float)call->attr[MOMENTUM], rest = (float)(1 - call->attr[MOMENTUM]);
  const hl_vec inv_std = 1.0f / hl_sqrt(variance + (float)call->attr[EPSILON]);
  hl_store_up_to(hl_floats(call->out[MEAN]) + c, count, mean);
  hl_store_up_to(hl_floats(call->out[INV_STD]) + c, count, inv_std);
  const hl_vec batch[2] = {mean, variance};
  for (int k = 0; moves && k < 2; k++) {
    float *running = hl_floats(call->update[k]) + c;
    hl_store_up_to(running, count, hl_load_up_to(running, count) * momentum + batch[k] * rest);
  }
  const hl_vec gamma = hl_load_up_to(hl_floats(call->in[GAMMA]) + c, count);
  const hl_vec scale = gamma * inv_std;
  return (affine){scale, hl_load_up_to(hl_floats(call->in[BETA]) + c, count) - lost * scale, mean};
}

static void run_columns(const hl_call *call, const hl_maps *m) {
  const float *x = hl_floats(call->in[X]);
  float *y = hl_floats(call->out[Y]);
  const double values = (double)m->n;
  for (ptrdiff_t c = 0; c < m->channels; c += HL_LANES) {
    const ptrdiff_t count = hl_min(HL_LANES, m->channels - c);
    const hl_doubles exact = hl_column_sums(m, x, x, c, count, hl_itself, hl_splat(0)) / values;
    const hl_vec mean = hl_narrow(exact), lost = hl_narrow(exact - hl_widen(mean));
    const hl_vec variance = hl_narrow(hl_column_sums(m, x, x, c, count, hl_square_around, mean) / values);
    const affine t = settle(call, c, count, mean, lost, variance, m->n > 1);
    for (ptrdiff_t n = 0; n < m->n; n++) {
      const ptrdiff_t at = n * m->channels + c;
      hl_store_up_to(y + at, count, normalised(hl_load_up_to(x + at, count), &t));
    }
  }
}

void batch_norm_run(const hl_call *call) {
  const float *x = hl_floats(call->in[X]);
  float *y = hl_floats(call->out[Y]);
  const hl_maps m = hl_maps_of(call->in[X]);
  if (m.length == 1) {
    run_columns(call, &m);
    return;
  }
  const double values = (double)m.n * (double)m.length;
  for (ptrdiff_t c = 0; c < m.channels; c++) {
    const float first = x[c * m.length];
    const double exact = (double)first + hl_channel_sum(&m, x, x, c, hl_less, first) / values;
    const float mean = (float)exact, lost = (float)(exact - (double)mean);
    const float variance = (float)(hl_channel_sum(&m, x, x, c, hl_square_around, mean) / values);
    affine t = settle(call, c, 1, hl_splat(mean), hl_splat(lost), hl_splat(variance), 1);
    t.scale = hl_splat(t.scale[0]);
    t.shift = hl_splat(t.shift[0]);
    for (ptrdiff_t n = 0; n < m.n; n++) {
      const ptrdiff_t at = (n * m.channels + c) * m.length;
      normalise_row(x + at, y + at, m.length, &t);
    }
  }
}
