// Which paths touch: how a drawing made bit by bit, with keys or row by row, is put together.
#include "ink.h"

// Mark all pixels that hang together with `start`, eight neighbours each. Every pixel is put on the stack once.
static void flood(const float *raster, int32_t *label, int32_t *stack, int32_t start, int32_t mark) {
  int32_t left = 0;
  label[start] = mark;
  stack[left++] = start;
  while (left > 0) {
    const int32_t at = stack[--left], row = at / HL_INK_RASTER, column = at % HL_INK_RASTER;
    for (int32_t y = row - 1; y <= row + 1; y++)
      for (int32_t x = column - 1; x <= column + 1; x++) {
        if (y < 0 || y >= HL_INK_RASTER || x < 0 || x >= HL_INK_RASTER) continue;
        const int32_t near = y * HL_INK_RASTER + x;
        if (label[near] >= 0 || !(raster[near] >= 0.5f)) continue;
        label[near] = mark;
        stack[left++] = near;
      }
  }
}

static int32_t pixel_of(double value, double extent) {
  return (int32_t)hl_clip(value * HL_INK_RASTER / extent, 0.0, HL_INK_RASTER - 1);
}

// Name each path after the first whose ink hangs together with its own, on a raster of the pad. A line too thin for the
// raster stands alone.
void hl_touching(const hl_paths *paths, const int32_t *member, double extent, float *squares, float *raster,
                 int32_t *label, int32_t *stack, int32_t *name) {
  const double scale = HL_INK_RASTER / extent;
  hl_view view = {paths, member, paths->paths, HL_INK_RASTER, {0.0, 0.0}, scale, 0.0, 0.0};
  hl_zero(raster, HL_INK_RASTER * HL_INK_RASTER);
  hl_draw_as_drawn(&view, scale, squares, raster);
  for (int32_t k = 0; k < HL_INK_RASTER * HL_INK_RASTER; k++) label[k] = -1;
  for (int32_t k = 0; k < paths->paths; k++) {
    const hl_point first = paths->point[paths->path[k].first];
    const int32_t at = pixel_of(first.y, extent) * HL_INK_RASTER + pixel_of(first.x, extent);
    if (label[at] < 0 && raster[at] >= 0.5f) flood(raster, label, stack, at, k);
    name[k] = label[at] < 0 ? k : label[at];
  }
}
