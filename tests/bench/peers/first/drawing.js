// What both pages do while their library is on its way: show the drawing of their address, and make 28 x 28 of it as
// MNIST was made, in as few steps as do: inked into 20 pixels, and moved until its centre of mass is in the middle.
{
  const numbers = [], strokes = [], SIDE = 28, FIT = 20;
  let value = 0, shift = 0;
  for (const letter of atob(location.hash.split("ink=")[1].replaceAll("-", "+").replaceAll("_", "/"))) {
    value += (letter.charCodeAt(0) & 127) << shift;
    shift += 7;
    if (letter.charCodeAt(0) < 128) [value, shift] = [numbers.push(value) && 0, 0];
  }
  const step = (number) => (number % 2 ? -(number + 1) : number) / 4; // pad units
  let left = 1e9, top = 1e9, right = -1e9, bottom = -1e9;
  for (let i = 0; i < numbers.length;) {
    const points = [], count = numbers[i], width = (numbers[i + 1] >> 1) / 2;
    let x = 0, y = 0;
    for (i += 2; points.length < count; i += 2) {
      points.push([(x += step(numbers[i])), (y += step(numbers[i + 1]))]);
      [left, right] = [Math.min(left, x - width / 2), Math.max(right, x + width / 2)];
      [top, bottom] = [Math.min(top, y - width / 2), Math.max(bottom, y + width / 2)];
    }
    strokes.push({ width, points });
  }

  function ink(canvas, settings, ...transform) {
    const context = canvas.getContext("2d", settings);
    context.setTransform(...transform);
    context.lineCap = context.lineJoin = "round";
    for (const { width, points } of strokes) {
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(...points[0]);
      for (const point of points) context.lineTo(...point);
      context.stroke();
    }
    return context;
  }
  ink(document.getElementById("pad"), {}, 1, 0, 0, 1, 0, 0);

  const small = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const scale = FIT / Math.max(right - left, bottom - top), middle = (from, to) => (SIDE - scale * (from + to)) / 2;
  const context = ink(small, { willReadFrequently: true }, scale, 0, 0, scale, middle(left, right), middle(top, bottom));
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  let mass = 0, across = 0, down = 0;
  for (let y = 0, i = 3; y < SIDE; y += 1)
    for (let x = 0; x < SIDE; x += 1, i += 4) [mass, across, down] = [mass + data[i], across + data[i] * x, down + data[i] * y];
  const [dx, dy] = [across, down].map((sum) => Math.ceil((SIDE - 1) / 2 - sum / mass));
  window.drawing = new Float32Array(SIDE * SIDE); // 0 paper to 1 ink
  for (let y = Math.max(0, dy); y < Math.min(SIDE, SIDE + dy); y += 1)
    for (let x = Math.max(0, dx); x < Math.min(SIDE, SIDE + dx); x += 1)
      window.drawing[SIDE * y + x] = data[4 * (SIDE * (y - dy) + x - dx) + 3] / 255;
}
