// What the build of a library has to get right, and no kernel shows by itself: data that holds addresses (they must be
// relocated in a side module), tables made of switches, room on the stack, fused multiply-add, fills and copies.
#include "handlens.h"

static const float table[16] = {1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47};
static const char *const words[] = {"zero", "one", "two", "three", "four"};

HL_EXPORT float hl_probe_table(int k) { return table[k & 15]; }

HL_EXPORT const char *hl_probe_word(int k) { return words[k % 5]; }

HL_EXPORT const char *hl_probe_name(int k) {  // clang makes a table of addresses of it
  switch (k) {
    case 0: return "null";
    case 1: return "eins";
    case 2: return "zwei";
    case 3: return "drei";
    case 4: return "vier";
    default: return "viele";
  }
}

HL_EXPORT int hl_probe_jump(int k, int a) {  // and a table of jumps of this
  switch (k) {
    case 0: return a + 1;
    case 1: return a * 3;
    case 2: return a / 7;
    case 3: return a ^ 5;
    case 4: return a - 99;
    case 5: return a << 3;
    default: return -1;
  }
}

// a * b + c where a * b is rounded only once if it is fused: with a = b = 1 + 2^-12 and c = -1 - 2^-11 that leaves 2^-24,
// and nothing otherwise.
HL_EXPORT void hl_probe_fused(const float *a, const float *b, float *c) {
  hl_store(c, hl_load(a) * hl_load(b) + hl_load(c));
}

__attribute__((noinline)) static float fold(float *values, int count) {
  float sum = 0;
  for (int k = 0; k < count; k++) sum += values[k] *= 0.5f;
  return sum;
}

HL_EXPORT float hl_probe_stack(int count) {  // 32 KB: more than a page, which Windows must be told of
  float values[8192];
  for (int k = 0; k < count; k++) values[k] = 2.0f * (float)k;
  return fold(values, count);
}

HL_EXPORT void hl_probe_fill(unsigned char *to, const unsigned char *from, int count) {
  __builtin_memset(to, 7, (size_t)count);
  __builtin_memcpy(to + count, from, (size_t)count);
}

HL_EXPORT int hl_probe_lanes(void) { return HL_LANES; }
