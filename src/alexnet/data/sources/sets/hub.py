"""Data sets of the Hugging Face hub, and folders in its formats, read by the ``datasets`` package (an extra)."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from alexnet.data.source import SPLIT_NAMES, Content, LabelledImage, Source, describe
from alexnet.data.sources.folders.folder import Folder
from alexnet.data.sources.folders.layout import open_container
from alexnet.data.sources.vocabulary import nfc, split_of
from alexnet.errors import DataError, ImageError, listed, one_line, words
from alexnet.files.paths import expanded, natural_key
from alexnet.images.decoding import fault

PREFIX = "hf:"
# These names decide if several columns could be the label.
_LABELS = ("label", "labels")
# The timeout of one request to see whether the hub is reachable. The datasets package itself tries for 23 seconds.
_HUB_SECONDS = 10


def open_hub(text: str, *, recorded: bool = False) -> Source:
    """Open a data set that has one column of images and one of labels.

    Without a network, the cache of earlier downloads is used. No code from a repository is run.

    Args:
        text: ``hf:user/name``, or ``hf:user/name:config`` if a repository has several configurations, or
            ``hf:./folder`` for a folder of Parquet files or images.
        recorded: whether ``text`` comes from a run's records. These hold full paths for folders, so any other name is
            on the hub.

    Raises:
        DataError: the extra is not installed, there is no such data set, or its columns are ambiguous.
    """
    warnings: list[str] = []
    name, loaded = _find(text, warnings, recorded=recorded)
    splits = _splits(text, loaded, warnings)
    by_split: dict[str, _SplitData] = {}
    images: list[LabelledImage] = []
    known: set[str] = set()
    for given in sorted(splits):  # in the natural order of paths: test, train, val
        # On the hub, a data set without splits has the one split train.
        split = None if set(splits) == {"train"} else given
        image_column, label_column = _columns(text, splits[given].features)
        labels = _labels(splits[given], label_column)
        known.update(map(nfc, getattr(splits[given].features[label_column], "names", ())))
        prefix, width = f"{split}/" if split else "", max(5, len(str(len(labels) - 1)))
        labelled = [LabelledImage(f"{prefix}{i:0{width}d}", label, split) for i, label in enumerate(labels) if label]
        if len(labelled) < len(labels):
            warnings.append(f"left out {len(labels) - len(labelled)} images of {given} that have no label")
        images += labelled
        by_split[split or ""] = _SplitData.of(splits[given], image_column)
    if not images:
        raise DataError(f"{text!r} has no images with a label; a classifier needs some")
    classes = tuple(sorted({image.label for image in images}, key=natural_key))
    empty = sorted(known.difference(classes), key=natural_key)
    if empty:
        warnings.append(f"left out classes that have no images: {listed(empty)}")
    warnings += [*_check_against_folder(name, splits, images), *describe(images, classes)]
    return Source(name, tuple(images), classes, _Reader(name, by_split), warnings=tuple(warnings))


@dataclass(frozen=True)
class _SplitData:
    """The images of one split, encoded as they are stored."""

    dataset: Any
    column: str
    fingerprint: str

    @classmethod
    def of(cls, dataset: Any, column: str) -> "_SplitData":
        import datasets

        stored = dataset.select_columns([column]).cast_column(column, datasets.Image(decode=False))
        return cls(stored, column, dataset._fingerprint)


@dataclass(frozen=True)
class _Reader:
    name: str
    by_split: Mapping[str, _SplitData]

    def stamp(self, path: str) -> str:
        return self._locate(path)[0].fingerprint

    def size(self, path: str) -> int:
        return 0

    def each(self, paths: Iterable[str], n_bytes: int = -1) -> Iterator[tuple[str, Callable[[], Content]]]:
        for path in paths:
            yield path, partial(self._content, path)

    def _content(self, path: str) -> bytes:
        data, number = self._locate(path)
        cell = data.dataset[number][data.column]
        if cell is None:
            raise ImageError(f"{self.name}/{path}", "this row has no image")
        if cell["bytes"] is not None:
            return bytes(cell["bytes"])
        try:
            return Path(cell["path"]).read_bytes()
        except OSError as error:
            raise ImageError(str(cell["path"]), fault(error)) from error

    def _locate(self, path: str) -> tuple[_SplitData, int]:
        split, _, number = path.rpartition("/")
        return self.by_split[split], int(number)


def _find(text: str, warnings: list[str], *, recorded: bool) -> tuple[str, Mapping[str, Any]]:
    """Return the name of a data set for its source, and its splits."""
    try:
        import datasets  # noqa: F401 - before any other error
    except ImportError as error:
        raise DataError(f"{text!r} needs the package datasets ({error}); pip install 'alexnet[hub]'") from error
    where = text.removeprefix(PREFIX)
    folder = expanded(where)
    is_path = where.startswith((".", "~")) or folder.is_absolute()
    if where and folder.is_dir():
        if recorded and not is_path:  # the datasets package would read the folder
            raise DataError(f"the folder {str(folder)!r} here hides {text} on the hub; resume in another folder")
        if not is_path:
            warnings.append(f"{text} is the folder {str(folder)!r} here, not a data set on the hub")
        return f"{PREFIX}{folder.resolve()}", _load(text, str(folder.resolve()), None)
    if is_path:
        raise DataError(
            f"there is no folder {where!r}; correct the path, or write hf:user/name for a data set on the hub"
        )
    repository, _, config = where.partition(":")
    offline = _offline(text, repository)
    if offline:
        warnings.append(f"{offline}; using the earlier download of {text}")
    return text, _load(text, repository, config or None, offline)


def _offline(text: str, repository: str) -> str:
    """Return why the hub cannot be reached; empty if it has the repository."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    if repository.count("/") != 1:
        raise DataError(f"{text!r} is not a data set's name; write hf:user/name, or hf:./folder for a folder")
    try:
        HfApi().dataset_info(repository, timeout=_HUB_SECONDS)
    except HFValidationError as error:
        raise DataError(f"{text!r} is not a data set's name: {one_line(error)}") from error
    except GatedRepoError as error:
        raise DataError(
            f"{text!r} is a gated data set: request access on its page, then log in with hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise DataError(
            f"the hub has no data set {repository!r}, or it is private; correct the name, or log in with hf auth login"
        ) from error
    except HfHubHTTPError as error:
        return f"the hub reports an error ({one_line(error)})"
    except Exception as error:  # any error of the HTTP library means that the hub cannot be reached
        return f"no network ({one_line(error)})"
    return ""


