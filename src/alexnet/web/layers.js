// The layers of a network, for one image. Weights are integers of eight bits, with a scale for each output channel.

/**
 * @typedef {{data: Float32Array, channels: number, height: number, width: number}} Maps
 *   data: (channels, height, width); the outputs of a fully-connected layer are maps of 1x1
 * @typedef {{integers: Int8Array, scales: Float32Array, biases: Float32Array, n_in: number, n_out: number}} Weights
 *   integers: (n_out, n_in); output channel i is scales[i] * (integers[i] . inputs) + biases[i]
 */

// The numbers that a block of windows has at most. More do not fit into the cache of a processor's core.
const BLOCK = 1 << 15;
// As in torch.
const GROUP_NORM_EPS = 1e-5;

function makeMaps(channels, height, width) {
  return { data: new Float32Array(channels * height * width), channels, height, width };
}

/** Return maps with zeros around them. @param {Maps} maps @param {number} padding @returns {Maps} */
function pad(maps, padding) {
  if (!padding) return maps;
  const { channels, height, width } = maps;
  const padded = makeMaps(channels, height + 2 * padding, width + 2 * padding);
  for (let row = 0; row < channels * height; row++) {
    const channel = Math.floor(row / height), y = row - channel * height + padding;
    const to = (channel * padded.height + y) * padded.width + padding;
    padded.data.set(maps.data.subarray(row * width, (row + 1) * width), to);
  }
  return padded;
}

/**
 * A convolution: windows of the maps become rows of numbers, some at a time, and are multiplied with the weights.
 * @param {Maps} maps
 * @param {Weights & {kernel: number, stride: number, padding: number, groups: number}} layer
 * @returns {Maps}
 */
function conv(maps, layer) {
  const { kernel, stride, padding, groups, n_in, n_out } = layer;
  const padded = pad(maps, padding);
  const height = Math.floor((padded.height - kernel) / stride) + 1;
  const width = Math.floor((padded.width - kernel) / stride) + 1;
  const result = makeMaps(n_out, height, width);
  const n = height * width, most = Math.min(n, Math.max(1, Math.floor(BLOCK / n_in)));
  const windows = new Float64Array(most * n_in);
  for (let group = 0; group < groups; group++) {
    const channels = [group * maps.channels, (group + 1) * maps.channels].map(each => each / groups);
    const rows = [group * n_out, (group + 1) * n_out].map(each => each / groups);
    for (let first = 0; first < n; first += most) {
      const count = Math.min(most, n - first);
      fillWindows(windows, padded, channels, kernel, stride, width, first, count);
      multiply(layer, rows, windows, count, result.data, n, first);
    }
  }
  return result;
}

/** Write the numbers that some windows see, a row for each window: (count, n_in). */
function fillWindows(windows, padded, [start, end], kernel, stride, width, first, count) {
  const { data, height: paddedHeight, width: paddedWidth } = padded;
  let to = 0;
  for (let at = first; at < first + count; at++) {
    const y = Math.floor(at / width), x = at - y * width;
    for (let channel = start; channel < end; channel++) {
      let from = (channel * paddedHeight + y * stride) * paddedWidth + x * stride;
      for (let row = 0; row < kernel; row++, from += paddedWidth) {
        for (let column = 0; column < kernel; column++) windows[to++] = data[from + column];
      }
    }
  }
}

/**
 * Multiply rows of weights with windows. Most of the time is spent here.
 *
 * Four rows and two windows at a time, so that each number that is read is used several times. Where fewer are left, the
 * last one is computed again.
 * @param {Weights & {rows: Float64Array}} layer  rows: its integers as floats, which saves converting them each time
 * @param {[number, number]} range  the first row, and the one after the last
 * @param {Float64Array} windows  (count, n_in)
 * @param {number} count
 * @param {Float32Array} result  (n_out, n)
 * @param {number} n
 * @param {number} first  where the first window stands in a row of the result
 */
function multiply(layer, [start, end], windows, count, result, n, first) {
  const { rows, scales, biases, n_in } = layer;
  for (let row = start; row < end; row += 4) {
    const i0 = row, i1 = Math.min(row + 1, end - 1), i2 = Math.min(row + 2, end - 1), i3 = Math.min(row + 3, end - 1);
    for (let at = 0; at < count; at += 2) {
      const other = Math.min(at + 1, count - 1);
      let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
      let w0 = i0 * n_in, w1 = i1 * n_in, w2 = i2 * n_in, w3 = i3 * n_in;
      for (let a = at * n_in, b = other * n_in, stop = a + n_in; a < stop; a++, b++) {
        const one = windows[a], two = windows[b];
        const r0 = rows[w0++], r1 = rows[w1++], r2 = rows[w2++], r3 = rows[w3++];
        a0 += r0 * one;
        a1 += r1 * one;
        a2 += r2 * one;
        a3 += r3 * one;
        b0 += r0 * two;
        b1 += r1 * two;
        b2 += r2 * two;
        b3 += r3 * two;
      }
      const one = first + at, two = first + other;
      result[i0 * n + one] = a0 * scales[i0] + biases[i0];
      result[i1 * n + one] = a1 * scales[i1] + biases[i1];
      result[i2 * n + one] = a2 * scales[i2] + biases[i2];
      result[i3 * n + one] = a3 * scales[i3] + biases[i3];
      result[i0 * n + two] = b0 * scales[i0] + biases[i0];
      result[i1 * n + two] = b1 * scales[i1] + biases[i1];
      result[i2 * n + two] = b2 * scales[i2] + biases[i2];
      result[i3 * n + two] = b3 * scales[i3] + biases[i3];
    }
  }
}

