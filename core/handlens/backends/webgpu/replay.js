// The GPU of a browser as the WebGPU backend sees it: what host_gpu.py does through wgpu-native, this does through
// navigator.gpu. browser_gpu.py evaluates this text, whose value is the class, and calls it: one call a run.
//
// The rules here:
// - A run allocates nothing and waits for nothing: one encoder, one submit, all objects made while loading.
// - Nothing ends as an uncaught error or as a rejection that nobody handles. What cannot be loaded rejects with a
//   sentence. After everything else (a device lost, out of memory, an error while running, no answer for ``patience``
//   milliseconds) results cannot be trusted any more: ``lost`` says why, ``tell`` is called with it once, and from
//   then on writing and running do nothing, waiting ends at once, and reading rejects with that sentence.
(() => {
  "use strict";
  const MOST_STEPS = 64; // of one run: rows of the control buffer and of each record buffer
  const RING = 3; // record buffers of a program: two runs under way, one being read
  const SCOPES = ["validation", "out-of-memory", "internal"];
  const PIPELINES_KEPT = 512; // of a device, the newest; as in device.py
  const URGES = [1, 2, 3, 4, 5, 6]; // ms after which a read that waits is asked for

  // A validation error goes on for many lines about what the call was; the first says what is wrong.
  const words = (error) => String(error?.message ?? error).trim().split("\n")[0].replace(/\.$/, "") || "no reason given";

  class Replay {
    constructor(patience, tell) {
      this.patience = patience;
      this.tell = tell;
      this.lost = "";
      this.device = null;
      this.programs = new Map(); // number -> program
      this.shared = new Map(); // number -> {buffer, verdict}
      this.bytes = new Map(); // every buffer that is alive -> its size
      this.layouts = new Map(); // which bindings are written -> layouts of the bind group and of the pipeline
      this.pipelines = new Map(); // layout and text of a shader -> promise of its pipeline, most recently used last
      this.waits = new Set(); // rejections of the waits under way
      this.running = []; // promises of the runs submitted and not yet finished
    }

    // -- opening and losing -----------------------------------------------------------------------------------------

    // Take an adapter and a device. Gives what is known of the adapter.
    async open() {
      const gpu = globalThis.navigator?.gpu;
      if (!gpu) {
        const why = globalThis.isSecureContext === false ? ": it offers WebGPU to pages served by https only" : "";
        throw new Error(`this browser has no navigator.gpu${why}`);
      }
      const adapter = await this.asked("requestAdapter()", () => gpu.requestAdapter());
      if (!adapter) throw new Error("requestAdapter() gave no adapter");
      const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
      const requiredLimits = { maxBufferSize, maxStorageBufferBindingSize };
      this.device = await this.asked("requestDevice()", () => adapter.requestDevice({ requiredLimits }));
      this.device.lost.then((info) => this.lose(words(info)));
      this.device.addEventListener("uncapturederror", (event) => {
        event.preventDefault(); // or the console shows it as an error of the page
        this.lose(`it reported an error: ${words(event.error)}`);
      });
      await null; // a device may come lost already
      await null;
      if (this.lost) throw new Error(this.lost);
      const info = adapter.info ?? {};
      const name = info.description || info.device || [info.vendor, info.architecture].filter(Boolean).join(" ");
      const known = /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${name} ${info.architecture}`);
      const software = info.isFallbackAdapter ?? adapter.isFallbackAdapter ?? false;
      return [name || "unnamed adapter", software || known, maxStorageBufferBindingSize, maxBufferSize];
    }

    // One question to the browser before there is a device; the call's name stands before what goes wrong.
    async asked(call, question) {
      try {
        return await this.within(question());
      } catch (error) {
        if (this.lost) throw new Error(`${call} has not answered for ${this.patience / 1000} s`);
        throw new Error(`${call} failed: ${words(error)}`);
      }
    }

    // The results of this device can no longer be trusted, or no longer be had.
    lose(reason) {
      if (this.lost) return;
      this.lost = `the GPU was lost: ${reason}`;
      for (const reject of this.waits) reject(new Error(this.lost));
      this.waits.clear();
      this.running.length = 0;
      this.pipelines.clear();
      this.layouts.clear();
      if (!this.device) return;
      this.device.destroy();
      this.tell(this.lost);
    }

    // Every wait for the GPU goes through here: it ends when the device is lost; a silence of ``patience`` loses it.
    // Silence is counted in ticks of the event loop, so that time in which this thread computed, or the machine slept,
    // counts for one tick; where ``signs`` is given, the count begins anew whenever its value has changed.
    within(promise, signs = () => 0) {
      const tick = Math.min(1000, this.patience / 4);
      let timer = 0;
      let quiet = 0;
      let seen = signs();
      return new Promise((resolve, reject) => {
        const listen = () => {
          const now = signs();
          quiet = now === seen ? quiet + tick : 0;
          seen = now;
          if (quiet >= this.patience) this.lose(`it has not answered for ${this.patience / 1000} s`);
          else timer = setTimeout(listen, tick);
        };
        const end = (settle) => (value) => {
          clearTimeout(timer);
          this.waits.delete(reject);
          settle(value);
        };
        promise.then(end(resolve), end(reject)); // also after a loss, so that a late rejection is nobody's surprise
        if (this.lost) return reject(new Error(this.lost));
        this.waits.add(reject);
        timer = setTimeout(listen, tick);
      });
    }

    // Run ``action`` with errors caught. Gives its result, and a promise of what went wrong in it ("" for nothing),
    // which never rejects.
    guarded(action) {
      for (const kind of SCOPES) this.device.pushErrorScope(kind);
      let made = null;
      let thrown = null;
      try {
        made = action();
      } catch (error) {
        thrown = error;
      }
      const scopes = SCOPES.map(() => this.device.popErrorScope()).reverse();
      const verdict = this.within(Promise.all(scopes)).then(
        (found) => {
          if (thrown) return words(thrown);
          const worst = found.findIndex(Boolean);
          return worst < 0 ? this.lost : `${SCOPES[worst]} error: ${words(found[worst])}`;
        },
        (error) => this.lost || words(error),
      );
      return [made, verdict];
    }

    // -- memory -----------------------------------------------------------------------------------------------------

    allocate(size, usage) {
      const buffer = this.device.createBuffer({ size, usage });
      this.bytes.set(buffer, size);
      return buffer;
    }

    storage(size) {
      return this.allocate(size, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST);
    }

    readable(size) {
      return this.allocate(size, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    }

    release(buffer) {
      if (this.bytes.delete(buffer)) buffer.destroy(); // a pending mapAsync of it rejects, and its reader says so
    }

    memory() {
      return [this.bytes.size, [...this.bytes.values()].reduce((sum, size) => sum + size, 0)];
    }

    // A buffer that programs share. Whether there was memory for it is known when a program is loaded with it.
    buffer(number, size) {
      if (this.lost) return;
      const [buffer, verdict] = this.guarded(() => this.storage(size));
      this.shared.set(number, { buffer, verdict });
    }

    free(number) {
      const held = this.shared.get(number);
      this.shared.delete(number);
      if (held) this.release(held.buffer);
    }

    // Python hands over anything with bytes; they are copied into the queue before the view is given back.
    fill(buffer, offset, data) {
      if (this.lost) return;
      const view = data.getBuffer("u8");
      try {
        this.device.queue.writeBuffer(buffer, offset, view.data);
      } catch (error) {
        this.lose(`writing ${view.data.byteLength} bytes failed: ${words(error)}`);
      } finally {
        view.release();
      }
    }

    write_shared(number, data) {
      if (!this.lost) this.fill(this.shared.get(number).buffer, 0, data);
    }

    write(number, name, offset, data) {
      if (!this.lost) this.fill(this.opened(number).buffers[name], offset, data);
    }

    // -- loading ----------------------------------------------------------------------------------------------------

    // Make program ``number`` from a lowered plan. ``shared``: buffer name -> number of a shared buffer.
    async load(number, text, progress) {
      const { lowered, shared } = JSON.parse(text);
      const lists = { own: [], free: [], waiting: [], prologue: [], steps: [] };
      const program = { lowered, closed: false, buffers: {}, control: null, staging: null, ...lists };
      const tell = (done) => { if (progress && !program.closed) progress(done, lowered.sources.length); };
      this.programs.set(number, program);
      try {
        await this.furnish(program, shared);
        const pipelines = await this.compile(lowered.sources, tell);
        await this.bind(program, pipelines);
        if (program.closed) throw new Error("the program was closed while it was loading");
      } catch (error) {
        this.close(number);
        throw new Error(this.lost || words(error));
      }
    }

    // All buffers of a program.
    async furnish(program, shared) {
      if (this.lost) throw new Error(this.lost);
      const { lowered, buffers, own } = program;
      const keep = (buffer) => (own.push(buffer), buffer);
      const [, verdict] = this.guarded(() => {
        for (const [name, size] of Object.entries(lowered.buffers)) {
          buffers[name] = name in shared ? this.shared.get(shared[name]).buffer : keep(this.storage(size));
        }
        if (lowered.control_bytes) program.control = keep(this.storage(lowered.control_bytes * MOST_STEPS));
        for (let k = 0; lowered.record_bytes && k < RING; k += 1) {
          program.free.push(keep(this.readable(lowered.record_bytes * MOST_STEPS)));
        }
      });
      const before = Object.values(shared).map((one) => this.shared.get(one)?.verdict);
      const wrong = (await Promise.all([verdict, ...before])).find(Boolean);
      if (wrong) {
        const size = Object.values(lowered.buffers).reduce((sum, one) => sum + one, 0);
        throw new Error(`no ${(size / 1e6).toFixed(1)} MB of memory on the GPU (${wrong})`);
      }
    }

    layout(written) {
      const key = written.map(Number).join("");
      if (!this.layouts.has(key)) {
        const entries = written.map((changes, binding) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: changes ? "storage" : "read-only-storage" },
        }));
        const group = this.device.createBindGroupLayout({ entries });
        this.layouts.set(key, { group, pipeline: this.device.createPipelineLayout({ bindGroupLayouts: [group] }) });
      }
      return this.layouts.get(key);
    }

    // All pipelines, compiled at the same time, those that are kept or under way excepted; ``tell(n)`` after each.
    async compile(sources, tell) {
      let done = 0;
      const [begun, verdict] = this.guarded(() => sources.map((source) => {
        const made = this.pipeline(source, () => done).then((pipeline) => {
          done += 1;
          tell(done);
          return pipeline;
        });
        made.catch(() => {}); // of several failures the first is told, the others are handled here
        return made;
      }));
      const wrong = await verdict; // modules that do not compile are among these, but without the kernel's name
      const pipelines = await Promise.all(begun ?? []);
      if (wrong) throw new Error(wrong);
      return pipelines;
    }

    // A promise of the pipeline of a shader. Each is compiled once on a device, and goes on being compiled where nobody
    // waits for it any more: who comes later finds it. One that has failed is forgotten, and tried again when asked for.
    pipeline({ name, text, written }, signs) {
      const key = `${written.map(Number).join("")} ${text}`; // the text has the constants in it
      let made = this.pipelines.get(key);
      this.pipelines.delete(key);
      if (!made) {
        const module = this.device.createShaderModule({ label: name, code: text });
        const described = { label: name, layout: this.layout(written).pipeline, compute: { module, entryPoint: "main" } };
        made = this.within(this.device.createComputePipelineAsync(described), signs).catch(async (error) => {
          if (this.pipelines.get(key) === made) this.pipelines.delete(key);
          throw new Error(`the kernel ${name} does not compile: ${await this.complaint(module, error)}`);
        });
      }
      this.pipelines.set(key, made);
      if (this.pipelines.size > PIPELINES_KEPT) this.pipelines.delete(this.pipelines.keys().next().value);
      return made;
    }

    // What the compiler says about a module, with lines; else what the failed pipeline says.
    async complaint(module, error) {
      try {
        const { messages } = await this.within(module.getCompilationInfo());
        const errors = messages.filter(({ type }) => type === "error");
        if (errors.length) return errors.map((m) => `${m.lineNum}:${m.linePos} ${m.message}`).join("; ");
      } catch {
        // lost meanwhile, or a browser without this call
      }
      return words(error);
    }

    async bind(program, pipelines) {
      if (program.closed) return;
      const { lowered, buffers } = program;
      const bound = ({ source, bindings, groups }) => {
        const entries = bindings.map(([name, offset, size], binding) => ({
          binding,
          resource: { buffer: buffers[name], offset, size },
        }));
        const layout = this.layout(lowered.sources[source].written).group;
        return [pipelines[source], this.device.createBindGroup({ layout, entries }), ...groups];
      };
      const [, verdict] = this.guarded(() => {
        program.prologue = lowered.prologue.map(bound);
        program.steps = lowered.steps.map(bound);
      });
      const wrong = await verdict;
      if (wrong) throw new Error(wrong);
    }

    opened(number) {
      const program = this.programs.get(number);
      if (!program) throw new Error("this program is closed");
      return program;
    }

    close(number) {
      const program = this.programs.get(number);
      this.programs.delete(number);
      if (!program) return;
      program.closed = true;
      for (const buffer of program.own) this.release(buffer);
      if (program.staging) this.release(program.staging);
    }

    // -- running ----------------------------------------------------------------------------------------------------

    static replay(encoder, bound) {
      const pass = encoder.beginComputePass();
      let current = null;
      for (const [pipeline, group, x, y, z] of bound) {
        if (pipeline !== current) pass.setPipeline(pipeline);
        current = pipeline;
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(x, y, z);
      }
      pass.end();
    }

    prepare(number) {
      if (this.lost) return;
      const { prologue } = this.opened(number);
      if (!prologue.length) return;
      const encoder = this.device.createCommandEncoder();
      Replay.replay(encoder, prologue);
      this.device.queue.submit([encoder.finish()]);
    }

    // ``steps`` steps as one command buffer. ``control``: a row of control values a step, or nothing.
    run(number, steps, control) {
      if (this.lost) return;
      const program = this.opened(number);
      const { lowered, buffers } = program;
      const { queue } = this.device;
      if (control) this.fill(program.control, 0, control);
      const encoder = this.device.createCommandEncoder();
      const records = lowered.record_bytes ? this.slot(program) : null;
      for (let k = 0; k < steps; k += 1) {
        for (const row of control ? lowered.controls : []) {
          const from = k * lowered.control_bytes + row.at;
          encoder.copyBufferToBuffer(program.control, from, buffers[row.buffer], row.offset, row.bytes);
        }
        Replay.replay(encoder, program.steps);
        for (const row of lowered.records) {
          const to = k * lowered.record_bytes + row.at;
          encoder.copyBufferToBuffer(buffers[row.buffer], row.offset, records, to, row.bytes);
        }
      }
      queue.submit([encoder.finish()]);
      if (records) program.waiting.push([records, steps * lowered.record_bytes]);
      const finished = queue.onSubmittedWorkDone().then(
        () => { this.running = this.running.filter((one) => one !== finished); },
        (error) => this.lose(words(error)),
      );
      this.running.push(finished);
    }

    // A record buffer to write to. Of records that nobody asks for the newest RING are kept. One more buffer is made
    // only where a reading is not over yet when the next but one run begins.
    slot(program) {
      if (program.waiting.length === RING) program.free.push(program.waiting.shift()[0]);
      if (program.free.length) return program.free.shift();
      const more = this.readable(program.lowered.record_bytes * MOST_STEPS);
      program.own.push(more);
      return more;
    }

    // Until at most ``most`` runs are under way; returns at once when the device is lost.
    async settled(most) {
      while (!this.lost && this.running.length > most) {
        try {
          await this.within(this.running[0]);
        } catch {
          return; // lost, which is told elsewhere
        }
      }
    }

    // -- reading ----------------------------------------------------------------------------------------------------

    // A browser's GPU process looks for finished work when it is told something; left alone, Chromium's does so after
    // 2 ms and then every millisecond, which is as long as a prediction takes. So it is told nothing in particular each
    // millisecond. To ask without a pause would take the processor from a software adapter.
    async urge() {
      if (this.lost) return;
      try {
        this.device.pushErrorScope("validation");
        await this.device.popErrorScope();
      } catch {
        // lost, which is told elsewhere
      }
    }

    async mapped(buffer, size) {
      const urges = URGES.map((delay) => setTimeout(() => this.urge(), delay));
      try {
        await this.within(buffer.mapAsync(GPUMapMode.READ, 0, size));
      } finally {
        urges.forEach((urge) => clearTimeout(urge));
      }
      const copy = new Uint8Array(buffer.getMappedRange(0, size).slice(0));
      buffer.unmap();
      return copy;
    }

    async reading(program, buffer, size) {
      try {
        return await this.mapped(buffer, size);
      } catch (error) {
        if (program.closed && !this.lost) throw new Error("the program was closed while it was being read");
        // Of a lost device the reads may fail before ``device.lost`` says why: that reason is the better one.
        await Promise.race([this.device.lost, new Promise((done) => setTimeout(done, 100))]);
        this.lose(`reading failed: ${words(error)}`);
        throw new Error(this.lost);
      }
    }

    // The records of the oldest run not yet asked for.
    async records(number) {
      if (this.lost) throw new Error(this.lost);
      const program = this.opened(number);
      if (!program.waiting.length) throw new Error("no run of this program has records that were not read");
      const [buffer, size] = program.waiting.shift();
      const data = await this.reading(program, buffer, size);
      program.free.push(buffer);
      return data;
    }

    // The bytes of all places [buffer, offset, bytes], one after another, as what was submitted so far leaves them.
    async read(number, text) {
      if (this.lost) throw new Error(this.lost);
      return this.taken(this.opened(number), JSON.parse(text), []);
    }

    // Write new values, run one step and read places, as above: one submit.
    async answer(number, name, offset, data, text) {
      this.write(number, name, offset, data);
      if (this.lost) throw new Error(this.lost);
      const program = this.opened(number);
      return this.taken(program, JSON.parse(text), program.steps);
    }

    // The bytes of all places, after these dispatches.
    async taken(program, places, bound) {
      const size = places.reduce((sum, [, , bytes]) => sum + bytes, 0);
      let staging = program.staging; // null while another read has it
      program.staging = null;
      if (!staging || staging.size < size) {
        if (staging) this.release(staging);
        staging = this.readable(size);
      }
      const encoder = this.device.createCommandEncoder();
      if (bound.length) Replay.replay(encoder, bound);
      let at = 0;
      for (const [name, offset, bytes] of places) {
        encoder.copyBufferToBuffer(program.buffers[name], offset, staging, at, bytes);
        at += bytes;
      }
      this.device.queue.submit([encoder.finish()]);
      try {
        return await this.reading(program, staging, size);
      } finally {
        if (program.staging || program.closed || this.lost) this.release(staging);
        else program.staging = staging;
      }
    }
  }

  return Replay;
})();
