// Paints arrays of numbers as maps. MicroPython decides what to show; only the loop over pixels is here, where it is fast.
// Values that cannot be negative go from paper to ink; signed ones from blue over paper to orange, zero always in the middle.
(() => {
  "use strict";

  // Asked for once a theme: a look at the styles between two paintings would have the whole page styled anew.
  let known = {};
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { known = {}; });
  function colour(name) {
    const key = `${name} ${document.documentElement.dataset.theme}`;
    if (known[key]) return known[key];
    const said = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = said;
    const hex = probe.fillStyle; // the canvas normalises every colour to #rrggbb
    return (known[key] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  }

  const bytes = new Uint8ClampedArray([0, 0, 0, 255]), word = new Uint32Array(bytes.buffer); // a colour, and as it is stored

  // values: count maps of height x width, one after the other, from the map `first` on; drawn `columns` side by side with
  // a gap. scale: the value of full ink, or one for each map. zoom: pixels a cell; from 2 on, a hatch says "below 0": of a
  // cell of 2 x 2 it takes one pixel, and is the paler for it. group: how many maps make one tile, a square with seams; then
  // `columns`, the gap and the scales are those of the tiles.
  function maps(canvas, values, width, height, count, columns, scale, signed, gap = 1, zoom = 1, first = 0, group = 0) {
    const [paper, low, between] = [colour("--map-paper"), colour("--map-low"), colour("--map-gap")];
    const high = colour(signed ? "--map-high" : "--ink");
    const each = group || 1, seam = group ? 1 : 0, inner = Math.ceil(Math.sqrt(each));
    const [mapWide, mapTall] = [width * zoom + seam, height * zoom + seam];
    const [wide, tall] = [inner * mapWide + seam + gap, Math.ceil(each / inner) * mapTall + seam + gap];
    const across = columns * wide - gap, down = Math.ceil(count / each / columns) * tall - gap;
    if (canvas.width !== across) canvas.width = across;
    if (canvas.height !== down) canvas.height = down;
    const context = canvas.getContext("2d");
    const image = context.createImageData(across, down), pixels = new Uint32Array(image.data.buffer);
    const shade = (end, share) => {
      for (let c = 0; c < 3; c += 1) bytes[c] = paper[c] + share * (end[c] - paper[c]);
      return word[0];
    };
    pixels.fill(shade(between, 1));
    for (let map = 0; map < count; map += 1) {
      const tile = Math.floor(map / each), within = map % each;
      const left = (tile % columns) * wide + (within % inner) * mapWide + seam;
      const top = Math.floor(tile / columns) * tall + Math.floor(within / inner) * mapTall + seam;
      if (seam)
        for (let y = top - 1, line = shade(colour("--line-strong"), 1); y <= top + height * zoom; y += 1)
          pixels.fill(line, y * across + left - 1, y * across + left + width * zoom + 1);
      const full = (typeof scale === "number" ? scale : scale[first + tile]) || 1;
      for (let cell = 0, from = (first + map) * height * width; cell < height * width; cell += 1) {
        const value = values[from + cell] / full, share = Math.min(1, Math.abs(value)), end = value < 0 ? low : high;
        const plain = shade(end, share), hatch = value < 0 && zoom > 1 ? shade(end, (zoom > 5 ? 0.6 : 0.3) * share) : plain;
        const x0 = left + (cell % width) * zoom, y0 = top + Math.floor(cell / width) * zoom;
        for (let y = y0; y < y0 + zoom; y += 1)
          for (let x = x0; x < x0 + zoom; x += 1) pixels[y * across + x] = (x + y) & 3 ? plain : hatch;
      }
    }
    context.putImageData(image, 0, 0);
  }

  // A thin line around what reaches `level` in one map, over a picture of the same cells: dark on a pale seam, so that it
  // shows on every colour.
  function outline(canvas, values, width, height, level) {
    const pen = canvas.getContext("2d"), zoom = canvas.width / width;
    const inked = (x, y) => x >= 0 && y >= 0 && x < width && y < height && values[y * width + x] >= level;
    pen.beginPath();
    for (let y = 0; y <= height; y += 1)
      for (let x = 0; x <= width; x += 1) {
        if (inked(x, y) !== inked(x - 1, y)) { pen.moveTo(x * zoom, y * zoom); pen.lineTo(x * zoom, (y + 1) * zoom); }
        if (inked(x, y) !== inked(x, y - 1)) { pen.moveTo(x * zoom, y * zoom); pen.lineTo((x + 1) * zoom, y * zoom); }
      }
    for (const [name, wide, share] of [["--map-paper", 3, 0.55], ["--muted", 1, 0.9]]) {
      [pen.strokeStyle, pen.lineWidth, pen.globalAlpha] = [`rgb(${colour(name)})`, wide, share];
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  // An activation's curve over -reach..reach, the values met as dots on it, and the one looked at as a ring.
  function curve(canvas, xs, ys, metX, metY, x, y, reach) {
    const [width, height, edge] = [896, 672, 48];
    if (canvas.width !== width) [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d"), css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
    const top = Math.max(...ys, ...metY, 1), bottom = Math.min(...ys, ...metY, -0.2 * top);
    const at = (u, v) => [edge + ((u + reach) / (2 * reach)) * (width - 2 * edge),
      height - edge - ((v - bottom) / (top - bottom)) * (height - 2 * edge)];
    const line = (points, style, wide) => {
      pen.beginPath();
      points.forEach((point, k) => pen[k ? "lineTo" : "moveTo"](...point));
      [pen.strokeStyle, pen.lineWidth] = [css(style), wide];
      pen.stroke();
    };
    pen.clearRect(0, 0, width, height);
    line([at(-reach, 0), at(reach, 0)], "--control", 1.5);
    line([at(0, bottom), at(0, top)], "--control", 1.5);
    line(Array.from(xs, (u, k) => at(u, ys[k])), "--ink", 3);
    pen.fillStyle = css("--map-high");
    pen.globalAlpha = 0.4;
    metX.forEach((u, k) => { pen.beginPath(); pen.arc(...at(u, metY[k]), 6, 0, 7); pen.fill(); });
    pen.globalAlpha = 1;
    line([at(x, 0), at(x, y), at(0, y)], "--accent", 2);
    pen.beginPath();
    pen.arc(...at(x, y), 11, 0, 7);
    [pen.strokeStyle, pen.lineWidth] = [css("--accent"), 4];
    pen.stroke();
    pen.fillStyle = css("--muted");
    pen.font = "26px system-ui, sans-serif";
    pen.textAlign = "center";
    for (const u of [-reach, reach]) pen.fillText(u.toFixed(1).replace("-", "\u2212"), at(u, 0)[0], at(u, 0)[1] + 32);
  }

  const paint = (canvas, values, width, height, count = 1, scale = 1, signed = false, gap = 1) =>
    maps(canvas, values, width, height, count, count, scale, signed, gap);

  window.pixels = {
    paint,
    maps,
    outline,
    curve,
    // one 28 x 28 image of an IDX file's bytes (16 bytes of header), 0..255 to 0..1, as handlens.data.mnist reads it
    sample: (bytes, index) => Float32Array.from(bytes.subarray(16 + 784 * index, 16 + 784 * (index + 1)), (v) => v / 255),
    replaced: (values, index, value) => { const copy = Float32Array.from(values); copy[index] = value; return copy; },
  };
})();
