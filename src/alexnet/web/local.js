// Predictions by the network inside the page. Nothing is sent anywhere.

/**
 * @typedef {Object} Model  what the page says of a network
 * @property {string} name
 * @property {string[]} classes
 * @property {string} resize
 * @property {string[]} models  the names of all networks there are
 * @property {string[]} notes
 */

class Predictor {
  // There is one worker.
  parallel = 1;

  constructor() {
    this.classifier = startClassifier(document.getElementById("network").textContent);
  }

  /** @returns {Promise<Model>} */
  async describe() {
    const model = JSON.parse(document.getElementById("model").textContent);
    return { ...model, models: [model.name] };
  }

  /** Wait for the self-test. @returns {Promise<string>} what to say when it is passed @throws {Error} it is not */
  async ready() {
    await this.classifier;
    return "This browser computes the expected probabilities for the images inside the page.";
  }

  async predict(file) {
    return (await this.classifier).predict(file);
  }

  /** Say how long an image took. */
  duration(milliseconds) {
    return `${milliseconds.toFixed(0)} ms`;
  }
}

/**
 * Return a tested classifier: in a worker, so that the page stays responsive; if that fails, here. A failed self-test is
 * repeated too: a browser may have a canvas in the page but none in workers, or let only the page read it.
 */
async function startClassifier(text) {
  try {
    return await startWorker(text);
  } catch {
    const classifier = new Classifier(text);
    await classifier.test();
    return classifier;
  }
}

async function startWorker(text) {
  // A page from the disk may start no worker from a file, but one from its own text.
  const source = document.getElementById("compute").textContent;
  const worker = new Worker(URL.createObjectURL(new Blob([source, "\nserve();"], { type: "text/javascript" })));
  const ask = message => new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.error === undefined ? resolve(data.result) : reject(new Error(data.error)));
    worker.onerror = ({ message }) => reject(new Error(message || "the worker has failed"));
    worker.postMessage(message);
  });
  try {
    await ask(text);
  } catch (error) {
    worker.terminate();
    throw error;
  }
  return { predict: ask };
}
