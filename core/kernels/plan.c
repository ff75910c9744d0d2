// The interpreter: checks an encoded plan once, resolves it into program memory, and replays it.
//
// Nothing is trusted before hl_load has returned HL_OK: counts, offsets, shapes and attributes are held against the
// memory given, so that replaying needs no checks. plan.h has the format.
#include "plan.h"

#include "ops.h"

HL_OPS(HL_DECLARE)

#define HL_NAME(name, ...) HL_OP_##name,
enum { HL_OPS(HL_NAME) HL_OP_COUNT };

typedef struct {
  int32_t op;
  hl_call call;
} hl_step;

typedef struct {
  int32_t magic, tensors, prologue, steps, controls, records;
  ptrdiff_t control_bytes, record_bytes;  // of one row
  hl_tensor *tensor;
  hl_step *step;
  int32_t *control, *record;
} hl_program;

typedef struct {  // the parts of an encoded plan, once its lengths are known to be right
  const hl_header *header;
  const double *attr;
  const int64_t *buffer;
  const hl_place *place;
  const int32_t *words, *control, *record;
} hl_parts;

typedef struct {
  int32_t ins_least, ins_most, outs_least, outs_most, updates, attrs;
} hl_arity;

// ---- the table of ops

static const char ops_text[] =
#define HL_TEXT(name, il, im, ol, om, u, attributes) #name " " #il " " #im " " #ol " " #om " " #u " " attributes "\n"
    HL_OPS(HL_TEXT);

// The ops of this library, a line each: name, operand counts, attributes. What an encoder needs to know of it.
HL_EXPORT const char *hl_ops_text(void) { return ops_text; }

// FNV-1a of the table: plans are refused by a library with another one.
HL_EXPORT uint32_t hl_ops_hash(void) {
  uint32_t hash = 2166136261u;
  for (const char *c = ops_text; *c; c++) hash = (hash ^ (uint8_t)*c) * 16777619u;
  return hash;
}

static int words_in(const char *text) {
  int count = 0;
  for (int k = 0; text[k]; k++) count += text[k] != ' ' && (k == 0 || text[k - 1] == ' ');
  return count;
}

static int arity_of(int32_t op, hl_arity *a) {
  switch (op) {
#define HL_ARITY(name, il, im, ol, om, u, attributes) \
  case HL_OP_##name:                                  \
    *a = (hl_arity){il, im, ol, om, u, words_in(attributes)}; \
    return 1;
    HL_OPS(HL_ARITY)
    default:
      return 0;
  }
}

static ptrdiff_t check(int32_t op, const hl_call *call) {
  switch (op) {
#define HL_CHECK(name, ...) \
  case HL_OP_##name:        \
    return name##_check(call);
    HL_COMPILED_OPS(HL_CHECK)
    default:
      return HL_E_OP;
  }
}

int64_t conv2d_kept(const hl_call *call);
int64_t conv2d_max_pool2d_kept(const hl_call *call);

// Memory of its own that a call which was accepted asks for.
static int64_t kept(int32_t op, const hl_call *call) {
  switch (op) {
    case HL_OP_conv2d:
      return conv2d_kept(call);
    case HL_OP_conv2d_max_pool2d:
      return conv2d_max_pool2d_kept(call);
    default:
      return 0;
  }
}

static void run(const hl_step *step) {
  switch (step->op) {
#define HL_RUN(name, ...)    \
  case HL_OP_##name:         \
    name##_run(&step->call); \
    break;
    HL_COMPILED_OPS(HL_RUN)
    default:
      break;
  }
}

// ---- reading an encoded plan

