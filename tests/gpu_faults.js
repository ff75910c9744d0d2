// Faults for tests: wraps navigator.gpu and what comes from it, inside a worker, before Handlens opens it. No part of the
// product. ``faults.inject(name, options)`` adds a fault, ``faults.undo()`` takes all of them away again.
//
// ``after``: how many calls go well first (of the call that the fault spoils).
globalThis.faults = (() => {
  "use strict";
  const undone = [];
  const counts = { submits: 0, dispatches: 0, maps: 0 };
  const created = {}; // by the name of the call: how often; and the bytes of all buffers
  const compiled = []; // names of kernels, as often as they were compiled
  const never = () => new Promise(() => {});

  // Put ``make(plain)`` in place of a method.
  function wrap(type, name, make) {
    const prototype = globalThis[type].prototype;
    const plain = prototype[name];
    prototype[name] = make(plain);
    undone.push(() => { prototype[name] = plain; });
  }

  // Call ``spoil`` in place of a method after it has been called ``after`` times.
  function spoil(type, name, after, spoilt) {
    let calls = 0;
    wrap(type, name, (plain) => function (...given) {
      calls += 1;
      return calls > after ? spoilt.call(this, () => plain.apply(this, given), given, calls) : plain.apply(this, given);
    });
  }

  const kinds = {
    // navigator.gpu is not there
    absent() {
      Object.defineProperty(globalThis.navigator, "gpu", { value: undefined, configurable: true });
      undone.push(() => { delete globalThis.navigator.gpu; });
    },
    // requestAdapter() gives null
    "no-adapter"() {
      spoil("GPU", "requestAdapter", 0, async () => null);
    },
    // requestDevice() rejects, or never answers
    "no-device"({ reason = "the device is busy" }) {
      spoil("GPUAdapter", "requestDevice", 0, async () => { throw new DOMException(reason, "OperationError"); });
    },
    "silent-device"() {
      spoil("GPUAdapter", "requestDevice", 0, never);
    },
    // the kernel called ``kernel`` (or every one) is no WGSL
    shader({ kernel = "" }) {
      wrap("GPUDevice", "createShaderModule", (plain) => function (descriptor) {
        const hit = !kernel || descriptor.label === kernel;
        return plain.call(this, hit ? { ...descriptor, code: `${descriptor.code}\nfn broken( {` } : descriptor);
      });
    },
    // the kernel called ``kernel`` compiles, and computes something else: ``put`` stands where its text has ``find``
    miscompiled({ kernel, find, put }) {
      wrap("GPUDevice", "createShaderModule", (plain) => function (descriptor) {
        if (descriptor.label !== kernel) return plain.call(this, descriptor);
        const code = descriptor.code.replace(new RegExp(find, "g"), put);
        if (code === descriptor.code) throw new Error(`${kernel} has no ${find}`);
        return plain.call(this, { ...descriptor, code });
      });
    },
    // the adapter grants ``bytes`` a buffer, and no more
    limit({ bytes = 256 }) {
      const plain = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, "limits");
      const get = () => ({ maxBufferSize: bytes, maxStorageBufferBindingSize: bytes });
      Object.defineProperty(GPUAdapter.prototype, "limits", { ...plain, get });
      undone.push(() => { Object.defineProperty(GPUAdapter.prototype, "limits", plain); });
    },
    // a compiler that takes ``ms`` longer for each kernel than for the one before
    slow({ ms = 20 }) {
      spoil("GPUDevice", "createComputePipelineAsync", 0, async (plain, given, calls) => {
        await new Promise((done) => setTimeout(done, ms * calls));
        return plain();
      });
    },
    // the device is destroyed right after submit number ``after`` + 1
    lost({ after = 0 }) {
      let device = null;
      wrap("GPUAdapter", "requestDevice", (plain) => async function (...given) {
        device = await plain.apply(this, given);
        return device;
      });
      spoil("GPUQueue", "submit", after, (plain) => {
        plain();
        device.destroy();
      });
    },
    // there is no memory for buffers of ``bytes`` and more
    memory({ bytes = 0, after = 0 }) {
      const scopes = [];
      let device = null;
      wrap("GPUDevice", "pushErrorScope", (plain) => function (kind) {
        scopes.push({ kind, full: false });
        return plain.call(this, kind);
      });
      wrap("GPUDevice", "popErrorScope", (plain) => async function () {
        const { full } = scopes.pop();
        const found = await plain.call(this);
        return full ? new GPUOutOfMemoryError("not enough memory for this buffer") : found;
      });
      spoil("GPUDevice", "createBuffer", after, function (plain, [{ size }]) {
        device = this;
        const scope = scopes.findLast(({ kind }) => kind === "out-of-memory");
        if (size >= bytes && scope) scope.full = true;
        if (size >= bytes && !scope) {
          const error = new GPUOutOfMemoryError("not enough memory for this buffer");
          queueMicrotask(() => device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error })));
        }
        return plain();
      });
    },
    // reading, or the end of work, never comes
    "silent-map"({ after = 0 }) {
      spoil("GPUBuffer", "mapAsync", after, never);
    },
    "silent-queue"({ after = 0 }) {
      spoil("GPUQueue", "onSubmittedWorkDone", after, never);
    },
    // mapAsync rejects
    "failed-map"({ after = 0 }) {
      spoil("GPUBuffer", "mapAsync", after, async () => { throw new DOMException("the map was aborted", "AbortError"); });
    },
    // what is read back is wrong: "zero", "nan", or off by the share ``by`` ("perturbed")
    values({ how = "zero", by = 0.01, after = 0 }) {
      spoil("GPUBuffer", "getMappedRange", after, (plain) => {
        const range = plain();
        const values = new Float32Array(range, 0, Math.floor(range.byteLength / 4));
        if (how === "zero") values.fill(0);
        if (how === "nan") values.fill(NaN);
        if (how === "perturbed") values.forEach((value, k) => { values[k] = value * (1 + (k % 2 ? -by : by)); });
        return range;
      });
    },
    // nothing is wrong: counts submits, dispatches and maps in ``faults.counts``
    count() {
      for (const name of Object.keys(counts)) counts[name] = 0;
      const counted = { submits: ["GPUQueue", "submit"], maps: ["GPUBuffer", "mapAsync"] };
      counted.dispatches = ["GPUComputePassEncoder", "dispatchWorkgroups"];
      for (const [name, [type, method]] of Object.entries(counted)) {
        spoil(type, method, 0, (plain) => { counts[name] += 1; return plain(); });
      }
    },
    // nothing is wrong: counts every object that is made of a device in ``faults.created``, with the bytes of buffers
    creates() {
      for (const name of Object.keys(created)) delete created[name];
      created.bytes = 0;
      for (const name of Object.getOwnPropertyNames(GPUDevice.prototype).filter((one) => one.startsWith("create"))) {
        created[name] = 0;
        spoil("GPUDevice", name, 0, (plain, [given]) => {
          created[name] += 1;
          if (name === "createBuffer") created.bytes += given.size;
          return plain();
        });
      }
    },
    // nothing is wrong: tells in ``faults.compiled`` which kernels were compiled
    compiles() {
      compiled.length = 0;
      spoil("GPUDevice", "createComputePipelineAsync", 0, async (plain, [{ label }]) => {
        const made = await plain();
        compiled.push(label);
        return made;
      });
    },
  };

  return {
    counts,
    created,
    compiled,
    inject(name, options = {}) { kinds[name](options); },
    undo() { while (undone.length) undone.pop()(); },
  };
})();
