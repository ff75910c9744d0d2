// Runs encoded plans and reads drawings on a standalone module of the kernels, for tests: one plan at a time.
(() => {
  "use strict";
  let x = null, heap = 0;
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const room = (size) => {
    const at = Math.ceil(heap / 64) * 64, lacking = at + size - x.memory.buffer.byteLength;
    if (lacking > 0) x.memory.grow(Math.ceil(lacking / 65536));
    new Uint8Array(x.memory.buffer, at, size).fill(0);
    heap = at + size;
    return at;
  };
  const put = (data) => {
    const at = room(data.byteLength);
    new Uint8Array(x.memory.buffer, at, data.byteLength).set(new Uint8Array(data.buffer));
    return at;
  };
  function text(data) {
    let found = "";
    for (let k = 0; k < data.length; k += 8192) found += String.fromCharCode(...data.subarray(k, k + 8192));
    return btoa(found);
  }

  window.standalone = {
    async open(address) {
      const code = await (await fetch(address)).arrayBuffer();
      x = (await WebAssembly.instantiate(code)).instance.exports;
    },
    // uploads: [buffer, offset, base64]; gives all buffers after one replay, or the kernels' error
    run(plan, sizes, uploads) {
      heap = x.__heap_base.value;
      const encoded = bytes(plan), at = put(encoded), measured = room(20);
      let error = x.hl_measure(at, encoded.length, measured);
      if (error) return { error };
      const [own, scratch] = new Uint32Array(x.memory.buffer, measured, 2);
      const buffers = sizes.map(room), pointers = put(Uint32Array.from(buffers)), lengths = put(Uint32Array.from(sizes));
      const program = room(own), spare = room(scratch);
      error = x.hl_load_plan(at, encoded.length, pointers, lengths, sizes.length, program, own, spare, scratch);
      if (error) return { error };
      for (const [buffer, offset, data] of uploads)
        new Uint8Array(x.memory.buffer).set(bytes(data), buffers[buffer] + offset);
      error = x.hl_prepare(program) || x.hl_run(program, 1, 0, 0, 0, 0);
      if (error) return { error };
      return { error, buffers: buffers.map((from, k) => text(new Uint8Array(x.memory.buffer, from, sizes[k]))) };
    },
    // the probabilities of every image of an IDX file, as float32
    async images(lens, address) {
      const data = new Uint8Array(await (await fetch(address)).arrayBuffer(), 16), count = data.length / 784;
      const found = new Float32Array(count * lens.classes);
      for (let k = 0; k < count; k += 1) {
        const [place] = lens.readImage(Float32Array.from(data.subarray(784 * k, 784 * (k + 1)), (v) => v / 255)).places;
        found.set(place.probabilities, k * lens.classes);
        if (lens.classes > 10) found[k * lens.classes + 10] = place.none;
      }
      return text(new Uint8Array(found.buffer));
    },
    drawings: (lens, drawn, extent) =>
      drawn.map((flat) => {
        const read = lens.read(Float32Array.from(flat), extent);
        if (!read || read.blank) return read;
        const places = read.places.map((p) => ({ ...p, probabilities: [...p.probabilities], seen: [...p.seen] }));
        return { ...read, places };
      }),
  };
})();
