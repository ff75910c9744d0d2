// Paths to the 28x28: drawn anew to fill 100x100, averaged to 20x20, centred by their mass.
#include "ink.h"

#define HL_FIT 20
#define HL_OVERSAMPLE 5
#define HL_FINE (HL_FIT * HL_OVERSAMPLE)  // pixels of the raster's side
#define HL_INK_WIDTH 2.5                  // pixels of the 28x28: the line that digits are re-inked with
#define HL_HATCHING 8                     // paths: more than these may be hatching, which fills a shape
#define HL_TAP 0.75                       // of the brush: smaller drawings are a spot
#define HL_MERGE 0.5                      // raster pixels: points that crowd closer along the path are merged

// The pieces of one line width: `radius` of the line, at most `piece` long, `window` pixels looked at around each.
typedef struct {
  double radius, piece, longest;
  int32_t window;
  float *squares;  // squared distance of each pixel from the nearest piece; NULL while the longest is looked for
} hl_pen;

// Squared distances of the pixels around a piece. With p the pixel less the piece's start, u its direction, L its length:
// t = clip(p.u, 0, L),  d^2 = p.p + t (t - 2 p.u).
static void draw_piece(hl_pen *pen, int32_t side, hl_point start, hl_point along) {
  const double length = hl_hypot(along.x, along.y), safe = length > 0.0 ? length : 1.0;
  if (pen->squares == NULL) {
    pen->longest = hl_most(pen->longest, length);
    return;
  }
  const int32_t window = pen->window;
  int32_t left = 0, top = 0;
  if (window < side) {
    left = (int32_t)__builtin_ceil(start.x + along.x / 2 - (window - 1) / 2.0 - 0.5);
    top = (int32_t)__builtin_ceil(start.y + along.y / 2 - (window - 1) / 2.0 - 0.5);
  }
  const float ux = (float)(along.x / safe), uy = (float)(along.y / safe), reach = (float)length;
  const float from_x = (float)(left + 0.5 - start.x), from_y = (float)(top + 0.5 - start.y);
  const int32_t first = left > 0 ? left : 0, end = left + window < side ? left + window : side;
  const int32_t last_row = top + window < side ? top + window : side;
  for (int32_t row = top > 0 ? top : 0; row < last_row; row++) {
    const float y = from_y + (float)(row - top), along_y = y * uy, yy = y * y;
    float *to = pen->squares + row * side;
    for (int32_t column = first; column < end; column++) {
      const float x = from_x + (float)(column - left);
      float dot = along_y + x * ux;
      float t = dot < 0.0f ? 0.0f : dot;
      t = t > reach ? reach : t;
      dot = (t - (dot + dot)) * t + (yy + x * x);
      to[column] = dot < to[column] ? dot : to[column];
    }
  }
}

static void draw_segment(hl_pen *pen, int32_t side, hl_point start, hl_point along) {
  const double count = hl_most(__builtin_ceil(hl_hypot(along.x, along.y) / pen->piece), 1.0);
  along.x /= count, along.y /= count;
  for (double number = 0.0; number < count; number += 1.0) {
    const hl_point from = {start.x + along.x * number, start.y + along.y * number};
    draw_piece(pen, side, from, along);
  }
}

// All segments of the view's paths, with the points between left out that crowd: the first in each stretch stays.
static void draw_paths(const hl_view *view, hl_pen *pen) {
  double way = 0.0, stretch = 0.0;
  for (int32_t m = 0; m < view->members; m++) {
    const hl_path path = view->paths->path[view->member[m]];
    if (view->width != 0.0 && path.width != view->width) continue;
    hl_point before = {0.0, 0.0}, kept = {0.0, 0.0};
    for (int32_t k = 0; k < path.count; k++) {
      const hl_point on_pad = view->paths->point[path.first + k];
      const hl_point here = {(on_pad.x - view->centre.x) * view->scale + view->to,
                             (on_pad.y - view->centre.y) * view->scale + view->to};
      if (k > 0) way += hl_hypot(here.x - before.x, here.y - before.y);
      const double now = __builtin_floor(way / HL_MERGE);
      if (k > 0 && (k + 1 == path.count || now > stretch)) {
        draw_segment(pen, view->side, kept, (hl_point){here.x - kept.x, here.y - kept.y});
        kept = here;
      }
      if (k == 0) kept = here;
      if (path.count == 1) draw_segment(pen, view->side, here, (hl_point){0.0, 0.0});
      stretch = now;
      before = here;
    }
  }
}

