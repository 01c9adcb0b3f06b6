// Drawing: the coverage map, and how long seeks waited.

// Upper ends of the bars, in milliseconds.
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, Infinity];

const colour = (element, name) => getComputedStyle(element).getPropertyValue(`--${name}`).trim();

// A canvas as large as it is shown, in device pixels; its context, and the scale.
function sheet(canvas) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  return { context, width, height, scale };
}

// Draws what is stored, under way and wanted of `open`, its cursors, and the player's place (0 to 1) if there is one.
export function drawMap(canvas, open, played, pointed) {
  const { context, width, height, scale } = sheet(canvas);
  const len = open?.len ?? open?.covered.at(-1)?.[1] ?? 0;
  const band = (range, name, top, bottom) => {
    const from = (range[0] / len) * width;
    const to = Math.min((range[1] / len) * width, width);
    context.fillStyle = colour(canvas, name);
    context.fillRect(from, top * height, Math.max(to - from, scale), (bottom - top) * height);
  };
  context.fillStyle = colour(canvas, "empty");
  context.fillRect(0, 0, width, height);
  if (len > 0) {
    open.wanted.forEach((range) => band(range, "wanted", 0, 1));
    open.covered.forEach((range) => band(range, "covered", 0, 1));
    const names = { readahead: "ahead" };
    open.inFlight.forEach((one) => band(one.range, names[one.purpose] ?? one.purpose, 0.25, 0.75));
    const half = 1.5 * scale;
    context.fillStyle = colour(canvas, "cursor");
    open.cursors.forEach((at) => context.fillRect((at / len) * width - half / 2, height * 0.6, half, height * 0.4));
  }
  const line = (place, name, wide) => {
    context.fillStyle = colour(canvas, name);
    context.fillRect(place * width - (wide * scale) / 2, 0, wide * scale, height);
  };
  if (pointed !== null) line(pointed, "hint", 1);
  if (played !== null) line(played, "cursor", 3);
  // For whoever cannot see it, tests among them.
  canvas.dataset.covered = open && len > 0 ? String(open.coveredBytes) : "0";
  canvas.dataset.spans = String(open?.covered.length ?? 0);
  canvas.dataset.inFlight = String(open?.inFlight.length ?? 0);
  canvas.dataset.cursors = String(open?.cursors.length ?? 0);
}

// The wait below which the given part of them lies, in milliseconds.
export function quantile(waits, part) {
  const sorted = waits.map((wait) => wait / 1000).sort((one, other) => one - other);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] : null;
}

// Draws waits, in microseconds, as bars.
export function drawWaits(canvas, waits) {
  const { context, width, height, scale } = sheet(canvas);
  const bars = STEPS.map(() => 0);
  waits.forEach((wait) => (bars[STEPS.findIndex((end) => wait / 1000 < end)] += 1));
  const highest = Math.max(1, ...bars);
  const foot = 16 * scale;
  context.font = `${10 * scale}px system-ui, sans-serif`;
  context.textAlign = "center";
  bars.forEach((count, n) => {
    const [left, wide] = [(n / bars.length) * width, width / bars.length];
    const high = (count / highest) * (height - foot - 14 * scale);
    context.fillStyle = colour(canvas, count ? "ahead" : "empty");
    context.fillRect(left + scale, height - foot - Math.max(high, scale), wide - 2 * scale, Math.max(high, scale));
    context.fillStyle = colour(canvas, "faint");
    const end = STEPS[n];
    const label = end === Infinity ? "more" : end >= 1000 ? `${end / 1000} s` : n === 0 ? `${end} ms` : String(end);
    context.fillText(label, left + wide / 2, height - 4 * scale);
    if (count) context.fillText(String(count), left + wide / 2, height - foot - high - 3 * scale);
  });
  canvas.dataset.bars = bars.join(" ");
}
