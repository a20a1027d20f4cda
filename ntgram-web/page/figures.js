// The figures. Each draws what it is given and returns what lies at a place: (x, y) => text, or null.

import { begin, diverging, every, figure, line, text, theme, ticks, tokenColour } from "draw";
import { hull2, hull3 } from "math";

/** A square of n × n cells with the tokens at its sides. */
function cells({ context, width, height }, n, { across, down, right = 8, labels = null }) {
  const [left, bottom] = [40, 36];
  const side = Math.min(width - left - right, height - bottom - 6);
  const [x0, y0] = [left + (width - left - right - side) / 2, 6];
  const size = side / n;
  const step = every(n, side);
  for (let k = 0; k < n; k += step) {
    const token = String(labels ? labels[k] : k);
    text(context, token, x0 + (k + 0.5) * size, y0 + side + 10);
    text(context, token, x0 - 6, y0 + (k + 0.5) * size, { align: "right" });
  }
  text(context, across, x0 + side / 2, y0 + side + 27);
  text(context, down, x0 - 30, y0 + side / 2, { turned: true });
  const at = (x, y) => {
    const [row, column] = [Math.floor((y - y0) / size), Math.floor((x - x0) / size)];
    return row >= 0 && row < n && column >= 0 && column < n ? [row, column] : null;
  };
  return { x0, y0, side, size, at };
}

/** Which token is likely after which two; in full colour where the model says so, too. */
export function contexts(canvas, { n, likely, guessed }) {
  const area = begin(canvas);
  const { context } = area;
  const { x0, y0, size, at } = cells(area, n, { across: "Second token", down: "First token" });
  const gap = size > 12 ? 1 : 0.5;
  for (let c = 0; c < n * n; c++) {
    const [x, y] = [x0 + (c % n) * size, y0 + Math.floor(c / n) * size];
    const right = likely[c] === guessed[c];
    context.globalAlpha = right ? 1 : 0.16;
    context.fillStyle = tokenColour(likely[c], n);
    context.fillRect(x + gap, y + gap, size - 2 * gap, size - 2 * gap);
    context.globalAlpha = 1;
    if (size > 17) text(context, String(likely[c]), x + size / 2, y + size / 2 + 0.5, { colour: right ? (theme().dark ? "#10151c" : "#ffffff") : theme().soft });
  }
  return (x, y) => {
    const place = at(x, y);
    if (!place) return null;
    const c = place[0] * n + place[1];
    const said = likely[c] === guessed[c] ? "the model finds it" : `the model says ${guessed[c]}`;
    return `After ${place[0]}, ${place[1]} comes ${likely[c]}; ${said}`;
  };
}

/** Inner products of all pairs, blue below zero and red above. `order`: the tokens in the order of the sides. */
export function heatmap(canvas, { n, products, order, limit }) {
  const area = begin(canvas);
  const { context } = area;
  const { x0, y0, side, size, at } = cells(area, n, { across: "Token", down: "Token", right: 52, labels: order });
  for (let row = 0; row < n; row++) for (let column = 0; column < n; column++) {
    context.fillStyle = diverging(products[order[row] * n + order[column]] / limit);
    // a shade larger than the cell: no seams
    context.fillRect(x0 + column * size, y0 + row * size, size + 0.6, size + 0.6);
  }
  context.strokeStyle = theme().line;
  context.lineWidth = 1;
  context.strokeRect(x0, y0, side, side);
  const bar = x0 + side + 12;
  for (let k = 0; k < side; k++) {
    context.fillStyle = diverging(1 - (2 * k) / side);
    context.fillRect(bar, y0 + k, 9, 1.6);
  }
  context.strokeRect(bar, y0, 9, side);
  for (const tick of ticks(-limit, limit, 4)) {
    text(context, figure(tick, 2), bar + 13, y0 + (side * (1 - tick / limit)) / 2, { align: "left" });
  }
  return (x, y) => {
    const place = at(x, y);
    if (!place) return null;
    const [i, j] = place.map(k => order[k]);
    const product = products[i * n + j];
    const cosine = product / (Math.sqrt(products[i * n + i] * products[j * n + j]) || 1);
    return i === j ? `Token ${i}: length ${figure(Math.sqrt(product))}` : `Tokens ${i} and ${j}: ${figure(product)}, cosine ${cosine.toFixed(2).replace("-", "−")}`;
  };
}