// The cover of the view's paths, by a line `line` raster pixels wide, where it is larger than what the raster has.
static void draw(const hl_view *view, double line, float *squares, float *raster) {
  const double radius = line / 2;
  hl_pen pen = {radius, hl_most(8.0, 2.0 * radius), 0.0, 0, NULL};
  draw_paths(view, &pen);
  const double window = __builtin_ceil(pen.longest + 2 * (radius + 0.5)) + 1;
  pen.window = window < view->side ? (int32_t)window : view->side;
  pen.squares = squares;
  const int32_t pixels = view->side * view->side;
  for (int32_t k = 0; k < pixels; k++) squares[k] = __builtin_inff();
  draw_paths(view, &pen);
  const float r = (float)radius;
  for (int32_t k = 0; k < pixels; k++) {
    const float square = squares[k] > 0.0f ? squares[k] : 0.0f, distance = __builtin_sqrtf(square);
    const float inner = distance + r < 0.5f ? distance + r : 0.5f, outer = distance - r > -0.5f ? distance - r : -0.5f;
    const float cover = inner - outer;
    raster[k] = cover > raster[k] ? cover : raster[k];
  }
}

// What the paths reach, without and with their brush, and the widest brush's half.
typedef struct {
  hl_box points, ink;
  double half;
} hl_reach;

static hl_reach reach_of(const hl_view *view) {
  const double none = __builtin_inf();
  hl_reach reach = {{none, none, -none, -none}, {none, none, -none, -none}, 0.0};
  for (int32_t m = 0; m < view->members; m++) {
    const hl_path path = view->paths->path[view->member[m]];
    const double half = path.width / 2;
    reach.half = hl_most(reach.half, half);
    for (int32_t k = 0; k < path.count; k++) {
      const hl_point p = view->paths->point[path.first + k];
      hl_box *points = &reach.points, *ink = &reach.ink;
      points->x0 = hl_least(points->x0, p.x), points->y0 = hl_least(points->y0, p.y);
      points->x1 = hl_most(points->x1, p.x), points->y1 = hl_most(points->y1, p.y);
      ink->x0 = hl_least(ink->x0, p.x - half), ink->y0 = hl_least(ink->y0, p.y - half);
      ink->x1 = hl_most(ink->x1, p.x + half), ink->y1 = hl_most(ink->y1, p.y + half);
    }
  }
  return reach;
}

// Scale and centre a box into the raster, and blank it.
static void place(hl_view *view, const hl_box *box, double room, double half, float *raster) {
  const double span = hl_most(box->x1 - box->x0, box->y1 - box->y0);
  view->scale = room / hl_most(span, HL_TAP * 2 * half);
  view->centre = (hl_point){(box->x0 + box->x1) / 2, (box->y0 + box->y1) / 2};
  hl_zero(raster, HL_FINE * HL_FINE);
}

static void draw_reinked(hl_view *view, const hl_reach *reach, float *squares, float *raster) {
  const double line = HL_INK_WIDTH * HL_OVERSAMPLE;
  place(view, &reach->points, HL_FINE - line, reach->half, raster);
  view->width = 0.0;
  draw(view, line, squares, raster);
}

// With each path's own width times `stretch`, those of equal width together, the narrowest first.
void hl_draw_as_drawn(hl_view *view, double stretch, float *squares, float *raster) {
  for (double width = 0.0;;) {
    double next = __builtin_inf();
    for (int32_t m = 0; m < view->members; m++) {
      const double other = view->paths->path[view->member[m]].width;
      if (other > width) next = hl_least(next, other);
    }
    if (next == __builtin_inf()) return;
    width = view->width = next;
    draw(view, width * stretch, squares, raster);
  }
}

