// y[n,f,p,q] = activation(b[f] + sum over c,i,j of w[f,c,i,j] * x[n,c,p*s+i-top,q*s+j-left])
#include "conv.h"

ptrdiff_t conv2d_check(const hl_call *call) {
  hl_conv conv;
  const hl_error error = hl_conv_of(call, call->out[0], &conv);
  return error ? error : hl_scratch(hl_conv_scratch(&conv));
}

int64_t conv2d_kept(const hl_call *call) {
  hl_conv conv;
  hl_conv_of(call, call->out[0], &conv);
  return hl_conv_kept(&conv);
}

void conv2d_run(const hl_call *call) {
  hl_conv conv;
  hl_conv_of(call, call->out[0], &conv);
  hl_conv_run(&conv, call->scratch);
}
