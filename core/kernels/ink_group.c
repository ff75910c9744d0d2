// Which pieces of ink make one digit: the C copy of handlens/grouping.py, for up to HL_INK_BITS pieces.
#include "ink.h"

#define HL_SURE_ODDS 4.0  // log-odds from which geometry alone decides
#define HL_PASSED 0.18    // strokes that pass each other by more are of one digit
#define HL_MOST_UNITS 3   // units, not surely one, in a candidate
#define HL_WIDEST 1.4     // candidate of several units
#define HL_NEAR 1e-6      // of the pad: ends nearer than this meet
#define HL_MOST_GROUPS (HL_INK_BITS * (HL_INK_BITS + 1) / 2)

typedef double hl_matrix[HL_INK_BITS][HL_INK_BITS];

typedef struct {
  int32_t count, first[HL_MOST_GROUPS], end[HL_MOST_GROUPS];
} hl_groups;

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

static void rename(int32_t *name, int32_t count, int32_t from, int32_t to) {
  for (int32_t k = 0; k < count; k++)
    if (name[k] == from) name[k] = to;
}

// Number names from 0 on in the order in which they come; returns how many there are.
static int32_t numbered(int32_t *name, int32_t count) {
  int32_t seen[HL_INK_BITS], known = 0;
  for (int32_t k = 0; k < count; k++) {
    int32_t at = 0;
    while (at < known && seen[at] != name[k]) at++;
    if (at == known) seen[known++] = name[k];
    name[k] = at;
  }
  return known;
}

static int ends_meet(const hl_paths *paths, int32_t i, int32_t k, double reach) {
  const hl_path *a = paths->path + i, *b = paths->path + k;
  for (int end = 0; end < 4; end++) {
    const hl_point p = paths->point[a->first + (end & 1 ? a->count - 1 : 0)];
    const hl_point q = paths->point[b->first + (end & 2 ? b->count - 1 : 0)];
    if (hl_hypot(p.x - q.x, p.y - q.y) <= reach) return 1;
  }
  return 0;
}

// Join what is surely one digit; what was joined may now surely belong with more. `parts` become the units; returns
// their number.
static int32_t join(hl_part *parts, int32_t count, int32_t *unit_of, int32_t paths, hl_matrix odds) {
  for (;;) {
    int32_t name[HL_INK_BITS];
    for (int32_t i = 0; i < count; i++) name[i] = i;
    for (int32_t i = 0; i < count; i++)
      for (int32_t k = 0; k < i; k++) {
        odds[i][k] = odds[k][i] = odds_between(parts + i, parts + k);
        if (odds[i][k] < -HL_SURE_ODDS) rename(name, count, name[i], name[k]);
      }
    const int32_t left = numbered(name, count);
    if (left == count) return count;
    for (int32_t i = 0; i < count; i++) {  // name[i] <= i, and the first of a name comes before the others
      int first = 1;
      for (int32_t k = 0; k < i; k++) first &= name[k] != name[i];
      if (!first) unite(parts + name[i], parts + i);
      else if (name[i] != i) parts[name[i]] = parts[i];
    }
    for (int32_t k = 0; k < paths; k++) unit_of[k] = name[unit_of[k]];
    count = left;
  }
}

// ---- candidates

// Groups of neighbours: no cut within (1), no join at either end (-1), few open boundaries (0), not too wide.
static void allowed(const hl_part *parts, const int32_t *order, int32_t count, const int32_t *state, hl_groups *groups) {
  groups->count = 0;
  for (int32_t first = 0; first < count; first++) {
    if (first > 0 && state[first - 1] < 0) continue;
    int32_t opened = 0;
    double low = __builtin_inf(), high = -__builtin_inf();
    for (int32_t last = first; last < count; last++) {
      if (last > first && state[last - 1] > 0) break;
      if (last > first) opened += state[last - 1] == 0;
      low = hl_least(low, parts[order[last]].box.x0), high = hl_most(high, parts[order[last]].box.x1);
      if (opened > 0 && (opened >= HL_MOST_UNITS || high - low > HL_WIDEST)) break;
      if (last + 1 < count && state[last] < 0) continue;
      groups->first[groups->count] = first;
      groups->end[groups->count++] = last + 1;
    }
  }
}

