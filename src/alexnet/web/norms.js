// The norms of a network, for one image: functions of maps and of the layer.

// As in torch.
const GROUP_NORM_EPS = 1e-5;

/** Multiply each channel by a scale and add a shift: a batch norm that does not follow a convolution. */
function affine(maps, { scales, shifts }) {
  const n = maps.height * maps.width;
  const apply = (value, at) => value * scales[Math.floor(at / n)] + shifts[Math.floor(at / n)];
  return { ...maps, data: maps.data.map(apply) };
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

/**
 * Damp each number by the squares at its position in the `size` channels around its own, of its group.
 * The paper, section 3.3.
 */
function localNorm(maps, { size, alpha, beta, k, groups }) {
  const { data, channels } = maps;
  const n = maps.height * maps.width, nChannels = channels / groups, before = Math.floor(size / 2);
  const normal = new Float32Array(data.length);
  for (let channel = 0; channel < channels; channel++) {
    const first = channel - (channel % nChannels);
    const start = Math.max(first, channel - before), end = Math.min(first + nChannels, channel - before + size);
    for (let at = 0; at < n; at++) {
      let squares = 0;
      for (let other = start; other < end; other++) squares += data[other * n + at] ** 2;
      normal[channel * n + at] = data[channel * n + at] * (k + (alpha / size) * squares) ** -beta;
    }
  }
  return { ...maps, data: normal };
}

/** Damp each number by the squares at the `size` x `size` positions of its own map around its own. */
function mapNorm(maps, { size, alpha, beta, k }) {
  const { data, channels, height, width } = maps;
  const normal = new Float32Array(data.length), before = Math.floor(size / 2);
  const edges = (at, side) => [Math.max(0, at - before), Math.min(side, at - before + size)];
  let to = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < height; row++) {
      const [top, bottom] = edges(row, height);
      for (let column = 0; column < width; column++, to++) {
        const [left, right] = edges(column, width);
        let squares = 0;
        for (let y = top; y < bottom; y++) {
          const from = (channel * height + y) * width;
          for (let x = left; x < right; x++) squares += data[from + x] ** 2;
        }
        normal[to] = data[to] * (k + (alpha / size ** 2) * squares) ** -beta;
      }
    }
  }
  return { ...maps, data: normal };
}
