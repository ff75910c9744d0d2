// Ink: the pen strokes of a drawing to the 28x28 images that a network reads, and the network's shares to an answer.
//
// The C copy of handlens/strokes.py, grouping.py, numbers.py and reading.py as far as a page needs them to answer before
// Python has loaded. Everything that Python computes in float64 is float64 here, in the same order; where it uses
// float32 so does this. tests/unit/test_ink_kernel.py holds the two against each other.
#ifndef HANDLENS_INK_H
#define HANDLENS_INK_H

#include "handlens.h"

// Same operations, same bits as NumPy: no product is fused with a sum here (see build/: -ffp-contract must honour it).
#ifdef __clang__
#pragma clang fp contract(off)
#endif

#define HL_INK_SIDE 28
#define HL_INK_PIXELS (HL_INK_SIDE * HL_INK_SIDE)
#define HL_INK_DIGITS 10
#define HL_INK_CANDIDATES 12       // images that hl_ink makes at most
#define HL_INK_NUMBERS (1 << 18)   // packed numbers that it reads at most
#define HL_INK_FOUND 8             // numbers about each candidate: the columns that follow
#define HL_INK_CROWDED 256         // of hl_ink's result: more pieces, surely apart, than a number has digits

// What hl_ink says of a candidate. FIRST, END: its units of ink from the left, END not included; all units are from 0 to
// the largest END. PRIOR: the logarithm of the probability that geometry gives it. LAST: its last stroke. X0 .. Y1: box
// of its ink in pad units.
enum { HL_FOUND_FIRST, HL_FOUND_END, HL_FOUND_PRIOR, HL_FOUND_LAST, HL_FOUND_X0, HL_FOUND_Y0, HL_FOUND_X1, HL_FOUND_Y1 };

// What hl_ink_answer says of a place, a digit of the answer from left to right. CANDIDATE: its image. BEST, SECOND: the
// digits with the largest shares. TRUST: probability that the ink is grouped rightly.
enum {
  HL_PLACE_CANDIDATE,
  HL_PLACE_BEST,
  HL_PLACE_SECOND,
  HL_PLACE_VERDICT,
  HL_PLACE_REASON,
  HL_PLACE_TRUST,
  HL_PLACE_SHARE,  // of the best digit
  HL_PLACE_NONE,   // of the reject class, 0 where the network has none
  HL_INK_PLACE,
};

enum { HL_SURE, HL_LIKELY, HL_UNSURE, HL_NONE };                        // verdict; the last two are shown as "?"
enum { HL_REASON_SHARES, HL_REASON_ONE_OR_TWO, HL_REASON_TWO_TOUCH };  // which sentence explains it

// Bytes of scratch that hl_ink needs for so many packed numbers; negative where it reads so many not.
HL_EXPORT ptrdiff_t hl_ink_scratch(int32_t numbers);

// Make the images of a drawing.
//
//   packed   for each stroke: number of points, width, erase (0 or 1), then x, y, ..; as `pad.flat()` of web/pad.js and
//            handlens.strokes.pack give it. Aligned to 4 bytes.
//   extent   side of the pad, in the strokes' units.
//   images   HL_INK_CANDIDATES times 28 x 28, 0 paper to 1 ink.
//   found    HL_INK_CANDIDATES times HL_INK_FOUND numbers.
//   scratch  hl_ink_scratch(numbers) bytes, aligned to HL_ALIGNMENT.
//
// Returns 0 for a blank pad; the number of images made, 1 where the drawing cannot be several digits; HL_INK_CROWDED | 1
// where it is to be refused, the one image showing all of it; or a negative hl_error: HL_E_LENGTH numbers are missing,
// left over or too many, HL_E_RANGE a point, width or extent is none, HL_E_BUFFER a pointer is NULL or not aligned,
// HL_E_MEMORY scratch is too small, or erasers went over more than a page's thread has time for.
HL_EXPORT int32_t hl_ink(const float *packed, int32_t numbers, double extent, float *images, double *found,
                         char *scratch, ptrdiff_t bytes);

// Turn the network's shares of those images into the places of an answer.
//
//   found, count           as hl_ink gave them, without HL_INK_CROWDED.
//   shares                 count rows of `classes` (10, or 11 with the reject class last) probabilities.
//   answer, sure, beside   the model's thresholds (its metadata's "refusal"); beside negative where it states none.
//   places                 HL_INK_CANDIDATES times HL_INK_PLACE numbers.
//
// Returns the number of places, or a negative hl_error: HL_E_RANGE a count, threshold or share is none, HL_E_SHAPE no
// row of the candidates covers the drawing.
HL_EXPORT int32_t hl_ink_answer(const double *found, int32_t count, const float *shares, int32_t classes, double answer,
                                double sure, double beside, double *places);

