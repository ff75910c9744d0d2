// An answer before Python has loaded: the drawing is read on this thread by the compiled kernels (first/lens.js), painted
// here until MicroPython has started, and handed to it; from then on `window.first.read()` stands in for the engine until
// that is ready. Where anything is in the way, the page waits for Python. Nothing here throws into MicroPython.
import { openLens } from "./first/lens.js";

const FIRST = "digits"; // as in ui/models.py
const PACE = 66, SPEAK = 500; // ms: from one answer to the next, and until it is said aloud
const WORDS = { sure: "sure", likely: "likely", unsure: "unsure", none: "no digit" };
const state = { lens: null, painting: !window.first?.taken, version: -1, last: null, timer: 0, voice: 0 };
const find = (name) => document.getElementById(name);

const visited = window.early.kept("visited"); // else there is nothing to ask the store for, which takes its time
// What the address says: "#draw?model=ann&ink=..."
const said = Object.fromEntries(location.hash.split("?").slice(1).join("?").split("&").map((pair) => pair.split("=")));

// The strokes of a link, packed as pad.flat() packs them; ui/link.py has the format.
function decoded(text) {
  const numbers = [], flat = [];
  let value = 0, shift = 0, bytes = "";
  try { bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/")); } catch { return []; } // a damaged link
  for (const byte of bytes) {
    value += (byte.charCodeAt(0) & 127) * 2 ** shift;
    shift += 7;
    if (byte.charCodeAt(0) < 128) [value, shift] = [numbers.push(value) && 0, 0];
  }
  for (let i = 0; i + 2 <= numbers.length;) {
    const [count, brush] = numbers.slice(i, i + 2), steps = numbers.slice(i + 2, i + 2 + 2 * count), at = [0, 0];
    if (!count || steps.length < 2 * count || brush < 4) return []; // no brush is thinner than a unit
    flat.push(count, Math.floor(brush / 2) / 2, brush % 2);
    steps.forEach((step, k) => flat.push((at[k % 2] += step % 2 ? -(step + 1) / 2 : step / 2) / 2));
    i += 2 + 2 * count;
  }
  return flat;
}

// Puts the drawing of a link on the pad, unless it is there already.
function followLink() {
  if (!said.ink) return;
  const flat = decoded(said.ink), shown = pad.flat();
  if (!flat.length || flat.some((value) => Math.abs(value) > 2800)) return; // damaged: MicroPython passes it over, too
  if (flat.length === shown.length && flat.every((value, k) => value === Math.round(shown[k] * 2) / 2)) return;
  pad.clear();
  for (let i = 0; i < flat.length; i += 3 + 2 * flat[i])
    pad.add(flat.slice(i + 3, i + 3 + 2 * flat[i]), flat[i + 1], flat[i + 2]);
}

// The drawing as it stands, as engine.py would answer; null where only Python can tell.
function read(model, without) {
  if (!state.lens || without || (model && model !== state.lens.name)) return null;
  if (state.version === pad.version()) return state.last;
  try {
    const kind = pad.kind(), { lens } = state;
    state.last = kind === "blank" ? { blank: true } : kind === "ink" ? lens.read(pad.flat(), pad.extent) : lens.readImage(pad.values());
    state.version = pad.version();
  } catch (error) {
    failed(error);
    return null;
  }
  return state.last;
}

const percent = (share) => `${(share < 1 - 1e-9 ? Math.min(999, Math.floor(share * 1000 + 0.5)) / 10 : 100).toFixed(1)} %`; // only certainty is 100
const milliseconds = (ms) => (ms < 0.1 ? "<0.1 ms" : ms < 100 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(0)} ms`);

// As ui/asked.py: a probability leads to how it was made; without a text it leads nowhere.
function asks(link, model, k, text) {
  link.innerHTML = text.replace(" %", "<span> %</span>"); // slim columns have the unit in their heading
  const said = { href: `#inside?model=${model}&layer=probabilities&cell=${k}&of=probabilities:${k}`,
    "aria-label": `How ${text} for ${k < 10 ? k : "none of them"} was made` };
  for (const [name, value] of Object.entries(said)) text ? link.setAttribute(name, value) : link.removeAttribute(name);
}

