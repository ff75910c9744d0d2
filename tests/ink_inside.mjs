// The ink of a standalone module in Node: reads drawings from a file, writes what hl_ink makes of each beside it.
//   node ink_inside.mjs MODULE DRAWINGS RESULTS ROUNDS
// DRAWINGS: float32, for each drawing how many numbers follow, then the packed strokes, on a pad of 280.
// RESULTS: float64, for each drawing what hl_ink returned, then `found` and the pixels of its images.
// Prints the median time of a drawing in microseconds.
import { readFileSync, writeFileSync } from "node:fs";

const [module, drawings, results, rounds] = process.argv.slice(2);
const CANDIDATES = 12, FOUND = 8, PIXELS = 784, EXTENT = 280;
const file = readFileSync(drawings);
const all = new Float32Array(file.buffer.slice(file.byteOffset, file.byteOffset + file.length));
const { instance } = await WebAssembly.instantiate(readFileSync(module));
const c = instance.exports;

let top = c.__heap_base.value;
function take(bytes) {
  const at = Math.ceil(top / 64) * 64;
  top = at + bytes;
  const lacking = top - c.memory.buffer.byteLength;
  if (lacking > 0) c.memory.grow(Math.ceil(lacking / 65536));
  return at;
}

const packed = [];
for (let at = 0; at < all.length; at += 1 + all[at]) packed.push(all.subarray(at + 1, at + 1 + all[at]));
const most = Math.max(...packed.map((one) => one.length));
const bytes = c.hl_ink_scratch(most);
const strokes = take(4 * most), images = take(4 * PIXELS * CANDIDATES), found = take(8 * FOUND * CANDIDATES);
const scratch = take(bytes);

function ink(one) {
  new Float32Array(c.memory.buffer, strokes, one.length).set(one);
  return c.hl_ink(strokes, one.length, EXTENT, images, found, scratch, bytes);
}

const out = [], times = [];
for (let round = 0; round < Number(rounds); round += 1) {
  for (const one of packed) {
    const started = performance.now();
    const count = ink(one);
    times.push(1e3 * (performance.now() - started));
    if (round > 0) continue;
    const made = count > 0 ? count & 255 : 0;
    out.push(count, ...new Float64Array(c.memory.buffer, found, FOUND * made));
    for (const value of new Float32Array(c.memory.buffer, images, PIXELS * made)) out.push(value);
  }
}
writeFileSync(results, new Uint8Array(Float64Array.from(out).buffer));
times.sort((a, b) => a - b);
console.log(times[times.length >> 1]);
