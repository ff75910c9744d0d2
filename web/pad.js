// The pad: captures and inks strokes from the first frame on. No dependency; everything else on the page is MicroPython.
// Strokes are kept as points in pad units (x right, y down, the square is EXTENT wide), so a resize or a reload loses nothing.
// `done` is the history. What is shown is its tail: a picture, or the strokes since the last picture or clear.
(() => {
  "use strict";
  const EXTENT = 280; // ten units to each of the 28 cells
  const STORE = "handlens.drawing";
  const canvas = document.getElementById("pad");
  const frame = canvas.parentElement;
  const context = canvas.getContext("2d");
  let done = [], undone = []; // of {points: [x, y, ...], width, erase} | {values: Float32Array, label} | {clear: true}
  let live = null; // the stroke under the pointer
  let pointer = null; // its pointer id: one hand draws, further fingers are ignored
  let version = 0, announced = false;
  let width = 22, erasing = false, fitted = false;

  const isStroke = (item) => item && item.points !== undefined;

  function strokes() {
    let start = done.length;
    while (start > 0 && isStroke(done[start - 1])) start -= 1;
    return live ? [...done.slice(start), live] : done.slice(start);
  }

  function picture() {
    const last = done[done.length - 1];
    return !live && last && last.values ? last : null;
  }

  const kind = () => (picture() ? "picture" : strokes().some((stroke) => !stroke.erase) ? "ink" : "blank");

  // -- inking ------------------------------------------------------------------------------------------------------
  const colour = (name) => getComputedStyle(frame).getPropertyValue(name).trim();

  function begin(stroke) {
    const scale = canvas.width / EXTENT;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
    context.strokeStyle = context.fillStyle = colour("--ink");
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = stroke.width;
    context.beginPath();
  }

  function ink(stroke, from = 0) {
    if (!fitted) return;
    const points = stroke.points;
    begin(stroke);
    if (points.length === 2) {
      context.arc(points[0], points[1], stroke.width / 2, 0, 2 * Math.PI);
      context.fill();
      return;
    }
    const start = Math.max(0, from - 2); // join the piece to what is already inked
    context.moveTo(points[start], points[start + 1]);
    for (let i = start + 2; i < points.length; i += 2) context.lineTo(points[i], points[i + 1]);
    context.stroke();
  }

  function inkPicture(item) {
    const side = Math.sqrt(item.values.length); // 28 cells; more where a file shows several digits
    context.setTransform(canvas.width / side, 0, 0, canvas.width / side, 0, 0);
    context.globalCompositeOperation = "source-over";
    context.fillStyle = colour("--ink");
    item.values.forEach((value, i) => {
      context.globalAlpha = value;
      if (value > 0) context.fillRect(i % side, Math.floor(i / side), 1, 1);
    });
    context.globalAlpha = 1;
  }

  function repaint() {
    if (!fitted) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (picture()) inkPicture(picture());
    else strokes().forEach((stroke) => ink(stroke));
  }

  function fit() { // first when the page has been laid out: to ask before would lay it out twice
    const side = Math.round(canvas.clientWidth * Math.min(window.devicePixelRatio || 1, 3));
    if (!(fitted = side > 0)) return; // the page is held back, or another view is open
    if (side !== canvas.width) canvas.width = canvas.height = side; // setting the size clears it
    repaint();
  }

  // -- telling the page --------------------------------------------------------------------------------------------
  function changed(keep = true) {
    version += 1;
    frame.dataset.ink = kind();
    if (keep) save();
    if (announced) return;
    announced = true; // one event a frame, however many points the pointer delivered
    requestAnimationFrame(() => {
      announced = false;
      canvas.dispatchEvent(new CustomEvent("ink"));
    });
  }

  function save() {
    const items = done.slice(-200).map((item) => (item.values ? { ...item, values: Array.from(item.values) } : item));
    try {
      sessionStorage.setItem(STORE, JSON.stringify(items));
      if (items.length) localStorage.setItem("handlens.visited", "1");
    } catch {} // storage refused or full: the drawing then lives in the address and in this tab only
  }

  function restore() {
    try {
      if (localStorage.getItem("handlens.visited")) frame.dataset.visited = "yes";
      done = JSON.parse(sessionStorage.getItem(STORE) || "[]").map((item) =>
        item.values ? { ...item, values: Float32Array.from(item.values) } : item);
    } catch {
      done = [];
    }
    frame.dataset.ink = kind();
  }

  function push(item) {
    done.push(item);
    undone = [];
    repaint();
    changed();
  }

  function step(from, to) {
    if (live || !from.length) return;
    to.push(from.pop());
    repaint();
    changed();
  }

  // -- the pointer -------------------------------------------------------------------------------------------------
  function extend(event) {
    const box = canvas.getBoundingClientRect();
    const before = live.points.length;
    const coalesced = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const sample of coalesced.length ? coalesced : [event]) {
      const x = Math.round(((sample.clientX - box.left) / box.width) * EXTENT * 2) / 2; // half a unit: a twentieth of a cell
      const y = Math.round(((sample.clientY - box.top) / box.height) * EXTENT * 2) / 2;
      const n = live.points.length;
      if (n === 0 || Math.hypot(x - live.points[n - 2], y - live.points[n - 1]) >= 1) live.points.push(x, y);
    }
    if (live.points.length > before) {
      ink(live, before);
      changed(false);
    }
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || (event.pointerType === "mouse" && event.button !== 0)) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true, focusVisible: false });
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    const fresh = picture() !== null; // ink on a picture starts a fresh drawing; undo brings the picture back
    live = { points: [], width, erase: erasing || (event.buttons & 32) !== 0 }; // 32: the eraser end of a pen
    undone = [];
    if (fresh) repaint();
    extend(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (live && event.pointerId === pointer) extend(event);
  });
  function lift(event) {
    if (event.pointerId !== pointer) return;
    done.push(live);
    live = pointer = null;
    changed();
  }
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(name, lift);
  canvas.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false }); // no scroll, no magnifier

  // -- for MicroPython ---------------------------------------------------------------------------------------------
  window.pad = {
    extent: EXTENT,
    canvas,
    kind,
    version: () => version,
    busy: () => live !== null,
    label: () => (picture() ? picture().label : ""),
    values: () => (picture() ? picture().values.slice() : null),
    // for each stroke: number of points, width, erase, then x, y, ... (what handlens.strokes.unpack reads)
    flat: () => Float32Array.from(strokes().flatMap((s) => [s.points.length / 2, s.width, s.erase ? 1 : 0, ...s.points])),
    add: (points, brush, erase) => push({ points: Array.from(points), width: brush, erase: Boolean(erase) }),
    show: (values, label) => push({ values: Float32Array.from(values), label }),
    clear: () => (kind() === "blank" && !strokes().length ? undefined : push({ clear: true })),
    undo: () => step(done, undone),
    redo: () => step(undone, done),
    canUndo: () => done.length > 0,
    canRedo: () => undone.length > 0,
    setWidth: (units) => { width = units; },
    setErasing: (on) => { erasing = on; frame.dataset.tool = on ? "eraser" : "pen"; },
    width: () => width,
    erasing: () => erasing,
    repaint,
  };
  restore();
  new ResizeObserver(fit).observe(canvas);
})();
