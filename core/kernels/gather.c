// y[n, ..] = scale data[rows[n], ..]. Row numbers come at run time: one outside the data takes the nearest row.
#include "elementwise.h"

typedef uint8_t bytes_vec __attribute__((vector_size(HL_LANES)));
typedef uint8_t bytes_anywhere __attribute__((vector_size(HL_LANES), aligned(1), may_alias));

ptrdiff_t gather_check(const hl_call *call) {
  const hl_tensor *data = call->in[0], *rows = call->in[1], *y = call->out[0];
  if (rows->dtype != HL_INT32) return HL_E_DTYPE;
  if (y->dtype != data->dtype && y->dtype != HL_FLOAT32) return HL_E_DTYPE;
  if (y->dtype != HL_FLOAT32 && call->attr[0] != 1) return HL_E_ATTRIBUTE;
  if (data->rank < 1 || rows->rank != 1 || y->rank != data->rank || y->dim[0] != rows->dim[0]) return HL_E_SHAPE;
  if (data->dim[0] < 1) return HL_E_SHAPE;
  for (int k = 1; k < data->rank; k++)
    if (y->dim[k] != data->dim[k]) return HL_E_SHAPE;
  return HL_OK;
}

HL_INLINE hl_vec times(hl_vec x, hl_vec factor) { return x * factor; }

static void from_bytes(const uint8_t *from, float *to, ptrdiff_t count, float scale) {
  ptrdiff_t k = 0;
  for (; k + HL_LANES <= count; k += HL_LANES) {
    const bytes_vec some = *(const bytes_anywhere *)(from + k);
    hl_store(to + k, __builtin_convertvector(some, hl_vec) * scale);
  }
  for (; k < count; k++) to[k] = (float)from[k] * scale;
}

static void from_words(const char *from, int is_signed, float *to, ptrdiff_t count, float scale) {
  for (ptrdiff_t k = 0; k < count; k++)
    to[k] = (is_signed ? (float)((const int32_t *)from)[k] : (float)((const uint32_t *)from)[k]) * scale;
}

void gather_run(const hl_call *call) {
  const hl_tensor *data = call->in[0], *y = call->out[0];
  const int32_t *rows = call->in[1]->data;
  const float scale = (float)call->attr[0];
  const ptrdiff_t last = data->dim[0] - 1, count = data->size / data->dim[0];
  const ptrdiff_t bytes = count * (data->dtype == HL_UINT8 ? 1 : 4);
  for (ptrdiff_t n = 0; n < y->dim[0]; n++) {
    const char *from = (const char *)data->data + hl_max(0, hl_min(rows[n], last)) * bytes;
    float *to = (float *)y->data + n * count;
    if (y->dtype == data->dtype && scale == 1)
      __builtin_memcpy((char *)y->data + n * bytes, from, (size_t)bytes);
    else if (data->dtype == HL_FLOAT32)
      hl_map((const float *)from, to, count, times, scale);
    else if (data->dtype == HL_UINT8)
      from_bytes((const uint8_t *)from, to, count, scale);
    else
      from_words(from, data->dtype == HL_INT32, to, count, scale);
  }
}
