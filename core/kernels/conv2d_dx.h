// The way of conv2d_dx for a dy that is mostly zeros (conv2d_dx_sparse.c).
#ifndef HANDLENS_CONV2D_DX_H
#define HANDLENS_CONV2D_DX_H

#include "gemm.h"
#include "window.h"

int hl_sparse_dx_fits(const hl_window *g);  // the geometry; whether dy does, hl_sparse_dx_pays finds out
int hl_sparse_dx_pays(const hl_window *g, const float *dy);
int64_t hl_sparse_dx_scratch(const hl_window *g);
void hl_sparse_dx_run(const hl_window *g, const float *weights, const float *dy, float *dx, char *scratch);

#endif
