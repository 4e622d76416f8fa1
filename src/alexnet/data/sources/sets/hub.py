"""Data sets of the Hugging Face hub, and folders in its formats, through the ``datasets`` package (an extra)."""

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
# Of several columns that could be it, this is the label.
_LABELS = ("label", "labels")
# The hub is asked once whether it is there: the datasets package itself would try for 23 seconds.
_HUB_SECONDS = 10


def open_hub(text: str, *, recorded: bool = False) -> Source:
    """Open a data set that has one column of images and one of labels.

    What has been downloaded once is taken from its cache where there is no network. No code of a repository is run.

    Args:
        text: ``hf:user/name``, or ``hf:user/name:config`` where a repository has several configurations, or
            ``hf:./folder`` for a folder of Parquet files or images.
        recorded: whether a run wrote it down: of folders the whole path, so all else is of the hub.

    Raises:
        DataError: the extra is not installed, there is no such data set, or its columns cannot be told apart.
    """
    warnings: list[str] = []
    name, loaded = _find(text, warnings, recorded=recorded)
    splits = _splits(text, loaded, warnings)
    by_split: dict[str, _SplitData] = {}
    images: list[LabelledImage] = []
    known: set[str] = set()
    for given in sorted(splits):  # in the natural order of paths: test, train, val
        # The hub calls everything train where nobody has split it.
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
    """One split, of which images are given as they are stored."""

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
            raise ImageError(f"{self.name}/{path}", "the data set has none in this row")
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
    """Return what to call a data set, and its splits."""
    try:
        import datasets  # noqa: F401 - before anything else is said
    except ImportError as error:
        raise DataError(f"{text!r} needs the package datasets ({error}); pip install 'alexnet[hub]'") from error
    where = text.removeprefix(PREFIX)
    folder = expanded(where)
    is_path = where.startswith((".", "~")) or folder.is_absolute()
    if where and folder.is_dir():
        if recorded and not is_path:  # the datasets package itself would take the folder
            raise DataError(f"the folder {str(folder)!r} here hides {text} of the hub; go on from another folder")
        if not is_path:
            warnings.append(f"{text} is the folder {str(folder)!r} here, and not a set of the hub")
        return f"{PREFIX}{folder.resolve()}", _load(text, str(folder.resolve()), None)
    if is_path:
        raise DataError(f"there is no folder {where!r}; correct the path, or write hf:user/name for a set of the hub")
    repository, _, config = where.partition(":")
    offline = _offline(text, repository)
    if offline:
        warnings.append(f"{offline}; {text} is taken as it was downloaded before")
    return text, _load(text, repository, config or None, offline)


