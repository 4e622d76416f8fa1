// A network: from an image to probabilities, and to the parts of the image that speak for a class.

/**
 * @typedef {Object} Saved  what alexnet/web/encoding.py writes
 * @property {string[]} classes
 * @property {{size: number, channels: number, store_size: number, resize: string, max_pixels: number,
 *   mean: number[], std: number[]}} input
 * @property {Object[]} layers
 * @property {number} temperature
 * @property {number} maps_after  so many layers from the first compute the maps that Grad-CAM weights
 * @property {Object | null} field  what the positions of these maps see; null where Grad-CAM is not available
 * @property {{images: string, probabilities: number[][], tolerance: number}} self_test
 * @property {string} weights  all arrays of the layers, in base64
 */

// The names of a layer's arrays, with their type. In `Saved` each is a place among the weights, in bytes, and a length.
const ARRAYS = { integers: Int8Array, scales: Float32Array, biases: Float32Array, shifts: Float32Array };
// The second class has a map too if it is at least this share as probable as the first.
const CLOSE = 0.5;

class Network {
  /** @param {Saved} saved */
  constructor(saved) {
    this.saved = saved;
    const { buffer } = fromBase64(saved.weights);
    this.layers = saved.layers.map(layer => withArrays(layer, buffer));
    this.firstLinear = this.layers.findIndex(layer => layer.kind === "linear");
  }

  /**
   * Return the output of each layer.
   * @param {Uint8Array} pixels  (size, size, channels)
   * @returns {Maps[]}
   */
  run(pixels) {
    const outputs = [];
    let maps = this.normalise(pixels);
    for (const layer of this.layers) {
      maps = LAYERS[layer.kind](maps, layer);
      outputs.push(maps);
    }
    return outputs;
  }

  normalise(pixels) {
    const { size, channels, mean, std } = this.saved.input;
    const maps = makeMaps(channels, size, size), n = size * size;
    for (let at = 0; at < pixels.length; at++) {
      const channel = at % channels;
      maps.data[channel * n + (at - channel) / channels] = (pixels[at] - mean[channel] * 255) / (std[channel] * 255);
    }
    return maps;
  }

  /** Return the probabilities of all classes. @param {Maps[]} outputs @returns {number[]} */
  probabilities(outputs) {
    const logits = Array.from(outputs.at(-1).data, value => value / this.saved.temperature);
    const most = Math.max(...logits);
    const powers = logits.map(value => Math.exp(value - most));
    const sum = powers.reduce((one, other) => one + other, 0);
    return powers.map(value => value / sum);
  }

  /**
   * Return where the image raises the logit of a class, at least 0: Grad-CAM, as in alexnet/explanation/gradcam.py.
   * @param {Maps[]} outputs
   * @param {number} number  of the class
   * @returns {number[][]} (height, width)
   */
  classMap(outputs, number) {
    const { data, channels, height, width } = outputs[this.saved.maps_after - 1];
    const n = height * width;
    const slopes = this.slopes(outputs, number), perChannel = slopes.length / channels;
    // Pools keep the sum of a channel's slopes, so these are the means over the positions of its map, but for a factor.
    const alphas = new Float64Array(channels);
    slopes.forEach((slope, at) => { alphas[Math.floor(at / perChannel)] += slope / n; });
    for (const layer of this.layers.slice(this.saved.maps_after, this.firstLinear)) {
      if (layer.kind === "batch") layer.scales.forEach((scale, channel) => { alphas[channel] *= scale; });
      if (layer.kind === "scale") alphas.forEach((_, channel) => { alphas[channel] *= layer.factor; });
    }
    const values = new Float64Array(n);
    alphas.forEach((alpha, channel) => {
      for (let at = 0; at < n; at++) values[at] += alpha * data[channel * n + at];
    });
    const row = y => Array.from(values.subarray(y * width, (y + 1) * width), value => Math.max(value, 0));
    return Array.from({ length: height }, (_, y) => row(y));
  }

  /** Return the slope of a class's logit with respect to the inputs of the first fully-connected layer. */
  slopes(outputs, number) {
    let slopes = Float64Array.from({ length: this.saved.classes.length }, (_, at) => Number(at === number));
    for (let at = this.layers.length - 1; at >= this.firstLinear; at--) {
      const layer = this.layers[at];
      if (layer.kind === "linear") slopes = throughWeights(slopes, layer);
      else if (layer.kind === "scale") slopes = slopes.map(slope => slope * layer.factor);
      else slopes = slopes.map((slope, k) => slope * SLOPES[layer.kind](outputs[at].data[k]));
    }
    return slopes;
  }
}

function throughWeights(slopes, { integers, scales, n_in, n_out }) {
  const result = new Float64Array(n_in);
  for (let row = 0; row < n_out; row++) {
    const factor = slopes[row] * scales[row];
    if (!factor) continue;
    for (let k = 0, from = row * n_in; k < n_in; k++) result[k] += factor * integers[from++];
  }
  return result;
}

/** Return a layer with its arrays. */
function withArrays(saved, buffer) {
  const layer = { ...saved };
  for (const [name, Kind] of Object.entries(ARRAYS)) {
    if (name in saved) layer[name] = new Kind(buffer, ...saved[name]);
  }
  if (layer.kind === "conv") layer.panels = panelsOf(layer);
  return layer;
}

/** @param {string} text @returns {Uint8Array} */
function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
