// A classifier: from a file to the most probable classes. In a worker of its own, if the browser has some.

const TOP = 5;

class Classifier {
  /** @param {string} text  a network as JSON: see `Saved` */
  constructor(text) {
    this.network = new Network(JSON.parse(text));
  }

  /**
   * Predict an image.
   * @param {Blob} file
   * @returns {Promise<{predictions: {label: string, probability: number}[],
   *   maps: {label: string, values: number[][], field: Object}[], milliseconds: number}>}
   */
  async predict(file) {
    const start = performance.now();
    const { classes, input, field } = this.network.saved;
    const image = await decode(file, input.store_size, input.max_pixels);
    const outputs = this.network.run(preprocess(image, input));
    const ranked = this.network
      .probabilities(outputs)
      .map((probability, number) => ({ number, label: classes[number], probability }))
      .sort((one, other) => other.probability - one.probability)
      .slice(0, TOP);
    const isClose = each => each.probability >= CLOSE * ranked[0].probability;
    const explained = field ? ranked.slice(0, 2).filter(isClose) : [];
    return {
      predictions: ranked.map(({ label, probability }) => ({ label, probability })),
      maps: explained.map(({ number, label }) => ({ label, values: this.network.classMap(outputs, number), field })),
      milliseconds: performance.now() - start,
    };
  }

  /**
   * Predict the images inside, whose probabilities are known.
   * @returns {Promise<number>} the largest difference of a probability
   * @throws {Error} it is larger than it may be: this browser computes something else
   */
  async test() {
    const { images, probabilities, tolerance } = this.network.saved.self_test;
    const { size, channels } = this.network.saved.input;
    const bitmap = await openBitmap(new Blob([fromBase64(images)], { type: "image/png" }));
    const sheet = readPixels(bitmap, 1);
    let largest = 0;
    probabilities.forEach((expected, number) => {
      const pixels = enlarge(sheet, number, size);
      const found = this.network.probabilities(this.network.run(channels === 1 ? luminance(pixels) : pixels));
      found.forEach((value, at) => { largest = Math.max(largest, Math.abs(value - expected[at])); });
    });
    if (!(largest <= tolerance)) {
      throw new Error(
        `This browser computes other probabilities than the network has (${largest.toFixed(3)} off for the images ` +
        "inside this page), so nothing is predicted. Some browsers change images to protect privacy: allow this page " +
        "to read them, or use another browser."
      );
    }
    return largest;
  }
}

/** Return one of the images of the test, each pixel doubled. They are below each other, at half the network's size. */
function enlarge(sheet, number, size) {
  const pixels = new Uint8Array(size * size * 3), half = Math.ceil(size / 2);
  for (let y = 0, to = 0; y < size; y++) {
    for (let x = 0; x < size; x++, to += 3) {
      const from = ((number * half + (y >> 1)) * sheet.width + (x >> 1)) * 3;
      pixels.set(sheet.data.subarray(from, from + 3), to);
    }
  }
  return pixels;
}

/** Do what a page asks for, in a worker: the first message is the network, each of the others a file. */
function serve() {
  let classifier;
  onmessage = async ({ data }) => {
    try {
      if (classifier) {
        postMessage({ result: await classifier.predict(data) });
      } else {
        classifier = new Classifier(data);
        postMessage({ result: await classifier.test() });
      }
    } catch (error) {
      postMessage({ error: error.message });
    }
  };
}
