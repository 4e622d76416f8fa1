"""The one dictionary of tensors in what a file or a program holds, at whatever depth and under whatever key."""

import shlex
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, from_numpy

from alexnet.errors import ArtifactError, listed, nearest, shown

# What the outermost dictionary is called; those in it by their keys, joined by dots.
_TOP = "."
# What torch's optimizers save has both; its tensors are as large as weights, and are none.
_OF_OPTIMIZERS = {"state", "param_groups"}
# A longer name is not repeated in an example of how to choose it.
_LONG_NAME = 40


@dataclass(frozen=True)
class _Found:
    """A dictionary of weights.

    Attributes:
        name: the keys that lead to it, joined by dots.
        tensors: by name.
        is_pure: whether it holds nothing else.
        identity: of the dictionary, which may stand in several places.
    """

    name: str
    tensors: dict[str, Tensor]
    is_pure: bool
    identity: int

    @property
    def has_convolutions(self) -> bool:
        """Whether it may hold a network's own weights: what is kept beside them has two dimensions at most."""
        return any(each.ndim > 2 for each in self.tensors.values())


def find_tensors(content: object, where: str, key: str | None = None) -> dict[str, Tensor]:
    """Return the weights by name that lie somewhere in dictionaries and lists; NumPy's arrays become tensors.

    Those with one weight of two dimensions at least are looked for. Dictionaries of tensors alone go before those with
    an epoch too, unless these hold weights of more dimensions: then either may be the network, and the other its
    momentum or average. Of optimizers' states nothing is taken.

    Args:
        content: what is searched.
        where: what errors call it.
        key: which of several: the keys that lead to it, joined by dots.

    Raises:
        ArtifactError: there is no such dictionary, or there are several and no key, or several under that key.
    """
    found = list(_dictionaries(content))
    if not found:
        raise ArtifactError(f"{where!r} holds no tensors by name; save model.state_dict()")
    if key is not None:
        return _under(key, found, where).tensors
    pure = [each for each in found if each.is_pure]
    rivals = [each for each in found if each.is_pure or each.has_convolutions] if pure else found
    first = {each.identity: each for each in reversed(rivals)}
    if len(first) > 1:
        names = list(dict.fromkeys(each.name for each in rivals if each is first[each.identity]))
        raise ArtifactError(
            f"{where!r} holds several dictionaries of weights: {listed(names)}; {_how_to_choose(names[0])}"
        )
    return rivals[0].tensors


def _under(key: str, found: list[_Found], where: str) -> _Found:
    """Return the dictionary under a key.

    Raises:
        ArtifactError: there is none, or several: keys may hold dots, and be numbers or text.
    """
    alike = {each.identity: each for each in found if each.name == key}
    if len(alike) > 1:
        raise ArtifactError(
            f"{where!r} holds {len(alike)} dictionaries of weights under {shown(key)}; save or give one alone"
        )
    if not alike:
        names = {each.name for each in found}
        way_out = nearest(key, names) if len(found) > 1 else "; there is only one: leave the key out"
        raise ArtifactError(f"{where!r} has no dictionary of weights under {shown(key)}{way_out}")
    return next(iter(alike.values()))


def _how_to_choose(name: str) -> str:
    if len(name) > _LONG_NAME:
        return "choose one with --init-key (key=)"
    return f"choose one, as with --init-key {shlex.quote(name)} (key={name!r})"


def _dictionaries(content: object) -> Iterator[_Found]:
    """Yield each dictionary of weights, the outermost first."""
    # Not recursive, and no dictionary is looked into twice: files may be nested deeply, and in circles.
    queue, seen = deque([(_TOP, content)]), set()
    while queue:
        name, value = queue.popleft()
        if isinstance(value, Mapping):
            if value.keys() >= _OF_OPTIMIZERS:
                continue
            tensors = {inner: each for inner, each in value.items() if isinstance(inner, str) and _is_tensor(each)}
            if any(each.ndim > 1 for each in tensors.values()):
                taken = {inner: _as_tensor(each) for inner, each in tensors.items()}
                yield _Found(name, taken, len(taken) == len(value), id(value))
            inside = list(value.items())
        elif isinstance(value, list | tuple):
            inside = list(enumerate(value))
        else:
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        prefix = "" if name == _TOP else f"{name}."
        queue.extend((f"{prefix}{key}", each) for key, each in inside if isinstance(each, Mapping | list | tuple))


def _is_tensor(value: object) -> bool:
    return isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind in "fiub")


def _as_tensor(value: Tensor | np.ndarray) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    if value.dtype.kind == "f" and value.itemsize > 8:  # a C compiler's long double
        value = value.astype(np.float64)
    # torch takes neither other machines' order of bytes nor arrays that run backwards.
    return from_numpy(value.astype(value.dtype.newbyteorder("="), order="C", copy=False))
