"""Hand-made image files of kinds that Pillow can read or refuses, but cannot write."""

import struct
import zlib

import numpy as np

_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3, "c": 6}


def tiff_of(
    values: np.ndarray,
    *,
    order: str = "<",
    photometric: int | None = None,
    planar: bool = False,
    deflated: bool = False,
    bits: int | None = None,
    tags: dict[int, tuple[int, ...] | bytes] | None = None,
) -> bytes:
    """Return an uncompressed or deflated TIFF of one strip a plane.

    Args:
        values: ``(H, W)`` or ``(H, W, C)``.
        order: of bytes, ``<`` or ``>``.
        photometric: 1 for grey and 2 for three bands and more where not given; 0 says that 0 is white.
        planar: whether each band is by itself.
        deflated: whether it is compressed.
        bits: of a number, where that is not what its kind says.
        tags: further ones, or others than these.
    """
    height, width, n_bands = values.shape if values.ndim == 3 else (*values.shape, 1)
    values = values.reshape(height, width, n_bands).astype(values.dtype.newbyteorder(order))
    strips = [values[..., band].tobytes() for band in range(n_bands)] if planar else [values.tobytes()]
    strips = [zlib.compress(strip) for strip in strips] if deflated else strips
    entries: dict[int, tuple[int, ...] | bytes] = {
        256: (width,),
        257: (height,),
        258: (bits or values.dtype.itemsize * 8,) * n_bands,
        259: (8 if deflated else 1,),
        262: ((2 if n_bands > 2 else 1) if photometric is None else photometric,),
        273: tuple(8 + sum(map(len, strips[:at])) for at in range(len(strips))),
        277: (n_bands,),
        278: (height,),
        279: tuple(map(len, strips)),
        284: (2 if planar else 1,),
        339: (_SAMPLE_FORMATS[values.dtype.kind],) * n_bands,
    }
    entries.update(tags or {})
    return _tiff(entries, b"".join(strips), order)


def _tiff(entries: dict[int, tuple[int, ...] | bytes], pixels: bytes, order: str) -> bytes:
    pixels += bytes(len(pixels) % 2)
    at = 8 + len(pixels)
    beyond = at + 2 + 12 * len(entries) + 4
    directory, longer = struct.pack(f"{order}H", len(entries)), b""
    for tag, content in sorted(entries.items()):
        kind = 2 if isinstance(content, bytes) else 4
        packed = content if isinstance(content, bytes) else struct.pack(f"{order}{len(content)}I", *content)
        directory += struct.pack(f"{order}HHI", tag, kind, len(content))
        if len(packed) > 4:
            directory += struct.pack(f"{order}I", beyond + len(longer))
            longer += packed
        else:
            directory += packed.ljust(4, b"\0")
    head = {"<": b"II*\0", ">": b"MM\0*"}[order]
    return head + struct.pack(f"{order}I", at) + pixels + directory + bytes(4) + longer


def png_of(values: np.ndarray) -> bytes:
    """Return a PNG of 16 bits of ``(H, W, C)``: grey, grey with transparency, RGB or RGB with transparency."""
    height, width, n_bands = values.shape
    rows = values.astype(">u2").reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[n_bands], 0, 0, 0)
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def ppm_of(values: np.ndarray, maxval: int, *, plain: bool = False) -> bytes:
    """Return a PGM of ``(H, W)`` or a PPM of ``(H, W, 3)``, in 16 bits or as text."""
    letter = {(2, False): 5, (3, False): 6, (2, True): 2, (3, True): 3}[values.ndim, plain]
    head = f"P{letter} {values.shape[1]} {values.shape[0]} {maxval}\n".encode()
    return head + (" ".join(map(str, values.ravel())).encode() if plain else values.astype(">u2").tobytes())


def jpeg_of(marker: int, bits: int = 8, n_channels: int = 1, *, before: bytes = b"") -> bytes:
    """Return the beginning of a JPEG that claims a process, by the marker of its frame."""
    frame = struct.pack(">BBHBHHB", 0xFF, marker, 8 + 3 * n_channels, bits, 8, 8, n_channels)
    channels = b"".join(bytes((channel + 1, 0x11, 0)) for channel in range(n_channels))
    return b"\xff\xd8" + before + frame + channels + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + bytes(64) + b"\xff\xd9"
