// The preprocessing of alexnet/images/preprocessing.py, within one level of 255 of what Pillow and torch compute.

/**
 * An image in colour.
 * @typedef {{data: Uint8Array, width: number, height: number}} Pixels  data: (height, width, 3)
 */

// Pillow's fixed point: weights in 22 bits.
const PRECISION = 22;
const HALF = 1 << (PRECISION - 1);
// The mean colour, with which `pad` fills what an image leaves free.
const PADDING = [124, 116, 104];

/**
 * Return the weights of the triangle filter, which is as wide as a step where the image gets smaller.
 * @param {number} from  the number of pixels before
 * @param {number} to  the number of pixels after
 * @returns {{first: Int32Array, count: Int32Array, weights: Int32Array, most: number}}
 *   for each pixel after: the first pixel before, how many, and their weights, (to, most)
 */
function filterWeights(from, to) {
  const step = from / to;
  const support = Math.max(step, 1), inverse = 1 / support;
  const most = 2 * Math.ceil(support) + 1;
  const first = new Int32Array(to), count = new Int32Array(to), weights = new Int32Array(to * most);
  for (let at = 0; at < to; at++) {
    const centre = (at + 0.5) * step;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const values = [];
    for (let pixel = start; pixel < end; pixel++) {
      values.push(Math.max(0, 1 - Math.abs((pixel - centre + 0.5) * inverse)));
    }
    const sum = values.reduce((one, other) => one + other, 0);
    first[at] = start;
    count[at] = end - start;
    values.forEach((value, k) => { weights[at * most + k] = Math.trunc(0.5 + (value / sum) * 2 ** PRECISION); });
  }
  return { first, count, weights, most };
}

/** Return an image resized along its rows. @param {Pixels} image @param {number} width @returns {Pixels} */
function resizeRows(image, width) {
  const { data, height } = image;
  const { first, count, weights, most } = filterWeights(image.width, width);
  const resized = new Uint8Array(height * width * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      let red = HALF, green = HALF, blue = HALF;
      let from = (y * image.width + first[x]) * 3;
      for (let k = x * most, end = k + count[x]; k < end; k++, from += 3) {
        red += data[from] * weights[k];
        green += data[from + 1] * weights[k];
        blue += data[from + 2] * weights[k];
      }
      resized[to] = red >> PRECISION;
      resized[to + 1] = green >> PRECISION;
      resized[to + 2] = blue >> PRECISION;
    }
  }
  return { data: resized, width, height };
}

/** Return an image resized along its columns. @param {Pixels} image @param {number} height @returns {Pixels} */
function resizeColumns(image, height) {
  const { data, width } = image;
  const { first, count, weights, most } = filterWeights(image.height, height);
  const n = width * 3;
  const resized = new Uint8Array(height * n), sums = new Int32Array(n);
  for (let y = 0; y < height; y++) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]; k++) {
      const weight = weights[y * most + k], from = (first[y] + k) * n;
      for (let x = 0; x < n; x++) sums[x] += data[from + x] * weight;
    }
    for (let x = 0; x < n; x++) resized[y * n + x] = sums[x] >> PRECISION;
  }
  return { data: resized, width, height };
}

/**
 * Resize an image, bilinear and antialiased.
 * @param {Pixels} image
 * @param {number} height
 * @param {number} width
 * @returns {Pixels}
 */
function resize(image, height, width) {
  const wide = image.width === width ? image : resizeRows(image, width);
  return wide.height === height ? wide : resizeColumns(wide, height);
}

/**
 * Make an image square, as `fit` in Python.
 * @param {Pixels} image
 * @param {number} side
 * @param {"squash" | "crop" | "pad"} how
 * @returns {Pixels}
 */
function fit(image, side, how) {
  const { width, height } = image;
  if (how === "squash" || width === height) return resize(image, side, side);
  if (how === "crop") {
    const short = Math.min(height, width);
    const square = { data: new Uint8Array(short * short * 3), width: short, height: short };
    paste(square, image, -Math.floor((height - short) / 2), -Math.floor((width - short) / 2));
    return resize(square, side, side);
  }
  const scale = side / Math.max(height, width);
  const inner = resize(image, Math.max(1, roundToEven(height * scale)), Math.max(1, roundToEven(width * scale)));
  const square = { data: new Uint8Array(side * side * 3), width: side, height: side };
  for (let at = 0; at < square.data.length; at += 3) square.data.set(PADDING, at);
  paste(square, inner, Math.floor((side - inner.height) / 2), Math.floor((side - inner.width) / 2));
  return square;
}

/** Copy what fits of an image into another one, at a place. */
function paste(into, image, top, left) {
  const start = Math.max(0, -left), end = Math.min(image.width, into.width - left);
  for (let y = Math.max(0, -top); y < Math.min(image.height, into.height - top); y++) {
    const row = image.data.subarray((y * image.width + start) * 3, (y * image.width + end) * 3);
    into.data.set(row, ((y + top) * into.width + start + left) * 3);
  }
}

/** Round as Python does: a half to the even number. */
function roundToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}

/**
 * Return the luminance of an image in colour, ITU-R 601 in 16 bits as in Pillow.
 * @param {Uint8Array} data  (n, 3)
 * @returns {Uint8Array} (n)
 */
function luminance(data) {
  const grey = new Uint8Array(data.length / 3);
  for (let to = 0, from = 0; to < grey.length; to++, from += 3) {
    grey[to] = (data[from] * 19595 + data[from + 1] * 38470 + data[from + 2] * 7471 + 0x8000) >> 16;
  }
  return grey;
}

/**
 * Return the input of the network.
 * @param {Pixels} image  of any size
 * @param {{size: number, channels: number, store_size: number, resize: "squash" | "crop" | "pad"}} how
 * @returns {Uint8Array} (size, size, channels)
 */
function preprocess(image, how) {
  const { data } = resize(fit(image, how.store_size, how.resize), how.size, how.size);
  return how.channels === 1 ? luminance(data) : data;
}
