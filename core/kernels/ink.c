// Strokes to the images that a network is to read: one, or a candidate for each way that the ink may fall into digits.
#include "ink.h"

#define HL_FINE_POINTS 32768  // room beyond the drawing's own points for what erasers look at finely
#define HL_FINE_PATHS 4096    // and for what they cut it to
#define HL_RASTER (HL_INK_RASTER * HL_INK_RASTER)
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
  const ptrdiff_t rasters = 2 * hl_aligned(HL_RASTER * (ptrdiff_t)sizeof(float));
  const ptrdiff_t labels = 2 * hl_aligned(HL_RASTER * (ptrdiff_t)sizeof(int32_t));
  const ptrdiff_t names = 2 * hl_aligned(most_paths(numbers) * (ptrdiff_t)sizeof(int32_t));
  return HL_LISTS * list_bytes(numbers) + rasters + labels + names + hl_aligned((ptrdiff_t)sizeof(hl_layout));
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

// What hl_ink works with, cut from its scratch.
typedef struct {
  hl_paths paths, a, b;
  float *squares, *raster;
  int32_t *label, *stack, *unit_of, *member;
  hl_layout *layout;
} hl_desk;

static int32_t *cut_numbers(char **left, int32_t count) { return (int32_t *)hl_cut(left, count); }

static hl_desk cut_desk(char *scratch, int32_t numbers) {
  hl_desk desk;
  desk.paths = cut_list(&scratch, numbers), desk.a = cut_list(&scratch, numbers), desk.b = cut_list(&scratch, numbers);
  desk.squares = hl_cut(&scratch, HL_RASTER), desk.raster = hl_cut(&scratch, HL_RASTER);
  desk.label = cut_numbers(&scratch, HL_RASTER), desk.stack = cut_numbers(&scratch, HL_RASTER);
  desk.unit_of = cut_numbers(&scratch, most_paths(numbers)), desk.member = cut_numbers(&scratch, most_paths(numbers));
  desk.layout = (hl_layout *)scratch;
  return desk;
}

// Which paths may make a digit.
static void lay_out(const hl_desk *desk, double extent) {
  const hl_paths *paths = &desk->paths;
  if (paths->paths > HL_INK_BITS) {
    for (int32_t i = 0; i < paths->paths; i++) desk->member[i] = i;
    hl_touching(paths, desk->member, extent, desk->squares, desk->raster, desk->label, desk->stack, desk->unit_of);
  } else {
    hl_meeting(paths, extent, desk->unit_of);
  }
  const int32_t parts = hl_number_names(desk->unit_of, paths->paths);
  hl_lay_out(paths, desk->unit_of, parts, desk->layout);
}

// Make the image of some units. Returns 0 where there is no ink.
static int make(const hl_desk *desk, double extent, int32_t first, int32_t end, float *image, double *found) {
  int32_t members = 0;
  for (int32_t i = 0; i < desk->paths.paths; i++)
    if (desk->unit_of[i] >= first && desk->unit_of[i] < end) desk->member[members++] = i;
  hl_box box;
  if (!hl_image(&desk->paths, desk->member, members, extent, desk->squares, desk->raster, image, &box)) return 0;
  found[HL_FOUND_FIRST] = first, found[HL_FOUND_END] = end;
  found[HL_FOUND_LAST] = desk->paths.path[desk->member[members - 1]].stroke;
  found[HL_FOUND_X0] = box.x0, found[HL_FOUND_Y0] = box.y0, found[HL_FOUND_X1] = box.x1, found[HL_FOUND_Y1] = box.y1;
  return 1;
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

  hl_desk desk = cut_desk(scratch, numbers);
  hl_left_on_pad(packed, numbers, extent, &desk.paths, &desk.a, &desk.b);
  if (desk.paths.full) return HL_E_MEMORY;
  if (desk.paths.paths == 0) return 0;
  lay_out(&desk, extent);
  const hl_groups *groups = &desk.layout->groups;
  const int crowded = groups->count > HL_INK_CANDIDATES;
  if (crowded || groups->count == 1) {
    for (int32_t i = 0; i < desk.paths.paths; i++) desk.unit_of[i] = 0;
    found[HL_FOUND_PRIOR] = 0.0;
    if (!make(&desk, extent, 0, 1, images, found)) return 0;
    return crowded ? HL_INK_CROWDED | 1 : 1;
  }
  for (int32_t k = 0; k < groups->count; k++) {
    double *to = found + k * HL_INK_FOUND;
    to[HL_FOUND_PRIOR] = hl_prior(desk.layout, k);
    if (!make(&desk, extent, groups->first[k], groups->end[k], images + k * HL_INK_PIXELS, to)) return 0;
  }
  return groups->count;
}
