// Adam (Kingma & Ba, 2015) and AdamW (Loshchilov & Hutter, 2019) over one flat buffer:
//   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  w = w - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)
// Decoupled weight decay shrinks w first, otherwise it is part of g.
#include "elementwise.h"

enum { BETA_1, BETA_2, EPSILON, WEIGHT_DECAY, DECOUPLED };

typedef struct {
  hl_vec beta_1, rest_1, beta_2, rest_2, epsilon, decay, keep, rate, correction;
} terms;

ptrdiff_t adam_check(const hl_call *call) {
  int32_t decoupled;
  if (!hl_all_float(call)) return HL_E_DTYPE;
  for (int k = 0; k < 3; k++)
    if (call->update[k]->size != call->in[0]->size) return HL_E_SHAPE;
  if (!hl_whole(call, DECOUPLED, 0, 1, &decoupled)) return HL_E_ATTRIBUTE;
  return HL_OK;
}

HL_INLINE void move(const terms *t, hl_vec g, hl_vec *w, hl_vec *first, hl_vec *second) {
  g = g + *w * t->decay;
  *first = *first * t->beta_1 + g * t->rest_1;
  *second = *second * t->beta_2 + g * g * t->rest_2;
  const hl_vec size = hl_sqrt(*second * t->correction) + t->epsilon;
  *w = *w * t->keep - *first / size * t->rate;
}

void adam_run(const hl_call *call) {
  const double *attr = call->attr;
  const double rate = hl_floats(call->in[1])[0], step = hl_floats(call->in[2])[0], decay = attr[WEIGHT_DECAY];
  const int decoupled = attr[DECOUPLED] != 0;
  const terms t = {
      .beta_1 = hl_splat((float)attr[BETA_1]),
      .rest_1 = hl_splat((float)(1 - attr[BETA_1])),
      .beta_2 = hl_splat((float)attr[BETA_2]),
      .rest_2 = hl_splat((float)(1 - attr[BETA_2])),
      .epsilon = hl_splat((float)attr[EPSILON]),
      .decay = hl_splat(decoupled ? 0 : (float)decay),
      .keep = hl_splat(decoupled ? (float)(1 - rate * decay) : 1),
      .rate = hl_splat((float)(rate / (1 - hl_power(attr[BETA_1], step)))),
      .correction = hl_splat((float)(1 / (1 - hl_power(attr[BETA_2], step)))),
  };
  const float *g = hl_floats(call->in[0]);
  float *w = hl_floats(call->update[0]), *m = hl_floats(call->update[1]), *v = hl_floats(call->update[2]);
  const ptrdiff_t count = call->in[0]->size;
  ptrdiff_t k = 0;
  for (; k + HL_LANES <= count; k += HL_LANES) {
    hl_vec vw = hl_load(w + k), vm = hl_load(m + k), vv = hl_load(v + k);
    move(&t, hl_load(g + k), &vw, &vm, &vv);
    hl_store(w + k, vw);
    hl_store(m + k, vm);
    hl_store(v + k, vv);
  }
  const ptrdiff_t left = count - k;
  if (!left) return;
  hl_vec vw = hl_load_some(w + k, left, 0), vm = hl_load_some(m + k, left, 0), vv = hl_load_some(v + k, left, 0);
  move(&t, hl_load_some(g + k, left, 0), &vw, &vm, &vv);
  hl_store_some(w + k, left, vw);
  hl_store_some(m + k, left, vm);
  hl_store_some(v + k, left, vv);
}
