// The engine, seen from the page: one question at a time.

export class Engine {
  /** Starts the engine's thread with the code that this page holds. */
  static async start() {
    const engine = new Engine();
    const source = document.getElementById("worker").textContent;
    engine.worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    const packed = Uint8Array.from(atob(document.getElementById("wasm").textContent.trim()), letter => letter.charCodeAt(0));
    const file = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
    await engine.send(file, [file]);
    return engine;
  }

  /** Asks; what is seen comes back, or an error. */
  async ask(request) {
    return (await this.send(JSON.stringify(request))).view;
  }

  send(message, moved = []) {
    return new Promise((resolve, reject) => {
      this.worker.onmessage = ({ data }) => {
        const reply = JSON.parse(data);
        if (reply.error) reject(new Error(reply.error));
        else resolve(reply);
      };
      this.worker.onerror = event => reject(new Error(event.message || "the engine's thread does not start"));
      this.worker.postMessage(message, moved);
    });
  }
}
