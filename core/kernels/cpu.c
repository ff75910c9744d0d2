// What this processor can run, asked of it itself: the library of the lowest level is opened first and names the best.
#include "handlens.h"

#if defined(__x86_64__)
static void cpuid(uint32_t leaf, uint32_t found[4]) {
  __asm__ volatile("cpuid" : "=a"(found[0]), "=b"(found[1]), "=c"(found[2]), "=d"(found[3]) : "a"(leaf), "c"(0));
}

// The register states that the system saves: bit 1, 2 for 16 registers of 4 and 8 floats, 5 to 7 for those of AVX-512.
static uint32_t saved_states(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static int has(uint32_t word, uint32_t bits) { return (word & bits) == bits; }
#endif

// 2, 3 or 4: the level of x86-64 (its psABI's), 1 where it is below all of them; 0 on other machines.
HL_EXPORT int32_t hl_cpu_level(void) {
#if defined(__x86_64__)
  uint32_t one[4], seven[4], extended[4], most[4];
  cpuid(0, most);
  cpuid(1, one);
  if (!has(one[2], 1u << 0 | 1u << 9 | 1u << 19 | 1u << 20 | 1u << 23)) return 1;  // SSE3, SSSE3, SSE4.1, 4.2, POPCNT
  const uint32_t fma_movbe_osxsave_avx_f16c = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29;
  if (most[0] < 7 || !has(one[2], fma_movbe_osxsave_avx_f16c) || !has(saved_states(), 0x6)) return 2;
  cpuid(7, seven);
  cpuid(0x80000001, extended);
  if (!has(seven[1], 1u << 3 | 1u << 5 | 1u << 8) || !has(extended[2], 1u << 5)) return 2;  // BMI1, AVX2, BMI2, LZCNT
  const uint32_t avx512_f_dq_cd_bw_vl = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
  return has(seven[1], avx512_f_dq_cd_bw_vl) && has(saved_states(), 0xe6) ? 4 : 3;
#else
  return 0;
#endif
}

// Floats of one vector.
HL_EXPORT int32_t hl_lanes(void) { return HL_LANES; }
