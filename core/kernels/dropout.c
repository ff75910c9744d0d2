// Inverted dropout: y_i = x_i / (1 - rate) where hash(seed + salt, i) >= rate 2^32, else 0. The hash gives the same
// bits on every backend (lowbias32, C. Wellons 2018).
#include "elementwise.h"

enum { RATE, SALT };

ptrdiff_t dropout_check(const hl_call *call) {
  const hl_tensor *x = call->in[0], *seed = call->in[1], *y = call->out[0];
  const double rate = call->attr[RATE], salt = call->attr[SALT];
  if (x->dtype != HL_FLOAT32 || seed->dtype != HL_UINT32 || y->dtype != HL_FLOAT32) return HL_E_DTYPE;
  if (x->size != y->size) return HL_E_SHAPE;
  if (!(rate >= 0 && rate < 1)) return HL_E_ATTRIBUTE;
  if (!(salt >= 0 && salt <= 4294967295.0) || (double)(uint32_t)salt != salt) return HL_E_ATTRIBUTE;
  return HL_OK;
}

// rate 2^32 to the nearest whole number, the even one of two.
static uint32_t threshold_of(double rate) {
  const double exact = rate * 4294967296.0;
  uint64_t whole = (uint64_t)exact;
  const double rest = exact - (double)whole;
  if (rest > 0.5 || (rest == 0.5 && whole % 2)) whole++;
  return whole > UINT32_MAX ? UINT32_MAX : (uint32_t)whole;
}

HL_INLINE hl_uvec hash(hl_uvec seed, hl_uvec index) {
  hl_uvec bits = index * 0x9E3779B9u + seed;
  bits = (bits ^ (bits >> 16)) * 0x7FEB352Du;
  bits = (bits ^ (bits >> 15)) * 0x846CA68Bu;
  return bits ^ (bits >> 16);
}

void dropout_run(const hl_call *call) {
  const float *x = hl_floats(call->in[0]);
  float *y = hl_floats(call->out[0]);
  const ptrdiff_t count = call->out[0]->size;
  const double rate = call->attr[RATE];
  const hl_uvec seed = hl_usplat(*(const uint32_t *)call->in[1]->data + (uint32_t)call->attr[SALT]);
  const hl_uvec threshold = hl_usplat(threshold_of(rate));
  const hl_vec scale = hl_splat((float)(1 / (1 - rate))), one = hl_splat(1);
  hl_uvec index;
  for (int k = 0; k < HL_LANES; k++) index[k] = (uint32_t)k;
  ptrdiff_t k = 0;
  for (; k + HL_LANES <= count; k += HL_LANES, index += HL_LANES) {
    const hl_ivec kept = (hl_ivec)(hash(seed, index) >= threshold);
    hl_store(y + k, hl_load(x + k) * scale * hl_keep(kept, one));
  }
  if (k == count) return;
  const hl_ivec kept = (hl_ivec)(hash(seed, index) >= threshold);
  hl_store_some(y + k, count - k, hl_load_some(x + k, count - k, 0) * scale * hl_keep(kept, one));
}
