// Runs a program compiled for wasm32-wasip1, as cargo asks:  node wasi.mjs PROGRAM ARGUMENTS…  `make test-wasm` gives it the engine's tests.

import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

const [program, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: [program, ...args], preopens: { "/": "/" } });
const { instance } = await WebAssembly.instantiate(readFileSync(program), wasi.getImportObject());
process.exitCode = wasi.start(instance);
