// The page: controls, the training, and the frames.

import { figure, theme } from "draw";
import { Engine } from "engine";
import { arrows, bars, contexts, curve, heatmap } from "figures";
import { BestPlane, gram, partners } from "math";
import { EXPERIMENTS, SLIDERS, asRust, defaults, forEngine, fromAddress, leastP, shown, toAddress, usable } from "settings";

/** Steps of a run, as in the lesson; then it rests. */
const RUN = 5000;
/** Milliseconds that the engine may take for the steps of one frame. */
const FRAME = 12;

const $ = id => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

let values = fromAddress();
let view = null; // what the engine said last
let plays = false;
let rests = RUN; // the step at which it does
let wanted = "start"; // what the engine is to be asked next: "start", "change", or nothing
let single = false; // one step is asked for
let asked = false; // the engine is at work
let rate = 5; // steps a millisecond, as measured
let dirty = true;
const history = { losses: [], divergences: [], before: [], marks: [] };

// ---- the training

const engine = await Engine.start().catch(error => say(`This page needs WebAssembly in a thread of its own: ${error.message}`));

function request() {
  if (wanted === "start") return { start: forEngine(values) };
  if (wanted === "change") return { change: { p: values.p, lr: values.lr } };
  const most = Math.max(1, Math.floor(rate * FRAME));
  if (single) return { advance: 1 };
  if (plays && view.step < rests) return { advance: Math.min(values.speed, most, rests - view.step) };
  return null;
}

async function ask() {
  const message = request();
  if (!message) return;
  [asked, wanted, single] = [true, null, false];
  const begun = performance.now();
  try {
    const next = await engine.ask(message);
    if (message.start) begin(next);
    if (message.change) history.marks.push(next.step);
    if (message.advance > 4) rate = 0.7 * rate + (0.3 * message.advance) / Math.max(0.5, performance.now() - begun);
    for (const loss of next.losses) history.losses.push(loss);
    if (history.divergences.at(-1)?.[0] !== next.step) history.divergences.push([next.step, next.divergence]);
    if (history.divergences.length > 4000) history.divergences = history.divergences.filter((_, k) => k % 2 === 0 || k === history.divergences.length - 1);
    view = next;
    if (view.step >= rests) plays = false;
  } catch (error) {
    say(error.message);
    plays = false;
  }
  [asked, dirty] = [false, true];
}

/** A new model: the curve of the one before stays, in grey. */
function begin() {
  say("");
  if (history.divergences.length > 2) history.before = history.divergences;
  Object.assign(history, { losses: [], divergences: [], marks: [] });
  rests = RUN;
}

function say(words) {
  $("message").textContent = words;
  $("message").hidden = !words;
}

// ---- controls

for (const [name, slider] of Object.entries(SLIDERS)) {
  const input = $(name);
  const [min, max] = [slider.to(slider.min), slider.to(slider.max)];
  Object.assign(input, { min, max, step: slider.step ?? 1 });
  input.addEventListener("input", () => set({ [name]: slider.from(Number(input.value)) }));
}
for (const input of document.querySelectorAll(".choice input")) input.addEventListener("change", () => set({ [input.name]: input.value }));
$("sorted").addEventListener("change", event => set({ sorted: event.target.checked ? "yes" : "no" }));

/** Takes new settings: the model begins anew, or goes on under a new law or learning rate. */
function set(changes) {
  const before = values;
  values = usable({ ...values, ...changes });
  const changed = name => values[name] !== before[name];
  const restarts = changed("model") || Object.keys(SLIDERS).some(name => SLIDERS[name].restarts && changed(name) && (name !== "modules" || values.model === "transformer"));
  if (restarts) wanted = "start";
  else if (changed("p") || changed("lr")) wanted ??= "change";
  if (restarts || changed("p") || changed("lr")) {
    if (view && view.step >= rests) plays = true; // it had come to rest: there is something to learn again
    if (!restarts && view) rests = Math.max(rests, view.step + RUN);
  }
  remember();
  show();
}

