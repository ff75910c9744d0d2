// The ops that these kernels have, a row each: name, fewest and most inputs, fewest and most outputs, updates, and the
// names of its attributes in the order in which hl_call.attr holds them.
//
// Names, operands and equations are those of handlens/ops. A window is written as stride_h stride_w top left bottom
// right (pads), with kernel_h kernel_w where no operand has the kernel's shape; activation is a code of handlens.h.
#ifndef HANDLENS_OPS_H
#define HANDLENS_OPS_H

#define HL_WINDOW "stride_h stride_w top left bottom right"
#define HL_POOL "kernel_h kernel_w " HL_WINDOW
#define HL_MAPS_POOL "pool_kernel_h pool_kernel_w pool_stride_h pool_stride_w"

#define HL_OPS(OP)                                                                  \
  OP(adam, 3, 3, 0, 0, 3, "beta_1 beta_2 epsilon weight_decay decoupled")           \
  OP(add, 2, 2, 1, 1, 0, "")                                                        \
  OP(avg_pool2d, 1, 1, 1, 1, 0, HL_POOL " include_pad")                             \
  OP(avg_pool2d_dx, 1, 1, 1, 1, 0, HL_POOL " include_pad")                          \
  OP(batch_norm, 3, 3, 3, 3, 2, "epsilon momentum")                                 \
  OP(batch_norm_dx, 5, 5, 3, 3, 0, "")                                              \
  OP(batch_norm_fold, 5, 6, 2, 2, 0, "epsilon")                                     \
  OP(batch_norm_inference, 5, 5, 1, 1, 0, "epsilon")                                \
  OP(broadcast_to, 1, 1, 1, 1, 0, "")                                               \
  OP(conv2d, 2, 3, 1, 1, 0, HL_WINDOW " activation alpha")                          \
  OP(conv2d_dw, 2, 2, 1, 2, 0, HL_WINDOW)                                           \
  OP(conv2d_dx, 2, 2, 1, 1, 0, HL_WINDOW)                                           \
  OP(conv2d_max_pool2d, 2, 3, 1, 2, 0, HL_WINDOW " activation alpha " HL_MAPS_POOL)  \
  OP(dense, 2, 3, 1, 1, 0, "activation alpha")                                      \
  OP(dense_dw, 2, 2, 1, 2, 0, "")                                                   \
  OP(dense_dx, 2, 2, 1, 1, 0, "")                                                   \
  OP(dropout, 2, 2, 1, 1, 0, "rate salt")                                           \
  OP(gather, 2, 2, 1, 1, 0, "scale")                                                \
  OP(global_avg_pool2d, 1, 1, 1, 1, 0, "")                                          \
  OP(global_avg_pool2d_dx, 1, 1, 1, 1, 0, "")                                       \
  OP(leaky_relu, 1, 1, 1, 1, 0, "alpha")                                            \
  OP(leaky_relu_dx, 2, 2, 1, 1, 0, "alpha")                                         \
  OP(matmul, 2, 2, 1, 1, 0, "transpose_a transpose_b")                              \
  OP(max_pool2d, 1, 1, 1, 1, 0, HL_POOL)                                            \
  OP(max_pool2d_dx, 3, 3, 1, 1, 0, HL_POOL " relu")                                 \
  OP(mean_squared_error, 2, 2, 1, 1, 0, "")                                         \
  OP(mean_squared_error_dx, 2, 2, 1, 1, 0, "")                                      \
  OP(relu, 1, 1, 1, 1, 0, "")                                                       \
  OP(relu_dx, 2, 2, 1, 1, 0, "")                                                    \
  OP(scale, 1, 1, 1, 1, 0, "factor")                                                \
  OP(sgd, 3, 3, 0, 0, 2, "momentum weight_decay nesterov")                          \
  OP(sigmoid, 1, 1, 1, 1, 0, "")                                                    \
  OP(sigmoid_dx, 2, 2, 1, 1, 0, "")                                                 \
  OP(smoothing, 2, 2, 1, 1, 0, "gain level")                                        \
  OP(softmax, 1, 1, 1, 1, 0, "axis")                                                \
  OP(softmax_cross_entropy, 2, 2, 3, 3, 0, "smoothing")                             \
  OP(softmax_cross_entropy_dx, 2, 2, 1, 1, 0, "smoothing")                          \
  OP(softmax_dx, 2, 2, 1, 1, 0, "axis")                                             \
  OP(sum_to, 1, 1, 1, 1, 0, "")                                                     \
  OP(tanh, 1, 1, 1, 1, 0, "")                                                       \
  OP(tanh_dx, 2, 2, 1, 1, 0, "")                                                    \
  OP(thickness, 2, 2, 1, 1, 0, "")                                                  \
  OP(warp, 2, 2, 1, 1, 0, "cells")

// Those that only reading needs: all that a library compiled with HL_INFERENCE has. It refuses the others' plans with
// HL_E_OP; its table, and so its op numbers and hash, is the same.
#define HL_INFERENCE_OPS(OP)                                                                                       \
  OP(avg_pool2d) OP(batch_norm_fold) OP(batch_norm_inference) OP(conv2d) OP(conv2d_max_pool2d) OP(dense)           \
  OP(global_avg_pool2d) OP(leaky_relu) OP(max_pool2d) OP(relu) OP(sigmoid) OP(softmax) OP(tanh)

#ifdef HL_INFERENCE
#define HL_COMPILED_OPS HL_INFERENCE_OPS
#else
#define HL_COMPILED_OPS HL_OPS
#endif

#define HL_DECLARE(name, ins, ins_most, outs, outs_most, updates, attributes) \
  ptrdiff_t name##_check(const hl_call *call);                                 \
  void name##_run(const hl_call *call);

#endif
