// Which pieces of ink make one digit: the C copy of handlens/grouping.py.
#include "ink.h"

#define HL_SURE_ODDS 4.0  // log-odds from which geometry alone decides
#define HL_PASSED 0.18    // strokes that pass each other by more are of one digit
#define HL_MOST_UNITS 3   // units, not surely one, in a candidate
#define HL_WIDEST 1.4     // candidate of several units
#define HL_NEAR 1e-6      // of the pad: ends nearer than this meet

// ---- measuring

static void measure_point(hl_part *part, double x, double y) {
  int32_t band = (int32_t)(y * HL_INK_ROWS);
  band = band < 0 ? 0 : band >= HL_INK_ROWS ? HL_INK_ROWS - 1 : band;
  part->left[band] = hl_least(part->left[band], x);
  part->right[band] = hl_most(part->right[band], x);
}

static void empty_part(hl_part *part) {
  const double none = __builtin_inf();
  for (int32_t row = 0; row < HL_INK_ROWS; row++) part->left[row] = none, part->right[row] = -none;
  part->box = (hl_box){none, none, -none, -none};
}

static void unite(hl_part *into, const hl_part *other) {
  for (int32_t row = 0; row < HL_INK_ROWS; row++) {
    into->left[row] = hl_least(into->left[row], other->left[row]);
    into->right[row] = hl_most(into->right[row], other->right[row]);
  }
  into->box.x0 = hl_least(into->box.x0, other->box.x0), into->box.y0 = hl_least(into->box.y0, other->box.y0);
  into->box.x1 = hl_most(into->box.x1, other->box.x1), into->box.y1 = hl_most(into->box.y1, other->box.y1);
}

// Corner of all points, and the unit of length: their height, for a flat drawing a fifth of its width.
static hl_point corner_of(const hl_paths *paths, double *height) {
  const double none = __builtin_inf();
  hl_box box = {none, none, -none, -none};
  for (int32_t k = 0; k < paths->points; k++) {
    const hl_point p = paths->point[k];
    box.x0 = hl_least(box.x0, p.x), box.y0 = hl_least(box.y0, p.y);
    box.x1 = hl_most(box.x1, p.x), box.y1 = hl_most(box.y1, p.y);
  }
  *height = hl_most(hl_most(box.y1 - box.y0, 0.2 * (box.x1 - box.x0)), 1e-9);
  return (hl_point){box.x0, box.y0};
}

// Measure the paths; those with the same number are one part, their points one line.
static void measure(const hl_paths *paths, const int32_t *number, hl_part *parts, int32_t count) {
  double height;
  const hl_point corner = corner_of(paths, &height);
  for (int32_t n = 0; n < count; n++) {
    hl_part *part = parts + n;
    empty_part(part);
    hl_point before = {0.0, 0.0};
    int begun = 0;
    for (int32_t i = 0; i < paths->paths; i++) {
      if (number[i] != n) continue;
      for (int32_t k = 0; k < paths->path[i].count; k++) {
        const hl_point on_pad = paths->point[paths->path[i].first + k];
        const hl_point here = {(on_pad.x - corner.x) / height, (on_pad.y - corner.y) / height};
        part->box.x0 = hl_least(part->box.x0, here.x), part->box.y0 = hl_least(part->box.y0, here.y);
        part->box.x1 = hl_most(part->box.x1, here.x), part->box.y1 = hl_most(part->box.y1, here.y);
        measure_point(part, here.x, here.y);
        // Points between, two to a band, so that no band is jumped over.
        const hl_point along = {here.x - before.x, here.y - before.y};
        const double steps = begun ? hl_most(__builtin_ceil(__builtin_fabs(along.y) * HL_INK_ROWS * 2), 1.0) : 0.0;
        for (double step = 0.0; step < steps; step += 1.0) {
          const double share = step / steps;
          measure_point(part, before.x + along.x * share, before.y + along.y * share);
        }
        before = here;
        begun = 1;
      }
    }
  }
}

// ---- odds

