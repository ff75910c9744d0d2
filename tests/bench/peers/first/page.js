// What both pages share: the drawing and the layers that stand in the page, and the answer.
const stated = () => JSON.parse(document.getElementById("stated").textContent);

// 784 numbers, 0 paper to 1 ink.
export const drawing = () => Float32Array.from(atob(stated().drawing), (c) => c.charCodeAt(0) / 255);
export const layers = () => stated().layers;

export function show(probabilities) {
  window.probabilities = Array.from(probabilities);
  document.getElementById("answer").textContent = String(window.probabilities.indexOf(Math.max(...window.probabilities)));
}
