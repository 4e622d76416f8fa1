"""The wire format of protocol buffers, as far as an ``.onnx`` file needs it.

By hand: the package onnx would bring 20 MB to a server that only predicts.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterable, Iterator

# How the value of a field is written.
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
# A number has at most 64 bits, seven a byte.
_MOST_SHIFT = 63
_CUT_OFF = "it is cut off"

Field = tuple[int, int | memoryview]
"""A field's number, and its value: an integer; or the bytes of anything else, unread."""


def fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message, in order.

    Raises:
        ValueError: the bytes are no message, or are cut off.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            number, at = _varint(message, at)
            yield key >> 3, number
            continue
        if kind == _LENGTH:
            size, at = _varint(message, at)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"it has a field of the unknown type {kind}")
        if at + size > len(message):
            raise ValueError(_CUT_OFF)
        yield key >> 3, message[at : at + size]
        at += size


def message_of(value: int | memoryview) -> memoryview:
    """Return the value of a field that holds bytes.

    Raises:
        ValueError: it is a number.
    """
    if isinstance(value, int):
        raise ValueError("it has a number where bytes belong")
    return value


def text_of(value: int | memoryview) -> str:
    """Return the value of a field that holds text.

    Raises:
        ValueError: it is no text.
    """
    return bytes(message_of(value)).decode()


def signed_numbers(values: Iterable[int | memoryview]) -> list[int]:
    """Return the integers of a repeated field, one by one or packed.

    Raises:
        ValueError: a packed one is cut off.
    """
    found: list[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            found.append(number)
    return [number - (1 << 64) if number >> 63 else number for number in found]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number of variable length, and where it ends."""
    value = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > _MOST_SHIFT:
            raise ValueError("it has a number of more than 64 bits")
    raise ValueError(_CUT_OFF)
