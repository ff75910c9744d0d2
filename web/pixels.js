// Paints arrays of numbers as maps. MicroPython decides what to show; only the loop over pixels is here, where it is fast.
// Values that cannot be negative go from paper to ink; signed ones from blue over paper to orange, zero always in the middle.
(() => {
  "use strict";

  function colour(name) {
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const hex = probe.fillStyle; // the canvas normalises every colour to #rrggbb
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  }

  // values: count maps of height x width, one after the other; drawn side by side with a gap; scale: the value of full ink
  function paint(canvas, values, width, height, count = 1, scale = 1, signed = false, gap = 1) {
    const paper = colour("--map-paper");
    const high = colour(signed ? "--map-high" : "--ink");
    const low = colour("--map-low");
    const between = colour("--map-gap");
    const across = count * width + (count - 1) * gap;
    if (canvas.width !== across) canvas.width = across;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(across, height);
    for (let row = 0; row < height; row += 1) {
      for (let column = 0; column < across; column += 1) {
        const map = Math.floor(column / (width + gap));
        const x = column - map * (width + gap);
        const to = 4 * (row * across + column);
        const value = x < width ? values[(map * height + row) * width + x] / (scale || 1) : 0;
        const share = Math.min(1, Math.abs(value));
        const end = value < 0 ? low : high;
        for (let c = 0; c < 3; c += 1) image.data[to + c] = x < width ? paper[c] + share * (end[c] - paper[c]) : between[c];
        image.data[to + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }

  window.pixels = {
    paint,
    // one 28 x 28 image of an IDX file's bytes (16 bytes of header), 0..255 to 0..1, as handlens.data.mnist reads it
    sample: (bytes, index) => Float32Array.from(bytes.subarray(16 + 784 * index, 16 + 784 * (index + 1)), (v) => v / 255),
    replaced: (values, index, value) => { const copy = Float32Array.from(values); copy[index] = value; return copy; },
  };
})();
