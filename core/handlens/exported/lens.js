// Reads digits without Python: a model that `handlens export` wrote, replayed by the compiled kernels on this thread.
// A reading has the form in which engine.py answers, and says what handlens.reading and handlens.answer would say.
const RELAXED = [0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 0, 32, 0, 253, 133, 2, 11];
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 123, 1, 123, 3, 2, 1, 0, 10, 11, 1, 9, 0, 32, 0, 32, 0, 253, 228, 1, 11];
const SIDE = 28, PIXELS = SIDE * SIDE, DIGITS = 10;
const CANDIDATES = 12, FOUND = 8, CROWDED = 256, PLACE = 8; // of core/kernels/ink.h
const CROWD = `More than ${CANDIDATES} pieces side by side. Write fewer digits.`;
const VERDICTS = ["sure", "likely", "unsure", "none"];

async function fetched(address, get) {
  const response = await get(address);
  if (!response.ok) throw new Error(`${address}: the server answered ${response.status}`);
  return response;
}

// A file that is compressed, unless the server has said so to the browser and it is not any more.
async function unpacked(address, get) {
  const packed = await (await fetched(address, get)).arrayBuffer();
  if (new Uint8Array(packed)[0] !== 0x1f) return packed;
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

// Memory of a standalone module, taken from the front; what is taken after a mark is given back with it.
function memoryOf(x) {
  let top = x.__heap_base.value;
  return {
    take(bytes) {
      const at = Math.ceil(top / 64) * 64;
      top = at + bytes;
      const lacking = top - x.memory.buffer.byteLength;
      if (lacking > 0) x.memory.grow(Math.ceil(lacking / 65536));
      return at;
    },
    put(bytes) {
      const at = this.take(bytes.byteLength);
      this.bytes(at, bytes.byteLength).set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      return at;
    },
    bytes: (at, count) => new Uint8Array(x.memory.buffer, at, count),
    floats: (at, count) => new Float32Array(x.memory.buffer, at, count),
    doubles: (at, count) => new Float64Array(x.memory.buffer, at, count),
    words: (at, count) => new Uint32Array(x.memory.buffer, at, count),
    mark: () => top,
    back(to) { top = to; },
  };
}

const checked = (error) => { if (error) throw new Error(`the kernels refuse the model (error ${error})`); };

// The plan in memory: the addresses of its buffers, and of the program that replays it.
function loaded(x, memory, model, weights) {
  const bytes = Uint8Array.from(atob(model.plan), (c) => c.charCodeAt(0));
  const plan = memory.put(bytes), sizes = memory.take(20);
  checked(x.hl_measure(plan, bytes.length, sizes));
  const [own, scratch] = memory.words(sizes, 2);
  const buffers = model.buffers.map((size) => memory.take(size));
  const at = memory.put(Uint32Array.from(buffers)), lengths = memory.put(Uint32Array.from(model.buffers));
  const program = memory.take(own), room = memory.take(scratch);
  checked(x.hl_load_plan(plan, bytes.length, at, lengths, buffers.length, program, own, room, scratch));
  for (const [from, size, buffer, offset] of model.arrays)
    memory.bytes(buffers[buffer] + offset, size).set(weights.subarray(from, from + size));
  checked(x.hl_prepare(program));
  return { program, input: buffers[model.input[0]] + model.input[1], output: buffers[model.output[0]] + model.output[1] };
}

const article = (digit) => `${digit === 8 ? "an" : "a"} ${digit}`;
const percent = (share) => (share < 0.005 ? "under 1 %" : `${(share * 100).toFixed(0)} %`);

function sentence(place, reason) {
  const { verdict, digit, second, probabilities: shares, none } = place;
  if (reason === 1) return "One digit or two? Leave a gap between.";
  if (reason === 2) return "Not one digit. Two that touch? Leave a gap between.";
  if (verdict === "none") return "Not one digit.";
  if (verdict === "sure") return `Sure: ${article(digit)}.`;
  const digits = shares[second] >= none, share = percent(digits ? shares[second] : none);
  if (verdict === "likely") return `Likely ${article(digit)}, else ${digits ? article(second) : "not a digit"} (${share}).`;
  return `${digit} (${percent(shares[digit])}) or ${digits ? second : "not a digit"} (${share}).`;
}

// One answer of all places, from left to right.
function whole(places) {
  const text = places.map((place) => (place.answered ? place.digit : "?")).join("");
  const weaker = (a, b) =>
    a.answered === b.answered ? a.probabilities[a.digit] < b.probabilities[b.digit] : b.answered;
  const weakest = places.reduce((least, place, k) => (weaker(place, places[least]) ? k : least), 0);
  const { verdict, sentence: said } = places[weakest];
  const start = verdict === "likely" ? `Likely ${text}` : text;
  const long = verdict === "sure" ? `Sure: ${text}.` : `${start}. Place ${weakest + 1}: ${said[0].toLowerCase()}${said.slice(1)}`;
  return { text, verdict, weakest, sentence: places.length > 1 ? long : said };
}

function makeLens(x, model, weights) {
  const memory = memoryOf(x), { classes, rules } = model;
  const { program, input, output } = loaded(x, memory, model, weights);
  const images = memory.take(4 * PIXELS * CANDIDATES), found = memory.take(8 * FOUND * CANDIDATES);
  const shares = memory.take(4 * classes * CANDIDATES), answer = memory.take(8 * PLACE * CANDIDATES);

  function predicted(image, to) {
    memory.bytes(input, 4 * PIXELS).set(memory.bytes(image, 4 * PIXELS));
    checked(x.hl_run(program, 1, 0, 0, 0, 0));
    memory.bytes(to, 4 * classes).set(memory.bytes(output, 4 * classes));
  }

  // Predicts the images, and puts the shares into an answer. `crowded`: of pieces that no number has so many of.
  function reading(count, extent, started, crowded = false) {
    for (let k = 0; k < count; k += 1) predicted(images + 4 * PIXELS * k, shares + 4 * classes * k);
    const length = x.hl_ink_answer(found, count, shares, classes, rules.answer, rules.sure, rules.beside, answer);
    if (length < 1) throw new Error(`the kernels give no answer (error ${length})`);
    const places = [], lasts = [];
    for (let k = 0; k < length; k += 1) {
      const [candidate, digit, second, verdict, reason] = memory.doubles(answer + 8 * PLACE * k, 5);
      const about = memory.doubles(found + 8 * FOUND * candidate, FOUND);
      const probabilities = memory.floats(shares + 4 * classes * candidate, DIGITS).slice();
      const none = classes > DIGITS ? memory.floats(shares + 4 * (classes * candidate + DIGITS), 1)[0] : 0;
      const place = { verdict: VERDICTS[verdict], answered: verdict < 2, digit, second, probabilities, none };
      place.sentence = sentence(place, reason);
      if (crowded) Object.assign(place, { verdict: "none", answered: false, sentence: CROWD });
      place.box = extent ? Array.from(about.subarray(4), (edge) => edge / extent) : [];
      place.seen = memory.floats(images + 4 * PIXELS * candidate, PIXELS).slice();
      places.push(place);
      lasts.push(about[3]);
    }
    const latest = lasts.indexOf(Math.max(...lasts)), ms = performance.now() - started;
    const about = { model: model.name, rejects: classes > DIGITS, ms, backend: "native", left: "" };
    return { blank: false, places, latest, ...whole(places), ...about };
  }

  return {
    name: model.name,
    classes,
    // Read packed strokes (see pad.flat() of pad.js) on a pad `extent` wide. null: more than the kernels take.
    read(strokes, extent) {
      const started = performance.now(), mark = memory.mark();
      try {
        const needed = x.hl_ink_scratch(strokes.length);
        if (needed < 0) return null;
        const packed = memory.put(strokes), scratch = memory.take(needed);
        const count = x.hl_ink(packed, strokes.length, extent, images, found, scratch, needed);
        if (count === 0) return { blank: true };
        return count < 0 ? null : reading(count & ~CROWDED, extent, started, (count & CROWDED) !== 0);
      } finally {
        memory.back(mark);
      }
    },
    // Read 28 x 28 numbers, 0 paper to 1 ink, as they are.
    readImage(values) {
      const started = performance.now();
      if (values.length !== PIXELS) return null;
      if (!values.some(Boolean)) return { blank: true };
      memory.floats(images, PIXELS).set(values);
      memory.doubles(found, FOUND).set([0, 1, 0, 0, 0, 0, 0, 1]); // one unit of ink, taller than wide
      return reading(1, 0, started);
    },
  };
}

// Fetches and starts an exported model; addresses are relative to the page, and `model` may be what stands in model.json.
// Throws what is in the way.
// `relaxed`: whether to take the build with relaxed SIMD, by default where the browser has it. A page that has begun
// already gives what it has: `module`, a promise of the compiled kernels, and `get` in place of fetch.
export async function openLens({ model = "model.json", weights = "model.safetensors", kernels = "", ...begun } = {}) {
  if (!WebAssembly.validate(Uint8Array.from(SIMD))) throw new Error("this browser has no WebAssembly SIMD");
  const { relaxed = WebAssembly.validate(Uint8Array.from(RELAXED)), get = (address) => fetch(address) } = begun;
  const code = `${kernels}handlens${relaxed ? "-relaxed" : ""}.wasm.gz`;
  const [about, data, module] = await Promise.all([
    typeof model === "string" ? fetched(model, get).then((response) => response.json()) : model,
    fetched(weights, get).then((response) => response.arrayBuffer()),
    Promise.resolve(begun.module).catch(() => null).then(async (done) => done ?? WebAssembly.compile(await unpacked(code, get))),
  ]);
  if (about.failed) throw new Error(about.failed);
  if (data.byteLength !== about.weights.bytes) throw new Error(`${weights} is not the file that the plan was made for`);
  return makeLens((await WebAssembly.instantiate(module)).exports, about, new Uint8Array(data));
}
