"""What an exported model says of itself: its format, its precision, and the test that it must pass on every machine."""

import base64
import binascii
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from alexnet.files.typed_json import as_kind
from alexnet.images.decoding import Pixels
from alexnet.network.value.architecture import Architecture

Format = Literal["onnx", "openvino", "torch"]
Precision = Literal["fp32", "fp16", "int8"]
Numbers = npt.NDArray[np.float32]

# The test images are stored at half the side of what the network takes: eight of 112 px are 0.2 MB, of 224 px 0.7 MB.
_FACTOR = 2


def enlarge(images: Pixels, image_size: int) -> Pixels:
    """Return images of half the size as a network takes them: each pixel becomes four.

    So they are the same with every library that reads them.

    Args:
        images: ``(N, h, h, C)`` uint8, with ``h`` half of ``image_size``, rounded up.
        image_size: the side of the result, in pixels.
    """
    whole = images.repeat(_FACTOR, axis=1).repeat(_FACTOR, axis=2)
    return np.ascontiguousarray(whole[:, :image_size, :image_size])


@dataclass(frozen=True, eq=False)
class SelfTest:
    """Images with the probabilities that the exported network must predict for them.

    Attributes:
        images: what the network takes, made by ``enlarge``, ``(N, image_size, image_size, C)`` uint8.
        probabilities: what it predicts, ``(N, n_classes)``, in [0, 1].
        tolerance: by how much a probability may differ.
    """

    images: Pixels
    probabilities: Numbers
    tolerance: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary, with the images as one PNG, one below the other."""
        halves = self.images[:, ::_FACTOR, ::_FACTOR]
        assert np.array_equal(enlarge(halves, self.images.shape[1]), self.images), "they are not made by enlarge"
        sheet = halves.reshape(-1, *halves.shape[2:])
        file = io.BytesIO()
        Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet).save(file, "PNG", optimize=True)
        return {
            "tolerance": self.tolerance,
            "probabilities": [[float(f"{value:.7g}") for value in row] for row in self.probabilities],
            "images": base64.b64encode(file.getvalue()).decode(),
        }

    @classmethod
    def from_json(cls, saved: object, image_size: int, n_channels: int) -> "SelfTest":
        """Read the dictionary of ``to_json``.

        Args:
            saved: the dictionary.
            image_size: the side of what the network takes, in pixels.
            n_channels: its channels.

        Raises:
            ValueError: it is not such a dictionary, or of another network.
        """
        test = as_kind(dict[str, Any], saved, "self_test")
        tolerance = as_kind(float, test.get("tolerance"), "tolerance")
        rows = as_kind(tuple[tuple[float, ...], ...], test.get("probabilities"), "probabilities")
        if not 0 < tolerance < 1:
            raise ValueError(f"tolerance is {tolerance}; it must be between 0 and 1")
        if not rows or len({len(row) for row in rows}) > 1 or not all(0 <= value <= 1 for row in rows for value in row):
            raise ValueError("probabilities must be rows of equal length, with numbers from 0 to 1")
        sheet = _pixels(as_kind(str, test.get("images"), "images"), n_channels)
        half = -(-image_size // _FACTOR)
        if sheet.shape != (half * len(rows), half, n_channels):
            raise ValueError(f"images are {sheet.shape}, for {len(rows)} images of {half} px in {n_channels} channels")
        images = enlarge(sheet.reshape(len(rows), half, half, n_channels), image_size)
        return cls(images, np.array(rows, np.float32), tolerance)


@dataclass(frozen=True, eq=False)
class Export:
    """What is known of an exported model besides what it shares with the model folder.

    Attributes:
        format: the kind of file.
        precision: of its weights; with ``fp16`` the arithmetic is still float32.
        ranks: the rank of each fully-connected layer that consists of two factors, by its name.
        self_test: what it must predict.
    """

    format: Format
    precision: Precision
    ranks: Mapping[str, int]
    self_test: SelfTest

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary, which ``from_json`` reads."""
        return {
            "format": self.format,
            "precision": self.precision,
            "ranks": dict(self.ranks),
            "self_test": self.self_test.to_json(),
        }

    @classmethod
    def from_json(cls, saved: object, net: Architecture) -> "Export":
        """Read the dictionary of ``to_json``.

        Args:
            saved: the dictionary.
            net: the network that was exported.

        Raises:
            ValueError: it is not such a dictionary, or of another network.
        """
        export = as_kind(dict[str, Any], saved, "export")
        ranks = as_kind(dict[str, int], export.get("ranks"), "ranks")
        if unknown := set(ranks) - {name for name, _, _ in net.linear_layers()}:
            raise ValueError(f"ranks has {min(unknown)!r}, which is no fully-connected layer of this network")
        test = SelfTest.from_json(export.get("self_test"), net.image_size, net.in_channels)
        if test.probabilities.shape[1] != net.n_classes:
            raise ValueError(f"{test.probabilities.shape[1]} probabilities for {net.n_classes} classes")
        return cls(
            as_kind(Format, export.get("format"), "format"),
            as_kind(Precision, export.get("precision"), "precision"),
            ranks,
            test,
        )


def _pixels(encoded: str, n_channels: int) -> Pixels:
    """Return the pixels of a PNG in base64, ``(H, W, n_channels)``.

    Raises:
        ValueError: it is none, or damaged.
    """
    try:
        content = base64.b64decode(encoded, validate=True)
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            pixels = np.asarray(image.convert("L" if n_channels == 1 else "RGB"))
    except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"images are no PNG in base64 ({error})") from error
    return pixels.reshape(*pixels.shape[:2], n_channels)