// All groups that the open boundaries allow; the least certain boundaries are opened first, as far as it goes.
static void open_boundaries(const hl_part *parts, const int32_t *order, int32_t count, const double *odds,
                            hl_groups *groups, hl_groups *more) {
  int32_t state[HL_INK_BITS], tried[HL_INK_BITS] = {0};
  for (int32_t k = 0; k + 1 < count; k++) state[k] = (odds[k] > 0.0) - (odds[k] < 0.0);
  allowed(parts, order, count, state, groups);
  for (int32_t round = 0; round + 1 < count; round++) {
    int32_t least = -1;
    for (int32_t k = 0; k + 1 < count; k++)
      if (!tried[k] && (least < 0 || __builtin_fabs(odds[k]) < __builtin_fabs(odds[least]))) least = k;
    if (__builtin_fabs(odds[least]) >= HL_SURE_ODDS) return;
    tried[least] = 1;
    state[least] = 0;
    allowed(parts, order, count, state, more);
    if (more->count > HL_INK_CANDIDATES) return;
    *groups = *more;
  }
}

// The logarithm of the probability that a group is not cut within and is cut at its end.
static double prior(const double *odds, int32_t boundaries, int32_t first, int32_t end) {
  double inner = 0.0, outer = 0.0;
  for (int32_t k = first; k < end - 1; k++) inner += hl_add_logs(0.0, odds[k]);
  if (end - 1 < boundaries) outer = hl_add_logs(0.0, -odds[end - 1]);
  return -(inner + outer);
}

void hl_lay_out(const hl_paths *paths, double extent, hl_part *parts, hl_layout *layout) {
  const int32_t count = paths->paths;
  for (int32_t i = 0; i < count; i++) layout->unit_of[i] = i;
  for (int32_t i = 0; i < count; i++)
    for (int32_t k = 0; k < i; k++)
      if (ends_meet(paths, i, k, HL_NEAR * extent)) rename(layout->unit_of, count, layout->unit_of[i], layout->unit_of[k]);
  int32_t units = numbered(layout->unit_of, count);
  hl_matrix odds;
  if (units > 1) {
    measure(paths, layout->unit_of, parts, units);
    units = join(parts, units, layout->unit_of, count, odds);
  }
  layout->units = units;
  layout->groups = 1;
  layout->first[0] = 0, layout->end[0] = units, layout->prior[0] = 0.0;
  if (units == 1) return;
  int32_t order[HL_INK_BITS], place[HL_INK_BITS];  // from left to right, and where each unit stands there
  for (int32_t i = 0; i < units; i++) {
    int32_t at = i;
    const double middle = parts[i].box.x0 + parts[i].box.x1;
    for (; at > 0 && parts[order[at - 1]].box.x0 + parts[order[at - 1]].box.x1 > middle; at--) order[at] = order[at - 1];
    order[at] = i;
  }
  double between[HL_INK_BITS] = {0.0};
  for (int32_t i = 0; i < units; i++) place[order[i]] = i;
  for (int32_t i = 0; i + 1 < units; i++) between[i] = odds[order[i]][order[i + 1]];
  for (int32_t i = 0; i < count; i++) layout->unit_of[i] = place[layout->unit_of[i]];
  hl_groups groups, more;
  open_boundaries(parts, order, units, between, &groups, &more);
  layout->groups = groups.count;
  for (int32_t k = 0; k < groups.count && k < HL_INK_CANDIDATES; k++) {
    layout->first[k] = groups.first[k], layout->end[k] = groups.end[k];
    layout->prior[k] = prior(between, units - 1, groups.first[k], groups.end[k]);
  }
}
