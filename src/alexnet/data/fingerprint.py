"""Which images a network has seen, identified by content instead of by path."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# 48 bits: among two million images, the chance that any two collide is below one in a hundred.
N_BYTES = 6


@dataclass(frozen=True)
class Fingerprint:
    """A set of images as shortened digests: it tells whether an image is among them, and nothing else about them.

    Attributes:
        prefixes: the first ``N_BYTES`` of each digest, in hexadecimal.
    """

    prefixes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, contents: Iterable[str]) -> "Fingerprint":
        """Return the fingerprint of images with these digests, in hexadecimal."""
        return cls(frozenset(content[: 2 * N_BYTES] for content in contents))

    def __contains__(self, content: str) -> bool:
        return content[: 2 * N_BYTES] in self.prefixes

    def __or__(self, other: "Fingerprint") -> "Fingerprint":
        return Fingerprint(self.prefixes | other.prefixes)

    def to_text(self) -> str:
        """Return the set in base64, for ``from_text``: eight characters an image."""
        return base64.b64encode(bytes.fromhex("".join(sorted(self.prefixes)))).decode()

    @classmethod
    def from_text(cls, text: str) -> "Fingerprint":
        """Read the text of ``to_text``.

        Raises:
            ValueError: it is not such a text.
        """
        try:
            digits = base64.b64decode(text, validate=True).hex()
        except (binascii.Error, TypeError, ValueError) as error:
            raise ValueError(f"not a fingerprint: {error}") from error
        if len(digits) % (2 * N_BYTES):
            raise ValueError(f"not a fingerprint: {len(digits) // 2} bytes cannot be divided by {N_BYTES}")
        return cls(frozenset(digits[at : at + 2 * N_BYTES] for at in range(0, len(digits), 2 * N_BYTES)))


@dataclass(frozen=True, kw_only=True)
class SeenImages:
    """The images that a network has seen.

    Attributes:
        train: the images it was trained on.
        val: the images it was validated on, which may have chosen the epoch that was kept.
        is_all: whether the two are complete; False where training began with weights of unknown training images.
    """

    train: Fingerprint = Fingerprint()
    val: Fingerprint = Fingerprint()
    is_all: bool = True

    def __or__(self, other: "SeenImages") -> "SeenImages":
        return SeenImages(train=self.train | other.train, val=self.val | other.val, is_all=self.is_all and other.is_all)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary that ``from_json`` turns into an equal value."""
        return {"train": self.train.to_text(), "val": self.val.to_text(), "is_all": self.is_all}

    @classmethod
    def from_json(cls, saved: object) -> "SeenImages":
        """Read the dictionary of ``to_json``.

        Raises:
            ValueError: it is not such a dictionary.
        """
        if (
            not isinstance(saved, dict)
            or set(saved) != {"train", "val", "is_all"}
            or saved["is_all"] not in (True, False)
        ):
            raise ValueError("not the fingerprints of train and val")
        train, val = (Fingerprint.from_text(saved[name]) for name in ("train", "val"))
        return cls(train=train, val=val, is_all=bool(saved["is_all"]))
