// From a file to its pixels. The browser decodes; the rest is as in alexnet/images/decoding.py.

// A canvas holds this many pixels at most: phones allow no more than 16 million.
const BAND = 1 << 20;

/**
 * Decode an image as upright RGB, transparent pixels on white.
 *
 * A JPEG is reduced to a half, a quarter or an eighth where no side falls below `side`, as Python's decoder does:
 * there, libjpeg-turbo computes the mean of 2x2, 4x4 or 8x8 pixels.
 * @param {Blob} file
 * @param {number} side
 * @param {number} maxPixels  larger images are refused
 * @returns {Promise<Pixels>}
 */
async function decode(file, side, maxPixels) {
  const beginning = new Uint8Array(await file.slice(0, 3).arrayBuffer());
  const bitmap = await openBitmap(file);
  try {
    const { width, height } = bitmap;
    if (width * height > maxPixels) {
      throw new Error(`it has ${width}x${height} pixels, more than the ${maxPixels.toLocaleString("en")} allowed`);
    }
    const isJpeg = beginning[0] === 0xff && beginning[1] === 0xd8 && beginning[2] === 0xff;
    const most = isJpeg ? Math.floor(Math.min(width, height) / side) : 1;
    return readPixels(bitmap, [8, 4, 2].find(by => by <= most) ?? 1);
  } finally {
    bitmap.close();
  }
}

async function openBitmap(file) {
  try {
    // Numbers as stored: Python's decoder ignores profiles of colour too. Upright is what browsers do by default.
    return await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error("not an image that this browser can read, or damaged; save it as JPEG or PNG");
  }
}

/**
 * Read the pixels of a bitmap, each the mean of a square of pixels.
 * @param {ImageBitmap} bitmap
 * @param {1 | 2 | 4 | 8} by  the side of the squares
 * @returns {Pixels}
 */
function readPixels(bitmap, by) {
  const { width, height } = bitmap;
  const rows = Math.min(height, Math.max(8, 8 * Math.floor(BAND / width / 8)));
  const canvas = makeCanvas(width, rows);
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.fillStyle = "white";
  const image = { width: Math.ceil(width / by), height: Math.ceil(height / by) };
  image.data = new Uint8Array(image.width * image.height * 3);
  for (let top = 0; top < height; top += rows) {
    const n = Math.min(rows, height - top);
    context.fillRect(0, 0, width, n);
    context.drawImage(bitmap, 0, -top);
    const { data } = context.getImageData(0, 0, width, n);
    reduce(data, width, n, by, image.data.subarray((top / by) * image.width * 3));
  }
  return image;
}

function makeCanvas(width, height) {
  if (typeof OffscreenCanvas !== "undefined") return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement("canvas"), { width, height });
}

/**
 * Write the mean colour of each square of pixels; squares at the edge repeat its last pixels.
 * @param {Uint8ClampedArray} rgba  (height, width, 4)
 * @param {number} width
 * @param {number} height
 * @param {number} by  the side of a square
 * @param {Uint8Array} into  rows of RGB
 */
function reduce(rgba, width, height, by, into) {
  const half = (by * by) >> 1, shift = 2 * Math.log2(by);
  for (let top = 0, to = 0; top < height; top += by) {
    for (let left = 0; left < width; left += by, to += 3) {
      let red = half, green = half, blue = half;
      for (let y = top; y < top + by; y++) {
        const row = Math.min(y, height - 1) * width;
        for (let x = left; x < left + by; x++) {
          const from = (row + Math.min(x, width - 1)) * 4;
          red += rgba[from];
          green += rgba[from + 1];
          blue += rgba[from + 2];
        }
      }
      into[to] = red >> shift;
      into[to + 1] = green >> shift;
      into[to + 2] = blue >> shift;
    }
  }
}
