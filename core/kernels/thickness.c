// y = clip(x + amount[n] (max over 3x3 of x - x), 0, 1), the neighbourhood within the image
#include "images.h"

ptrdiff_t thickness_check(const hl_call *call) {
  const hl_error error = hl_check_amounts(call);
  return error ? error : hl_scratch(hl_line_room(call->in[0]->dim[3]));
}

// `above` and `below` are the row itself at the image's edges.
static void row(const float *above, const float *x, const float *below, float *line, float *y, ptrdiff_t w,
                float amount) {
  for (ptrdiff_t j = 0; j < w; j += HL_LANES) {
    const ptrdiff_t left = w - j;
    const hl_vec ends = hl_maximum(hl_load_up_to(above + j, left), hl_load_up_to(below + j, left));
    hl_store(line + j, hl_maximum(ends, hl_load_up_to(x + j, left)));
  }
  line[-1] = line[w] = -__builtin_inff();
  for (ptrdiff_t j = 0; j < w; j += HL_LANES) {
    const hl_vec sides = hl_maximum(hl_load(line + j - 1), hl_load(line + j + 1)), here = hl_load_up_to(x + j, w - j);
    const hl_vec most = hl_maximum(sides, hl_load(line + j));
    hl_store_up_to(y + j, w - j, hl_clip(here + (most - here) * amount));
  }
}

void thickness_run(const hl_call *call) {
  const float *x = hl_floats(call->in[0]), *amount = hl_floats(call->in[1]);
  float *y = hl_floats(call->out[0]), *line = hl_line(call->scratch);
  const ptrdiff_t planes = (ptrdiff_t)call->in[0]->dim[0] * call->in[0]->dim[1], channels = call->in[0]->dim[1];
  const ptrdiff_t h = call->in[0]->dim[2], w = call->in[0]->dim[3];
  for (ptrdiff_t k = 0; k < planes; k++)
    for (ptrdiff_t i = 0; i < h; i++, x += w, y += w)
      row(i ? x - w : x, x, i + 1 < h ? x + w : x, line, y, w, amount[k / channels]);
}
