// What can be set: its range, its default, its place in the address, and how it is read on the page.

import { figure } from "draw";

/** A slider over numbers, and one over the places of a list, where steps grow with the number. */
const plain = { to: value => value, from: place => place };
const among = list => ({
  min: list[0],
  max: list.at(-1),
  to: value => list.reduce((best, one, k) => (Math.abs(Math.log(one / value)) < Math.abs(Math.log(list[best] / value)) ? k : best), 0),
  from: place => list[place],
});
const RATES = [-4, -3, -2].flatMap(power => [1, 1.5, 2, 3, 5, 7].map(x => Number(`${x}e${power}`))).concat(0.1);
const SPEEDS = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500];

/** The sliders: range, default, the slider's place for a value and back; `restarts`: whether the model begins anew. */
export const SLIDERS = {
  tokens: { default: 10, min: 2, max: 24, step: 1, ...plain, restarts: true },
  dimensions: { default: 5, min: 1, max: 12, step: 1, ...plain, restarts: true },
  p: { default: 0.95, min: 0.02, max: 0.99, step: 0.01, ...plain, show: p => p.toFixed(2) },
  modules: { default: 5, min: 1, max: 20, step: 1, ...plain, restarts: true },
  lr: { default: 0.003, ...among(RATES) },
  seed: { default: 2108, min: 0, max: 9999, step: 1, ...plain, restarts: true, show: String },
  speed: { default: 10, ...among(SPEEDS) },
};
const CHOICES = { model: ["low_rank", "transformer"], form: ["trained", "balanced"], sorted: ["no", "yes"] };

export const shown = (name, value) => (SLIDERS[name].show ?? figure)(value);

/** The default of everything. */
export function defaults() {
  const sliders = Object.entries(SLIDERS).map(([name, slider]) => [name, slider.default]);
  return Object.fromEntries([...sliders, ...Object.entries(CHOICES).map(([name, choices]) => [name, choices[0]])]);
}

/** The likely token must be likelier than the others. */
export const leastP = tokens => Math.ceil(100 / tokens + 1) / 100;

/** Values within their ranges; what is none becomes its default. */
export function usable(values) {
  const out = defaults();
  for (const [name, { min, max, step }] of Object.entries(SLIDERS)) {
    const value = Number(values[name] ?? NaN);
    if (Number.isFinite(value)) out[name] = Math.min(max, Math.max(min, step === 1 || name === "speed" ? Math.round(value) : value));
  }
  for (const [name, choices] of Object.entries(CHOICES)) if (choices.includes(values[name])) out[name] = values[name];
  out.p = Math.max(out.p, Math.min(SLIDERS.p.max, leastP(out.tokens)));
  return out;
}

/** From the address; and into it what is not the default. */
export const fromAddress = () => usable(Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
export function toAddress(values) {
  const standard = defaults();
  const changed = Object.entries(values).filter(([name, value]) => value !== standard[name]);
  return new URLSearchParams(changed).toString();
}

/** What the engine is told. */
export function forEngine({ model, modules, tokens, dimensions, p, lr, seed }) {
  return { model: model === "transformer" ? { transformer: { modules } } : model, tokens, dimensions, p, lr, seed };
}

/** The same training as a cell of the notebook. */
export function asRust({ model, modules, tokens, dimensions, p, lr, seed }) {
  const float = x => (Number.isInteger(x) ? `${x}.0` : String(x));
  const made = model === "transformer"
    ? `let config = TransformerConfig { d_model: ${dimensions}, n_vocab: ${tokens}, n_modules: ${modules}, ..Default::default() };
let mut model = Transformer::new(&config, &pi, &mut rng)?;`
    : `let mut model = LowRank::new(${dimensions}, ${tokens}, 3, &pi, &mut rng)?;`;
  return `let pi = last_position_law(&[${tokens}, ${tokens}], ${tokens}, 0.0, ${float(p)}, &mut TorchRng::new(${seed}))?;
let mut rng = TorchRng::new(${seed});
let data = sample_data(512, 5000, &pi, 3, &mut rng)?;
${made}
let history = train(&mut model, &data, &TrainOptions::lr(${float(lr)}).full_divergence())?;
diverging_heatmap(&gram(&model.w_u())?, "W_U W_Uᵀ")?
`;
}

/** Things to try, and what to look for. */
export const EXPERIMENTS = [
  { name: "Ten in five", set: {}, notice: "Five numbers do it: soon every context is right. Train on to step 5000: tokens end up in pairs, one at each end of five axes. Blue squares show who shares with whom." },
  { name: "Ten in two", set: { dimensions: 2 }, notice: "Two numbers can be drawn. The token furthest out in a context’s direction wins, so only corners can win: all ten lie around a circle." },
  { name: "An unsure law", set: { dimensions: 2, p: 0.5 }, notice: "A law that is unsure of its token does not pay for all corners: some arrows end inside the polygon, and those tokens never win." },
  { name: "Eight in three", set: { tokens: 8, dimensions: 3 }, notice: "Points on a sphere that keep away from each other. Drag to turn it, or use the arrow keys." },
  { name: "Room enough", set: { dimensions: 9 }, notice: "Nine dimensions hold ten tokens exactly, since a softmax does not see a number added to all logits: a simplex, every token at nearly the same angle to every other." },
  { name: "A Transformer", set: { model: "transformer" }, notice: "Now a context’s vector must be computed from two tokens by attention. The room is the same; the means to get there are scarce. Give it more modules." },
];