static int cut_parts(const void *plan, size_t bytes, hl_parts *p) {
  if ((uintptr_t)plan % 8) return HL_E_MEMORY;
  if (bytes < sizeof(hl_header)) return HL_E_LENGTH;
  const hl_header *h = p->header = plan;
  if (h->magic != HL_MAGIC || h->ops != hl_ops_hash()) return HL_E_MAGIC;
  const int32_t counts[] = {h->attrs, h->buffers, h->tensors, h->words, h->prologue, h->steps, h->controls, h->records};
  for (int k = 0; k < 8; k++)
    if (counts[k] < 0 || (size_t)counts[k] > bytes) return HL_E_LENGTH;
  const uint64_t wanted = sizeof(hl_header) + 8 * ((uint64_t)h->attrs + (uint64_t)h->buffers) +
                          sizeof(hl_place) * (uint64_t)h->tensors +
                          4 * ((uint64_t)h->words + (uint64_t)h->controls + (uint64_t)h->records);
  if (wanted != bytes || (size_t)h->bytes != bytes) return HL_E_LENGTH;
  p->attr = (const double *)(h + 1);
  p->buffer = (const int64_t *)(p->attr + h->attrs);
  p->place = (const hl_place *)(p->buffer + h->buffers);
  p->words = (const int32_t *)(p->place + h->tensors);
  p->control = p->words + h->words;
  p->record = p->control + h->controls;
  return HL_OK;
}

static ptrdiff_t item_bytes(int32_t dtype) { return dtype == HL_UINT8 ? 1 : 4; }

// A place as a tensor without memory; an error where no buffer of the plan's own sizes could hold it.
static int read_place(const hl_parts *p, int32_t number, hl_tensor *t) {
  if (number < 0 || number >= p->header->tensors) return HL_E_OPERANDS;
  const hl_place *place = p->place + number;
  if (place->buffer < 0 || place->buffer >= p->header->buffers) return HL_E_TENSOR;
  if (place->dtype < 0 || place->dtype >= HL_DTYPES || place->rank < 0 || place->rank > HL_RANK) return HL_E_TENSOR;
  *t = (hl_tensor){.dtype = place->dtype, .rank = place->rank};
  int64_t size = 1;
  for (int k = 0; k < HL_RANK; k++) {
    t->dim[k] = place->dim[k];
    if (place->dim[k] < 1 || (k >= place->rank && place->dim[k] != 1)) return HL_E_TENSOR;
    size *= place->dim[k];
    if (size > INT32_MAX) return HL_E_TENSOR;
  }
  t->size = (ptrdiff_t)size;
  const int64_t room = p->buffer[place->buffer];
  if (place->offset < 0 || place->offset % 4 || room < 0 || place->offset > room) return HL_E_TENSOR;
  if (size * item_bytes(t->dtype) > room - place->offset) return HL_E_TENSOR;
  return HL_OK;
}

static int overlap(const hl_parts *p, int32_t one, int32_t other) {
  const hl_place *a = p->place + one, *b = p->place + other;
  if (a->buffer != b->buffer) return 0;
  int64_t bytes[2] = {item_bytes(a->dtype), item_bytes(b->dtype)};
  for (int k = 0; k < HL_RANK; k++) {
    bytes[0] *= a->dim[k];
    bytes[1] *= b->dim[k];
  }
  return a->offset < b->offset + bytes[1] && b->offset < a->offset + bytes[0];
}

// What a step writes may not overlap anything else of it.
static int check_overlaps(const hl_parts *p, const int32_t *operand, int32_t ins, int32_t all) {
  for (int32_t w = ins; w < all; w++)
    for (int32_t o = 0; o < all; o++)
      if (o != w && overlap(p, operand[w], operand[o])) return HL_E_OVERLAP;
  return HL_OK;
}

static void bind(hl_call *call, const hl_tensor *const operand[]) {
  for (int k = 0; k < call->ins; k++) call->in[k] = *operand++;
  for (int k = 0; k < call->outs; k++) call->out[k] = *operand++;
  for (int k = 0; k < call->updates; k++) call->update[k] = *operand++;
}

