// Broadcasting: a walk over the rows of a large tensor, with one or two smaller ones stepping along beside it.
#ifndef HANDLENS_BROADCAST_H
#define HANDLENS_BROADCAST_H

#include "elementwise.h"

// Axes from the outermost to the innermost; the last one is a row. `step` of operand o is in elements, 0 along an axis
// that it is repeated over.
typedef struct {
  int axes;
  ptrdiff_t dim[HL_RANK], step[2][HL_RANK];
} hl_walk;

// Whether `small` can be repeated to the shape of `large`.
HL_INLINE int hl_broadcasts(const hl_tensor *small, const hl_tensor *large) {
  const int ahead = large->rank - small->rank;
  if (ahead < 0) return 0;
  for (int k = 0; k < small->rank; k++)
    if (small->dim[k] != 1 && small->dim[k] != large->dim[ahead + k]) return 0;
  return 1;
}

HL_INLINE void hl_steps(const hl_tensor *small, const hl_tensor *large, ptrdiff_t *step) {
  const int ahead = large->rank - small->rank;
  ptrdiff_t size = 1;
  for (int k = large->rank - 1; k >= 0; k--) {
    const ptrdiff_t dim = k >= ahead ? small->dim[k - ahead] : 1;
    step[k] = dim == 1 ? 0 : size;
    size *= dim;
  }
}

// Axes that every operand steps through as if they were one become one, so that rows are as long as they can be.
HL_INLINE void hl_join(hl_walk *walk, const hl_tensor *large, int operands) {
  int last = -1;
  for (int k = 0; k < large->rank; k++) {
    const ptrdiff_t dim = large->dim[k];
    if (dim == 1) continue;
    int joins = last >= 0;
    for (int o = 0; joins && o < operands; o++) joins = walk->step[o][last] == walk->step[o][k] * dim;
    if (joins)
      walk->dim[last] *= dim;
    else
      walk->dim[++last] = dim;
    for (int o = 0; o < operands; o++) walk->step[o][last] = walk->step[o][k];
  }
  if (last < 0) {
    walk->dim[++last] = 1;
    for (int o = 0; o < operands; o++) walk->step[o][0] = 0;
  }
  walk->axes = last + 1;
}

HL_INLINE void hl_walk_of(hl_walk *walk, const hl_tensor *large, const hl_tensor *a, const hl_tensor *b) {
  hl_steps(a, large, walk->step[0]);
  if (b) hl_steps(b, large, walk->step[1]);
  hl_join(walk, large, b ? 2 : 1);
}

HL_INLINE ptrdiff_t hl_row(const hl_walk *walk) { return walk->dim[walk->axes - 1]; }
HL_INLINE ptrdiff_t hl_row_step(const hl_walk *walk, int operand) { return walk->step[operand][walk->axes - 1]; }

// On to the next row: moves `place`, the row's number along every outer axis, and the operands' offsets.
HL_INLINE void hl_next_row(const hl_walk *walk, ptrdiff_t *place, ptrdiff_t *offset, int operands) {
  for (int k = walk->axes - 2; k >= 0; k--) {
    const int carry = ++place[k] == walk->dim[k];
    for (int o = 0; o < operands; o++) offset[o] += carry ? walk->step[o][k] * (1 - walk->dim[k]) : walk->step[o][k];
    if (!carry) return;
    place[k] = 0;
  }
}

#endif
