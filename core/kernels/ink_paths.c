// The paths of the ink: what stands on the pad of each stroke, and what later erasers leave of it.
#include "ink.h"

#define HL_FARTHEST 1e6      // pad units
#define HL_NARROWEST 1e-4    // pad units
#define HL_ERASER_STEPS 32   // to the eraser's width: how finely a path is looked at under it
#define HL_FINEST 100000.0   // points of a path looked at
#define HL_MOST_WORK 5e7     // a fifth of a second: the page's own thread waits for it

int32_t hl_check_strokes(const float *packed, int32_t numbers) {
  for (int32_t at = 0; at < numbers; at = hl_next_stroke(packed, at)) {
    if (numbers - at < 3) return HL_E_LENGTH;
    const float points = packed[at], erase = packed[at + 2];
    const double width = (double)packed[at + 1];
    if (!(points >= 0.0f && points <= (float)HL_INK_NUMBERS) || (float)(int32_t)points != points) return HL_E_LENGTH;
    if ((int32_t)points > (numbers - at - 3) / 2) return HL_E_LENGTH;
    if (!(erase == 0.0f || erase == 1.0f)) return HL_E_RANGE;
    if (!(width >= HL_NARROWEST && width <= HL_FARTHEST)) return HL_E_RANGE;
    for (int32_t k = 0; k < 2 * (int32_t)points; k++)
      if (!(__builtin_fabs((double)packed[at + 3 + k]) <= HL_FARTHEST)) return HL_E_RANGE;  // NaN too
  }
  return HL_OK;
}

// ---- lists of paths

static void begin(hl_paths *to, int32_t stroke, double width) {
  if (to->full || to->paths == to->most_paths) {
    to->full = 1;
    return;
  }
  to->path[to->paths++] = (hl_path){to->points, 0, stroke, width};
}

static void put(hl_paths *to, double x, double y) {
  if (to->full || to->points == to->most_points) {
    to->full = 1;
    return;
  }
  to->point[to->points++] = (hl_point){x, y};
  to->path[to->paths - 1].count++;
}

static void copy_path(hl_paths *to, const hl_paths *from, const hl_path *path) {
  begin(to, path->stroke, path->width);
  for (int32_t k = 0; k < path->count; k++)
    put(to, from->point[path->first + k].x, from->point[path->first + k].y);
}

// ---- the pad's edge

typedef struct {
  double enter, leave;
} hl_span;

// The share of a segment within 0 .. extent and a margin, along one axis.
static hl_span span_within(double start, double along, double margin, double extent) {
  if (along == 0.0) {
    const int inside = start >= -margin && start <= extent + margin;
    return inside ? (hl_span){0.0, 1.0} : (hl_span){2.0, -1.0};
  }
  const double low = (-margin - start) / along, high = (extent + margin - start) / along;
  return (hl_span){hl_least(low, high), hl_most(low, high)};
}

static hl_span inside_square(hl_point start, hl_point along, double margin, double extent) {
  const hl_span x = span_within(start.x, along.x, margin, extent), y = span_within(start.y, along.y, margin, extent);
  return (hl_span){hl_most(hl_most(x.enter, y.enter), 0.0), hl_least(hl_least(x.leave, y.leave), 1.0)};
}

static void put_at(hl_paths *to, hl_point start, hl_point along, double share, double extent) {
  put(to, hl_clip(start.x + along.x * share, 0.0, extent), hl_clip(start.y + along.y * share, 0.0, extent));
}

// The parts of a stroke whose ink reaches onto the pad, moved onto it where only the ink's edge does.
static void within(const hl_stroke *stroke, int32_t index, double extent, hl_paths *to) {
  const float *at = stroke->at;
  const double reach = stroke->width / 2;
  int all = 1;
  for (int32_t k = 0; k < 2 * stroke->points; k++) all &= (double)at[k] >= 0.0 && (double)at[k] <= extent;
  if (all) {
    begin(to, index, stroke->width);
    for (int32_t k = 0; k < stroke->points; k++) put(to, (double)at[2 * k], (double)at[2 * k + 1]);
    return;
  }
  if (stroke->points == 1) {
    const double x = (double)at[0], y = (double)at[1];
    if (!(x > -reach && x < extent + reach && y > -reach && y < extent + reach)) return;
    begin(to, index, stroke->width);
    put(to, hl_clip(x, 0.0, extent), hl_clip(y, 0.0, extent));
    return;
  }
  int joined = 0, seen_before = 0;  // whether the path comes into a segment without having left the pad
  for (int32_t k = 0; k + 1 < stroke->points; k++) {
    const hl_point start = {(double)at[2 * k], (double)at[2 * k + 1]};
    const hl_point along = {(double)at[2 * k + 2] - start.x, (double)at[2 * k + 3] - start.y};
    const hl_span span = inside_square(start, along, reach * (1 - 1e-9), extent);
    const int seen = span.enter <= span.leave;
    if (seen) {
      if (!(joined && span.enter == 0.0 && seen_before)) {
        begin(to, index, stroke->width);
        put_at(to, start, along, span.enter, extent);
      }
      put_at(to, start, along, span.leave, extent);
      joined = span.leave == 1.0;
    }
    seen_before = seen;
  }
}

