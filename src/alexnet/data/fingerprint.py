"""Which images a network has seen, told from their contents and not from where they lie."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Of two million images, the chance that any two share 48 bits is below one in a hundred.
N_BYTES = 6


@dataclass(frozen=True)
class Fingerprint:
    """The beginnings of the digests of some images: it tells whether an image is among them, and shows none of them.

    Attributes:
        words: ``N_BYTES`` each, in hexadecimal.
    """

    words: frozenset[str] = frozenset()

    @classmethod
    def of(cls, contents: Iterable[str]) -> "Fingerprint":
        """Return the fingerprint of images with these digests, in hexadecimal."""
        return cls(frozenset(content[: 2 * N_BYTES] for content in contents))

    def __contains__(self, content: str) -> bool:
        return content[: 2 * N_BYTES] in self.words

    def __or__(self, other: "Fingerprint") -> "Fingerprint":
        return Fingerprint(self.words | other.words)

    def to_text(self) -> str:
        """Return a text that ``from_text`` reads: eight characters an image."""
        return base64.b64encode(bytes.fromhex("".join(sorted(self.words)))).decode()

    @classmethod
    def from_text(cls, text: str) -> "Fingerprint":
        """Read what ``to_text`` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            digits = base64.b64decode(text, validate=True).hex()
        except (binascii.Error, TypeError, ValueError) as error:
            raise ValueError(f"not a fingerprint: {error}") from error
        if len(digits) % (2 * N_BYTES):
            raise ValueError(f"not a fingerprint: {len(digits) // 2} bytes cannot be divided by {N_BYTES}")
        return cls(frozenset(digits[at : at + 2 * N_BYTES] for at in range(0, len(digits), 2 * N_BYTES)))


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a network has seen.

    Attributes:
        train: what it learned from.
        val: what it was chosen by.
        is_all: whether that is all; not where it began with weights that do not say what they had learned from.
    """

    train: Fingerprint = Fingerprint()
    val: Fingerprint = Fingerprint()
    is_all: bool = True

    def __or__(self, other: "Seen") -> "Seen":
        return Seen(train=self.train | other.train, val=self.val | other.val, is_all=self.is_all and other.is_all)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary that ``from_json`` turns into an equal value."""
        return {"train": self.train.to_text(), "val": self.val.to_text(), "is_all": self.is_all}

    @classmethod
    def from_json(cls, saved: object) -> "Seen":
        """Read what ``to_json`` returned.

        Raises:
            ValueError: it is something else.
        """
        if (
            not isinstance(saved, dict)
            or set(saved) != {"train", "val", "is_all"}
            or saved["is_all"] not in (True, False)
        ):
            raise ValueError("not the fingerprints of train and val")
        train, val = (Fingerprint.from_text(saved[name]) for name in ("train", "val"))
        return cls(train=train, val=val, is_all=bool(saved["is_all"]))