// ---- between the files of the ink

typedef struct {
  double x, y;
} hl_point;

typedef struct {
  int32_t first, count;  // its points
  int32_t stroke;        // of which it is a part, from 0
  double width;
} hl_path;

typedef struct {
  hl_point *point;
  hl_path *path;
  int32_t points, paths, most_points, most_paths;
  double work;  // points held against erasers' segments so far
  int full;     // something did not fit, or took too long, and was left out
} hl_paths;

typedef struct {
  const float *at;  // x, y, ..
  int32_t points;
  int erase;
  double width;
} hl_stroke;

typedef struct {
  double x0, y0, x1, y1;
} hl_box;

#define HL_INK_ROWS 32     // bands of a profile
#define HL_INK_PARTS 100   // more pieces than this are no number
#define HL_INK_BITS 16     // paths: more are a drawing made bit by bit
#define HL_INK_RASTER 280  // pixels of the pad's side, to see what touches

// Some paths, where they go on a raster of `side` pixels, (point - centre) scale + to, and what is drawn of them now.
typedef struct {
  const hl_paths *paths;
  const int32_t *member;
  int32_t members, side;
  hl_point centre;
  double scale, to;
  double width;  // paths of this brush, in pad units; 0 for all of them
} hl_view;

// Pieces of ink measured in heights of all ink: how far each reaches in every band, and its box.
typedef struct {
  double left[HL_INK_ROWS], right[HL_INK_ROWS];
  hl_box box;
} hl_part;

#define HL_INK_GROUPS (HL_INK_PARTS * (HL_INK_PARTS + 1) / 2)

typedef struct {
  int32_t count;
  uint8_t first[HL_INK_GROUPS], end[HL_INK_GROUPS];
} hl_groups;

// What geometry says of a drawing, and its working memory: too large for a stack.
typedef struct {
  hl_part part[HL_INK_PARTS];
  double odds[HL_INK_PARTS][HL_INK_PARTS];  // log-odds that a digit ends between two parts
  double between[HL_INK_PARTS];             // and between neighbours
  int32_t name[HL_INK_PARTS], order[HL_INK_PARTS], place[HL_INK_PARTS], state[HL_INK_PARTS], tried[HL_INK_PARTS];
  int32_t units;
  hl_groups groups, more;
} hl_layout;

HL_INLINE double hl_least(double a, double b) { return a < b ? a : b; }
HL_INLINE double hl_most(double a, double b) { return a > b ? a : b; }
HL_INLINE double hl_clip(double value, double low, double high) { return hl_least(hl_most(value, low), high); }

// The stroke whose head is at packed[at]; checked by hl_check_strokes before.
HL_INLINE hl_stroke hl_stroke_at(const float *packed, int32_t at) {
  return (hl_stroke){packed + at + 3, (int32_t)packed[at], packed[at + 2] != 0.0f, (double)packed[at + 1]};
}
HL_INLINE int32_t hl_next_stroke(const float *packed, int32_t at) { return at + 3 + 2 * (int32_t)packed[at]; }

double hl_hypot(double x, double y);
double hl_log(double x);                   // of a positive, normal number
double hl_exp(double x);                   // 0 where it would be below 1e-304
double hl_add_logs(double a, double b);    // log(exp(a) + exp(b))

int32_t hl_check_strokes(const float *packed, int32_t numbers);  // HL_OK or what is wrong with them
void hl_left_on_pad(const float *packed, int32_t numbers, double extent, hl_paths *left, hl_paths *a, hl_paths *b);
int hl_image(const hl_paths *paths, const int32_t *member, int32_t members, double extent, float *squares,
             float *raster, float *image, hl_box *box);  // 0 where there is no ink
void hl_draw_as_drawn(hl_view *view, double stretch, float *squares, float *raster);
void hl_touching(const hl_paths *paths, const int32_t *member, double extent, float *squares, float *raster,
                 int32_t *label, int32_t *stack, int32_t *name);

// Names of pieces that belong together: the smallest of their numbers.
void hl_merge_names(int32_t *name, int32_t count, int32_t a, int32_t b);
int32_t hl_number_names(int32_t *name, int32_t count);  // from 0 on in the order in which they come; how many

void hl_meeting(const hl_paths *paths, double extent, int32_t *name);
void hl_lay_out(const hl_paths *paths, int32_t *unit_of, int32_t parts, hl_layout *layout);
double hl_prior(const hl_layout *layout, int32_t group);

#endif
