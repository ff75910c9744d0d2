// memset, memcpy and memmove: the compiler makes calls to them out of fills and copies, and a library that may not
// depend on libc must have them itself. Hidden, so that they stay this library's own and never stand in for the
// process's.
//
// On wasm with bulk memory nothing calls them: a fill or copy is one instruction there.
#include "handlens.h"

#define OWN __attribute__((visibility("hidden"), no_builtin("memset", "memcpy", "memmove")))

void *memset(void *to, int value, size_t count);
void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);

typedef uint8_t block __attribute__((vector_size(4 * HL_LANES)));
typedef uint8_t block_anywhere __attribute__((vector_size(4 * HL_LANES), aligned(1), may_alias));

HL_INLINE void put(uint8_t *to, block value) { *(block_anywhere *)to = value; }
HL_INLINE block get(const uint8_t *from) { return *(const block_anywhere *)from; }

OWN void *memset(void *to, int value, size_t count) {
  uint8_t *at = to;
  if (count < sizeof(block)) {
    while (count--) *at++ = (uint8_t)value;
    return to;
  }
  const block filled = (uint8_t)value - (block){0};
  uint8_t *const last = at + count - sizeof(block);
  for (; at < last; at += sizeof(block)) put(at, filled);
  put(last, filled);
  return to;
}

// From the front; right for overlapping memory too where `to` lies before `from`: what the last, overlapping block
// needs is read before anything is written.
HL_INLINE void copy_up(uint8_t *to, const uint8_t *from, size_t count) {
  if (count < sizeof(block)) {
    while (count--) *to++ = *from++;
    return;
  }
  const size_t last = count - sizeof(block);
  const block end = get(from + last);
  for (size_t k = 0; k < last; k += sizeof(block)) put(to + k, get(from + k));
  put(to + last, end);
}

HL_INLINE void copy_down(uint8_t *to, const uint8_t *from, size_t count) {
  if (count < sizeof(block)) {
    while (count--) to[count] = from[count];
    return;
  }
  const block start = get(from);
  for (; count >= sizeof(block); count -= sizeof(block))
    put(to + count - sizeof(block), get(from + count - sizeof(block)));
  put(to, start);
}

OWN void *memcpy(void *restrict to, const void *restrict from, size_t count) {
  copy_up(to, from, count);
  return to;
}

OWN void *memmove(void *to, const void *from, size_t count) {
  if ((uintptr_t)to <= (uintptr_t)from)
    copy_up(to, from, count);
  else
    copy_down(to, from, count);
  return to;
}
