// Predictions by the server that the page comes from.

// How often an image is sent again while the server is busy.
const MOST_TRIES = 20;

class Predictor {
  // Some wait at the server while others are on the way.
  parallel = 4;

  constructor() {
    this.key = "";
    this.asking = null;
    this.model = null;
  }

  /** @param {string} [name]  the network; the server's first where not given @returns {Promise<Model>} */
  async describe(name) {
    this.model = await this.request(`model${name === undefined ? "" : `?model=${encodeURIComponent(name)}`}`);
    document.title = `${this.model.name}: ${this.model.classes.slice(0, 10).join(", ")}`;
    return {
      ...this.model,
      notes: [
        `Images are sent to the server that this page comes from. It computes with ${this.model.engine}.`,
        ...(this.model.explains ? [] : ["Grad-CAM is not available for this network."]),
      ],
    };
  }

  async ready() {
    return "";
  }

  async predict(file) {
    const { name, explains, limits } = this.model;
    if (file.size > limits.upload_bytes) {
      const [size, most] = [file.size, limits.upload_bytes].map(n => `${Number((n / 1e6).toPrecision(2))} MB`);
      throw new Error(`it has ${size}, and this server accepts ${most}`);
    }
    const start = performance.now();
    const body = await this.request(`${explains ? "explain" : "predict"}?top=5&model=${encodeURIComponent(name)}`, {
      method: "POST",
      body: file,
      headers: { "Content-Type": "application/octet-stream" },
    });
    const [result] = body.results;
    if (result.error) throw new Error(result.error);
    return { maps: [], ...result, milliseconds: performance.now() - start };
  }

  duration(milliseconds) {
    return `${milliseconds.toFixed(0)} ms, sending included`;
  }

  /** Return what the server says, as an object. Ask for a key where it wants one; wait while it is busy. */
  async request(path, { headers, ...options } = {}) {
    for (let tries = 1; ; tries++) {
      const { key } = this;
      const authorized = key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
      let response;
      try {
        response = await fetch(path, { ...options, headers: authorized });
      } catch {
        throw new Error("the server cannot be reached; see whether it still runs, and try again");
      }
      if (response.status === 401) {
        // Others may have asked meanwhile.
        if (key === this.key) await this.askForKey();
        continue;
      }
      if (response.status === 503 && tries < MOST_TRIES) {
        const seconds = Number(response.headers.get("Retry-After")) || 1;
        await new Promise(resolve => setTimeout(resolve, 1000 * seconds));
        continue;
      }
      const body = await response.json().catch(() => ({}));
      if (!response.ok) throw new Error(body.error ?? `the server responded with status ${response.status}`);
      return body;
    }
  }

  /** Wait until a key is typed in. It is kept in memory only. */
  async askForKey() {
    this.asking ??= askForKey(this.key ? "The server refuses this key." : "").then(key => {
      this.key = key;
      this.asking = null;
    });
    await this.asking;
  }
}
