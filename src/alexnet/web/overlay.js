// Where an image speaks for a class, drawn over it. As in alexnet/explanation/panel.py.

// From nothing to most: yellow, orange, red. The most is the darkest, so that it is readable without colour too.
const HEAT = [[255, 245, 190], [254, 190, 80], [236, 92, 32], [165, 15, 21]];
const OVERLAY_SIDE = 192;

/**
 * Return a map at the size of an image. Each value stands in the middle of the window that its position sees.
 * @param {number[][]} values  (n, n)
 * @param {{size: number, stride: number, start: number, image_size: number}} field
 * @param {number} side
 * @returns {Float64Array} (side, side)
 */
function enlargeMap(values, field, side) {
  const last = values.length - 1;
  const places = Array.from({ length: side }, (_, at) => {
    const pixel = ((at + 0.5) / side) * field.image_size;
    const place = Math.min(Math.max((pixel - field.start - field.size / 2) / field.stride, 0), last);
    const below = Math.floor(place);
    return [below, Math.min(below + 1, last), place - below];
  });
  const between = (one, other, share) => one + (other - one) * share;
  return Float64Array.from({ length: side * side }, (_, at) => {
    const [top, bottom, down] = places[Math.floor(at / side)], [left, right, across] = places[at % side];
    return between(
      between(values[top][left], values[top][right], across),
      between(values[bottom][left], values[bottom][right], across),
      down
    );
  });
}

/**
 * Draw a map onto a canvas, which lies over the image.
 * @param {HTMLCanvasElement} canvas
 * @param {{values: number[][], field: Object}} map
 */
function drawMap(canvas, { values, field }) {
  canvas.width = canvas.height = OVERLAY_SIDE;
  const most = Math.max(...values.flat());
  if (most <= 0) return;
  const context = canvas.getContext("2d");
  const heat = context.createImageData(OVERLAY_SIDE, OVERLAY_SIDE);
  enlargeMap(values, field, OVERLAY_SIDE).forEach((value, at) => {
    const share = value / most, place = share * (HEAT.length - 1);
    const below = Math.min(Math.floor(place), HEAT.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const [one, other] = [HEAT[below][channel], HEAT[below + 1][channel]];
      heat.data[4 * at + channel] = one + (other - one) * (place - below);
    }
    heat.data[4 * at + 3] = 255 * 0.75 * Math.min(2 * share, 1);
  });
  context.putImageData(heat, 0, 0);
}

/**
 * Return where the square that the network sees lies on an image, as shares of the image's sides.
 * @param {"squash" | "crop" | "pad"} how
 * @param {number} width
 * @param {number} height
 * @returns {{left: number, top: number, width: number, height: number}}
 */
function seenPart(how, width, height) {
  if (how === "squash") return { left: 0, top: 0, width: 1, height: 1 };
  const side = how === "crop" ? Math.min(width, height) : Math.max(width, height);
  return {
    left: (width - side) / 2 / width,
    top: (height - side) / 2 / height,
    width: side / width,
    height: side / height,
  };
}
