"""What people have in hand, as one image after another: files and folders of them, bytes, arrays, tensors."""

import contextlib
import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from alexnet.data.source import MAX_BYTES
from alexnet.data.sources.folders.folder import Folder
from alexnet.errors import ImageError
from alexnet.files.paths import natural_key
from alexnet.images.decoding import fault, is_image
from alexnet.images.signatures import N_BEGINNING

Array = npt.NDArray[np.uint8]
ImageLike = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | Array | torch.Tensor
)  # fmt: skip

TAKEN = (
    "give a path, a file's bytes, an open file, a Pillow image, a uint8 array (H, W, 3) or (N, H, W, 3), or a uint8 "
    "tensor (3, H, W) or (N, 3, H, W)"
)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
# Read at a time of an open file: a stream may give less than it is asked for.
_PIECE = 1 << 20
# Channels of an array that is an image: grey, RGB, and RGB with transparency.
_CHANNELS = (1, 3, 4)


def several(images: Any) -> Iterable[ImageLike | ImageError]:
    """Return what was given as images to go through one by one, also where it is a single one.

    Raises:
        TypeError: it is neither an image nor several.
    """
    images = _without_array(images)
    if _is_one(images):
        return [images]
    if hasattr(images, "columns"):
        raise TypeError(f"a {type(images).__name__} is a table, not images; give its column of paths")
    if isinstance(images, Mapping) or not isinstance(images, Iterable):
        raise _not_a_image(images)
    found: Iterable[ImageLike | ImageError] = images
    return found


def expand(image: ImageLike | ImageError, left_out: list[str] | None = None) -> Iterator[ImageLike | ImageError]:
    """Yield the image; for a folder those in it, for a stack of arrays or tensors each.

    Folders that may not be listed are yielded too, each as an error that names it.

    Args:
        image: one of what people have in hand. Of a folder, the files below it are yielded, in natural order: those
            that end or begin like images, be it in formats that cannot be read; the folder itself where none do.
        left_out: the paths of a folder's other files are added to it.
    """
    image = _without_array(image)
    if isinstance(image, str | os.PathLike) and os.path.isdir(image):  # noqa: PTH112 - never raises
        yield from _in_folder(Path(image), [] if left_out is None else left_out)
    elif isinstance(image, np.ndarray | torch.Tensor) and image.ndim == 4:
        yield from image
    else:
        yield image


def content(image: ImageLike | ImageError) -> Path | bytes | Image.Image:
    """Return what an image holds now, as something that ``decode`` reads later.

    What a path or an array held may be overwritten then. A ``Path`` is only returned of a file of more than
    ``MAX_BYTES``, and a Pillow image is returned as it is: of these, nothing was read.

    A file that is open is read from its beginning, if it can be wound back to it, and left open. An array of two
    dimensions is grey; of three, ``(H, W, C)``: grey, RGB or RGB with transparency; a tensor of three, ``(C, H, W)``.
    Both are of uint8: of other numbers nobody could say which is white.

    Raises:
        ImageError: it is an address, cannot be read, or is empty; or it was given as such an error.
        TypeError: it is no image, or an array of another shape or kind.
    """
    if isinstance(image, ImageError):
        raise image
    if isinstance(image, str) and _ADDRESS.match(image) and not Path(image).exists():
        raise ImageError(image, "it is an address, and nothing is downloaded here; download it and give the file")
    if isinstance(image, str | os.PathLike):
        return _from_path(Path(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, torch.Tensor):
        return _from_tensor(image)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if hasattr(image, "read"):
        return _from_file(image)
    raise _not_a_image(image)


def name_of(image: object) -> str:
    """Return what answers call an image: its path, or in angle brackets the kind of what has none."""
    if isinstance(image, ImageError):
        return image.where
    return str(image) if isinstance(image, str | os.PathLike) else f"<{type(image).__name__}>"


def _without_array(given: Any) -> Any:
    """Return what was given; of an array without dimensions that holds a path, that path."""
    if isinstance(given, np.ndarray) and given.ndim == 0 and given.dtype.kind in "OU":
        return given.item()
    return given


def _is_one(given: object) -> bool:
    if isinstance(given, np.ndarray):
        return given.dtype.kind not in "OU"  # an array of paths is several
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, torch.Tensor)
    return isinstance(given, kinds) or hasattr(given, "read")