/** The settings in the address, where the page has one of its own. */
function remember() {
  if (location.protocol !== "about:") history_replace(`#${toAddress(values)}`);
}
function history_replace(address) {
  window.history.replaceState(null, "", address === "#" ? location.pathname + location.search : address);
}

function show() {
  for (const [name, slider] of Object.entries(SLIDERS)) {
    const input = $(name);
    if (name === "p") input.min = leastP(values.tokens);
    input.value = slider.to(values[name]);
    input.setAttribute("aria-valuetext", shown(name, values[name]));
    input.parentElement.querySelector("output").textContent = shown(name, values[name]);
  }
  for (const input of document.querySelectorAll(".choice input")) input.checked = values[input.name] === input.value;
  $("sorted").checked = values.sorted === "yes";
  $("modules").parentElement.hidden = values.model !== "transformer";
  $("title-tokens").textContent = values.tokens;
  $("title-dimensions").textContent = values.dimensions;
  let known = null;
  for (const [k, button] of [...$("experiments").children].entries()) {
    const same = { ...usable({ ...EXPERIMENTS[k].set, ...kept() }) };
    const pressed = ["model", "tokens", "dimensions", "p", "modules", "lr"].every(name => same[name] === values[name]);
    button.setAttribute("aria-pressed", pressed);
    if (pressed) known = EXPERIMENTS[k];
  }
  $("notice").textContent = known?.notice ?? "Change a number and look again. The grey curve is the training before.";
  dirty = true;
}

/** What an experiment leaves as it is. */
const kept = () => ({ seed: values.seed, speed: values.speed, form: values.form, sorted: values.sorted });

for (const experiment of EXPERIMENTS) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = experiment.name;
  button.addEventListener("click", () => {
    set({ ...defaults(), ...kept(), ...experiment.set });
    wanted = "start";
    plays = true;
  });
  $("experiments").append(button);
}

function play() {
  plays = !plays;
  if (plays && view?.step >= rests) rests = view.step + RUN;
  dirty = true;
}
$("play").addEventListener("click", play);
$("step").addEventListener("click", () => { plays = false; single = true; });
$("restart").addEventListener("click", () => { wanted = "start"; plays = true; });
$("theme").addEventListener("click", () => dress(theme().dark ? "light" : "dark"));
$("share").hidden = location.protocol === "about:";
const copies = (button, words) => button.addEventListener("click", async () => {
  const name = button.textContent;
  try {
    await navigator.clipboard.writeText(words());
    button.textContent = "Copied";
  } catch {
    say(`Copy it from here: ${words()}`);
  }
  setTimeout(() => { button.textContent = name; }, 1500);
});
copies($("share"), () => `${location.origin === "null" ? "file://" : location.origin}${location.pathname}#${toAddress(values)}`);
copies($("cell"), () => asRust(values));

addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const onControl = event.target.closest?.("button, a, input[type=radio], input[type=checkbox]");
  const keys = { " ": () => play(), s: () => $("step").click(), r: () => $("restart").click(), t: () => $("theme").click() };
  const action = keys[event.key];
  if (!action || (event.key === " " && onControl)) return;
  event.preventDefault();
  action();
});
addEventListener("hashchange", () => {
  const next = fromAddress();
  if (toAddress(next) !== toAddress(values)) { set(next); wanted = "start"; }
});

// ---- light and dark

function dress(name) {
  document.documentElement.dataset.theme = name;
  dirty = true;
}

/** As JupyterLab is, where the page stands in it; else as the reader's system is. */
function matchSurroundings() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let lab = null;
  try {
    lab = window.frameElement?.ownerDocument.body;
  } catch { /* another site's page around this one: it is not ours to look at */ }
  const match = () => {
    const light = lab?.dataset.jpThemeLight;
    dress((light === undefined ? dark.matches : light === "false") ? "dark" : "light");
  };
  match();
  dark.addEventListener("change", match);
  if (lab) new MutationObserver(match).observe(lab, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
}
matchSurroundings();

