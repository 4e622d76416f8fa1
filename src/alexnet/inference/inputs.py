"""The inputs that people have, as single images: files, folders, bytes, arrays, tensors."""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeGuard, Union

import numpy as np
import numpy.typing as npt
from PIL import Image

from alexnet.data.source import MAX_BYTES
from alexnet.data.sources.folders.folder import Folder
from alexnet.errors import ImageError
from alexnet.files.paths import natural_key
from alexnet.images.decoding import fault, is_image
from alexnet.images.signatures import N_BEGINNING

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.uint8]
# "|" takes no name of a type, and torch is not imported here.
ImageLike = Union[str, os.PathLike[str], bytes, bytearray, memoryview, IO[bytes], Image.Image, Array, "Tensor"]

ACCEPTED = (
    "give a path, a file's bytes, an open file, a Pillow image, a uint8 array (H, W, 3) or (N, H, W, 3), or a uint8 "
    "tensor (3, H, W) or (N, 3, H, W)"
)
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
# Bytes to read from an open file at a time. A stream may give fewer.
_CHUNK = 1 << 20
# Channels of an array that is an image: grey, RGB and RGBA.
_CHANNELS = (1, 3, 4)


def as_iterable(images: Any) -> Iterable[ImageLike | ImageError]:
    """Return an iterable of images, given one image or several.

    Raises:
        TypeError: it is neither an image nor several.
    """
    images = _without_array(images)
    if _is_one(images):
        return [images]
    if hasattr(images, "columns"):
        raise TypeError(f"a {type(images).__name__} is a table, not images; give its column of paths")
    if isinstance(images, Mapping) or not isinstance(images, Iterable):
        raise _not_an_image(images)
    found: Iterable[ImageLike | ImageError] = images
    return found


def expand(image: ImageLike | ImageError, left_out: list[str] | None = None) -> Iterator[ImageLike | ImageError]:
    """Yield the image; for a folder the images in it, for a stack of arrays or tensors each of them.

    A folder that may not be listed is yielded as an error that names it.

    Args:
        image: one input. For a folder, all files below it that are images by their ending or their first bytes are
            yielded in natural order, even in formats that cannot be read; the folder itself if there are none.
        left_out: a list to which the paths of a folder's other files are added.
    """
    image = _without_array(image)
    if isinstance(image, str | os.PathLike) and os.path.isdir(image):  # noqa: PTH112 - never raises
        yield from _in_folder(Path(image), [] if left_out is None else left_out)
    elif (isinstance(image, np.ndarray) or _is_tensor(image)) and image.ndim == 4:
        yield from image
    else:
        yield image


def read_content(image: ImageLike | ImageError) -> Path | bytes | Image.Image:
    """Return the present content of an image, for ``decode`` to read later.

    The file or array may be overwritten afterwards. Two inputs are returned without being read: the ``Path`` of a file
    of more than ``MAX_BYTES``, and a Pillow image.

    An open file is read from its beginning if it is seekable, and left open. An array of two dimensions is grey; of
    three, ``(H, W, C)``: grey, RGB or RGBA. A tensor of three dimensions is ``(C, H, W)``. Both must be uint8: for
    other types, the number that means white is unknown.

    Raises:
        ImageError: it is a URL, cannot be read, or is empty; or an ``ImageError`` was given.
        TypeError: it is not an image, or an array of another shape or type.
    """
    if isinstance(image, ImageError):
        raise image
    if isinstance(image, str) and _URL.match(image) and not Path(image).exists():
        raise ImageError(image, "it is a URL, and nothing is downloaded here; download it and give the file")
    if isinstance(image, str | os.PathLike):
        return _from_path(Path(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, Image.Image):
        return image
    if _is_tensor(image):
        return _from_tensor(image)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if hasattr(image, "read"):
        return _from_file(image)
    raise _not_an_image(image)


def name_of(image: object) -> str:
    """Return an image's name in results: its path or, without a path, its type in angle brackets."""
    if isinstance(image, ImageError):
        return image.where
    return str(image) if isinstance(image, str | os.PathLike) else f"<{type(image).__name__}>"


def is_nameless(where: str) -> bool:
    """Return whether a name in results is that of an image without a path."""
    return where.startswith("<") and where.endswith(">")


def _without_array(given: Any) -> Any:
    """Return the input; for a zero-dimensional array that holds a path, that path."""
    if isinstance(given, np.ndarray) and given.ndim == 0 and given.dtype.kind in "OU":
        return given.item()
    return given


def _is_one(given: object) -> bool:
    if isinstance(given, np.ndarray):
        return given.dtype.kind not in "OU"  # an array of paths is several images
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image)
    return isinstance(given, kinds) or _is_tensor(given) or hasattr(given, "read")


def _is_tensor(given: object) -> TypeGuard["Tensor"]:
    """Return whether it is a tensor of torch, without importing torch: whoever has a tensor has done so."""
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return tensor is not None and isinstance(given, tensor)


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
    except ImageError:  # then the ending decides; the error comes up again when the image is read
        return b""


def _from_path(path: Path) -> Path | bytes:
    folder = Folder(path.parent)
    try:
        return path if folder.size(path.name) > MAX_BYTES else folder.content(path.name)
    except ValueError as error:  # such as a null byte in it
        raise ImageError(str(path), f"invalid path ({error})") from error


def _from_file(file: Any) -> bytes:
    where = name_of(file)
    read = bytearray()
    try:
        if hasattr(file, "readable") and not file.readable():
            raise ImageError(where, "it is open for writing only; open it with mode 'rb'")
        if hasattr(file, "seek") and (not hasattr(file, "seekable") or file.seekable()):
            file.seek(0)
        while (chunk := _read_chunk(file)) and len(read) <= MAX_BYTES:
            read += chunk
    except OSError as error:
        raise ImageError(where, fault(error)) from error
    except ValueError as error:  # such as a closed file
        raise ImageError(where, f"it cannot be read any more ({error})") from error
    if len(read) > MAX_BYTES:
        raise ImageError(where, f"the file is larger than {MAX_BYTES >> 30} GB")
    return bytes(read)


def _read_chunk(file: Any) -> bytes:
    kind = "str"
    with contextlib.suppress(UnicodeDecodeError):  # a file in text mode
        chunk = file.read(_CHUNK)
        if isinstance(chunk, bytes):
            return chunk
        if chunk is None:
            raise BlockingIOError(errno.EAGAIN, "it is non-blocking and has no data yet")
        kind = type(chunk).__name__
    raise TypeError(f"a {type(file).__name__} that gives {kind} is not an image; open it with mode 'rb'")


def _from_tensor(tensor: "Tensor") -> Image.Image:
    _check_kind(tensor, str(tensor.dtype) == "torch.uint8", "(tensor * 255).round().to(torch.uint8) where 1 is white")
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
    # A copy, since for some arrays Pillow uses the array's own memory.
    return Image.fromarray(np.array(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array))


def _check_kind(given: "npt.NDArray[Any] | Tensor", is_uint8: bool, advice: str) -> None:
    if not is_uint8:
        raise TypeError(
            f"an image cannot be {str(given.dtype).removeprefix('torch.')}, since white could be any number; "
            f"give uint8 from 0 to 255, such as {advice}"
        )


def _check_shape(given: "npt.NDArray[Any] | Tensor", fits: bool) -> None:
    if not fits:
        raise TypeError(f"an image cannot be {type(given).__name__} {tuple(given.shape)}; {ACCEPTED}")


def _not_an_image(given: object) -> TypeError:
    return TypeError(f"an image cannot be {type(given).__name__}; {ACCEPTED}")
