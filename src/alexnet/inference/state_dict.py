"""The one dictionary of tensors in what a file or a program holds, at whatever depth and under whatever key."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, from_numpy

from alexnet.data.source import listed
from alexnet.errors import ArtifactError, nearest

# What the outermost dictionary is called; those in it by their keys, joined by dots.
_TOP = "."
# What torch's optimizers save has both; its tensors are as large as weights, and are none.
_OF_OPTIMIZERS = {"state", "param_groups"}


@dataclass(frozen=True)
class _Found:
    """A dictionary of weights.

    Attributes:
        tensors: by name.
        is_pure: whether it holds nothing else.
        identity: of the dictionary, which may stand in several places.
    """

    tensors: dict[str, Tensor]
    is_pure: bool
    identity: int


def find_tensors(content: object, where: str, key: str | None = None) -> dict[str, Tensor]:
    """Return the weights by name that lie somewhere in dictionaries and lists; NumPy's arrays become tensors.

    Those with one weight of two dimensions at least are looked for; dictionaries of tensors alone go before others, as
    those with an epoch too. Of optimizers' states nothing is taken.

    Args:
        content: what is searched.
        where: what errors call it.
        key: which of several: the keys that lead to it, joined by dots.

    Raises:
        ArtifactError: there is no such dictionary, or there are several and no key.
    """
    found = dict(_dictionaries(content))
    if not found:
        raise ArtifactError(f"{where!r} holds no tensors by name; save model.state_dict()")
    if key is not None:
        if key not in found:
            way_out = nearest(key, found) if len(found) > 1 else "; there is only one: leave the key out"
            raise ArtifactError(f"{where!r} has no dictionary of weights under {key!r}{way_out}")
        return found[key].tensors
    pure = {name: each for name, each in found.items() if each.is_pure} or found
    places: dict[int, str] = {}
    for name, each in pure.items():
        places.setdefault(each.identity, name)
    names = list(places.values())
    if len(names) > 1:
        raise ArtifactError(
            f"{where!r} holds several dictionaries of weights: {listed(names)}; "
            f"choose one, as with --init-key {names[0]} (key={names[0]!r})"
        )
    return pure[names[0]].tensors


def _dictionaries(content: object) -> Iterator[tuple[str, _Found]]:
    """Yield what each dictionary of weights is called, with its tensors, the outermost first."""
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
                yield name, _Found(taken, len(taken) == len(value), id(value))
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
    # torch takes neither other machines' order of bytes nor arrays that run backwards.
    return from_numpy(value.astype(value.dtype.newbyteorder("="), order="C", copy=False))