// Reads the step at *at and moves on; `call` gets its counts and attributes, `operand` its tensors' numbers.
static int read_step(const hl_parts *p, int32_t *at, int32_t *op, hl_call *call, const int32_t **operand) {
  const int32_t left = p->header->words - *at;
  if (left < HL_STEP_WORDS) return HL_E_LENGTH;
  const int32_t *w = p->words + *at;
  hl_arity a;
  if (!arity_of(w[0], &a)) return HL_E_OP;
  *op = w[0];
  *call = (hl_call){.ins = w[1], .outs = w[2], .updates = w[3], .attrs = w[4]};
  if (w[1] < a.ins_least || w[1] > a.ins_most || w[2] < a.outs_least || w[2] > a.outs_most) return HL_E_OPERANDS;
  if (w[3] != a.updates) return HL_E_OPERANDS;
  if (w[4] != a.attrs || w[5] < 0 || w[5] > p->header->attrs - w[4]) return HL_E_ATTRIBUTE;
  call->attr = p->attr + w[5];
  const int32_t all = w[1] + w[2] + w[3];
  if (left < HL_STEP_WORDS + all) return HL_E_LENGTH;
  *operand = w + HL_STEP_WORDS;
  *at += HL_STEP_WORDS + all;
  return HL_OK;
}

// Checks one step; the scratch it needs, or an error. `*own` grows by the memory that it keeps.
static ptrdiff_t check_step(const hl_parts *p, int32_t *at, int64_t *own) {
  int32_t op;
  hl_call call;
  const int32_t *number;
  int error = read_step(p, at, &op, &call, &number);
  if (error) return error;
  hl_tensor tensor[HL_OPERANDS];
  const hl_tensor *operand[HL_OPERANDS];
  const int32_t all = call.ins + call.outs + call.updates;
  for (int32_t k = 0; k < all; k++) {
    if ((error = read_place(p, number[k], &tensor[k]))) return error;
    operand[k] = &tensor[k];
  }
  if ((error = check_overlaps(p, number, call.ins, all))) return error;
  bind(&call, operand);
  const ptrdiff_t scratch = check(op, &call);
  if (scratch >= 0) *own += kept(op, &call);
  return scratch;
}

static ptrdiff_t row_bytes(const hl_parts *p, const int32_t *numbers, int32_t count) {
  int64_t bytes = 0;
  for (int32_t k = 0; k < count; k++) {
    hl_tensor t;
    if (read_place(p, numbers[k], &t)) return HL_E_CONTROL;
    bytes += (t.size * item_bytes(t.dtype) + 3) / 4 * 4;
    if (bytes > INT32_MAX) return HL_E_CONTROL;
  }
  return (ptrdiff_t)bytes;
}

static ptrdiff_t program_bytes(const hl_header *h) {
  const int64_t bytes = (int64_t)hl_aligned(sizeof(hl_program)) +
                        (int64_t)h->tensors * (int64_t)sizeof(hl_tensor) + 8 * (int64_t)h->attrs +
                        ((int64_t)h->prologue + h->steps) * (int64_t)sizeof(hl_step) +
                        4 * ((int64_t)h->controls + h->records);
  return bytes > INT32_MAX ? HL_E_LENGTH : hl_aligned((ptrdiff_t)bytes);
}

// Checks an encoded plan without any of its memory. sizes[0]: bytes of program memory it needs, sizes[1]: of scratch,
// sizes[2], sizes[3]: of a row of controls and of records; sizes[4]: the step that an error was met at.
// Returns HL_OK or an hl_error.
HL_EXPORT int32_t hl_measure(const void *plan, size_t bytes, size_t sizes[5]) {
  hl_parts p;
  for (int k = 0; k < 5; k++) sizes[k] = 0;
  const int error = cut_parts(plan, bytes, &p);
  if (error) return error;
  int32_t at = 0;
  ptrdiff_t most = 0;
  int64_t kept_bytes = 0;
  const int64_t count = (int64_t)p.header->prologue + p.header->steps;
  for (int64_t k = 0; k < count; k++, sizes[4]++) {
    const ptrdiff_t scratch = check_step(&p, &at, &kept_bytes);
    if (kept_bytes > INT32_MAX) return HL_E_LENGTH;
    if (scratch < 0) return (int32_t)scratch;
    most = hl_max(most, scratch);
  }
  if (at != p.header->words) return HL_E_LENGTH;
  const ptrdiff_t own = program_bytes(p.header), control = row_bytes(&p, p.control, p.header->controls),
                  record = row_bytes(&p, p.record, p.header->records);
  if (own < 0) return (int32_t)own;
  if (control < 0 || record < 0) return HL_E_CONTROL;
  sizes[0] = (size_t)own + (size_t)kept_bytes;
  sizes[1] = (size_t)hl_aligned(most);
  sizes[2] = (size_t)control;
  sizes[3] = (size_t)record;
  return HL_OK;
}