def _in_folder(folder: Path, left_out: list[str]) -> Iterator[Path | ImageError]:
    found = False
    files = Folder(folder)
    refused: list[OSError] = []
    for name in sorted(files.names(refused.append).files, key=natural_key):
        path = folder / name
        if is_image(name, b"") or is_image(name, _beginning(files, name)):
            found = True
            yield path
        else:
            left_out.append(str(path))
    for error in refused:
        yield ImageError(str(error.filename), fault(error))
    if not found and not refused:
        yield folder


def _beginning(files: Folder, name: str) -> bytes:
    try:
        return files.content(name, N_BEGINNING)
    except ImageError:  # its ending decides; reading it says why it cannot be read
        return b""


def _from_path(path: Path) -> Path | bytes:
    folder = Folder(path.parent)
    try:
        return path if folder.size(path.name) > MAX_BYTES else folder.content(path.name)
    except ValueError as error:  # such as a byte of zero in it
        raise ImageError(str(path), f"no file can be called so ({error})") from error


def _from_file(file: Any) -> bytes:
    where = name_of(file)
    read = bytearray()
    try:
        if hasattr(file, "readable") and not file.readable():
            raise ImageError(where, "it is open for writing only; open it with mode 'rb'")
        if hasattr(file, "seek") and (not hasattr(file, "seekable") or file.seekable()):
            file.seek(0)
        while (piece := _piece(file)) and len(read) <= MAX_BYTES:
            read += piece
    except OSError as error:
        raise ImageError(where, fault(error)) from error
    except ValueError as error:  # such as a file that was closed
        raise ImageError(where, f"it cannot be read any more ({error})") from error
    if len(read) > MAX_BYTES:
        raise ImageError(where, f"the file is larger than {MAX_BYTES >> 30} GB")
    return bytes(read)


def _piece(file: Any) -> bytes:
    kind = "str"
    with contextlib.suppress(UnicodeDecodeError):  # what a file in text mode makes of an image
        piece = file.read(_PIECE)
        if isinstance(piece, bytes):
            return piece
        if piece is None:
            raise BlockingIOError(errno.EAGAIN, "it has nothing to give yet, and does not wait")
        kind = type(piece).__name__
    raise TypeError(f"a {type(file).__name__} that gives {kind} is no image; open it with mode 'rb'")


def _from_tensor(tensor: torch.Tensor) -> Image.Image:
    _check_kind(tensor, tensor.dtype == torch.uint8, "(tensor * 255).round().to(torch.uint8) where 1 is white")
    if tensor.ndim == 3 and tensor.shape[0] not in _CHANNELS and tensor.shape[2] in _CHANNELS:
        raise TypeError(f"a tensor {tuple(tensor.shape)} has its channels last; give tensor.permute(2, 0, 1)")
    _check_shape(tensor, tensor.ndim == 2 or (tensor.ndim == 3 and tensor.shape[0] in _CHANNELS))
    return _from_array(np.asarray((tensor if tensor.ndim == 2 else tensor.permute(1, 2, 0)).cpu()))


def _from_array(array: npt.NDArray[Any]) -> Image.Image:
    _check_kind(array, array.dtype == np.uint8, "(array * 255).round().astype('uint8') where 1 is white")
    if array.ndim == 3 and array.shape[2] not in _CHANNELS and array.shape[0] in _CHANNELS:
        raise TypeError(f"an array {array.shape} has its channels first; give array.transpose(1, 2, 0)")
    _check_shape(array, array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS))
    if not array.size:
        raise ImageError(name_of(array), f"it is an array {array.shape}, without any pixels")
    # Of a copy: Pillow looks at the memory of some arrays for as long as the image lives.
    return Image.fromarray(np.array(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array))


def _check_kind(given: npt.NDArray[Any] | torch.Tensor, is_uint8: bool, way_out: str) -> None:
    if not is_uint8:
        raise TypeError(
            f"an image cannot be of {str(given.dtype).removeprefix('torch.')}, which does not say what is white; "
            f"give uint8, from 0 to 255, as by {way_out}"
        )


def _check_shape(given: npt.NDArray[Any] | torch.Tensor, fits: bool) -> None:
    if not fits:
        raise TypeError(f"an image cannot be {type(given).__name__} {tuple(given.shape)}; {TAKEN}")


def _not_a_image(given: object) -> TypeError:
    return TypeError(f"an image cannot be {type(given).__name__}; {TAKEN}")