// ---- erasers

// Whether a point is farther than `reach` from an eraser's path.
static int is_kept(double x, double y, const hl_stroke *eraser, double reach) {
  const float *at = eraser->at;
  const int32_t segments = eraser->points > 1 ? eraser->points - 1 : 1;
  for (int32_t k = 0; k < segments; k++) {
    const double start_x = (double)at[2 * k], start_y = (double)at[2 * k + 1];
    const double along_x = eraser->points > 1 ? (double)at[2 * k + 2] - start_x : 0.0;
    const double along_y = eraser->points > 1 ? (double)at[2 * k + 3] - start_y : 0.0;
    const double squared = hl_most(along_x * along_x + along_y * along_y, 1e-300);
    double away_x = x - start_x, away_y = y - start_y;
    const double t = hl_clip((away_x * along_x + away_y * along_y) / squared, 0.0, 1.0);
    away_x -= t * along_x, away_y -= t * along_y;
    const double distance = away_x * away_x + away_y * away_y, limit = reach * reach;
    if (distance < limit * (1 - 1e-12)) return 0;
    if (distance <= limit * (1 + 1e-12) && !(hl_hypot(away_x, away_y) > reach)) return 0;
  }
  return 1;
}

static double length_of(const hl_point *point, int32_t count) {
  double sum = 0.0;
  for (int32_t k = 1; k < count; k++) sum += hl_hypot(point[k].x - point[k - 1].x, point[k].y - point[k - 1].y);
  return sum;
}

// What is left of a path when the eraser's tip has taken all of it that came under.
static void erase(const hl_paths *from, const hl_path *path, const hl_stroke *eraser, hl_paths *to) {
  const hl_point *point = from->point + path->first;
  const double reach = eraser->width / 2;
  const double length = length_of(point, path->count);
  const double step = hl_most(eraser->width / HL_ERASER_STEPS, length / HL_FINEST);
  to->work += (length / step + path->count) * eraser->points;
  if (to->full || to->work > HL_MOST_WORK) {
    to->full = 1;
    return;
  }
  const hl_paths before = *to;
  int all = 1, open = 0;
  for (int32_t k = 0; k < path->count; k++) {
    const int last = k + 1 == path->count;
    const hl_point a = point[k], b = point[last ? k : k + 1];
    const double count = last ? 1.0 : hl_most(__builtin_ceil(hl_hypot(b.x - a.x, b.y - a.y) / step), 1.0);
    for (double number = 0.0; number < count; number += 1.0) {
      const double share = number / count;
      const double x = a.x * (1 - share) + b.x * share, y = a.y * (1 - share) + b.y * share;
      const int kept = is_kept(x, y, eraser, reach);
      if (kept && !open) begin(to, path->stroke, path->width);
      if (kept) put(to, x, y);
      open = kept;
      all &= kept;
    }
  }
  if (!all) return;
  *to = before;  // untouched: its own points stay
  copy_path(to, from, path);
}

void hl_left_on_pad(const float *packed, int32_t numbers, double extent, hl_paths *left, hl_paths *a, hl_paths *b) {
  left->points = left->paths = left->full = 0;
  left->work = 0.0;
  int32_t index = 0;
  for (int32_t at = 0; at < numbers && !left->full; at = hl_next_stroke(packed, at), index++) {
    const hl_stroke stroke = hl_stroke_at(packed, at);
    if (stroke.erase || stroke.points == 0) continue;
    hl_paths *now = a, *next = b;
    now->points = now->paths = now->full = 0;
    now->work = left->work;
    within(&stroke, index, extent, now);
    for (int32_t later = hl_next_stroke(packed, at); later < numbers; later = hl_next_stroke(packed, later)) {
      const hl_stroke eraser = hl_stroke_at(packed, later);
      if (!eraser.erase || eraser.points == 0) continue;
      next->points = next->paths = 0;
      next->full = now->full;
      next->work = now->work;
      for (int32_t k = 0; k < now->paths; k++) erase(now, now->path + k, &eraser, next);
      hl_paths *swap = now;
      now = next, next = swap;
    }
    left->full |= now->full;
    left->work = now->work;
    for (int32_t k = 0; k < now->paths; k++) copy_path(left, now, now->path + k);
  }
}
