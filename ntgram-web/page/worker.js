// The engine's thread: answers each message, one request in JSON, by one reply in JSON.

let engine;

async function load(file) {
  const { instance } = await WebAssembly.instantiate(file, {});
  engine = instance.exports;
  return '{"ready":true}';
}

function ask(request) {
  const bytes = new TextEncoder().encode(request);
  const place = engine.request(bytes.length);
  new Uint8Array(engine.memory.buffer, place, bytes.length).set(bytes);
  const length = engine.answer();
  return new TextDecoder().decode(new Uint8Array(engine.memory.buffer, engine.reply(), length));
}

onmessage = async ({ data }) => {
  try {
    postMessage(typeof data === "string" ? ask(data) : await load(data));
  } catch (error) {
    postMessage(JSON.stringify({ error: `the engine stopped: ${error.message}` }));
  }
};
