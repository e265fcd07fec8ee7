// Clouds of colours in the RGB cube, which stands on black: grey goes up the middle. All turn as one.

const VIEW = { turn: 0.6, tilt: 0.32 };
const clouds = [];
const EDGES = [];
for (let from = 0; from < 8; from++) {
  for (const bit of [1, 2, 4]) if (!(from & bit)) EDGES.push([from, from | bit]);
}

// Rows of an orthonormal frame whose second axis goes from black to white
const FRAME = [
  [Math.SQRT1_2, 0, -Math.SQRT1_2],
  [1, 1, 1].map((one) => one / Math.sqrt(3)),
  [-1, 2, -1].map((one) => one / Math.sqrt(6)),
];

function camera() {
  const [c, s] = [Math.cos(VIEW.turn), Math.sin(VIEW.turn)];
  const [d, t] = [Math.cos(VIEW.tilt), Math.sin(VIEW.tilt)];
  return (color) => {
    const centred = color.map((one) => one - 0.5);
    const [x, y, z] = FRAME.map((row) => row.reduce((sum, one, k) => sum + one * centred[k], 0));
    const [across, ahead] = [c * x + s * z, c * z - s * x];
    return [across, d * y - t * ahead, d * ahead + t * y];
  };
}

function draw(cloud) {
  const { canvas, points } = cloud;
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio];
  if (!width) return;
  if (canvas.width !== Math.round(width) || canvas.height !== Math.round(height)) {
    [canvas.width, canvas.height] = [Math.round(width), Math.round(height)];
  }
  const pen = canvas.getContext("2d");
  const scale = 0.94 * Math.min(height / 1.78, width / 1.6);
  const seen = camera();
  const place = ([x, y]) => [width / 2 + scale * x, height / 2 - scale * y];
  pen.clearRect(0, 0, width, height);
  pen.strokeStyle = "#4a4a4a";
  pen.lineWidth = ratio;
  pen.beginPath();
  for (const edge of EDGES) {
    const [from, to] = edge.map((k) => place(seen([k & 1, (k >> 1) & 1, (k >> 2) & 1])));
    pen.moveTo(...from);
    pen.lineTo(...to);
  }
  pen.stroke();
  const drawn = [];
  for (let k = 0; k < points.length; k += 4) {
    const color = [points[k], points[k + 1], points[k + 2]];
    drawn.push([...seen(color.map((one) => one / 255)), color, points[k + 3]]);
  }
  drawn.sort((a, b) => b[2] - a[2]); // the farthest first
  for (const [x, y, , [r, g, b], size] of drawn) {
    const [left, top] = place([x, y]);
    pen.fillStyle = `rgb(${r} ${g} ${b})`;
    pen.beginPath();
    pen.arc(left, top, scale * (0.009 + (0.02 * size) / 255), 0, 7);
    pen.fill();
  }
}

const stale = new Set();
let asked = false;
function redraw(...some) {
  some.forEach((one) => stale.add(one));
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    stale.forEach(draw);
    stale.clear();
  });
}

function turnBy(x, y) {
  VIEW.turn += x;
  VIEW.tilt = Math.max(-1.5, Math.min(1.5, VIEW.tilt + y));
  redraw(...clouds);
}

/** A canvas that shows clouds; returns what gives it another one: bytes r, g, b, size. */
export function cloudOn(canvas) {
  const cloud = { canvas, points: new Uint8Array() };
  clouds.push(cloud);
  let last = null;
  canvas.addEventListener("pointerdown", (event) => {
    last = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    turnBy((event.clientX - last[0]) / 90, (event.clientY - last[1]) / 90);
    last = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => (last = null));
  }
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15],
      ArrowDown: [0, 0.15] }[event.key];
    if (!step) return;
    event.preventDefault();
    turnBy(...step);
  });
  new ResizeObserver(() => redraw(cloud)).observe(canvas);
  return (points) => {
    cloud.points = points;
    canvas.dataset.points = points.length / 4;
    redraw(cloud);
  };
}