// As ui/answer.py, ui/bars.py and ui/seen.py show a reading of one digit; they find it as they would have left it.
function paint(reading) {
  const place = reading.blank ? null : reading.places[0], numeral = find("answer");
  numeral.textContent = place ? reading.text : "?";
  Object.assign(numeral.dataset, { verdict: place ? reading.verdict : "blank", count: place ? 1 : 0 });
  Object.assign(numeral.dataset, { digit: place ? place.digit : "", version: pad.version(), early: place ? "yes" : "no" });
  find("answer-note").textContent = place ? reading.sentence : "Python is on its way. You can draw already.";
  const best = place && place.verdict === "none" ? 10 : place ? place.digit : -1;
  const [link, word] = find("share").children;
  asks(link, reading.model, best, place ? percent(best === 10 ? place.none : place.probabilities[best]) : "");
  word.textContent = place ? WORDS[place.verdict] : "";
  find("origin").textContent = place
    ? `${reading.model} on Compiled SIMD, ${milliseconds(reading.ms)}, before Python has loaded` : "";
  Array.from(find("bars").children, (line, k) => {
    const [meter, number] = line.children;
    const share = !place ? 0 : k < 10 ? place.probabilities[k] : place.none;
    const text = place && (k < 10 || reading.rejects) ? percent(share) : "";
    asks(number, reading.model, k, text);
    number.tabIndex = k === best ? 0 : -1;
    meter.style.setProperty("--share", share.toFixed(4));
    meter.setAttribute("aria-valuenow", (100 * share).toFixed(2));
    meter.setAttribute("aria-valuetext", text || (place ? "this model has no such class" : "no reading"));
    meter.dataset.first = k === best ? "yes" : "no";
  });
  const seen = find("stages").querySelector("[data-testid=seen]");
  if (place) requestAnimationFrame(() => state.painting && state.last === reading && window.pixels.paint(seen, place.seen, 28, 28));
  else seen.getContext("2d").clearRect(0, 0, 28, 28);
  seen.setAttribute("aria-label", place ? "28 by 28, as the network sees it" : "Nothing yet");
}

function speak(sentence) {
  clearTimeout(state.voice);
  state.voice = setTimeout(() => {
    window.first.spoken = `${state.version} ${sentence}`;
    find("live").textContent = sentence;
  }, SPEAK);
}

// Follows the ink until MicroPython does.
function follow() {
  if (!state.painting || !state.lens || state.timer) return;
  state.timer = setTimeout(() => { state.timer = 0; if (state.painting && state.version !== pad.version()) follow(); }, PACE);
  const before = state.last, reading = read("", "");
  if (reading && reading.blank && !(before && !before.blank)) return;
  if (!reading || (!reading.blank && reading.places.length > 1)) { // numbers, with a frame for each digit, are MicroPython's
    if (before && !before.blank) paint({ blank: true });
    if (pad.kind() !== "blank") window.beginPython();
    return;
  }
  paint(reading);
  if (reading.blank) return;
  speak(reading.sentence);
  if (!pad.busy()) requestAnimationFrame(() => setTimeout(window.beginPython)); // once the answer is on the screen
}

function failed(error) {
  state.lens = state.last = null;
  document.documentElement.dataset.first = "failed";
  find("backend-line").textContent = `No answer before Python has loaded: ${String(error.message).replace(/\.$/, "")}. Nothing is lost.`;
  window.beginPython?.(); // else its own second begins it
}

// What the first model's file beside the kernels says, which build/site_join.py puts into the page.
const plan = () => JSON.parse(find("first-model").textContent || "null");

async function chosen() {
  if (!said.model || said.model === FIRST) return FIRST;
  const listed = await (await fetch("models/index.json")).json(); // a link may name a model that is not there
  return listed.some((row) => row.name === said.model) ? said.model : FIRST;
}

async function begin() {
  if (state.painting) followLink();
  const forced = new URLSearchParams(location.search).get("backend");
  if (said.off || (forced && forced !== "native")) return "waits"; // what was asked for is Python's alone
  const naming = chosen(), opening = naming.then((name) =>
    openLens({ model: name === FIRST && plan() || `first/${name}.json`, weights: `models/${name}.safetensors`, kernels: "first/",
      ...window.early.first }));
  opening.catch(() => {}); // told where it is awaited
  pad.canvas.addEventListener("ink", follow);
  const [lens, taught] = await Promise.all([opening, visited ? naming.then((name) => window.store.taught(name)) : null]);
  if (taught) return "waits"; // the visitor has taught this model: it has other weights
  state.lens = lens;
  if (state.painting) follow();
  else document.dispatchEvent(new CustomEvent("first-ready"));
  return "ready";
}

window.first = {
  read,
  spoken: "", // version of the drawing and sentence that was said aloud last
  takeOver() {
    state.painting = false;
    clearTimeout(state.voice);
  },
};
begin().then((how) => { document.documentElement.dataset.first = how; }, failed).finally(() => {
  window.early.show();
  if (document.documentElement.dataset.first !== "ready") window.beginPython?.();
});
