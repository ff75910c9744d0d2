// Starts PyScript once the first answer has been given (first.js), or after a second: until then the line is the answer's.
// Starts the engine (Pyodide in a worker) and keeps what it reports until MicroPython, half a second later, can show it.
// Each start has its own worker name and channel: a worker made again under an old name never answers.
(() => {
  "use strict";
  let attempt = 0;
  let channel = null;
  let script = null;

  function start() {
    attempt += 1;
    const name = attempt === 1 ? "engine" : `engine-${attempt}`;
    const id = `handlens-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    stop();
    const report = { name, bytes: 0, total: 0, failed: "" };
    window.engineReport = report;
    channel = new BroadcastChannel(id);
    channel.onmessage = ({ data }) => {
      if (window.engineReport !== report) return;
      if (data.kind === "bytes") report.bytes += data.bytes;
      if (data.kind === "failed" && !report.failed) report.failed = `${data.file}: ${data.reason}`;
      document.dispatchEvent(new CustomEvent("engine-report"));
    };
    fetch("build.json").then((r) => (r.ok ? r.json() : {})).then((build) => { report.total = build.engine_bytes || 0; }, () => {});
    script = document.createElement("script");
    script.type = "py";
    script.src = "engine.py";
    script.setAttribute("worker", "");
    script.setAttribute("name", name);
    const interpreter = new URL(`pyodide-loader.mjs?channel=${id}`, document.baseURI).href;
    script.setAttribute("config", JSON.stringify({ interpreter, sync_main_only: true }));
    document.body.append(script);
    return name;
  }

  function stop() {
    if (channel) channel.close();
    if (script) {
      if (script.xworker) script.xworker.terminate();
      script.remove();
    }
    channel = script = null;
  }

  // What PyScript runs at once before the first Python of the page, 100 ms and more in one task: the same, a piece a turn
  // of the event loop, with the pen in between. PyScript then finds it done; where a piece fails it says so itself.
  async function warm({ type, interpreter }, stdlib) {
    if (type !== "mpy" && type !== "micropython") return;
    const pieces = ["re", "json", "inspect", "functools", "asyncio", "base64", "html"].map((name) => `import ${name}`);
    pieces.push(...stdlib.slice(0, stdlib.indexOf("import pyscript")).split(/\n(?=\S)/));
    for (const piece of pieces) {
      await window.early.turn();
      try { interpreter.runPython(piece); } catch {}
    }
  }

  let begun = false;
  window.startEngine = start;
  window.first ||= { read: () => null, spoken: "", takeOver() { this.taken = true; } }; // until first.js is here, and where it never comes
  window.beginPython = () => {
    if (begun) return;
    begun = true;
    start();
    // `hooks` are PyScript's own way in: one runs when MicroPython is there, before the page's Python.
    import("./vendor/pyscript/core.js").then(({ hooks, stdlib }) => hooks.main.onReady.add((wrap) => warm(wrap, stdlib)), () => {});
  };
  setTimeout(window.beginPython, Math.max(0, 1000 - performance.now()));
})();
