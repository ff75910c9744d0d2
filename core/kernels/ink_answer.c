// From a network's shares to the places of an answer: the C copy of handlens/numbers.py (the best row of candidates) and
// handlens/reading.py (whether a digit is answered).
#include "ink.h"

#define HL_COST 2.0    // of each further digit, as a logarithm
#define HL_TRUST 0.8   // probability of a place from which its grouping is believed
#define HL_LEAST 1e-3  // share: so much any digit explains
#define HL_WIDE 0.85   // of its height: a refused place wider than this may be two digits
#define HL_SUM 1e-2    // how far from 1 the shares may add up

typedef struct {
  double answer, sure;
} hl_rules;

// The row of candidates, one after the other over all units, with the largest sum of scores, and for every candidate the
// probability that it belongs to the right row. Returns the row's length, 0 where no row covers all units.
static int32_t best_row(const double *found, int32_t count, int32_t units, const double *score, int32_t *row,
                        double *trust) {
  double best[HL_INK_PARTS + 1], forward[HL_INK_PARTS + 1], backward[HL_INK_PARTS + 1];
  int32_t came[HL_INK_PARTS + 1];
  for (int32_t u = 0; u <= units; u++) best[u] = forward[u] = backward[u] = -__builtin_inf(), came[u] = -1;
  best[0] = forward[0] = backward[units] = 0.0;
  for (int32_t k = 0; k < count; k++) {  // in the order of hl_ink: by their first unit
    const int32_t first = (int32_t)found[k * HL_INK_FOUND + HL_FOUND_FIRST];
    const int32_t end = (int32_t)found[k * HL_INK_FOUND + HL_FOUND_END];
    if (best[first] + score[k] > best[end]) best[end] = best[first] + score[k], came[end] = k;
    forward[end] = hl_add_logs(forward[end], forward[first] + score[k]);
  }
  for (int32_t k = count - 1; k >= 0; k--) {
    const int32_t first = (int32_t)found[k * HL_INK_FOUND + HL_FOUND_FIRST];
    const int32_t end = (int32_t)found[k * HL_INK_FOUND + HL_FOUND_END];
    backward[first] = hl_add_logs(backward[first], backward[end] + score[k]);
  }
  for (int32_t k = 0; k < count; k++) {
    const int32_t first = (int32_t)found[k * HL_INK_FOUND + HL_FOUND_FIRST];
    const int32_t end = (int32_t)found[k * HL_INK_FOUND + HL_FOUND_END];
    trust[k] = hl_exp(forward[first] + score[k] + backward[end] - forward[units]);
  }
  int32_t length = 0;
  for (int32_t at = units; at > 0; at = (int32_t)found[came[at] * HL_INK_FOUND + HL_FOUND_FIRST]) {
    if (came[at] < 0) return 0;
    length++;
  }
  for (int32_t at = units, k = length; k > 0; k--) {
    row[k - 1] = came[at];
    at = (int32_t)found[came[at] * HL_INK_FOUND + HL_FOUND_FIRST];
  }
  return length;
}

// Judge the shares of one image.
static void judge(const float *shares, int32_t classes, hl_rules rules, double *place) {
  int32_t best = 0, second = -1;  // of equal shares the smaller digit first
  for (int32_t k = 1; k < HL_INK_DIGITS; k++)
    if (shares[k] > shares[best]) best = k;
  for (int32_t k = 0; k < HL_INK_DIGITS; k++)
    if (k != best && (second < 0 || shares[k] > shares[second])) second = k;
  const double top = (double)shares[best], none = classes > HL_INK_DIGITS ? (double)shares[HL_INK_DIGITS] : 0.0;
  place[HL_PLACE_BEST] = best;
  place[HL_PLACE_SECOND] = second;
  place[HL_PLACE_SHARE] = top;
  place[HL_PLACE_NONE] = none;
  if (top >= rules.answer) place[HL_PLACE_VERDICT] = top >= rules.sure ? HL_SURE : HL_LIKELY;
  else place[HL_PLACE_VERDICT] = none > top ? HL_NONE : HL_UNSURE;
}

static int is_wide(const double *one) {
  return !(one[HL_FOUND_X1] - one[HL_FOUND_X0] < HL_WIDE * (one[HL_FOUND_Y1] - one[HL_FOUND_Y0]));
}

// The number of units, or what is wrong with the arguments.
static int32_t checked(const double *found, int32_t count, const float *shares, int32_t classes) {
  int32_t units = 0;
  double before = 0.0;
  for (int32_t k = 0; k < count; k++) {
    const double first = found[k * HL_INK_FOUND + HL_FOUND_FIRST], end = found[k * HL_INK_FOUND + HL_FOUND_END];
    if (!(first >= before && first < end && end <= HL_INK_PARTS)) return HL_E_RANGE;
    if ((double)(int32_t)first != first || (double)(int32_t)end != end) return HL_E_RANGE;
    before = first;
    units = units > (int32_t)end ? units : (int32_t)end;
    double sum = 0.0;
    for (int32_t c = 0; c < classes; c++) {
      if (!(shares[k * classes + c] >= 0.0f)) return HL_E_RANGE;
      sum += (double)shares[k * classes + c];
    }
    if (!(__builtin_fabs(sum - 1.0) <= HL_SUM)) return HL_E_RANGE;
  }
  return units;
}

int32_t hl_ink_answer(const double *found, int32_t count, const float *shares, int32_t classes, double answer,
                      double sure, double beside, double *places) {
  if (found == NULL || shares == NULL || places == NULL) return HL_E_BUFFER;
  if (count < 1 || count > HL_INK_CANDIDATES) return HL_E_RANGE;
  if (classes != HL_INK_DIGITS && classes != HL_INK_DIGITS + 1) return HL_E_SHAPE;
  if (!(answer >= 0.0 && answer <= sure && sure <= 1.0 && beside <= answer)) return HL_E_RANGE;
  const int32_t units = checked(found, count, shares, classes);
  if (units < 0) return units;
  int32_t row[HL_INK_CANDIDATES] = {0}, length = 1;
  double trust[HL_INK_CANDIDATES] = {1.0}, score[HL_INK_CANDIDATES];
  if (count > 1) {
    for (int32_t k = 0; k < count; k++) {
      double most = HL_LEAST;
      for (int32_t c = 0; c < HL_INK_DIGITS; c++) most = hl_most(most, (double)shares[k * classes + c]);
      score[k] = hl_log(most) + found[k * HL_INK_FOUND + HL_FOUND_PRIOR] - HL_COST;
    }
    length = best_row(found, count, units, score, row, trust);
    if (length == 0) return HL_E_SHAPE;
  }
  const hl_rules rules = {length > 1 && beside >= 0.0 ? beside : answer, sure};
  for (int32_t k = 0; k < length; k++) {
    double *place = places + k * HL_INK_PLACE;
    judge(shares + row[k] * classes, classes, rules, place);
    place[HL_PLACE_CANDIDATE] = row[k];
    place[HL_PLACE_TRUST] = trust[row[k]];
    place[HL_PLACE_REASON] = HL_REASON_SHARES;
    if (place[HL_PLACE_VERDICT] <= HL_LIKELY && trust[row[k]] < HL_TRUST) {
      place[HL_PLACE_VERDICT] = HL_UNSURE;
      place[HL_PLACE_REASON] = HL_REASON_ONE_OR_TWO;
    }
    if (place[HL_PLACE_VERDICT] == HL_NONE && is_wide(found + row[k] * HL_INK_FOUND))
      place[HL_PLACE_REASON] = HL_REASON_TWO_TOUCH;
  }
  return length;
}
