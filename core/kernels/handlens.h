// What every kernel sees: tensors, one call of an op, errors, and vectors as wide as the target's.
//
// No libc, no allocation, no globals: a kernel works on the operands and the scratch memory it is given.
#ifndef HANDLENS_H
#define HANDLENS_H

#include <stddef.h>
#include <stdint.h>

// ---- tensors

enum { HL_FLOAT32, HL_INT32, HL_UINT32, HL_UINT8, HL_DTYPES };

#define HL_RANK 6
#define HL_INS 6
#define HL_OUTS 3
#define HL_UPDATES 3
#define HL_ALIGNMENT 64  // of scratch memory, and of each part that a kernel cuts from it

typedef struct {
  int32_t dtype, rank;
  int32_t dim[HL_RANK];  // those beyond the rank are 1
  ptrdiff_t size;        // number of elements
  void *data;            // row-major; NULL while a plan is only being measured
} hl_tensor;

// One op on its operands. `attr` holds one number per name in the op's row of ops.h.
typedef struct {
  int32_t ins, outs, updates, attrs;
  const hl_tensor *in[HL_INS];
  const hl_tensor *out[HL_OUTS];
  const hl_tensor *update[HL_UPDATES];
  const double *attr;
  char *scratch;
  char *kept;  // NAME_kept bytes of the call's own that last from replay to replay, zeros at first; NULL without
} hl_call;

// Every op NAME has two functions.
//
//   ptrdiff_t NAME_check(const hl_call *call);  bytes of scratch it needs, or a negative hl_error. Called once, before
//                                               there is memory (data is NULL). Must refuse whatever would make run()
//                                               read or write outside its operands: every shape, dtype and attribute
//                                               that run() relies on.
//   void NAME_run(const hl_call *call);         computes; checks nothing any more.
//
// plan.c lists the few that also have
//
//   int64_t NAME_kept(const hl_call *call);     bytes of memory of its own, after NAME_check has accepted the call.

typedef enum {
  HL_OK = 0,
  HL_E_MAGIC = -1,      // no encoded plan, or of another version
  HL_E_LENGTH = -2,     // cut off, or longer than it says
  HL_E_BUFFER = -3,     // a buffer is missing, too small, or not aligned
  HL_E_TENSOR = -4,     // a tensor's shape, type or place is impossible
  HL_E_OP = -5,         // no such op
  HL_E_OPERANDS = -6,   // an op has too many or too few operands, or names a tensor that is not there
  HL_E_DTYPE = -7,      // an operand's element type does not fit the op
  HL_E_SHAPE = -8,      // operands' shapes do not fit each other
  HL_E_ATTRIBUTE = -9,  // an attribute is out of range
  HL_E_OVERLAP = -10,   // a step reads or writes memory that it also writes
  HL_E_MEMORY = -11,    // the memory given for the program or its scratch is too small or not aligned
  HL_E_CONTROL = -12,   // the control values or records given do not have the size the plan asks for
  HL_E_RANGE = -13,     // a range of steps that the plan does not have
} hl_error;

// ---- vectors

#if defined(__AVX512F__)
#define HL_LANES 16
#elif defined(__AVX2__)
#define HL_LANES 8
#else
#define HL_LANES 4
#endif

typedef float hl_vec __attribute__((vector_size(4 * HL_LANES)));
typedef int32_t hl_ivec __attribute__((vector_size(4 * HL_LANES)));  // also what a comparison of hl_vec gives
typedef float hl_vec_anywhere __attribute__((vector_size(4 * HL_LANES), aligned(4), may_alias));

// What a host may call; everything else stays inside the library.
#if defined(_WIN32)
#define HL_EXPORT __attribute__((dllexport, visibility("default"), used))
#else
#define HL_EXPORT __attribute__((visibility("default"), used))
#endif

#define HL_INLINE static inline __attribute__((always_inline))

HL_INLINE hl_vec hl_load(const float *from) { return *(const hl_vec_anywhere *)from; }
HL_INLINE void hl_store(float *to, hl_vec value) { *(hl_vec_anywhere *)to = value; }
HL_INLINE hl_vec hl_splat(float value) { return value - (hl_vec){0}; }

// ---- small things

HL_INLINE float *hl_floats(const hl_tensor *t) { return (float *)t->data; }
HL_INLINE ptrdiff_t hl_aligned(ptrdiff_t bytes) { return (bytes + HL_ALIGNMENT - 1) / HL_ALIGNMENT * HL_ALIGNMENT; }
HL_INLINE ptrdiff_t hl_min(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
HL_INLINE ptrdiff_t hl_max(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

// Fill and copy; the compiler may make calls to memset and memcpy of them, which memory.c has.
HL_INLINE void hl_zero(float *to, ptrdiff_t count) { __builtin_memset(to, 0, (size_t)count * sizeof(float)); }
HL_INLINE void hl_copy(float *to, const float *from, ptrdiff_t count) {
  __builtin_memcpy(to, from, (size_t)count * sizeof(float));
}

// Scratch in pieces: hl_cut(&left, count) gives room for `count` floats and moves on, aligned.
HL_INLINE float *hl_cut(char **left, ptrdiff_t count) {
  float *piece = (float *)*left;
  *left += hl_aligned(count * (ptrdiff_t)sizeof(float));
  return piece;
}

// Sizes from untrusted shapes: products that stop at HL_MOST instead of overflowing (the sum of a few still fits), and
// bytes of scratch as a check returns them.
#define HL_MOST (INT64_MAX / 64)
HL_INLINE int64_t hl_times(int64_t a, int64_t b) { return b > 0 && a > HL_MOST / b ? HL_MOST : a * b; }
HL_INLINE int64_t hl_room(int64_t floats) {  // bytes of a piece that hl_cut takes
  return hl_times((hl_times(floats, sizeof(float)) + HL_ALIGNMENT - 1) / HL_ALIGNMENT, HL_ALIGNMENT);
}
HL_INLINE ptrdiff_t hl_scratch(int64_t bytes) { return bytes > PTRDIFF_MAX / 2 ? HL_E_MEMORY : (ptrdiff_t)bytes; }

HL_INLINE int hl_same_shape(const hl_tensor *a, const hl_tensor *b) {
  if (a->rank != b->rank) return 0;
  for (int k = 0; k < a->rank; k++)
    if (a->dim[k] != b->dim[k]) return 0;
  return 1;
}

HL_INLINE int hl_all_float(const hl_call *call) {
  for (int k = 0; k < call->ins; k++)
    if (call->in[k]->dtype != HL_FLOAT32) return 0;
  for (int k = 0; k < call->outs; k++)
    if (call->out[k]->dtype != HL_FLOAT32) return 0;
  for (int k = 0; k < call->updates; k++)
    if (call->update[k]->dtype != HL_FLOAT32) return 0;
  return 1;
}

// Attribute `k` as a whole number within [low, high]; returns 0 where it is none.
HL_INLINE int hl_whole(const hl_call *call, int k, int32_t low, int32_t high, int32_t *value) {
  const double given = call->attr[k];
  if (!(given >= low && given <= high)) return 0;
  *value = (int32_t)given;
  return (double)*value == given;
}

enum { HL_ACTIVATION_NONE, HL_ACTIVATION_RELU, HL_ACTIVATION_LEAKY_RELU, HL_ACTIVATION_SIGMOID, HL_ACTIVATION_TANH };

#endif