/** Inside a notebook the frame is as high as the page. */
function fitFrame() {
  try {
    if (window.frameElement) window.frameElement.style.height = `${document.body.offsetHeight + 8}px`;
  } catch { /* as above */ }
}
new ResizeObserver(() => { fitFrame(); dirty = true; }).observe(document.body);

// ---- frames

const plane = new BestPlane();
const turn = { yaw: 0.6, pitch: 0.35, free: !calm, held: null };
const sizes = { radius: 0, gram: 0, balanced: 0 };
const hits = {};

/** Follows a size: at once where it grows, slowly where it shrinks, so that figures do not flicker. */
function follow(name, size) {
  sizes[name] = size > sizes[name] ? size : sizes[name] + 0.08 * (size - sizes[name]);
  if (Math.abs(sizes[name] - size) > 0.01 * size) dirty = true;
  return sizes[name] || 1;
}

/** The vectors as points that can be drawn: [x, y, z], z towards the reader. */
function project(rows, n, d) {
  const row = i => rows.slice(i * d, i * d + d);
  const each = make => Array.from({ length: n }, (_, i) => make(row(i)));
  if (d === 1) return { kind: "line", points: each(([x]) => [x, 0, 0]), caption: "One number: a line. Only its two ends can win." };
  if (d === 2) return { kind: "flat", points: each(([x, y]) => [x, y, 0]), caption: "Two numbers: a plane. Dashed: the convex hull; only its corners can win." };
  if (d === 3) {
    const [cy, sy, cp, sp] = [Math.cos(turn.yaw), Math.sin(turn.yaw), Math.cos(turn.pitch), Math.sin(turn.pitch)];
    const points = each(([x, y, z]) => {
      const [u, w] = [cy * x + sy * z, cy * z - sy * x];
      return [u, cp * y - sp * w, sp * y + cp * w];
    });
    return { kind: "solid", points, caption: "Three numbers: a solid, the convex hull. Drag to turn it." };
  }
  const basis = plane.follow(rows, n, d, 3);
  const points = each(vector => [...basis.map(axis => vector.reduce((sum, x, k) => sum + x * axis[k], 0)), 0]);
  const squared = list => list.reduce((sum, x) => sum + x * x, 0);
  const share = squared(points.flat()) / (squared(rows) || 1);
  return { kind: "best", points, caption: `${d} numbers, seen in their best plane: ${Math.round(100 * share)} % of the squared lengths.` };
}

function draw() {
  const { tokens: n, dimensions: d } = view.of;
  const { rows, dimensions } = view[values.form];
  const identity = Array.from({ length: n }, (_, k) => k);
  const products = { gram: gram(view.trained.rows, n, d), balanced: gram(view.balanced.rows, n, d) };
  const order = values.sorted === "yes" ? partners(products.gram, n) : identity;
  hits.contexts = contexts($("contexts"), { n, likely: view.likely, guessed: view.guessed });
  const { kind, points, caption } = project(rows, n, d);
  $("vectors").classList.toggle("turns", kind === "solid");
  caption_of("vectors", caption);
  const lengths = points.map(point => Math.hypot(...point));
  hits.vectors = arrows($("vectors"), { n, points, kind, radius: 1.06 * follow("radius", Math.max(...lengths)) });
  const together = dimensions.reduce((sum, x) => sum + x, 0);
  caption_of("bars", `Together ${together.toFixed(2)} of ${d}. Dashed: equal shares of what there is.`);
  hits.bars = bars($("bars"), { n, d, dimensions });
  const guess = Math.log(n) - view.entropy;
  hits.curve = curve($("curve"), { ...history, guess, last: Math.max(RUN, rests) });
  for (const name of ["gram", "balanced"]) {
    hits[name] = heatmap($(name), { n, products: products[name], order, limit: follow(name, Math.max(...products[name].map(Math.abs))) });
  }
  write(n, d, guess);
}