// The smallest way along a row from where one part ends to where another begins; infinity without a common row.
static double room(const hl_part *from, const hl_part *to) {
  double least = __builtin_inf();
  for (int32_t row = 0; row < HL_INK_ROWS; row++) {
    double near = from->right[row];
    if (row > 0) near = hl_most(near, from->right[row - 1]);
    if (row + 1 < HL_INK_ROWS) near = hl_most(near, from->right[row + 1]);
    least = hl_least(least, to->left[row] - near);
  }
  return least;
}

// Log-odds that a digit ends between two parts.
static double odds_between(const hl_part *a, const hl_part *b) {
  const hl_box *p = &a->box, *q = &b->box;
  const double gap = hl_most(p->x0, q->x0) - hl_least(p->x1, q->x1);
  double way = hl_most(room(a, b), room(b, a));  // whichever stands left
  if (way < -HL_PASSED) return -2 * HL_SURE_ODDS;
  if (way == __builtin_inf()) way = gap;
  way = hl_clip(way, -0.2, 0.25);
  const double narrow = hl_most(hl_least(p->x1 - p->x0, q->x1 - q->x0), 0.2);
  const double overlap = hl_clip(-gap / narrow, -1.0, 1.0);
  const double lower = hl_least(p->y1 - p->y0, q->y1 - q->y0);
  const double wide = hl_most(p->x1, q->x1) - hl_least(p->x0, q->x0);
  return 11.5 * way - 3.2 * overlap + 4.4 * lower + 6.7 * wide - 4.7;
}

// ---- joining

void hl_merge_names(int32_t *name, int32_t count, int32_t a, int32_t b) {
  const int32_t low = name[a] < name[b] ? name[a] : name[b], high = name[a] < name[b] ? name[b] : name[a];
  for (int32_t k = 0; k < count && low != high; k++)
    if (name[k] == high) name[k] = low;
}

int32_t hl_number_names(int32_t *name, int32_t count) {
  int32_t known = 0;
  for (int32_t k = 0; k < count; k++) name[k] = name[k] == k ? known++ : name[name[k]];
  return known;
}

static int ends_meet(const hl_paths *paths, const hl_path *a, const hl_path *b, double reach) {
  for (int end = 0; end < 4; end++) {
    const hl_point p = paths->point[a->first + (end & 1 ? a->count - 1 : 0)];
    const hl_point q = paths->point[b->first + (end & 2 ? b->count - 1 : 0)];
    if (hl_hypot(p.x - q.x, p.y - q.y) <= reach) return 1;
  }
  return 0;
}

// Name each path after the first that it belongs to because one begins where another ends.
void hl_meeting(const hl_paths *paths, double extent, int32_t *name) {
  for (int32_t i = 0; i < paths->paths; i++) name[i] = i;
  for (int32_t i = 0; i < paths->paths; i++)
    for (int32_t k = 0; k < i; k++)
      if (ends_meet(paths, paths->path + i, paths->path + k, HL_NEAR * extent)) hl_merge_names(name, paths->paths, i, k);
}

// Join what is surely one digit; what was joined may now surely belong with more. The parts become the units.
static void join(hl_layout *layout, int32_t count, int32_t *unit_of, int32_t paths) {
  hl_part *parts = layout->part;
  int32_t *name = layout->name;
  for (;;) {
    for (int32_t i = 0; i < count; i++) name[i] = i;
    for (int32_t i = 0; i < count; i++)
      for (int32_t k = 0; k < i; k++) {
        const double odds = odds_between(parts + i, parts + k);
        layout->odds[i][k] = layout->odds[k][i] = odds;
        if (odds < -HL_SURE_ODDS) hl_merge_names(name, count, i, k);
      }
    int32_t left = 0;
    for (int32_t i = 0; i < count; i++) {  // a unit's number is never larger than that of its first part
      const int first = name[i] == i;
      name[i] = first ? left++ : name[name[i]];
      if (!first) unite(parts + name[i], parts + i);
      else if (name[i] != i) parts[name[i]] = parts[i];
    }
    layout->units = left;
    if (left == count) return;
    for (int32_t k = 0; k < paths; k++) unit_of[k] = name[unit_of[k]];
    count = left;
  }
}