// Whether a raster shows a shape whose line is about MNIST's. Its width is twice its area by the length of its outline,
// which is 4/pi too long in pixels.
static int is_hatched(const float *raster) {
  int32_t area = 0, outline = 0;
  for (int32_t row = 0; row <= HL_FINE; row++)
    for (int32_t column = 0; column <= HL_FINE; column++) {
      const int here = row < HL_FINE && column < HL_FINE && raster[row * HL_FINE + column] >= 0.5f;
      const int above = row > 0 && column < HL_FINE && raster[(row - 1) * HL_FINE + column] >= 0.5f;
      const int left = column > 0 && row < HL_FINE && raster[row * HL_FINE + column - 1] >= 0.5f;
      area += here;
      outline += (here != above) + (here != left);
    }
  const double width = 2.0 * area / hl_most(outline * 3.141592653589793 / 4, 1.0) / HL_OVERSAMPLE;
  return width >= 1.3 && width <= 4.0;
}

// Averages of 5x5; the sum of each row of five first, as NumPy adds them up.
static double average(const float *raster, float *fitted) {
  double mass = 0.0;
  for (int32_t row = 0; row < HL_FIT; row++)
    for (int32_t column = 0; column < HL_FIT; column++) {
      float sum = 0.0f;
      for (int32_t y = 0; y < HL_OVERSAMPLE; y++) {
        const float *from = raster + (row * HL_OVERSAMPLE + y) * HL_FINE + column * HL_OVERSAMPLE;
        float five = 0.0f;
        for (int32_t x = 0; x < HL_OVERSAMPLE; x++) five += from[x];
        sum += five;
      }
      const float mean = sum / (float)(HL_OVERSAMPLE * HL_OVERSAMPLE);
      fitted[row * HL_FIT + column] = mean < 1.0f ? mean : 1.0f;
      mass += (double)fitted[row * HL_FIT + column];
    }
  return mass;
}

// Whole pixels that bring the centre of mass into [13.5, 14.5), or as near as ink stays within the image.
static int32_t shift(const double *profile, double mass) {
  double moment = 0.0;
  int32_t first = HL_FIT, last = -1;
  for (int32_t k = 0; k < HL_FIT; k++) {
    moment += profile[k] * k;
    if (profile[k] > 0.0 && first == HL_FIT) first = k;
    if (profile[k] > 0.0) last = k;
  }
  const int32_t wanted = (int32_t)__builtin_ceil(HL_INK_SIDE / 2 - 0.5 - moment / mass - 1e-4);
  const int32_t low = -first, high = HL_INK_SIDE - 1 - last;
  return wanted < low ? low : wanted > high ? high : wanted;
}

static void centre(const float *fitted, double mass, float *image) {
  double rows[HL_FIT] = {0.0}, columns[HL_FIT] = {0.0};
  for (int32_t row = 0; row < HL_FIT; row++)
    for (int32_t column = 0; column < HL_FIT; column++) {
      const double ink = (double)fitted[row * HL_FIT + column];
      rows[row] += ink, columns[column] += ink;
    }
  const int32_t down = shift(rows, mass), right = shift(columns, mass);
  hl_zero(image, HL_INK_PIXELS);
  for (int32_t row = 0; row < HL_FIT; row++)
    for (int32_t column = 0; column < HL_FIT; column++) {
      const int32_t y = row + down, x = column + right;  // blank edges may fall off the image
      if (y < 0 || y >= HL_INK_SIDE || x < 0 || x >= HL_INK_SIDE) continue;
      image[y * HL_INK_SIDE + x] = fitted[row * HL_FIT + column];
    }
}

int hl_image(const hl_paths *paths, const int32_t *member, int32_t members, double extent, float *squares,
             float *raster, float *image, hl_box *box) {
  hl_view view = {paths, member, members, HL_FINE, {0.0, 0.0}, 1.0, HL_FINE / 2, 0.0};
  const hl_reach reach = reach_of(&view);
  *box = (hl_box){hl_clip(reach.ink.x0, 0.0, extent), hl_clip(reach.ink.y0, 0.0, extent),
                  hl_clip(reach.ink.x1, 0.0, extent), hl_clip(reach.ink.y1, 0.0, extent)};
  int hatched = 0;
  if (members > HL_HATCHING) {
    place(&view, &reach.ink, HL_FINE, reach.half, raster);
    hl_draw_as_drawn(&view, __builtin_sqrt(view.scale * view.scale), squares, raster);
    hatched = is_hatched(raster);
  }
  if (!hatched) draw_reinked(&view, &reach, squares, raster);
  float fitted[HL_FIT * HL_FIT];
  const double mass = average(raster, fitted);
  if (!(mass > 0.0)) return 0;
  centre(fitted, mass, image);
  return 1;
}
