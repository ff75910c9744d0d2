// y[n,c,i,j] = x[n,c] sampled bilinearly (0 outside) at (i, j) + sum over k of field[n,:,k] basis[k,i,j]; basis: 1, v,
// u, then the products of a row's and a column's cubic B-spline over cells x cells (de Boor, 1978).
//
// The products are never formed: a row's splines meet the field once a row, which leaves one short sum a pixel.
#include "images.h"

// LARGEST: pixels; up to here a pixel's number is exact in float32. MOST_CELLS: the field's terms are a 32-bit number.
enum { AFFINE = 3, BORDER = 3, LARGEST = 1 << 24, MOST_CELLS = 1 << 15 };

typedef int32_t number __attribute__((may_alias));  // stored by vectors that are float to the compiler

// Rows are `wide` values long in scratch memory, W rounded up to whole vectors: what lies beyond W is never looked at.
typedef struct {
  ptrdiff_t h, w, wide, splines;       // splines along an axis, 0 where the displacement is affine
  float *v, *u, *home;                 // (H), (wide), (wide): from -1 to 1 over the rows, over the columns; columns
  float *rows, *columns, *weight;      // (H, splines), (splines, wide), (splines)
  float *down, *right, *framed;        // (H, wide) twice: where a pixel is read, then the shares of the far corners
  number *corner;                      // (H, wide): the near corner's number in the framed image
} plan;

enum { PIECES = 10 };

// Cuts the pieces from `left`, or says how many bytes they take where it is NULL.
HL_INLINE int64_t pieces(plan *p, char *left) {
  const int64_t h = p->h, wide = p->wide, map = hl_times(h, wide), frame = (h + 2) * (p->w + 2);
  const int64_t rows = hl_times(h, p->splines), columns = hl_times(p->splines, wide);
  const int64_t room[PIECES] = {h, wide, wide, rows, columns, p->splines, map, map, frame, map};
  float **piece[] = {&p->v, &p->u, &p->home, &p->rows, &p->columns, &p->weight, &p->down, &p->right, &p->framed};
  int64_t bytes = 0;
  for (int k = 0; k < PIECES; k++) bytes += hl_room(room[k]);
  if (!left) return bytes;
  for (int k = 0; k < PIECES - 1; k++) *piece[k] = hl_cut(&left, (ptrdiff_t)room[k]);
  p->corner = (number *)left;
  return bytes;
}

HL_INLINE plan plan_of(const hl_tensor *x, ptrdiff_t cells) {
  const ptrdiff_t w = x->dim[3], wide = (w + HL_LANES - 1) / HL_LANES * HL_LANES;
  return (plan){.h = x->dim[2], .w = w, .wide = wide, .splines = cells ? cells + BORDER : 0};
}

ptrdiff_t warp_check(const hl_call *call) {
  const hl_error error = hl_check_images(call);
  if (error) return error;
  const hl_tensor *x = call->in[0], *field = call->in[1];
  int32_t cells;
  if (!hl_whole(call, 0, 0, MOST_CELLS, &cells)) return HL_E_ATTRIBUTE;
  if (((int64_t)x->dim[2] + 2) * ((int64_t)x->dim[3] + 2) > LARGEST) return HL_E_SHAPE;
  plan p = plan_of(x, cells);
  if (field->rank != 3 || field->dim[0] != x->dim[0] || field->dim[1] != 2) return HL_E_SHAPE;
  if (field->dim[2] != AFFINE + (int64_t)p.splines * p.splines) return HL_E_SHAPE;
  return hl_scratch(pieces(&p, NULL));
}

// From -1 to 1 over an axis; 0 where it has one pixel.
static void prepare_axis(float *to, ptrdiff_t size) {
  for (ptrdiff_t k = 0; k < size; k++) to[k] = size > 1 ? (float)(-1 + 2 * (double)k / (double)(size - 1)) : 0;
}

// Spline k, which stands at node k - 1, at pixel i of an axis of `size` pixels: pixel i lies at cells (i + 1/2) / size.
static float spline(ptrdiff_t k, ptrdiff_t i, ptrdiff_t size, ptrdiff_t cells) {
  const double from = (double)cells * ((double)i + 0.5) / (double)size - (double)(k - 1), t = from < 0 ? -from : from;
  if (t <= 1) return (float)(2.0 / 3 - t * t + t * t * t / 2);
  return t < 2 ? (float)((2 - t) * (2 - t) * (2 - t) / 6) : 0;
}

static void prepare(plan *p) {
  const ptrdiff_t cells = p->splines - BORDER;
  prepare_axis(p->v, p->h);
  prepare_axis(p->u, p->w);
  for (ptrdiff_t j = p->w; j < p->wide; j++) p->u[j] = 0;
  for (ptrdiff_t j = 0; j < p->wide; j++) p->home[j] = (float)(j + 1);
  for (ptrdiff_t k = 0; k < p->splines; k++) {
    for (ptrdiff_t i = 0; i < p->h; i++) p->rows[i * p->splines + k] = spline(k, i, p->h, cells);
    for (ptrdiff_t j = 0; j < p->wide; j++) p->columns[k * p->wide + j] = j < p->w ? spline(k, j, p->w, cells) : 0;
  }
  hl_zero(p->framed, (p->h + 2) * (p->w + 2));
}