// ---- candidates

// Groups of neighbours: no cut within (1), no join at either end (-1), few open boundaries (0), not too wide.
static void allowed(const hl_layout *layout, hl_groups *groups) {
  const int32_t count = layout->units, *state = layout->state;
  groups->count = 0;
  for (int32_t first = 0; first < count; first++) {
    if (first > 0 && state[first - 1] < 0) continue;
    int32_t opened = 0;
    double low = __builtin_inf(), high = -__builtin_inf();
    for (int32_t last = first; last < count; last++) {
      if (last > first && state[last - 1] > 0) break;
      if (last > first) opened += state[last - 1] == 0;
      const hl_box *box = &layout->part[layout->order[last]].box;
      low = hl_least(low, box->x0), high = hl_most(high, box->x1);
      if (opened > 0 && (opened >= HL_MOST_UNITS || high - low > HL_WIDEST)) break;
      if (last + 1 < count && state[last] < 0) continue;
      groups->first[groups->count] = (uint8_t)first;
      groups->end[groups->count++] = (uint8_t)(last + 1);
    }
  }
}

// All groups that the open boundaries allow; the least certain boundaries are opened first, as far as it goes.
static void open_boundaries(hl_layout *layout) {
  const int32_t boundaries = layout->units - 1;
  const double *odds = layout->between;
  for (int32_t k = 0; k < boundaries; k++)
    layout->state[k] = (odds[k] > 0.0) - (odds[k] < 0.0), layout->tried[k] = 0;
  allowed(layout, &layout->groups);
  for (int32_t round = 0; round < boundaries; round++) {
    int32_t least = -1;
    for (int32_t k = 0; k < boundaries; k++)
      if (!layout->tried[k] && (least < 0 || __builtin_fabs(odds[k]) < __builtin_fabs(odds[least]))) least = k;
    if (__builtin_fabs(odds[least]) >= HL_SURE_ODDS) return;
    layout->tried[least] = 1;
    layout->state[least] = 0;
    allowed(layout, &layout->more);
    if (layout->more.count > HL_INK_CANDIDATES) return;
    layout->groups = layout->more;
  }
}

// The logarithm of the probability that a group is not cut within and is cut at its end.
double hl_prior(const hl_layout *layout, int32_t group) {
  const int32_t end = layout->groups.end[group];
  double inner = 0.0, outer = 0.0;
  for (int32_t k = layout->groups.first[group]; k < end - 1; k++) inner += hl_add_logs(0.0, layout->between[k]);
  if (end < layout->units) outer = hl_add_logs(0.0, -layout->between[end - 1]);
  return -(inner + outer);
}

static void order_units(hl_layout *layout) {
  const hl_part *parts = layout->part;
  int32_t *order = layout->order;
  for (int32_t i = 0; i < layout->units; i++) {
    const double middle = parts[i].box.x0 + parts[i].box.x1;
    int32_t at = i;
    for (; at > 0 && parts[order[at - 1]].box.x0 + parts[order[at - 1]].box.x1 > middle; at--) order[at] = order[at - 1];
    order[at] = i;
  }
  for (int32_t i = 0; i < layout->units; i++) layout->place[order[i]] = i;
  for (int32_t i = 0; i + 1 < layout->units; i++) layout->between[i] = layout->odds[order[i]][order[i + 1]];
}

// unit_of holds each path's part, from 0 on, and gets its unit, counted from the left.
void hl_lay_out(const hl_paths *paths, int32_t *unit_of, int32_t parts, hl_layout *layout) {
  layout->units = layout->groups.count = 1;
  layout->groups.first[0] = 0, layout->groups.end[0] = 1;
  if (parts > 1 && parts <= HL_INK_PARTS) {
    measure(paths, unit_of, layout->part, parts);
    join(layout, parts, unit_of, paths->paths);
  }
  if (layout->units == 1) return;
  order_units(layout);
  for (int32_t i = 0; i < paths->paths; i++) unit_of[i] = layout->place[unit_of[i]];
  open_boundaries(layout);
}
