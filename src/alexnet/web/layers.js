// The layers of a network, for one image. Weights are integers of eight bits, with a scale for each output channel.

/**
 * @typedef {{data: Float32Array, channels: number, height: number, width: number}} Maps
 *   data: (channels, height, width); the outputs of a fully-connected layer are maps of 1x1
 * @typedef {{integers: Int8Array, scales: Float32Array, biases: Float32Array, n_in: number, n_out: number}} Weights
 *   integers: (n_out, n_in); output channel i is scales[i] * (integers[i] . inputs) + biases[i]
 */

// The numbers that a block of windows has at most. More do not fit into the cache of a processor's core.
const BLOCK = 1 << 15;
// Rows of weights, and windows, that are multiplied at a time.
const PANEL = 4, PAIR = 2;

function makeMaps(channels, height, width) {
  return { data: new Float32Array(channels * height * width), channels, height, width };
}

/** Return how many windows a side has. Where they are rounded up, the last may hang over its end. */
function nWindows(side, { kernel, stride, rounding }) {
  const n = (side - kernel) / stride + 1;
  return rounding === "up" ? Math.ceil(n) : Math.floor(n);
}

/** Return maps with zeros around them, enough for all windows. @param {Maps} maps @returns {Maps} */
function pad(maps, layer) {
  const { kernel, stride, padding } = layer, { channels, height, width } = maps;
  const wide = [height, width].map(side => side + 2 * padding);
  const [tall, across] = wide.map(side => Math.max(side, (nWindows(side, layer) - 1) * stride + kernel));
  if (tall === height && across === width) return maps;
  const padded = makeMaps(channels, tall, across);
  for (let row = 0; row < channels * height; row++) {
    const channel = Math.floor(row / height), y = row - channel * height + padding;
    const to = (channel * padded.height + y) * padded.width + padding;
    padded.data.set(maps.data.subarray(row * width, (row + 1) * width), to);
  }
  return padded;
}

/**
 * A convolution: windows of the maps become columns of numbers, some at a time, and are multiplied with the weights.
 * @param {Maps} maps
 * @param {Weights & {kernel: number, stride: number, padding: number, rounding: string, groups: number,
 *   panels: Float64Array}} layer
 *   panels: see `panelsOf`
 * @returns {Maps}
 */
function conv(maps, layer) {
  const { padding, groups, n_in, n_out } = layer;
  const padded = pad(maps, layer);
  const [height, width] = [maps.height, maps.width].map(side => nWindows(side + 2 * padding, layer));
  const result = makeMaps(n_out, height, width);
  const n = height * width, most = PAIR * Math.max(1, Math.floor(BLOCK / n_in / PAIR));
  const windows = new Float64Array(Math.min(most, n + 1) * n_in);
  for (let group = 0; group < groups; group++) {
    for (let first = 0; first < n; first += most) {
      const count = Math.min(most, n - first);
      fillWindows(windows, padded, group, layer, width, first, count);
      multiply(layer, group, windows, count, result.data, n, first);
    }
  }
  return result;
}

/**
 * Return the integers of a convolution as floats, four rows at a time: (groups, panels, n_in, 4). Zeros fill the last
 * panel of a group. Read in this order, they are multiplied a third faster.
 */
function panelsOf({ integers, groups, n_in, n_out }) {
  const nRows = n_out / groups, nPanels = Math.ceil(nRows / PANEL);
  const panels = new Float64Array(groups * nPanels * n_in * PANEL);
  for (let row = 0; row < n_out; row++) {
    const group = Math.floor(row / nRows), inGroup = row - group * nRows;
    const panel = group * nPanels + Math.floor(inGroup / PANEL);
    for (let k = 0; k < n_in; k++) panels[(panel * n_in + k) * PANEL + (inGroup % PANEL)] = integers[row * n_in + k];
  }
  return panels;
}

/** Write the numbers that some windows see, two windows at a time: (count / 2, n_in, 2). */
function fillWindows(windows, { data, channels, height, width: paddedWidth }, group, layer, width, first, count) {
  const { kernel, stride, groups, n_in } = layer;
  const nChannels = channels / groups;
  for (let place = 0; place < count; place++) {
    const y = Math.floor((first + place) / width), x = first + place - y * width;
    let to = (place - (place % PAIR)) * n_in + (place % PAIR);
    for (let channel = group * nChannels; channel < (group + 1) * nChannels; channel++) {
      let from = (channel * height + y * stride) * paddedWidth + x * stride;
      for (let row = 0; row < kernel; row++, from += paddedWidth) {
        for (let column = 0; column < kernel; column++, to += PAIR) windows[to] = data[from + column];
      }
    }
  }
}

