"""Which pictures a network has seen, told from their contents and not from where they lie."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Of two million pictures, the chance that any two share 48 bits is below one in a hundred.
N_BYTES = 6


@dataclass(frozen=True)
class Fingerprint:
    """The beginnings of the digests of some pictures: it tells whether a picture is among them, and shows none of them.

    Attributes:
        words: ``N_BYTES`` each, in hexadecimal.
    """

    words: frozenset[str] = frozenset()

    @classmethod
    def of(cls, contents: Iterable[str]) -> "Fingerprint":
        """Return the fingerprint of pictures with these digests, in hexadecimal."""
        return cls(frozenset(content[: 2 * N_BYTES] for content in contents))

    def __contains__(self, content: str) -> bool:
        return content[: 2 * N_BYTES] in self.words

    def __or__(self, other: "Fingerprint") -> "Fingerprint":
        return Fingerprint(self.words | other.words)

    def to_text(self) -> str:
        """Return a text that ``from_text`` reads: eight characters a picture."""
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


Fingerprints = Mapping[str, Fingerprint]
"""What a network learned from (``train``) and was chosen by (``val``); empty where nobody has written it down."""


def fingerprints_to_json(fingerprints: Fingerprints) -> dict[str, str]:
    """Return a JSON-ready dictionary that ``fingerprints_from_json`` reads."""
    return {split: each.to_text() for split, each in fingerprints.items()}


def fingerprints_from_json(saved: object) -> Fingerprints:
    """Read what ``fingerprints_to_json`` returned.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(saved, dict) or set(saved) not in (set(), {"train", "val"}):
        raise ValueError("not the fingerprints of train and val")
    return {split: Fingerprint.from_text(text) for split, text in saved.items()}
