// Before the first paint: the theme the visitor chose last time, so that a dark page never flashes light; and what the
// first answer is made of is asked for at once, so that it is on its way while the rest of the page is read.
// And the few calls that a browser may refuse with an exception, made safe: thrown through MicroPython, it would stop it.
(() => {
  "use strict";
  window.early = {
    kept(name) {
      try { return localStorage.getItem(`handlens.${name}`) || ""; } catch { return ""; } // storage refused
    },
    keep(name, value) {
      try { localStorage.setItem(`handlens.${name}`, value); } catch {} // the choice then lasts as long as the page
    },
    // A turn of the event loop.
    turn() { return window.scheduler?.yield ? scheduler.yield() : new Promise((done) => setTimeout(done)); },
    focus(element) { element.focus({ preventScroll: true }); },
    async copy(text) {
      try { await navigator.clipboard.writeText(text); return true; } catch { return false; } // not allowed, or not there
    },
    address(path, newEntry) {
      try { history[newEntry ? "pushState" : "replaceState"](null, "", path); } catch {} // some allow 100 in 30 s
    },
  };
  // As in first/lens.js, which asks again where no page has: a module with one instruction of relaxed SIMD.
  const RELAXED = [0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 0, 32, 0, 253, 133, 2, 11];
  const NEAR = 50, HELD = 150; // ms: until the page began to come, and until it is shown with or without its answer
  const begun = {}, waits = /[?&]backend=(?!native)/.test(location.search) || /[?&]off=/.test(location.hash);
  const relaxed = Boolean(window.WebAssembly?.validate(Uint8Array.from(RELAXED)));
  const compiled = async (address) => {
    const body = (await fetch(address)).body.pipeThrough(new DecompressionStream("gzip"));
    return WebAssembly.compileStreaming(new Response(body, { headers: { "Content-Type": "application/wasm" } }));
  };
  window.early.first = {
    relaxed,
    // A response that is on its way already, once; else a new one.
    get(address) {
      const response = begun[address] || fetch(address);
      delete begun[address];
      return response;
    },
  };
  if (!waits) { // else Python alone can answer
    const files = /[?&]model=/.test(location.hash) ? [] : ["models/digits.safetensors"];
    for (const address of files) begun[address] = fetch(address);
    window.early.first.module = compiled(`first/handlens${relaxed ? "-relaxed" : ""}.wasm.gz`);
    for (const promise of [...Object.values(begun), window.early.first.module]) promise.catch(() => {}); // told where it is awaited
  }
  const root = document.documentElement, [opened] = performance.getEntriesByType("navigation");
  const themed = () => {
    const chosen = window.early.kept("theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  };
  window.early.show = () => {
    if (root.dataset.held) themed();
    delete root.dataset.held;
  };
  // A link to a drawing, of a server that is near: its answer is a matter of milliseconds, so the first frame waits for
  // it. The page is then laid out once, as it is to stand, and not while the answer is at the door. A page that comes again
  // is shown at once: it may have to be scrolled to where it was.
  const near = opened?.type === "navigate" && opened.responseStart - opened.requestStart < NEAR;
  if (near && !waits && /[?&]ink=/.test(location.hash)) {
    root.dataset.held = "yes";
    setTimeout(window.early.show, HELD);
  } else themed(); // what is kept takes its time to read
})();
