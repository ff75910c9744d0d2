// Gradient descent with momentum over one flat buffer:
//   g = grad + weight_decay w;  v = momentum v + g;  w = w - rate v, or with Nesterov's w = w - rate (g + momentum v)
#include "elementwise.h"

enum { MOMENTUM, WEIGHT_DECAY, NESTEROV };

typedef struct {
  hl_vec momentum, decay, rate;
  int nesterov;
} terms;

ptrdiff_t sgd_check(const hl_call *call) {
  int32_t nesterov;
  if (!hl_all_float(call)) return HL_E_DTYPE;
  for (int k = 0; k < 2; k++)
    if (call->update[k]->size != call->in[0]->size) return HL_E_SHAPE;
  if (!hl_whole(call, NESTEROV, 0, 1, &nesterov)) return HL_E_ATTRIBUTE;
  return HL_OK;
}

HL_INLINE void move(const terms *t, hl_vec g, hl_vec *w, hl_vec *velocity) {
  g = *w * t->decay + g;
  *velocity = *velocity * t->momentum + g;
  *w = *w - (t->nesterov ? *velocity * t->momentum + g : *velocity) * t->rate;
}

void sgd_run(const hl_call *call) {
  const double *attr = call->attr;
  const terms t = {hl_splat((float)attr[MOMENTUM]), hl_splat((float)attr[WEIGHT_DECAY]),
                   hl_splat(hl_floats(call->in[1])[0]), attr[NESTEROV] != 0};
  const float *g = hl_floats(call->in[0]);
  float *w = hl_floats(call->update[0]), *v = hl_floats(call->update[1]);
  const ptrdiff_t count = call->in[0]->size;
  ptrdiff_t k = 0;
  for (; k + HL_LANES <= count; k += HL_LANES) {
    hl_vec vw = hl_load(w + k), vv = hl_load(v + k);
    move(&t, hl_load(g + k), &vw, &vv);
    hl_store(w + k, vw);
    hl_store(v + k, vv);
  }
  if (k == count) return;
  hl_vec vw = hl_load_some(w + k, count - k, 0), vv = hl_load_some(v + k, count - k, 0);
  move(&t, hl_load_some(g + k, count - k, 0), &vw, &vv);
  hl_store_some(w + k, count - k, vw);
  hl_store_some(v + k, count - k, vv);
}