/** How many dimensions each token has; dashed: equal shares. */
export function bars(canvas, { n, d, dimensions }) {
  const { context, width, height } = begin(canvas);
  const { ink, soft, faint, line: grid } = theme();
  const [left, bottom, top] = [44, 36, 8];
  const [across, down] = [width - left - 8, height - bottom - top];
  const y = share => top + down * (1 - share);
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    line(context, [[left, y(share)], [left + across, y(share)]], share ? faint : grid);
    text(context, ["0", "1/4", "1/2", "3/4", "1"][4 * share], left - 7, y(share), { align: "right" });
  }
  const [size, step] = [across / n, every(n, across)];
  dimensions.forEach((share, k) => {
    context.fillStyle = tokenColour(k, n);
    context.fillRect(left + (k + 0.14) * size, y(share), 0.72 * size, down * share);
    if (k % step === 0) text(context, String(k), left + (k + 0.5) * size, top + down + 10);
  });
  const equal = Math.min(1, d / n);
  line(context, [[left, y(equal)], [left + across, y(equal)]], ink, 1.2, [5, 4]);
  text(context, "Token", left + across / 2, top + down + 27);
  text(context, "Dimensions", left - 34, top + down / 2, { turned: true, colour: soft });
  return x => {
    const k = Math.floor((x - left) / size);
    return k >= 0 && k < n ? `Token ${k} has ${figure(dimensions[k])} dimensions` : null;
  };
}

/** Loss of every batch, and the divergence over all contexts where it was looked at; the training before in grey. */
export function curve(canvas, { losses, divergences, before, marks, guess, last }) {
  const { context, width, height } = begin(canvas);
  const { accent, soft, faint, line: grid, ink } = theme();
  const [left, bottom, top] = [52, 36, 8];
  const [across, down] = [width - left - 12, height - bottom - top];
  const all = divergences.concat(before);
  let least = Infinity;
  for (const [, value] of all) if (value > 0) least = Math.min(least, value);
  const high = Math.log10(Math.max(guess, 0.01) * 2);
  const low = Math.min(high - 1, Math.max(-5, Math.floor(Math.log10(least < Infinity ? least : guess) - 0.1)));
  const x = step => left + (across * step) / last;
  const y = value => top + (down * (high - Math.max(low, Math.log10(Math.max(value, 1e-9))))) / (high - low);
  for (let power = Math.ceil(low); power <= high; power++) {
    line(context, [[left, y(10 ** power)], [left + across, y(10 ** power)]], faint);
    text(context, power < -2 ? `10${[..."−" + -power].map(c => ({ "−": "⁻", 3: "³", 4: "⁴", 5: "⁵" })[c]).join("")}` : String(10 ** power), left - 7, y(10 ** power), { align: "right" });
  }
  for (const tick of ticks(0, last, 4)) text(context, tick.toLocaleString("en"), x(tick), top + down + 10);
  line(context, [[left, top], [left, top + down], [left + across, top + down]], grid);
  line(context, [[left, y(guess)], [left + across, y(guess)]], soft, 1, [5, 4]);
  text(context, "guessing", left + across, y(guess) - 8, { align: "right" });
  for (const step of marks) line(context, [[x(step), top], [x(step), top + down]], grid, 1, [2, 3]);
  if (before.length > 1) line(context, before.filter(([step]) => step <= last).map(([step, value]) => [x(step), y(value)]), grid, 1.5);
  // the losses of a column of pixels: from the least to the largest
  context.fillStyle = accent;
  context.globalAlpha = 0.3;
  const column = Math.max(1, Math.ceil(last / across));
  for (let start = 0; start < losses.length; start += column) {
    let [low, high] = [Infinity, -Infinity];
    for (let k = start; k < Math.min(start + column, losses.length); k++) [low, high] = [Math.min(low, losses[k]), Math.max(high, losses[k])];
    const [from, to] = [y(high), y(low)];
    context.fillRect(x(start), from - 0.5, Math.max(1, (across * column) / last), to - from + 1);
  }
  context.globalAlpha = 1;
  if (divergences.length) {
    line(context, divergences.map(([step, value]) => [x(step), y(value)]), accent, 2);
    const [step, value] = divergences.at(-1);
    context.fillStyle = accent;
    context.beginPath();
    context.arc(x(step), y(value), 3.5, 0, 7);
    context.fill();
  }
  text(context, "Step", left + across / 2, top + down + 27);
  text(context, "Divergence (nats)", left - 44, top + down / 2, { turned: true, colour: soft });
  return px => {
    const step = ((px - left) / across) * last;
    if (step < 0 || step > last || !divergences.length) return null;
    const [at, value] = divergences.reduce((best, one) => (Math.abs(one[0] - step) < Math.abs(best[0] - step) ? one : best));
    return `Step ${at.toLocaleString("en")}: ${figure(value)} nats`;
  };
}

