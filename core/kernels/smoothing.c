// A pen's even line: y = x + a (pen - x), pen = clip(1/2 + gain (blur - level), 0, 1), a = amount[n],
// blur = x weighted 1 2 1 / 4 along both axes, 0 outside the image
#include "images.h"

enum { GAIN, LEVEL };

typedef struct {
  hl_vec gain, shift;  // pen = clip(gain * sum of weighted pixels + shift)
} pen;

ptrdiff_t smoothing_check(const hl_call *call) {
  const hl_error error = hl_check_amounts(call);
  return error ? error : hl_scratch(hl_line_room(call->in[0]->dim[3]));
}

// `above` and `below` are NULL at the image's edges.
static void row(const float *above, const float *x, const float *below, float *line, float *y, ptrdiff_t w,
                float amount, const pen *t) {
  for (ptrdiff_t j = 0; j < w; j += HL_LANES) {
    const hl_vec here = hl_load_up_to(x + j, w - j);
    hl_vec sum = here + here;
    if (above) sum += hl_load_up_to(above + j, w - j);
    if (below) sum += hl_load_up_to(below + j, w - j);
    hl_store(line + j, sum);
  }
  line[-1] = line[w] = 0;
  for (ptrdiff_t j = 0; j < w; j += HL_LANES) {
    const hl_vec middle = hl_load(line + j), here = hl_load_up_to(x + j, w - j);
    const hl_vec sum = middle + middle + hl_load(line + j - 1) + hl_load(line + j + 1);
    hl_store_up_to(y + j, w - j, here + (hl_clip(sum * t->gain + t->shift) - here) * amount);
  }
}

void smoothing_run(const hl_call *call) {
  const double gain = call->attr[GAIN], level = call->attr[LEVEL];
  const pen t = {hl_splat((float)(gain / 16)), hl_splat((float)(0.5 - gain * level))};
  const float *x = hl_floats(call->in[0]), *amount = hl_floats(call->in[1]);
  float *y = hl_floats(call->out[0]), *line = hl_line(call->scratch);
  const ptrdiff_t planes = (ptrdiff_t)call->in[0]->dim[0] * call->in[0]->dim[1], channels = call->in[0]->dim[1];
  const ptrdiff_t h = call->in[0]->dim[2], w = call->in[0]->dim[3];
  for (ptrdiff_t k = 0; k < planes; k++)
    for (ptrdiff_t i = 0; i < h; i++, x += w, y += w)
      row(i ? x - w : NULL, x, i + 1 < h ? x + w : NULL, line, y, w, amount[k / channels], &t);
}