static int check_buffers(const hl_parts *p, void *const *buffers, const size_t *buffer_bytes) {
  for (int32_t k = 0; k < p->header->buffers; k++) {
    if (!buffers[k]) return HL_E_BUFFER;
    if ((uint64_t)buffer_bytes[k] < (uint64_t)p->buffer[k]) return HL_E_BUFFER;
  }
  return HL_OK;
}

static void resolve_steps(const hl_parts *p, hl_program *program, double *attrs, char *scratch, char *own) {
  int32_t at = 0;
  for (int32_t k = 0; k < program->prologue + program->steps; k++) {
    hl_step *step = program->step + k;
    const int32_t *number;
    const hl_tensor *operand[HL_OPERANDS];
    read_step(p, &at, &step->op, &step->call, &number);
    for (int32_t o = 0; o < step->call.ins + step->call.outs + step->call.updates; o++)
      operand[o] = program->tensor + number[o];
    bind(&step->call, operand);
    step->call.attr = attrs + (step->call.attr - p->attr);
    step->call.scratch = scratch;
    const ptrdiff_t bytes = (ptrdiff_t)kept(step->op, &step->call);
    if (!bytes) continue;
    hl_zero((float *)own, bytes / (ptrdiff_t)sizeof(float));
    step->call.kept = own;
    own += bytes;
  }
}

// Resolves a plan into `program`, on the buffers given; all of that memory is to stay where it is, the plan is not
// needed any more. buffer_bytes: of each, at least what the plan asks for. Returns HL_OK or an hl_error.
HL_EXPORT int32_t hl_load_plan(const void *plan, size_t bytes, void *const *buffers, const size_t *buffer_bytes,
                               int32_t count, void *memory, size_t memory_bytes, void *scratch, size_t scratch_bytes) {
  hl_parts p;
  size_t sizes[5];
  int error = hl_measure(plan, bytes, sizes);
  if (error) return error;
  cut_parts(plan, bytes, &p);
  if (count != p.header->buffers) return HL_E_BUFFER;
  if ((error = check_buffers(&p, buffers, buffer_bytes))) return error;
  if ((uintptr_t)memory % HL_ALIGNMENT || (uintptr_t)scratch % HL_ALIGNMENT) return HL_E_MEMORY;
  if (memory_bytes < sizes[0] || scratch_bytes < sizes[1]) return HL_E_MEMORY;
  const hl_header *h = p.header;
  hl_program *program = memory;
  char *left = (char *)memory + hl_aligned(sizeof(hl_program));
  double *attrs = (double *)left;
  program->tensor = (hl_tensor *)(attrs + h->attrs);
  program->step = (hl_step *)(program->tensor + h->tensors);
  program->control = (int32_t *)(program->step + h->prologue + h->steps);
  program->record = program->control + h->controls;
  program->tensors = h->tensors;
  program->prologue = h->prologue;
  program->steps = h->steps;
  program->controls = h->controls;
  program->records = h->records;
  program->control_bytes = (ptrdiff_t)sizes[2];
  program->record_bytes = (ptrdiff_t)sizes[3];
  for (int32_t k = 0; k < h->attrs; k++) attrs[k] = p.attr[k];
  for (int32_t k = 0; k < h->controls; k++) program->control[k] = p.control[k];
  for (int32_t k = 0; k < h->records; k++) program->record[k] = p.record[k];
  for (int32_t k = 0; k < h->tensors; k++) {
    if ((error = read_place(&p, k, program->tensor + k))) return error;
    program->tensor[k].data = (char *)buffers[p.place[k].buffer] + p.place[k].offset;
    if ((uintptr_t)program->tensor[k].data % (uintptr_t)item_bytes(program->tensor[k].dtype)) return HL_E_BUFFER;
  }
  resolve_steps(&p, program, attrs, scratch, (char *)memory + program_bytes(h));
  program->magic = HL_MAGIC;
  return HL_OK;
}

