// Strokes to the images that a network is to read: one, or a candidate for each way that the ink may fall into digits.
#include "ink.h"

#define HL_FINE_POINTS 16384  // room beyond the drawing's own points for what erasers look at finely
#define HL_FINE_PATHS 4096    // and for what they cut it to
#define HL_RASTER 10000       // pixels of the raster
#define HL_LISTS 3
#define HL_LARGEST_PAD 1e6
#define HL_SMALLEST_PAD 1e-4

// A path of n points has at most 2 n where the pad's edge cuts it.
static int32_t most_points(int32_t numbers) { return numbers + HL_FINE_POINTS; }
static int32_t most_paths(int32_t numbers) { return numbers / 2 + HL_FINE_PATHS; }

static ptrdiff_t list_bytes(int32_t numbers) {
  return hl_aligned(most_points(numbers) * (ptrdiff_t)sizeof(hl_point)) +
         hl_aligned(most_paths(numbers) * (ptrdiff_t)sizeof(hl_path));
}

ptrdiff_t hl_ink_scratch(int32_t numbers) {
  if (numbers < 0 || numbers > HL_INK_NUMBERS) return HL_E_LENGTH;
  return HL_LISTS * list_bytes(numbers) + 2 * hl_aligned(HL_RASTER * (ptrdiff_t)sizeof(float)) +
         hl_aligned(HL_INK_BITS * (ptrdiff_t)sizeof(hl_part)) + hl_aligned(most_paths(numbers) * (ptrdiff_t)sizeof(int32_t));
}

static hl_paths cut_list(char **left, int32_t numbers) {
  hl_paths list = {0};
  list.most_points = most_points(numbers);
  list.most_paths = most_paths(numbers);
  list.point = (hl_point *)*left;
  list.path = (hl_path *)(*left + hl_aligned(list.most_points * (ptrdiff_t)sizeof(hl_point)));
  *left += list_bytes(numbers);
  return list;
}

static void write_found(double *found, const hl_layout *layout, int32_t k, int32_t last, const hl_box *box) {
  double *to = found + k * HL_INK_FOUND;
  to[HL_FOUND_FIRST] = layout->first[k], to[HL_FOUND_END] = layout->end[k];
  to[HL_FOUND_PRIOR] = layout->prior[k];
  to[HL_FOUND_LAST] = last;
  to[HL_FOUND_X0] = box->x0, to[HL_FOUND_Y0] = box->y0, to[HL_FOUND_X1] = box->x1, to[HL_FOUND_Y1] = box->y1;
}

int32_t hl_ink(const float *packed, int32_t numbers, double extent, float *images, double *found, char *scratch,
               ptrdiff_t bytes) {
  const ptrdiff_t needed = hl_ink_scratch(numbers);
  if (needed < 0) return (int32_t)needed;
  if ((packed == NULL && numbers > 0) || images == NULL || found == NULL || scratch == NULL) return HL_E_BUFFER;
  if ((uintptr_t)packed % 4 || (uintptr_t)images % 4 || (uintptr_t)found % 8) return HL_E_BUFFER;
  if (bytes < needed || (uintptr_t)scratch % HL_ALIGNMENT) return HL_E_MEMORY;
  if (!(extent >= HL_SMALLEST_PAD && extent <= HL_LARGEST_PAD)) return HL_E_RANGE;
  const int32_t wrong = hl_check_strokes(packed, numbers);
  if (wrong != HL_OK) return wrong;

  hl_paths paths = cut_list(&scratch, numbers), a = cut_list(&scratch, numbers), b = cut_list(&scratch, numbers);
  float *squares = hl_cut(&scratch, HL_RASTER), *raster = hl_cut(&scratch, HL_RASTER);
  hl_part *parts = (hl_part *)scratch;
  scratch += hl_aligned(HL_INK_BITS * (ptrdiff_t)sizeof(hl_part));
  int32_t *member = (int32_t *)scratch;

  hl_left_on_pad(packed, numbers, extent, &paths, &a, &b);
  if (paths.full) return HL_E_MEMORY;
  if (paths.paths == 0) return 0;
  const int many = paths.paths > HL_INK_BITS;
  hl_layout layout = {.units = 1, .groups = 1, .end = {1}};
  if (!many && paths.paths > 1) hl_lay_out(&paths, extent, parts, &layout);
  const int crowded = layout.groups > HL_INK_CANDIDATES, whole = many || crowded || layout.groups == 1;
  if (whole) layout.groups = 1, layout.first[0] = 0, layout.end[0] = 1, layout.prior[0] = 0.0;
  for (int32_t k = 0; k < layout.groups; k++) {
    int32_t members = 0, last = 0;
    for (int32_t i = 0; i < paths.paths; i++) {
      if (!whole && (layout.unit_of[i] < layout.first[k] || layout.unit_of[i] >= layout.end[k])) continue;
      member[members++] = i;
      last = paths.path[i].stroke;
    }
    hl_box box;
    if (!hl_image(&paths, member, members, extent, squares, raster, images + k * HL_INK_PIXELS, &box)) return 0;
    write_found(found, &layout, k, last, &box);
  }
  return many || crowded ? HL_INK_WAIT | 1 : layout.groups;
}
