// How fast the page's engine trains, sampling aside:  node ntgram-web/tests/speed.mjs PAGE.html
// PAGE.html is what `python3 setup/setup.py site FOLDER` writes. The engine is unpacked from it and runs here as it does in the page, on one thread.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const ROUNDS = 12; // the first ones are slower: the machine code is still being made
const PASS = 5000; // steps whose data are drawn when a model is started

const page = process.argv[2];
if (!page) throw new Error("which page? node ntgram-web/tests/speed.mjs PAGE.html");
const packed = /<script[^>]*id="wasm"[^>]*>([^<]*)<\/script>/.exec(readFileSync(page, "utf8"));
if (!packed) throw new Error(`${page} holds no engine`);
const { instance } = await WebAssembly.instantiate(gunzipSync(Buffer.from(packed[1], "base64")), {});
const engine = instance.exports;

function ask(request) {
  const bytes = new TextEncoder().encode(JSON.stringify(request));
  const place = engine.request(bytes.length);
  new Uint8Array(engine.memory.buffer, place, bytes.length).set(bytes);
  const length = engine.answer();
  const { view, error } = JSON.parse(new TextDecoder().decode(new Uint8Array(engine.memory.buffer, engine.reply(), length)));
  if (error) throw new Error(error);
  return view;
}

for (const [name, model] of [["low rank", "low_rank"], ["Transformer, 5 heads", { transformer: { modules: 5 } }]]) {
  const rates = [];
  let view;
  for (let round = 0; round < ROUNDS; round++) {
    ask({ start: { model, tokens: 10, dimensions: 5, p: 0.95, lr: 3e-3, seed: 2108 } });
    const begin = performance.now();
    view = ask({ advance: PASS });
    rates.push((PASS / (performance.now() - begin)) * 1e3);
  }
  rates.sort((a, b) => a - b);
  const [median, best] = [rates[ROUNDS / 2], rates[ROUNDS - 1]].map(rate => Math.round(rate).toLocaleString("en"));
  console.log(`${name}: ${median} steps/s (best of ${ROUNDS} rounds ${best}); divergence at the end ${view.divergence.toFixed(4)} nats`);
}