def _load(text: str, path: str, config: str | None, offline: str = "") -> Mapping[str, Any]:
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    try:
        datasets.config.HF_HUB_OFFLINE = before or bool(offline)
        loaded: Mapping[str, Any] = datasets.load_dataset(path, config)
        return loaded
    except Exception as error:  # a repository may contain anything
        if offline:
            raise DataError(
                f"cannot download {text!r}: {offline}; download it elsewhere and give its folder as hf:./folder"
            ) from error
        hint = f"; write {text}:NAME" if "onfig name is missing" in str(error) else ""
        raise DataError(f"cannot read {text!r}: {_reason(error)}{hint}") from error
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _check_against_folder(name: str, splits: Mapping[str, Any], images: list[LabelledImage]) -> list[str]:
    """Return a warning if a folder of images has other classes without ``hf:``.

    The datasets package knows few names of splits: it reads other names as train or ignores them. It takes the folder
    directly around an image as its class, even if that is named masks.

    Raises:
        DataError: it finds other splits, or another number of images in them.
    """
    folder = Path(name.removeprefix(PREFIX))
    if any(dataset.info.builder_name != "imagefolder" for dataset in splits.values()) or not folder.is_absolute():
        return []
    if any(folder.rglob("metadata.*")):  # the datasets package reads labels from it
        return []
    warning = [
        f"the classes are the folders directly around images; for other classes give {str(folder)!r} without hf:"
    ]
    try:
        own = open_container(Folder(folder)).images
    except DataError:  # the folders are ambiguous
        return warning
    if {each.split for each in own} == {"train"}:  # a lone train is no split, as above
        own = tuple(replace(each, split=None) for each in own)
    found, here = Counter(each.split for each in images), Counter(each.split for each in own)
    if found != here:
        raise DataError(
            f"the datasets package reads {name!r} as {_counted(found)}, but it holds {_counted(here)}; give "
            f"{str(folder)!r} without hf:"
        )
    return [] if Counter(map(_split_and_label, images)) == Counter(map(_split_and_label, own)) else warning


def _split_and_label(image: LabelledImage) -> tuple[str | None, str]:
    return image.split, image.label


def _counted(splits: Mapping[str | None, int]) -> str:
    return ", ".join(f"{n} images {f'of {split}' if split else 'without a split'}" for split, n in splits.items())


def _splits(text: str, loaded: Mapping[str, Any], warnings: list[str]) -> dict[str, Any]:
    """Return the splits of a data set by our names; of two with the same meaning, the one with the plain name."""
    splits: dict[str, Any] = {}
    chosen: dict[str, str] = {}
    for given in sorted(loaded, key=lambda given: given not in SPLIT_NAMES):
        split = split_of(given)
        if split is None:
            warnings.append(f"ignored the split {given!r} of {text}")
        elif split in splits:
            warnings.append(f"ignored the split {given!r} of {text}: {chosen[split]!r} is its {split}")
        else:
            splits[split], chosen[split] = loaded[given], given
    if not splits:
        raise DataError(f"{text!r} has no train, validation or test split, only {listed(loaded)}; rename one of them")
    return splits


def _columns(text: str, features: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of the columns with images and labels."""
    import datasets

    found = words(f"{name} ({_kind(feature)})" for name, feature in features.items())
    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    if len(images) != 1:
        raise DataError(f"{text!r} needs one column of images, but has {len(images) or 'none'}; its columns: {found}")
    for name, feature in features.items():
        if name in _LABELS and isinstance(feature, (dict, list, datasets.List, datasets.LargeList)):
            raise DataError(
                f"{text!r} has several labels for each image: {name} is a list or an object; its columns: {found}"
            )
    labels = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    labels = labels or [
        name for name, feature in features.items() if "string" in _kind(feature) or "int" in _kind(feature)
    ]
    sole = labels if len(labels) == 1 else [name for name in labels if name in _LABELS]
    if len(sole) != 1:
        raise DataError(
            f"{text!r} needs one column of labels, but has {len(labels) or 'none'}; its columns: {found}; "
            "name one of them label"
        )
    return images[0], sole[0]


def _labels(dataset: Any, column: str) -> list[str]:
    """Return the label of each row; empty if it has none."""
    cells = dataset.select_columns([column])[:][column]
    names = getattr(dataset.features[column], "names", None)
    if names is None:
        return ["" if cell is None else nfc(str(cell)) for cell in cells]
    return ["" if cell is None or cell < 0 else nfc(names[cell]) for cell in cells]


def _kind(feature: Any) -> str:
    return str(getattr(feature, "dtype", type(feature).__name__.lower()))


def _reason(error: BaseException) -> str:
    """Return what is wrong, without advice on how to call functions."""
    # The datasets package wraps most errors in one that says only that an error occurred.
    cause = error.__cause__ if type(error).__name__ == "DatasetGenerationError" else None
    return one_line(cause or error, until="Example of usage")
