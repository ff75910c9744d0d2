// What the poolings share: their window, rows of pixels a stride apart, and the pairs that 2x2 windows are made of.
#ifndef HANDLENS_POOL_H
#define HANDLENS_POOL_H

#include "arithmetic.h"
#include "window.h"

enum { HL_POOL_KERNEL, HL_POOL_WINDOW = 2, HL_POOL_LAST = HL_POOL_WINDOW + HL_WINDOW_ATTRS };

// The window of a pooling from `images` to `maps`, which may overhang the image (ceil_mode). Padding stays smaller than
// the kernel: every window holds a pixel.
HL_INLINE hl_error hl_pool_of(const hl_call *call, const hl_tensor *images, const hl_tensor *maps, hl_window *g) {
  int32_t kernel[2];
  for (int k = 0; k < 2; k++)
    if (!hl_whole(call, HL_POOL_KERNEL + k, 1, HL_WINDOW_MOST, &kernel[k])) return HL_E_ATTRIBUTE;
  const hl_error error = hl_window_of(call, HL_POOL_WINDOW, images, maps, kernel[0], kernel[1], 1, g);
  if (error) return error;
  if (g->top >= g->kh || g->bottom >= g->kh || g->left >= g->kw || g->right >= g->kw) return HL_E_ATTRIBUTE;
  return g->c == g->f ? HL_OK : HL_E_SHAPE;
}

// Windows of 2x2 next to each other that all lie inside the image, as nearly every network has them.
HL_INLINE int hl_pool_of_pairs(const hl_window *g) {
  return g->kh == 2 && g->kw == 2 && g->stride_h == 2 && g->stride_w == 2 && g->top == 0 && g->left == 0 &&
         2 * (int64_t)g->p <= g->h && 2 * (int64_t)g->q <= g->w;
}

// The outputs [*begin, *end) of a row whose windows' column number `j` lies inside the image.
HL_INLINE void hl_pool_columns(const hl_window *g, ptrdiff_t j, ptrdiff_t *begin, ptrdiff_t *end) {
  const ptrdiff_t first = g->left - j, past = (ptrdiff_t)g->w + g->left - j;  // first <= q stride < past
  *begin = first > 0 ? (first + g->stride_w - 1) / g->stride_w : 0;
  if ((ptrdiff_t)(g->q - 1) * g->stride_w < past)
    *end = g->q;  // as nearly always: a division a cell of every row would be much of the time
  else
    *end = past > 0 ? (past + g->stride_w - 1) / g->stride_w : 0;
}

// The columns of a window that can meet the image at all, whatever the window.
HL_INLINE ptrdiff_t hl_pool_reach(const hl_window *g) { return hl_min(g->kw, (ptrdiff_t)g->w + g->left); }

// What an average along one side divides by: pixels of window `p` inside the image, with `include_pad` inside its
// padding too; what a window overhangs beyond that never counts.
HL_INLINE float hl_pool_count(ptrdiff_t p, ptrdiff_t stride, ptrdiff_t k, ptrdiff_t before, ptrdiff_t after,
                              ptrdiff_t size, int include_pad) {
  const ptrdiff_t start = p * stride - before;
  const ptrdiff_t low = include_pad ? -before : 0, high = include_pad ? size + after : size;
  return (float)(hl_min(start + k, high) - hl_max(start, low));
}

// ---- eight or four windows of 2x2 at a time: rows of a map are short, too short for vectors of sixteen

typedef float hl_four __attribute__((vector_size(16)));
typedef float hl_eight __attribute__((vector_size(32)));
typedef int32_t hl_ifour __attribute__((vector_size(16)));
typedef int32_t hl_ieight __attribute__((vector_size(32)));
typedef float hl_four_anywhere __attribute__((vector_size(16), aligned(4), may_alias));
typedef float hl_eight_anywhere __attribute__((vector_size(32), aligned(4), may_alias));

HL_INLINE hl_four hl_load4(const float *from) { return *(const hl_four_anywhere *)from; }
HL_INLINE hl_eight hl_load8(const float *from) { return *(const hl_eight_anywhere *)from; }
HL_INLINE void hl_store4(float *to, hl_four value) { *(hl_four_anywhere *)to = value; }
HL_INLINE void hl_store8(float *to, hl_eight value) { *(hl_eight_anywhere *)to = value; }

// The values at even places, then those at odd places, of twice as many from memory.
HL_INLINE void hl_split4(const float *from, hl_four *even, hl_four *odd) {
  const hl_four a = hl_load4(from), b = hl_load4(from + 4);
  *even = __builtin_shufflevector(a, b, 0, 2, 4, 6);
  *odd = __builtin_shufflevector(a, b, 1, 3, 5, 7);
}
HL_INLINE void hl_split8(const float *from, hl_eight *even, hl_eight *odd) {
  const hl_eight a = hl_load8(from), b = hl_load8(from + 8);
  *even = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
  *odd = __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}
// Four or eight values `stride` (1 or 2) apart, and nothing read beyond the last of them.
HL_INLINE hl_four hl_take4(const float *from, ptrdiff_t stride) {
  return stride == 1 ? hl_load4(from) : __builtin_shufflevector(hl_load4(from), hl_load4(from + 3), 0, 2, 5, 7);
}
HL_INLINE hl_eight hl_take8(const float *from, ptrdiff_t stride) {
  if (stride == 1) return hl_load8(from);
  return __builtin_shufflevector(hl_load8(from), hl_load8(from + 7), 0, 2, 4, 6, 9, 11, 13, 15);
}
HL_INLINE void hl_zip4(float *to, hl_four even, hl_four odd) {
  hl_store4(to, __builtin_shufflevector(even, odd, 0, 4, 1, 5));
  hl_store4(to + 4, __builtin_shufflevector(even, odd, 2, 6, 3, 7));
}
HL_INLINE void hl_zip8(float *to, hl_eight even, hl_eight odd) {
  hl_store8(to, __builtin_shufflevector(even, odd, 0, 8, 1, 9, 2, 10, 3, 11));
  hl_store8(to + 8, __builtin_shufflevector(even, odd, 4, 12, 5, 13, 6, 14, 7, 15));
}

#define HL_POOL_LANES(n, vec, ivec)                                                                                  \
  HL_INLINE vec hl_pick##n(ivec where, vec yes, vec no) {                                                             \
    return (vec)((where & (ivec)yes) | (~where & (ivec)no));                                                          \
  }                                                                                                                   \
  HL_INLINE vec hl_maximum##n(vec a, vec b) { return hl_pick##n(a != a, a, hl_pick##n(a > b, a, b)); }
HL_POOL_LANES(4, hl_four, hl_ifour)
HL_POOL_LANES(8, hl_eight, hl_ieight)

// Runs name##8, name##4 or name##1 (first place, ...) over `count` places of a row. The last vector may go over places
// that are done: it is only for work that comes out the same twice.
#define HL_ALONG_ROW(count, name, ...)                       \
  do {                                                       \
    ptrdiff_t at_ = 0;                                       \
    for (; at_ + 8 <= (count); at_ += 8) name##8(at_, __VA_ARGS__); \
    const ptrdiff_t left_ = (count)-at_;                     \
    if (left_ > 4 && (count) >= 8) {                         \
      name##8((count)-8, __VA_ARGS__);                       \
    } else if (left_ > 0 && (count) >= 4) {                  \
      if (left_ > 4) name##4(at_, __VA_ARGS__);              \
      name##4((count)-4, __VA_ARGS__);                       \
    } else {                                                 \
      for (; at_ < (count); at_++) name##1(at_, __VA_ARGS__); \
    }                                                        \
  } while (0)

#endif
