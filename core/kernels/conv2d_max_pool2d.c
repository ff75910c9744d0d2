// conv2d and the max pooling of its maps in one pass: pooled, or y and pooled. The pooling has no padding, and no
// window beyond the maps' edge.
#include "conv.h"

typedef struct {
  int32_t kernel_h, kernel_w, stride_h, stride_w, p, q;
} pool;

static hl_error pool_of(const hl_call *call, const hl_tensor *pooled, pool *s) {
  int32_t *const value[4] = {&s->kernel_h, &s->kernel_w, &s->stride_h, &s->stride_w};
  for (int k = 0; k < 4; k++)
    if (!hl_whole(call, HL_WINDOW_ATTRS + 2 + k, 1, HL_WINDOW_MOST, value[k])) return HL_E_ATTRIBUTE;
  if (pooled->rank != 4 || pooled->dim[2] < 1 || pooled->dim[3] < 1) return HL_E_SHAPE;
  s->p = pooled->dim[2], s->q = pooled->dim[3];
  return HL_OK;
}

// The maps' shape: that of y, or, where only the pooled maps are kept, what the window makes of x.
static hl_error maps_of(const hl_call *call, hl_tensor *maps) {
  const hl_tensor *x = call->in[0], *w = call->in[1];
  if (call->outs > 1) {
    *maps = *call->out[0];
    return HL_OK;
  }
  int32_t value[HL_WINDOW_ATTRS];
  for (int k = 0; k < HL_WINDOW_ATTRS; k++)
    if (!hl_whole(call, k, k < 2, HL_WINDOW_MOST, &value[k])) return HL_E_ATTRIBUTE;
  if (x->rank != 4 || w->rank != 4) return HL_E_SHAPE;
  *maps = (hl_tensor){.dtype = HL_FLOAT32, .rank = 4, .dim = {x->dim[0], w->dim[0], 0, 0, 1, 1}};
  for (int k = 0; k < 2; k++) {
    const int64_t span = (int64_t)x->dim[2 + k] + value[2 + k] + value[4 + k] - w->dim[2 + k];
    const int64_t out = span < 0 ? 0 : span / value[k] + 1;
    if (out < 1 || out > INT32_MAX) return HL_E_SHAPE;
    maps->dim[2 + k] = (int32_t)out;
  }
  const int64_t bytes = hl_times(hl_times(maps->dim[2], maps->dim[3]), hl_times(w->dim[0], sizeof(float)));
  return bytes > PTRDIFF_MAX / 2 ? HL_E_MEMORY : HL_OK;
}

static hl_error geometry(const hl_call *call, hl_conv *v, pool *s) {
  hl_tensor maps;
  const hl_tensor *pooled = call->out[call->outs - 1];
  hl_error error = maps_of(call, &maps);
  if (!error) error = hl_conv_of(call, &maps, v);
  if (!error) error = pool_of(call, pooled, s);
  if (error) return error;
  if (pooled->dim[0] != v->n || pooled->dim[1] != v->f) return HL_E_SHAPE;
  if ((int64_t)(s->p - 1) * s->stride_h + s->kernel_h > v->p) return HL_E_SHAPE;
  if ((int64_t)(s->q - 1) * s->stride_w + s->kernel_w > v->q) return HL_E_SHAPE;
  v->pooled = hl_floats(pooled);
  // Pooled in passing, and activated afterwards, which is the same unless the activation turns the order round.
  const int rising = v->activation != HL_ACTIVATION_LEAKY_RELU || v->alpha >= 0;
  v->pool = rising && s->kernel_h == 2 && s->kernel_w == 2 && s->stride_h == 2 && s->stride_w == 2 &&
            s->p == v->p / 2 && s->q == v->q / 2;
  v->only_pool = v->pool && call->outs == 1;
  return HL_OK;
}

// Any other pooling: the maps of one image are made, in y or in scratch memory, and pooled at once.
static int64_t maps_scratch(const hl_call *call, const hl_conv *v) {
  const int64_t row = hl_room(v->q);
  return row + (call->outs > 1 ? 0 : hl_room(hl_times(v->f, hl_times(v->p, v->q))));
}

ptrdiff_t conv2d_max_pool2d_check(const hl_call *call) {
  hl_conv v;
  pool s;
  const hl_error error = geometry(call, &v, &s);
  if (error) return error;
  return hl_scratch(hl_conv_scratch(&v) + (v.pool ? 0 : maps_scratch(call, &v)));
}

int64_t conv2d_max_pool2d_kept(const hl_call *call) {
  hl_conv v;
  pool s;
  geometry(call, &v, &s);
  return hl_conv_kept(&v);
}

// Down the window's rows by vectors, then along the row that is left.
static void pool_map(const hl_conv *v, const pool *s, const float *map, float *row, float *pooled) {
  for (ptrdiff_t p = 0; p < s->p; p++) {
    const float *upper = map + p * s->stride_h * v->q;
    hl_copy(row, upper, v->q);
    for (ptrdiff_t i = 1; i < s->kernel_h; i++) {
      const float *other = upper + i * v->q;
      ptrdiff_t q = 0;
      for (; q + HL_LANES <= v->q; q += HL_LANES)
        hl_store(row + q, hl_maximum(hl_load(row + q), hl_load(other + q)));
      for (; q < v->q; q++) row[q] = hl_maximum_one(row[q], other[q]);
    }
    for (ptrdiff_t q = 0; q < s->q; q++) {
      const float *window = row + q * s->stride_w;
      float most = window[0];
      for (ptrdiff_t j = 1; j < s->kernel_w; j++) most = hl_maximum_one(most, window[j]);
      *pooled++ = most;
    }
  }
}

void conv2d_max_pool2d_run(const hl_call *call) {
  hl_conv v;
  pool s;
  char *scratch = call->scratch;
  geometry(call, &v, &s);
  if (v.pool) {
    hl_conv_run(&v, scratch);
    return;
  }
  float *row = hl_cut(&scratch, v.q), *maps = call->outs > 1 ? NULL : hl_cut(&scratch, v.f * v.plane);
  hl_conv one = v;
  one.n = 1;
  for (ptrdiff_t n = 0; n < v.n; n++) {
    one.x = v.x + n * v.c * v.h * v.w;
    one.y = maps ? maps : v.y + n * v.image;
    hl_conv_run(&one, scratch);
    for (ptrdiff_t f = 0; f < v.f; f++)
      pool_map(&v, &s, one.y + f * v.plane, row, v.pooled + (n * v.f + f) * s.p * s.q);
  }
}