// The weights of the columns' splines in row i: the rows' splines there, of which four at most are not 0, on the field.
static void weigh(const plan *p, const float *field, ptrdiff_t i) {
  const float *row = p->rows + i * p->splines;
  float *restrict weight = p->weight;
  for (ptrdiff_t b = 0; b < p->splines; b++) weight[b] = 0;
  for (ptrdiff_t a = 0; a < p->splines; a++) {
    const float *restrict weights = field + AFFINE + a * p->splines;
    if (row[a] != 0)
      for (ptrdiff_t b = 0; b < p->splines; b++) weight[b] += row[a] * weights[b];
  }
}

// Where the pixels of row i are read along one axis, in the framed image: `home` + f0 + f1 v + f2 u + splines.
HL_INLINE hl_vec place(const plan *p, const float *field, ptrdiff_t i, ptrdiff_t j, hl_vec home) {
  hl_vec moved = hl_load(p->u + j) * field[2] + (field[0] + field[1] * p->v[i]);
  for (ptrdiff_t b = 0; b < p->splines; b++) moved += hl_load(p->columns + b * p->wide + j) * p->weight[b];
  return moved + home;
}

// Places into a corner within [0, last] and the share of the one after it. Beyond the frame all is 0, as on it. A NaN
// takes corner 0, and makes its share NaN.
HL_INLINE hl_ivec split(hl_vec place, ptrdiff_t last, hl_vec *share) {
  const hl_vec inside = hl_at_most(hl_at_least(place, hl_splat(0)), hl_splat((float)(last + 1)));
  const hl_vec safe = hl_keep(inside == inside, inside);
  const hl_ivec corner = __builtin_convertvector(hl_at_most(safe, hl_splat((float)last)), hl_ivec);
  *share = inside - __builtin_convertvector(corner, hl_vec);
  return corner;
}

static void find_corners(const plan *p, const float *field, const float *across) {
  for (ptrdiff_t i = 0; i < p->h; i++) {
    float *down = p->down + i * p->wide, *right = p->right + i * p->wide;
    float *corner = (float *)(p->corner + i * p->wide);
    weigh(p, field, i);
    const hl_vec home = hl_splat((float)(i + 1));
    for (ptrdiff_t j = 0; j < p->wide; j += HL_LANES) hl_store(down + j, place(p, field, i, j, home));
    weigh(p, across, i);
    for (ptrdiff_t j = 0; j < p->wide; j += HL_LANES) {
      hl_vec far_down, far_right;
      const hl_ivec line = split(hl_load(down + j), p->h, &far_down);
      const hl_ivec column = split(place(p, across, i, j, hl_load(p->home + j)), p->w, &far_right);
      hl_store(down + j, far_down);
      hl_store(right + j, far_right);
      hl_store(corner + j, (hl_vec)(line * (int32_t)(p->w + 2) + column));
    }
  }
}

// Three mixtures a + t (b - a): exact where a share is 0.
static void sample(const plan *p, float *restrict y) {
  const ptrdiff_t stride = p->w + 2;
  for (ptrdiff_t i = 0; i < p->h; i++, y += p->w) {
    const float *restrict framed = p->framed, *restrict down = p->down + i * p->wide;
    const float *restrict right = p->right + i * p->wide;
    const number *restrict corner = p->corner + i * p->wide;
    for (ptrdiff_t j = 0; j < p->w; j++) {
      const float *at = framed + corner[j];
      const float above = at[0] + (at[1] - at[0]) * right[j];
      const float below = at[stride] + (at[stride + 1] - at[stride]) * right[j];
      y[j] = above + (below - above) * down[j];
    }
  }
}

void warp_run(const hl_call *call) {
  const hl_tensor *images = call->in[0];
  const ptrdiff_t n = images->dim[0], channels = images->dim[1], terms = call->in[1]->dim[2];
  const float *x = hl_floats(images), *field = hl_floats(call->in[1]);
  float *y = hl_floats(call->out[0]);
  plan p = plan_of(images, (ptrdiff_t)call->attr[0]);
  pieces(&p, call->scratch);
  prepare(&p);
  for (ptrdiff_t k = 0; k < n; k++, field += 2 * terms) {
    find_corners(&p, field, field + terms);
    for (ptrdiff_t c = 0; c < channels; c++, x += p.h * p.w, y += p.h * p.w) {
      for (ptrdiff_t i = 0; i < p.h; i++) hl_copy(p.framed + (i + 1) * (p.w + 2) + 1, x + i * p.w, p.w);
      sample(&p, y);
    }
  }
}
