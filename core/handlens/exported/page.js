// A pad and what a network reads on it. No Python, no dependency; the network is lens.js, model.json and two files.
import { openLens } from "./lens.js";

const EXTENT = 280, WIDTH = 22; // pad units; the square is 280 wide
const find = (name) => document.getElementById(name);
const canvas = find("pad"), context = canvas.getContext("2d");
let strokes = []; // of points x, y, x, y, ..
let image = null; // 784 numbers shown in place of strokes
let live = null, lens = null, bars = [];

const packed = () => Float32Array.from(strokes.flatMap((points) => [points.length / 2, WIDTH, 0, ...points]));
const share = (value) => `${(value < 1 ? Math.min(999, Math.floor(value * 1000 + 0.5)) / 10 : 100).toFixed(1)} %`; // only certainty itself is 100

function paint() {
  canvas.width = canvas.height = Math.round(canvas.clientWidth * devicePixelRatio);
  context.scale(canvas.width / EXTENT, canvas.width / EXTENT);
  context.strokeStyle = context.fillStyle = getComputedStyle(canvas).getPropertyValue("--ink");
  Object.assign(context, { lineWidth: WIDTH, lineCap: "round", lineJoin: "round" });
  image?.forEach((value, k) => {
    context.globalAlpha = value;
    context.fillRect((k % 28) * 10, Math.floor(k / 28) * 10, 10, 10);
  });
  for (const points of strokes) {
    context.beginPath();
    context.moveTo(points[0], points[1]);
    for (let k = 0; k < points.length; k += 2) context.lineTo(points[k], points[k + 1]);
    context.stroke();
  }
}

function changed() {
  paint();
  if (lens) answer();
}

function answer() {
  const read = image ? lens.readImage(image) : lens.read(packed(), EXTENT);
  const seen = read && !read.blank ? read : null, place = seen?.places[seen.latest];
  find("answer").textContent = seen ? seen.text : "?";
  find("answer").dataset.verdict = seen ? seen.verdict : "none";
  find("answer").dataset.places = seen && seen.places.length < 5 ? seen.places.length : "many";
  find("note").textContent = seen ? seen.sentence : read ? "Draw a digit, 0 to 9." : "This drawing is too long to read. Draw a digit, 0 to 9.";
  bars.forEach((bar, k) => {
    const value = !place ? 0 : k < 10 ? place.probabilities[k] : place.none;
    bar.dataset.first = place && k === (place.verdict === "none" ? 10 : place.digit) ? "yes" : "no";
    bar.style.setProperty("--share", value);
    bar.ariaValueNow = (100 * value).toFixed(4);
    bar.ariaValueText = bar.lastChild.textContent = place ? share(value) : "";
  });
}

function makeBar(k) {
  const bar = find("bars").appendChild(document.createElement("div")), name = k < 10 ? String(k) : "none";
  Object.assign(bar, { className: "bar", role: "meter", ariaLabel: k < 10 ? `Digit ${k}` : "Not one digit", ariaValueMin: "0", ariaValueMax: "100" });
  bar.dataset.testid = `prob-${name}`;
  const [label, track] = ["digit", "track", "number"].map((kind) =>
    Object.assign(bar.appendChild(document.createElement("span")), { className: kind }));
  label.textContent = name;
  track.append(document.createElement("i"));
  return bar;
}

function extend(event) {
  const box = canvas.getBoundingClientRect();
  for (const { clientX, clientY } of event.getCoalescedEvents?.().concat(event) ?? [event]) {
    const x = ((clientX - box.left) / box.width) * EXTENT, y = ((clientY - box.top) / box.height) * EXTENT;
    if (!live.length || Math.hypot(x - live.at(-2), y - live.at(-1)) >= 1) live.push(x, y);
  }
  changed();
}

canvas.addEventListener("pointerdown", (event) => {
  if (live || event.button) return;
  canvas.setPointerCapture(event.pointerId);
  image = null;
  strokes.push((live = []));
  extend(event);
});
canvas.addEventListener("pointermove", (event) => live && extend(event));
for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { live = null; });

// For tests and curious people: 784 numbers on the pad, read as they are.
export function show(values) {
  [strokes, image] = [[], values && Float32Array.from(values)];
  changed();
}
find("clear").addEventListener("click", () => show(null));
new ResizeObserver(paint).observe(canvas);
window.handlens = { show, strokes: () => packed(), lens: () => lens };

try {
  const opened = await openLens(window.begun);
  bars = Array.from({ length: opened.classes }, (_, k) => makeBar(k));
  lens = opened;
  answer();
} catch (error) {
  find("note").textContent = `The network cannot run here: ${error.message}.`;
}