/**
 * Multiply the weights of a group with windows. Most of the time is spent here.
 *
 * Four rows and two windows at a time, so that each number that is read is used several times.
 * @param {Weights & {groups: number, panels: Float64Array}} layer
 * @param {number} group
 * @param {Float64Array} windows
 * @param {number} count  of windows; if it is odd, the other one of the last pair is computed for nothing
 * @param {Float32Array} result  (n_out, n)
 * @param {number} n
 * @param {number} first  where the first window stands in a row of the result
 */
function multiply({ panels, scales, biases, groups, n_in, n_out }, group, windows, count, result, n, first) {
  const nRows = n_out / groups, nPanels = Math.ceil(nRows / PANEL);
  const sums = new Float64Array(PANEL * PAIR);
  for (let panel = 0; panel < nPanels; panel++) {
    for (let place = 0; place < count; place += PAIR) {
      let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
      let row = (group * nPanels + panel) * n_in * PANEL;
      for (let at = place * n_in, end = at + n_in * PAIR; at < end; at += PAIR, row += PANEL) {
        const one = windows[at], two = windows[at + 1];
        const r0 = panels[row], r1 = panels[row + 1], r2 = panels[row + 2], r3 = panels[row + 3];
        a0 += r0 * one;
        a1 += r1 * one;
        a2 += r2 * one;
        a3 += r3 * one;
        b0 += r0 * two;
        b1 += r1 * two;
        b2 += r2 * two;
        b3 += r3 * two;
      }
      sums.set([a0, b0, a1, b1, a2, b2, a3, b3]);
      const start = group * nRows + panel * PANEL, end = Math.min(start + PANEL, (group + 1) * nRows);
      for (let channel = start; channel < end; channel++) {
        for (let other = place; other < Math.min(place + PAIR, count); other++) {
          const sum = sums[(channel - start) * PAIR + other - place];
          result[channel * n + first + other] = sum * scales[channel] + biases[channel];
        }
      }
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

/** Reduce each window of each channel to one number. What lies outside the maps counts for nothing. */
function pool(maps, layer, start, combine, finish) {
  const { kernel, stride } = layer, { data, channels, height, width } = maps;
  const [rows, columns] = [height, width].map(side => nWindows(side, layer));
  const pooled = makeMaps(channels, rows, columns);
  let to = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let top = 0; top < rows; top++) {
      for (let left = 0; left < columns; left++) {
        let value = start;
        const tall = Math.min(kernel, height - top * stride), wide = Math.min(kernel, width - left * stride);
        for (let y = 0; y < tall; y++) {
          const from = (channel * height + top * stride + y) * width + left * stride;
          for (let x = 0; x < wide; x++) value = combine(value, data[from + x]);
        }
        pooled.data[to++] = finish(value, tall * wide);
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

/** Subtract a mean image: for channel i, shifts[i] + scales[i] * integers. */
function centre(maps, { integers, scales, shifts }) {
  const n = maps.height * maps.width;
  const apply = (value, at) => value - shifts[Math.floor(at / n)] - scales[Math.floor(at / n)] * integers[at];
  return { ...maps, data: maps.data.map(apply) };
}

/** Multiply all numbers: where dropout is scaled in prediction. */
function scale(maps, { factor }) {
  return { ...maps, data: maps.data.map(value => value * factor) };
}

/** The error function, within 2e-7. Source: Abramowitz and Stegun, 7.1.26. */
function erf(value) {
  const t = 1 / (1 + 0.3275911 * Math.abs(value));
  const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(value) * (1 - sum * Math.exp(-value * value));
}

/** The layers by kind, each a function of maps and of the layer. alexnet/web/encoding.py names the same kinds. */
const LAYERS = {
  centre,
  conv,
  linear,
  scale,
  max: (maps, layer) => pool(maps, layer, -Infinity, Math.max, value => value),
  average: (maps, layer) => pool(maps, layer, 0, (sum, value) => sum + value, (sum, n) => sum / n),
  adaptive,
  batch: affine,
  group: groupNorm,
  local: localNorm,
  map: mapNorm,
  relu: activation(value => Math.max(value, 0)),
  tanh: activation(Math.tanh),
  gelu: activation(value => (value * (1 + erf(value / Math.SQRT2))) / 2),
  silu: activation(value => value / (1 + Math.exp(-value))),
};
/** The slopes of the activations that have one in terms of their output. */
const SLOPES = { relu: Math.sign, tanh: value => 1 - value * value };