// ---- replaying

static int32_t replay(const hl_program *program, int32_t first, int32_t last) {
  for (int32_t k = first; k < last; k++) run(program->step + k);
  return HL_OK;
}

// Runs the prologue: to be called whenever the parameters have changed.
HL_EXPORT int32_t hl_prepare(const void *memory) {
  const hl_program *program = memory;
  if (program->magic != HL_MAGIC) return HL_E_MAGIC;
  return replay(program, 0, program->prologue);
}

// Runs steps [first, last) of one replay, for an event loop that wants its turn in between.
HL_EXPORT int32_t hl_run_part(const void *memory, int32_t first, int32_t last) {
  const hl_program *program = memory;
  if (program->magic != HL_MAGIC) return HL_E_MAGIC;
  if (first < 0 || last < first || last > program->steps) return HL_E_RANGE;
  return replay(program, program->prologue + first, program->prologue + last);
}

static const char *take_controls(const hl_program *program, const char *row) {
  for (int32_t k = 0; k < program->controls; k++) {
    const hl_tensor *t = program->tensor + program->control[k];
    const ptrdiff_t bytes = t->size * item_bytes(t->dtype);
    __builtin_memcpy(t->data, row, (size_t)bytes);
    row += (bytes + 3) / 4 * 4;
  }
  return row;
}

static char *keep_records(const hl_program *program, char *row) {
  for (int32_t k = 0; k < program->records; k++) {
    const hl_tensor *t = program->tensor + program->record[k];
    const ptrdiff_t bytes = t->size * item_bytes(t->dtype);
    __builtin_memcpy(row, t->data, (size_t)bytes);
    row += (bytes + 3) / 4 * 4;
  }
  return row;
}

// Replays the plan `count` times. controls: a row a replay, or NULL to leave them as they are; records: room for a row
// a replay. A row holds the values in the plan's order, each padded to whole words.
HL_EXPORT int32_t hl_run(const void *memory, int32_t count, const void *controls, size_t control_bytes, void *records,
                         size_t record_bytes) {
  const hl_program *program = memory;
  if (program->magic != HL_MAGIC) return HL_E_MAGIC;
  if (count < 0) return HL_E_RANGE;
  if (controls && (uint64_t)control_bytes != (uint64_t)program->control_bytes * (uint64_t)count) return HL_E_CONTROL;
  if ((uint64_t)record_bytes != (uint64_t)program->record_bytes * (uint64_t)count) return HL_E_CONTROL;
  const char *control = controls;
  char *record = records;
  for (int32_t k = 0; k < count; k++) {
    if (control) control = take_controls(program, control);
    replay(program, program->prologue, program->prologue + program->steps);
    record = keep_records(program, record);
  }
  return HL_OK;
}

// The most one core can do: `rounds` times 12 independent multiply-adds of whole vectors. Returns their number of
// floating-point operations; `sink` takes the sums, so that none of it can be left out.
HL_EXPORT double hl_speed(int32_t rounds, float *sink) {
  hl_vec sum[12];
  const hl_vec a = hl_splat(sink[0]), b = hl_splat(sink[1]);
  for (int k = 0; k < 12; k++) sum[k] = hl_splat((float)k);
  for (int32_t round = 0; round < rounds; round++)
    for (int k = 0; k < 12; k++) sum[k] = sum[k] * a + b;
  hl_vec total = sum[0];
  for (int k = 1; k < 12; k++) total += sum[k];
  for (int k = 0; k < HL_LANES; k++) sink[2] += total[k];
  return 2.0 * 12 * HL_LANES * (double)rounds;
}
