// One library on one backend in this page; tests/bench/peer_times.py drives it through `window.peer`.
//
// A library is a module with
//   init(backend, base) -> description        backend: "wasm", "webgpu", ..; base: the address of this folder
//   infer(weights, batch) -> run(images)      run gives the probabilities as a flat Float32Array in JavaScript
//   trainStep(weights, batch) -> run(images, labels)   one Adam step; run gives its loss as a number
//   cannotTrain                               instead of trainStep: why there is none
// `weights` holds the tensors by name, {shape, data}, in our own layout, and the same network as `onnx`, the bytes of
// an ONNX file. A run begins with a typed array of JavaScript and ends with one: uploads and read-back count.

const libraries = {
  tfjs: () => import("./tfjs.js"),
  "onnxruntime-web": () => import("./ort.js"),
  "jax-js": () => import("./jax.js"),
};
const BASE = new URL("./", location.href).href;
const PIXELS = 28 * 28;
const GIVE_UP = 240_000; // ms; a run that takes longer is no measurement any more

const state = { library: null, data: null, jobs: new Map() };

async function bytes(name) {
  const answer = await fetch(BASE + "work/" + name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer.arrayBuffer();
}

// The exported network and the images, as peer_workload.py wrote them.
async function read() {
  const index = JSON.parse(new TextDecoder().decode(await bytes("work.json")));
  const pack = await bytes("work.bin");
  const arrays = {};
  for (const [name, { shape, offset }] of Object.entries(index.arrays)) {
    const size = shape.reduce((product, side) => product * side, 1);
    arrays[name] = { shape, data: new Float32Array(pack, offset, size) };
  }
  const { images, labels, ...weights } = arrays;
  const onnx = new Uint8Array(await bytes("work.onnx"));
  return { images: images.data, labels: labels.data, weights: { ...weights, onnx } };
}

const patient = (promise) =>
  Promise.race([
    promise,
    new Promise((_, refuse) => setTimeout(() => refuse(new Error(`no result after ${GIVE_UP / 1000} s`)), GIVE_UP)),
  ]);

async function trainer(batch) {
  const { library, data } = state;
  if (library.cannotTrain) throw new Error(library.cannotTrain);
  const step = await library.trainStep(data.weights, batch);
  const [images, labels] = [data.images.slice(0, batch * PIXELS), data.labels.slice(0, batch)];
  return () => step(images, labels);
}

async function reader(batch) {
  const run = await state.library.infer(state.data.weights, batch);
  const images = state.data.images.slice(0, batch * PIXELS);
  return () => run(images);
}

// A job is prepared once and then kept, as an application would.
async function prepared(kind, batch) {
  const key = `${kind} ${batch}`;
  if (!state.jobs.has(key)) state.jobs.set(key, await (kind === "train" ? trainer : reader)(batch));
  return state.jobs.get(key);
}

window.peer = {
  async open(name, backend) {
    if (!(name in libraries)) throw new Error(`no library is called ${name}`);
    [state.library, state.data] = [await libraries[name](), await read()];
    return patient(state.library.init(backend, BASE));
  },

  // The first `rows` rows of the probabilities of the first `batch` images.
  async probabilities(batch, rows) {
    const found = await patient((await prepared("infer", batch))());
    return Array.from(found.slice(0, 10 * Math.min(rows, batch)));
  },

  // Losses of this many steps from the exported weights on.
  async losses(batch, steps) {
    state.jobs.delete(`train ${batch}`);
    const run = await prepared("train", batch);
    const found = [];
    while (found.length < steps) found.push(await patient(run()));
    return found;
  },

  // Milliseconds a run, over as many runs as fill `least` ms: a page's clock is too coarse for one short run.
  async sample(kind, batch, least) {
    const run = await prepared(kind, batch);
    const start = performance.now();
    let [runs, now] = [0, start];
    while (runs === 0 || now - start < least) {
      await patient(run());
      runs += 1;
      now = performance.now();
    }
    return (now - start) / runs;
  },
};