def _offline(text: str, repository: str) -> str:
    """Return why the hub cannot be asked; empty where it has the repository."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    if repository.count("/") != 1:
        raise DataError(f"{text!r} names no data set of the hub; write hf:user/name, or hf:./folder for a folder")
    try:
        HfApi().dataset_info(repository, timeout=_HUB_SECONDS)
    except HFValidationError as error:
        raise DataError(f"{text!r} names no data set of the hub: {one_line(error)}") from error
    except GatedRepoError as error:
        raise DataError(
            f"{text!r} is given to those who asked for it; ask on its page, then log in with hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise DataError(
            f"the hub has no data set {repository!r}, or it is private; correct the name, or log in with hf auth login"
        ) from error
    except HfHubHTTPError as error:
        return f"the hub does not answer ({one_line(error)})"
    except Exception as error:  # of whichever library carries the requests: each means that there is no way there
        return f"no network ({one_line(error)})"
    return ""


def _load(text: str, path: str, config: str | None, offline: str = "") -> Mapping[str, Any]:
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    try:
        datasets.config.HF_HUB_OFFLINE = before or bool(offline)
        loaded: Mapping[str, Any] = datasets.load_dataset(path, config)
        return loaded
    except Exception as error:  # a repository may hold anything
        if offline:
            raise DataError(
                f"cannot download {text!r}: {offline}; download it elsewhere and give its folder as hf:./folder"
            ) from error
        hint = f"; write {text}:NAME" if "onfig name is missing" in str(error) else ""
        raise DataError(f"cannot read {text!r}: {_reason(error)}{hint}") from error
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _check_against_folder(name: str, splits: Mapping[str, Any], images: list[LabelledImage]) -> list[str]:
    """Return what to say of a folder of images that means something else without ``hf:``.

    The datasets package knows splits by few names, takes some others for train, leaves some out, and finds classes in
    whatever folders lie right around images, be they called masks.

    Raises:
        DataError: it finds other splits, or more or fewer images in them.
    """
    folder = Path(name.removeprefix(PREFIX))
    if any(dataset.info.builder_name != "imagefolder" for dataset in splits.values()) or not folder.is_absolute():
        return []
    if any(folder.rglob("metadata.*")):  # which it reads itself
        return []
    said = [f"the classes are the folders right around the images; give {str(folder)!r} without hf: to be told others"]
    try:
        own = open_container(Folder(folder)).images
    except DataError:  # that can be understood in more than one way
        return said
    if {each.split for each in own} == {"train"}:  # which is none here too
        own = tuple(replace(each, split=None) for each in own)
    found, here = Counter(each.split for each in images), Counter(each.split for each in own)
    if found != here:
        raise DataError(
            f"{name!r} is read by the datasets package as {_counted(found)}, but holds {_counted(here)}; give "
            f"{str(folder)!r} without hf:"
        )
    return [] if Counter(map(_split_and_label, images)) == Counter(map(_split_and_label, own)) else said


def _split_and_label(image: LabelledImage) -> tuple[str | None, str]:
    return image.split, image.label


def _counted(splits: Mapping[str | None, int]) -> str:
    return ", ".join(f"{n} images {f'of {split}' if split else 'without a split'}" for split, n in splits.items())


def _splits(text: str, loaded: Mapping[str, Any], warnings: list[str]) -> dict[str, Any]:
    """Return the splits of a data set by our names; of two that mean the same, the one that is called plainly so."""
    splits: dict[str, Any] = {}
    chosen: dict[str, str] = {}
    for given in sorted(loaded, key=lambda given: given not in SPLIT_NAMES):
        split = split_of(given)
        if split is None:
            warnings.append(f"ignored the split {given!r} of {text}")
        elif split in splits:
            warnings.append(f"ignored the split {given!r} of {text}, of which {chosen[split]!r} is {split}")
        else:
            splits[split], chosen[split] = loaded[given], given
    if not splits:
        raise DataError(f"{text!r} has no train, validation or test split, only {listed(loaded)}; name one of them so")
    return splits


def _columns(text: str, features: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of the columns with images and labels."""
    import datasets

    found = words(f"{name} ({_kind(feature)})" for name, feature in features.items())
    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    if len(images) != 1:
        raise DataError(f"{text!r} needs one column of images, but has {len(images) or 'none'}; it has {found}")
    for name, feature in features.items():
        if name in _LABELS and isinstance(feature, (dict, list, datasets.List, datasets.LargeList)):
            raise DataError(
                f"{text!r} has several labels for each image: {name} is a list or an object; it has {found}"
            )
    labels = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    labels = labels or [
        name for name, feature in features.items() if "string" in _kind(feature) or "int" in _kind(feature)
    ]
    sole = labels if len(labels) == 1 else [name for name in labels if name in _LABELS]
    if len(sole) != 1:
        raise DataError(
            f"{text!r} needs one column of labels, but has {len(labels) or 'none'}; it has {found}; "
            "rename or remove columns until one is called label"
        )
    return images[0], sole[0]


def _labels(dataset: Any, column: str) -> list[str]:
    """Return each row's label; empty where it has none."""
    cells = dataset.select_columns([column])[:][column]
    names = getattr(dataset.features[column], "names", None)
    if names is None:
        return ["" if cell is None else nfc(str(cell)) for cell in cells]
    return ["" if cell is None or cell < 0 else nfc(names[cell]) for cell in cells]


def _kind(feature: Any) -> str:
    return str(getattr(feature, "dtype", type(feature).__name__.lower()))


def _reason(error: BaseException) -> str:
    """Return what is wrong, without advice on how to call functions."""
    # The datasets package wraps most errors in one that only says that there was one.
    cause = error.__cause__ if type(error).__name__ == "DatasetGenerationError" else None
    return one_line(cause or error, until="Example of usage")