/** Arrows from the middle. `points`: [x, y, z] of each token, z towards the reader; `radius` is the edge. `flat`: in a plane of their own, with
 * the hull's corners; `solid`: in space, with its edges. */
export function arrows(canvas, { n, points, radius, kind }) {
  const { context, width, height } = begin(canvas);
  const { ink, soft, faint, line: grid, ground } = theme();
  const [cx, cy, unit] = [width / 2, height / 2, (Math.min(width, height) / 2 - 24) / radius];
  const place = ([x, y]) => [cx + unit * x, cy - unit * y];
  const near = ([, , z]) => (kind === "solid" ? 0.5 + z / (2 * radius) : 1);
  for (const ring of ticks(0, radius, 2).slice(1)) {
    context.strokeStyle = faint;
    context.lineWidth = 1;
    context.beginPath();
    context.arc(cx, cy, unit * ring, 0, 7);
    context.stroke();
    text(context, figure(ring, 2), cx + unit * ring * Math.SQRT1_2 + 3, cy + unit * ring * Math.SQRT1_2 + 3, { align: "left", base: "top" });
  }
  if (kind !== "solid") {
    line(context, [[cx - unit * radius, cy], [cx + unit * radius, cy]], faint);
    line(context, [[cx, cy - unit * radius], [cx, cy + unit * radius]], faint);
  }
  if (kind === "flat" && n > 2) {
    const corners = hull2(points).map(k => place(points[k]));
    line(context, [...corners, corners[0]], soft, 1, [4, 3]);
  }
  if (kind === "solid") {
    for (const [a, b] of hull3(points)) {
      context.globalAlpha = 0.2 + 0.6 * Math.max(0, (near(points[a]) + near(points[b])) / 2);
      line(context, [place(points[a]), place(points[b])], soft, 1.2);
    }
    context.globalAlpha = 1;
  }
  const order = points.map((_, k) => k).sort((a, b) => points[a][2] - points[b][2]);
  const tips = [];
  for (const k of order) {
    const [x, y] = place(points[k]);
    const length = Math.hypot(x - cx, y - cy);
    const colour = tokenColour(k, n);
    context.globalAlpha = kind === "solid" ? 0.35 + 0.65 * Math.max(0, near(points[k])) : 1;
    line(context, [[cx, cy], [x, y]], colour, 1.6 + 1.2 * near(points[k]));
    if (length > 8) {
      const [ux, uy] = [(x - cx) / length, (y - cy) / length];
      context.fillStyle = colour;
      context.beginPath();
      context.moveTo(x + 3 * ux, y + 3 * uy);
      context.lineTo(x - 7 * ux - 4.5 * uy, y - 7 * uy + 4.5 * ux);
      context.lineTo(x - 7 * ux + 4.5 * uy, y - 7 * uy - 4.5 * ux);
      context.fill();
    }
    const [lx, ly] = length > 1 ? [x + (12 * (x - cx)) / length, y + (12 * (y - cy)) / length] : [x, y - 12];
    context.lineWidth = 3;
    context.strokeStyle = ground;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.strokeText(String(k), lx, ly);
    text(context, String(k), lx, ly, { colour: ink });
    context.globalAlpha = 1;
    tips.push([k, x, y]);
  }
  return (px, py) => {
    const [k, x, y] = tips.reduce((best, tip) => (Math.hypot(tip[1] - px, tip[2] - py) < Math.hypot(best[1] - px, best[2] - py) ? tip : best));
    return Math.hypot(x - px, y - py) < 22 ? `Token ${k}` : null;
  };
}
