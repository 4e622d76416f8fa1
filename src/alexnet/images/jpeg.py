"""Unusual kinds of JPEG that cannot be read here."""

from typing import IO

_TO_PNG = "convert it to PNG"
# Markers within the range of frames that are something else.
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)
_JPEG_LS = 0xF7


def unusual(file: IO[bytes]) -> str:
    """Say which unusual kind of JPEG a file is, and what to do; empty for the usual kinds.

    Source: ITU-T T.81, table B.1; T.87 for JPEG-LS.
    """
    marker, bits, n_channels = _frame(file)
    if marker == _JPEG_LS:
        return f"JPEG-LS inside; {_TO_PNG}"
    if marker in (0xC3, 0xC7, 0xCB, 0xCF):
        return f"a lossless JPEG of {bits} bits, which cannot be read here; {_TO_PNG}"
    if marker and bits != 8:
        return f"a {bits}-bit JPEG, which cannot be read here; {_TO_PNG}"
    if marker in (0xC5, 0xC6, 0xCD, 0xCE):
        return f"a hierarchical JPEG, which cannot be read here; {_TO_PNG}"
    if marker in (0xC9, 0xCA):
        return f"an arithmetic-coded JPEG, which cannot be read here or is damaged; {_TO_PNG}"
    if marker and n_channels not in (1, 3, 4):
        return f"a JPEG of {n_channels} channels, which cannot be read here; {_TO_PNG}"
    return ""


def _frame(file: IO[bytes]) -> tuple[int, int, int]:
    """Return the marker of the frame, the bits of a channel and the number of channels; zeros without a frame."""
    file.seek(0)
    if file.read(2) != b"\xff\xd8":
        return 0, 0, 0
    while (byte := file.read(1)) and byte != b"\xff":
        pass
    while len(head := file.read(3)) == 3:
        marker, length = head[0], int.from_bytes(head[1:], "big")
        if (0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES) or marker == _JPEG_LS:
            body = file.read(6)
            return (marker, body[0], body[5]) if len(body) == 6 else (0, 0, 0)
        file.seek(max(length - 2, 0), 1)
        while (byte := file.read(1)) and byte != b"\xff":
            pass
    return 0, 0, 0
