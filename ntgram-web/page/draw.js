// What the figures draw with: a canvas in CSS pixels, the theme's colours, axes.

export const FONT = 12;

/** The colours of the theme, read once for each. */
const themes = {};
export function theme() {
  const name = document.documentElement.dataset.theme;
  themes[name] ??= (() => {
    const style = getComputedStyle(document.documentElement);
    const colour = key => style.getPropertyValue(`--${key}`).trim();
    return { dark: name === "dark", ground: colour("ground"), ink: colour("ink"), soft: colour("soft"), line: colour("line"), faint: colour("faint"), accent: colour("accent") };
  })();
  return themes[name];
}

/** A token's colour. Neighbours differ in lightness, too. */
export function tokenColour(k, n) {
  const light = (theme().dark ? 0.76 : 0.6) + (k % 2 ? -0.07 : 0.05);
  return `oklch(${light} 0.15 ${(25 + (360 * k) / n) % 360})`;
}

/** Blue, the ground's colour, red: for −1, 0, 1. */
export function diverging(x) {
  const [low, middle, high] = theme().dark ? [[84, 145, 255], [26, 30, 35], [255, 99, 92]] : [[24, 70, 190], [255, 255, 255], [184, 16, 32]];
  const end = x < 0 ? low : high;
  const share = Math.min(1, Math.abs(x));
  return `rgb(${middle.map((m, k) => Math.round(m + (end[k] - m) * share)).join(" ")})`;
}

/** A canvas, made as large as it is seen, ready to be drawn on in CSS pixels. */
export function begin(canvas) {
  const ratio = Math.min(devicePixelRatio || 1, 2);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `${FONT}px system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif`;
  context.lineJoin = context.lineCap = "round";
  return { context, width, height };
}

export function text(context, words, x, y, { align = "center", base = "middle", colour = theme().soft, turned = false } = {}) {
  context.fillStyle = colour;
  context.textAlign = align;
  context.textBaseline = base;
  if (!turned) return context.fillText(words, x, y);
  context.save();
  context.translate(x, y);
  context.rotate(-Math.PI / 2);
  context.fillText(words, 0, 0);
  context.restore();
}

export function line(context, points, colour, width = 1, dash = []) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  points.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
  context.setLineDash([]);
}

/** A number as a person writes it, to so many digits that count. */
export function figure(x, digits = 3) {
  if (!Number.isFinite(x)) return "–";
  const shown = Math.abs(x) < 5e-5 ? "0" : Number(x.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 4, useGrouping: Math.abs(x) >= 1e4 });
  return shown.replace("-", "−");
}

/** Round numbers between two, about `count` of them. */
export function ticks(from, to, count) {
  const rough = (to - from) / count || 1;
  const ten = 10 ** Math.floor(Math.log10(rough));
  const step = ten * ([1, 2, 5, 10].find(factor => factor * ten >= rough) ?? 10);
  const list = [];
  for (let x = Math.ceil(from / step) * step; x <= to + 1e-9 * step; x += step) list.push(Math.abs(x) < 1e-9 * step ? 0 : x);
  return list;
}

/** The labels of n cells of a side: all, or every so many, so that they do not touch. */
export const every = (n, room) => Math.max(1, Math.ceil((n * 16) / room));
