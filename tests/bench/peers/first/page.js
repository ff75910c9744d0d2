// What both pages share: the layers that stand in the page, and the answer. The drawing is window.drawing, of drawing.js.
export const layers = () => JSON.parse(document.getElementById("layers").textContent);

export function show(probabilities) {
  window.probabilities = Array.from(probabilities);
  document.getElementById("answer").textContent = String(window.probabilities.indexOf(Math.max(...window.probabilities)));
}
