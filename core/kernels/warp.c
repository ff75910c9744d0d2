// y[n,c,i,j] = x[n,c] sampled bilinearly (0 outside) at (i, j) + sum over k of field[n,:,k] basis[k,i,j]; basis: 1, v,
// u, then the products of a row's and a column's cubic B-spline over cells x cells (de Boor, 1978).
//
// The products are never formed: a row's splines meet the field once a row, which leaves one short sum a pixel.
#include "images.h"

enum { AFFINE = 3, BORDER = 3, LARGEST = 1 << 24 };  // LARGEST: pixels, up to here a pixel's number is exact in float32

typedef int32_t number __attribute__((may_alias));  // stored by vectors that are float to the compiler

typedef struct {
  ptrdiff_t h, w, splines;                   // splines along an axis, 0 where the displacement is affine
  float *v, *u, *rows, *columns, *weight;    // (H), (W), (H, splines), (splines, W), (splines)
  float *down, *right, *framed;              // (H, W) twice: where a pixel is read, then the shares of the far corners
  number *corner;                            // (H, W): the near corner's number in the framed image
} plan;

HL_INLINE int64_t pieces(int64_t h, int64_t w, int64_t splines, int64_t framed, plan *p, char *left) {
  const int64_t pixels = h * w;
  const int64_t room[] = {h,      w,      hl_times(h, splines), hl_times(splines, w), splines,
                          pixels, pixels, framed,               pixels};
  float **piece[] = {&p->v, &p->u, &p->rows, &p->columns, &p->weight, &p->down, &p->right, &p->framed};
  int64_t bytes = 0;
  for (int k = 0; k < 9; k++) bytes += hl_room(room[k]);
  if (!left) return bytes;
  for (int k = 0; k < 8; k++) *piece[k] = hl_cut(&left, (ptrdiff_t)room[k]);
  p->corner = (number *)left;
  return bytes;
}

ptrdiff_t warp_check(const hl_call *call) {
  const hl_error error = hl_check_images(call);
  if (error) return error;
  const hl_tensor *x = call->in[0], *field = call->in[1];
  const int64_t h = x->dim[2], w = x->dim[3], framed = (h + 2) * (w + 2);
  int32_t cells;
  plan unused;
  if (!hl_whole(call, 0, 0, LARGEST, &cells)) return HL_E_ATTRIBUTE;
  const int64_t splines = cells ? (int64_t)cells + BORDER : 0;
  if (framed > LARGEST || field->rank != 3 || field->dim[0] != x->dim[0] || field->dim[1] != 2) return HL_E_SHAPE;
  if (field->dim[2] != AFFINE + splines * splines) return HL_E_SHAPE;
  return hl_scratch(pieces(h, w, splines, framed, &unused, NULL));
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
  prepare_axis(p->v, p->h);
  prepare_axis(p->u, p->w);
  for (ptrdiff_t k = 0; k < p->splines; k++) {
    const ptrdiff_t cells = p->splines - BORDER;
    for (ptrdiff_t i = 0; i < p->h; i++) p->rows[i * p->splines + k] = spline(k, i, p->h, cells);
    for (ptrdiff_t j = 0; j < p->w; j++) p->columns[k * p->w + j] = spline(k, j, p->w, cells);
  }
  hl_zero(p->framed, (p->h + 2) * (p->w + 2));
}

// Where the pixels of row i are read along one axis, in the framed image: home + f0 + f1 v + f2 u + its splines.
static void place_row(const plan *p, const float *field, ptrdiff_t i, int across, float *place) {
  const float *weights = field + AFFINE, *row = p->rows + i * p->splines;
  const float constant = field[0] + field[1] * p->v[i] + (across ? 1 : (float)(i + 1));
  for (ptrdiff_t b = 0; b < p->splines; b++) p->weight[b] = 0;
  for (ptrdiff_t a = 0; a < p->splines; a++)
    if (row[a] != 0)
      for (ptrdiff_t b = 0; b < p->splines; b++) p->weight[b] += row[a] * weights[a * p->splines + b];
  for (ptrdiff_t j = 0; j < p->w; j++) place[j] = constant + field[2] * p->u[j];
  for (ptrdiff_t b = 0; b < p->splines; b++)
    for (ptrdiff_t j = 0; j < p->w; j++) place[j] += p->weight[b] * p->columns[b * p->w + j];
  if (across)
    for (ptrdiff_t j = 0; j < p->w; j++) place[j] += (float)j;
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

static void find_corners(const plan *p) {
  const ptrdiff_t pixels = p->h * p->w;
  for (ptrdiff_t k = 0; k < pixels; k += HL_LANES) {
    hl_vec down, right;
    const ptrdiff_t left = pixels - k;
    const hl_ivec line = split(hl_part(p->down + k, left), p->h, &down);
    const hl_ivec column = split(hl_part(p->right + k, left), p->w, &right);
    hl_set_part(p->down + k, left, down);
    hl_set_part(p->right + k, left, right);
    hl_set_part((float *)p->corner + k, left, (hl_vec)(line * (int32_t)(p->w + 2) + column));
  }
}

// Three mixtures a + t (b - a): exact where a share is 0.
static void sample(const plan *p, float *restrict y) {
  const float *restrict framed = p->framed, *restrict down = p->down, *restrict right = p->right;
  const ptrdiff_t pixels = p->h * p->w, stride = p->w + 2;
  for (ptrdiff_t k = 0; k < pixels; k++) {
    const float *at = framed + p->corner[k];
    const float above = at[0] + (at[1] - at[0]) * right[k];
    const float below = at[stride] + (at[stride + 1] - at[stride]) * right[k];
    y[k] = above + (below - above) * down[k];
  }
}

void warp_run(const hl_call *call) {
  const hl_tensor *images = call->in[0];
  const ptrdiff_t n = images->dim[0], channels = images->dim[1], terms = call->in[1]->dim[2];
  const ptrdiff_t cells = (ptrdiff_t)call->attr[0];
  plan p = {.h = images->dim[2], .w = images->dim[3], .splines = cells ? cells + BORDER : 0};
  const float *x = hl_floats(images), *field = hl_floats(call->in[1]);
  float *y = hl_floats(call->out[0]);
  pieces(p.h, p.w, p.splines, (p.h + 2) * (p.w + 2), &p, call->scratch);
  prepare(&p);
  for (ptrdiff_t k = 0; k < n; k++, field += 2 * terms) {
    for (ptrdiff_t i = 0; i < p.h; i++) {
      place_row(&p, field, i, 0, p.down + i * p.w);
      place_row(&p, field + terms, i, 1, p.right + i * p.w);
    }
    find_corners(&p);
    for (ptrdiff_t c = 0; c < channels; c++, x += p.h * p.w, y += p.h * p.w) {
      for (ptrdiff_t i = 0; i < p.h; i++) hl_copy(p.framed + (i + 1) * (p.w + 2) + 1, x + i * p.w, p.w);
      sample(&p, y);
    }
  }
}
