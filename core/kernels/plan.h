// The encoded plan: what handlens/backends/native/encode.py writes and plan.c reads. Little-endian; every part follows
// the one before it, and begins at a multiple of 8 bytes where it holds 8-byte values.
//
//   header   hl_header
//   attrs    double, `attrs` of them
//   buffers  int64 bytes, `buffers` of them
//   tensors  hl_place, `tensors` of them
//   words    int32, `words` of them: the prologue's steps, then the steps, each as
//            op, ins, outs, updates, attrs, first attr, then the numbers of its tensors
//   controls int32 tensor numbers, then records likewise
#ifndef HANDLENS_PLAN_H
#define HANDLENS_PLAN_H

#include "handlens.h"

#define HL_MAGIC 0x31504c48  // "HLP1"
#define HL_STEP_WORDS 6      // of a step, before its tensors
#define HL_OPERANDS (HL_INS + HL_OUTS + HL_UPDATES)

typedef struct {
  int32_t magic, bytes;
  uint32_t ops;  // hl_ops_hash of the library that the plan was encoded for: its op numbers mean nothing elsewhere
  int32_t attrs, buffers, tensors, words, prologue, steps, controls, records;
  int32_t reserved[5];
} hl_header;

typedef struct {
  int64_t offset;
  int32_t buffer, dtype, rank, dim[HL_RANK], reserved;
} hl_place;

#endif
