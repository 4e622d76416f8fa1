"""Find the dictionary of tensors in a checkpoint, at any depth and under any key."""

import shlex
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, from_numpy

from alexnet.errors import ArtifactError, listed, nearest, shown

# The name of the outermost dictionary. Those inside are named by their keys, joined by dots.
_TOP = "."
# A dictionary with both keys is the state of a torch optimizer. Its tensors are not weights, though as large.
_OPTIMIZER_KEYS = {"state", "param_groups"}
# A longer name is not repeated in the example of how to choose it.
_LONG_NAME = 40


@dataclass(frozen=True)
class _Found:
    """A dictionary of weights.

    Attributes:
        name: the keys that lead to it, joined by dots.
        tensors: its tensors by name.
        is_pure: whether it holds nothing else.
        identity: the ``id`` of the dictionary, which may appear in several places.
    """

    name: str
    tensors: dict[str, Tensor]
    is_pure: bool
    identity: int

    @property
    def has_convolutions(self) -> bool:
        """Whether it may hold the weights of a network: other saved tensors have two dimensions at most."""
        return any(each.ndim > 2 for each in self.tensors.values())


def find_tensors(content: object, where: str, key: str | None = None) -> dict[str, Tensor]:
    """Return the weights by name from nested dictionaries and lists. NumPy arrays become tensors.

    A dictionary counts if one of its tensors has two dimensions or more. Dictionaries that hold tensors only come
    before mixed ones (with an epoch, say), unless a mixed one holds convolutions: then either may be the network, and
    the other its momentum or average. The states of optimizers are skipped.

    Args:
        content: what to search.
        where: its name in errors.
        key: which one of several: the keys that lead to it, joined by dots.

    Raises:
        ArtifactError: there is no such dictionary, or there are several and no key, or several under that key.
    """
    found = list(_dictionaries(content))
    if not found:
        raise ArtifactError(f"{where!r} holds no tensors by name; save model.state_dict()")
    if key is not None:
        return _by_key(key, found, where).tensors
    pure = [each for each in found if each.is_pure]
    rivals = [each for each in found if each.is_pure or each.has_convolutions] if pure else found
    first = {each.identity: each for each in reversed(rivals)}
    if len(first) > 1:
        names = list(dict.fromkeys(each.name for each in rivals if each is first[each.identity]))
        raise ArtifactError(
            f"{where!r} holds several dictionaries of weights: {listed(names)}; {_how_to_choose(names[0])}"
        )
    return rivals[0].tensors


def _by_key(key: str, found: list[_Found], where: str) -> _Found:
    """Return the dictionary under a key.

    Raises:
        ArtifactError: there is none; or there are several, since keys may hold dots, and be numbers or text.
    """
    alike = {each.identity: each for each in found if each.name == key}
    if len(alike) > 1:
        raise ArtifactError(
            f"{where!r} holds {len(alike)} dictionaries of weights under {shown(key)}; save or give only one"
        )
    if not alike:
        names = {each.name for each in found}
        advice = nearest(key, names) if len(found) > 1 else "; there is only one: leave the key out"
        raise ArtifactError(f"{where!r} has no dictionary of weights under {shown(key)}{advice}")
    return next(iter(alike.values()))


def _how_to_choose(name: str) -> str:
    if len(name) > _LONG_NAME:
        return "choose one with --init-key (key=)"
    return f"choose one, as with --init-key {shlex.quote(name)} (key={name!r})"


def _dictionaries(content: object) -> Iterator[_Found]:
    """Yield each dictionary of weights, the outermost first."""
    # Not recursive, and nothing is searched twice: checkpoints may be nested deeply or in circles.
    queue, seen = deque([(_TOP, content)]), set()
    while queue:
        name, value = queue.popleft()
        if isinstance(value, Mapping):
            if value.keys() >= _OPTIMIZER_KEYS:
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
    if value.dtype.kind == "f" and value.itemsize > 8:  # long double
        value = value.astype(np.float64)
    # torch accepts neither a foreign byte order nor negative strides.
    return from_numpy(value.astype(value.dtype.newbyteorder("="), order="C", copy=False))