/** A fully-connected layer. @param {Maps} maps  flattened here @param {Weights} layer @returns {Maps} */
function linear({ data }, { integers, scales, biases, n_in, n_out }) {
  const result = makeMaps(n_out, 1, 1);
  for (let row = 0, from = 0; row < n_out; row++) {
    let sum = 0;
    for (let k = 0; k < n_in; k++) sum += integers[from++] * data[k];
    result.data[row] = sum * scales[row] + biases[row];
  }
  return result;
}

/** Apply a function to each number. */
function activation(compute) {
  return maps => ({ ...maps, data: maps.data.map(compute) });
}

/** Reduce each window of each channel to one number. */
function pool(maps, { kernel, stride }, start, combine, finish) {
  const { data, channels, height, width } = maps;
  const pooled = makeMaps(channels, Math.floor((height - kernel) / stride) + 1, Math.floor((width - kernel) / stride) + 1);
  let to = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let top = 0; top < pooled.height; top++) {
      for (let left = 0; left < pooled.width; left++) {
        let value = start;
        for (let y = 0; y < kernel; y++) {
          const from = (channel * height + top * stride + y) * width + left * stride;
          for (let x = 0; x < kernel; x++) value = combine(value, data[from + x]);
        }
        pooled.data[to++] = finish(value, kernel * kernel);
      }
    }
  }
  return pooled;
}

/** Average pooling to maps of `side` x `side`, be they smaller or larger. */
function adaptive(maps, { side }) {
  const { data, channels, height, width } = maps;
  const pooled = makeMaps(channels, side, side);
  const edges = (at, length) => [Math.floor((at * length) / side), Math.ceil(((at + 1) * length) / side)];
  let to = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < side; row++) {
      const [top, bottom] = edges(row, height);
      for (let column = 0; column < side; column++) {
        const [left, right] = edges(column, width);
        let sum = 0;
        for (let y = top; y < bottom; y++) {
          for (let x = left; x < right; x++) sum += data[(channel * height + y) * width + x];
        }
        pooled.data[to++] = sum / ((bottom - top) * (right - left));
      }
    }
  }
  return pooled;
}

/** Multiply each channel by a scale and add a shift: a batch norm that does not follow a convolution. */
function affine(maps, { scales, shifts }) {
  const n = maps.height * maps.width;
  return { ...maps, data: maps.data.map((value, at) => value * scales[Math.floor(at / n)] + shifts[Math.floor(at / n)]) };
}

/** Normalise groups of channels by their mean and variance. */
function groupNorm(maps, { n_groups, scales, shifts }) {
  const size = maps.data.length / n_groups;
  const normal = new Float32Array(maps.data.length);
  for (let group = 0; group < n_groups; group++) {
    const values = maps.data.subarray(group * size, (group + 1) * size);
    let sum = 0, squares = 0;
    for (const value of values) sum += value;
    for (const value of values) squares += (value - sum / size) ** 2;
    const slope = 1 / Math.sqrt(squares / size + GROUP_NORM_EPS);
    values.forEach((value, at) => { normal[group * size + at] = (value - sum / size) * slope; });
  }
  return affine({ ...maps, data: normal }, { scales, shifts });
}

/** Damp each number by the squares at its position in the `size` channels around its own. The paper, section 3.3. */
function localNorm(maps, { size, alpha, beta, k }) {
  const { data, channels } = maps;
  const n = maps.height * maps.width, before = Math.floor(size / 2);
  const normal = new Float32Array(data.length);
  for (let channel = 0; channel < channels; channel++) {
    const start = Math.max(0, channel - before), end = Math.min(channels, channel - before + size);
    for (let at = 0; at < n; at++) {
      let squares = 0;
      for (let other = start; other < end; other++) squares += data[other * n + at] ** 2;
      normal[channel * n + at] = data[channel * n + at] * (k + (alpha / size) * squares) ** -beta;
    }
  }
  return { ...maps, data: normal };
}

/** The error function, within 2e-7. Source: Abramowitz and Stegun, 7.1.26. */
function erf(value) {
  const t = 1 / (1 + 0.3275911 * Math.abs(value));
  const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(value) * (1 - sum * Math.exp(-value * value));
}

/** The layers by kind, each a function of maps and of the layer. alexnet/web/encoding.py names the same kinds. */
const LAYERS = {
  conv,
  linear,
  max: (maps, layer) => pool(maps, layer, -Infinity, Math.max, value => value),
  average: (maps, layer) => pool(maps, layer, 0, (sum, value) => sum + value, (sum, n) => sum / n),
  adaptive,
  batch: affine,
  group: groupNorm,
  local: localNorm,
  relu: activation(value => Math.max(value, 0)),
  tanh: activation(Math.tanh),
  gelu: activation(value => (value * (1 + erf(value / Math.SQRT2))) / 2),
  silu: activation(value => value / (1 + Math.exp(-value))),
};
/** The slopes of the activations that have one in terms of their output. */
const SLOPES = { relu: Math.sign, tanh: value => 1 - value * value };