function caption_of(name, words) {
  const element = $(`${name}-caption`);
  if (element.textContent !== words) element.textContent = words;
}

/** The numbers in words: for everybody, and for those who hear the page. */
function write(n, d, guess) {
  const right = view.likely.filter((token, k) => token === view.guessed[k]).length;
  $("right").textContent = `${right} of ${n * n}`;
  $("divergence").textContent = figure(Math.max(0, view.divergence));
  $("steps").textContent = view.step.toLocaleString("en");
  if (plays && view.step < rests) return;
  const name = (id, words) => $(id).setAttribute("aria-label", words);
  name("contexts", `${n} by ${n} contexts; the model finds the likely token in ${right} of ${n * n}`);
  name("vectors", `Vectors of ${n} tokens in ${d} dimensions, ${values.form === "balanced" ? "balanced" : "as trained"}`);
  name("bars", `Dimensions of the tokens: ${view[values.form].dimensions.map((x, k) => `${k}: ${x.toFixed(2)}`).join(", ")}`);
  name("curve", `Divergence from the law after ${view.step} steps: ${figure(view.divergence)} nats; guessing has ${figure(guess)}`);
  name("gram", `Inner products of all pairs of tokens, as trained`);
  name("balanced", `Inner products of all pairs of tokens, balanced`);
}

function frame(now) {
  if (engine && !asked) ask();
  const runs = plays && (!view || view.step < rests);
  const label = runs ? "Pause" : view?.step >= rests ? "Train on" : "Train";
  if ($("play").textContent !== label) $("play").textContent = label;
  if (view) {
    const turns = view.of.dimensions === 3 && turn.free && !turn.held;
    if (turns) turn.yaw += 0.0035;
    if (dirty || turns || view.of.dimensions > 3 && runs) {
      dirty = false;
      draw();
    }
  }
  requestAnimationFrame(frame);
}

// ---- the pointer and the solid

const tip = $("tip");
for (const canvas of document.querySelectorAll("canvas")) {
  canvas.addEventListener("pointermove", event => {
    const box = canvas.getBoundingClientRect();
    const words = turn.held ? null : hits[canvas.id]?.(event.clientX - box.left, event.clientY - box.top);
    tip.hidden = !words;
    if (!words) return;
    tip.textContent = words;
    const left = Math.min(event.pageX + 14, document.documentElement.clientWidth - tip.offsetWidth - 6);
    Object.assign(tip.style, { left: `${Math.max(4, left)}px`, top: `${event.pageY - tip.offsetHeight - 10}px` });
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
}
const solid = $("vectors");
const rotate = (yaw, pitch) => {
  turn.free = false;
  turn.yaw += yaw;
  turn.pitch = Math.max(-1.5, Math.min(1.5, turn.pitch + pitch));
  dirty = true;
};
solid.addEventListener("pointerdown", event => {
  if (view?.of.dimensions !== 3) return;
  solid.setPointerCapture(event.pointerId);
  turn.held = [event.clientX, event.clientY];
});
solid.addEventListener("pointermove", event => {
  if (!turn.held) return;
  rotate((event.clientX - turn.held[0]) / 120, (event.clientY - turn.held[1]) / 120);
  turn.held = [event.clientX, event.clientY];
});
for (const end of ["pointerup", "pointercancel"]) solid.addEventListener(end, () => { turn.held = null; });
solid.addEventListener("keydown", event => {
  const keys = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] };
  if (view?.of.dimensions !== 3 || !keys[event.key]) return;
  event.preventDefault();
  rotate(...keys[event.key]);
});

show();
requestAnimationFrame(frame);
// It begins by itself when it comes into sight, far down a notebook, too.
const sight = new IntersectionObserver(entries => {
  if (!entries.some(entry => entry.isIntersecting)) return;
  sight.disconnect();
  plays ||= !calm;
});
sight.observe($("bar"));
// for who looks closer: the last view, the settings
Object.defineProperty(window, "ntgram", { get: () => ({ view, values, plays }) });
