"""Check images before training: which are unusable, and what would spoil training or evaluation."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from alexnet.data.duplicates import (
    LEAST_SIDE,
    duplicates,
    near_duplicates,
    perceptual_hash,
    pixel_digest,
    similar_groups,
)
from alexnet.data.findings import Finding, Report, in_order
from alexnet.data.parallel import Track, in_threads, untracked
from alexnet.data.source import SPLITS, Content, LabelledImage, Source
from alexnet.data.split import ImageIndex
from alexnet.data.store.catalogue import or_reason
from alexnet.errors import listed, shown
from alexnet.files.paths import natural_key
from alexnet.images.choices import MAX_PIXELS
from alexnet.images.decoding import read
from alexnet.images.signatures import N_BEGINNING, ending_of, kind_of

# With two classes, ten to one, always predicting the larger is right 91% of the time: top-1 says little.
IMBALANCE = 10
# The column of counts of images without a split.
UNSPLIT = "all"
USUAL_MODES = ("RGB", "RGBA", "L", "P")
_MODE_WORDS = {"CMYK": "inks for print", "1": "black and white", "LA": "grey with transparency", "LAB": "CIE L*a*b*"}
_ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "ICO": (".ico",),
    "TGA": (".tga",),
    "HEIC": (".heic", ".heif", ".hif"),
}
_FORMAT_OF = {ending: name for name, endings in _ENDINGS.items() for ending in endings}


@dataclass(frozen=True, slots=True)
class _ImageInfo:
    """What is kept of a decoded image: ``format`` and ``mode`` are Pillow's, ``longest_side`` is in pixels."""

    format: str
    mode: str
    longest_side: int
    pixel_digest: bytes
    perceptual_hash: int | None

    @property
    def burst_hash(self) -> int | None:
        return self.perceptual_hash if self.longest_side >= LEAST_SIDE else None


def check(source: Source, *, max_pixels: int = MAX_PIXELS, track: Track = untracked) -> Report:
    """Read every file of a source in full and report on it. Nothing is written anywhere.

    Args:
        source: the images.
        max_pixels: larger images are unusable, as in training.
        track: how progress is shown.
    """
    paths = [image.path for image in source.images]
    reading = in_threads(source.reader, paths, partial(_inspect, max_pixels))
    results = dict(track(reading, len(paths), "checking"))
    # The beginning is enough to recognise videos and the like.
    kinds = dict(in_threads(source.reader, source.others, _kind, N_BEGINNING))
    images = {image.path: image for image in source.images}
    infos = {path: each for path in images if isinstance(each := results[path], _ImageInfo)}
    usable = [images[path] for path in infos]
    unreadable = [(path, str(results[path])) for path in images if path not in infos]
    findings = _not_images(kinds)
    findings += _duplicates(usable, lambda path: infos[path].pixel_digest)
    findings += [*_near_duplicates(usable, infos), *_similar_groups(usable, infos)]
    findings += [*_wrong_endings(infos), *_unusual_modes(infos)]
    classes = _count(source, usable)
    findings += [*_one_class(usable), *_empty_classes(classes), *_one_image_classes(usable), *_imbalance(usable)]
    findings += _missing_classes(classes)
    unusable = tuple(sorted(unreadable, key=lambda each: natural_key(each[0])))
    return Report(source.name, len(usable), unusable, in_order(findings), classes, images)


def check_prepared(source: Source, index: ImageIndex) -> tuple[Finding, ...]:
    """Return what is known of prepared images without reading a file: duplicates, and imbalance of classes.

    Near duplicates in two splits are counted and one pair is named, as a video in two splits has thousands. Classes
    that are empty, or missing from a split, are among the source's warnings.
    """
    usable = [image for image in source.images if image.path in index.rows]
    pairs = list(near_duplicates(usable, index.pixel_digest, index.burst_hash))
    nearest = [_near_duplicate(*min(pairs, key=lambda pair: pair[2]), n_more=len(pairs) - 1)] if pairs else []
    findings = [*_duplicates(usable, index.pixel_digest), *nearest, *_one_image_classes(usable), *_imbalance(usable)]
    return in_order(findings)


def _inspect(max_pixels: int, path: str, fetch: Callable[[], Content]) -> _ImageInfo | str:
    """Return what an image is, or why it cannot be read."""
    return or_reason(partial(_decode, max_pixels, path, fetch))


def _decode(max_pixels: int, path: str, fetch: Callable[[], Content]) -> _ImageInfo:
    decoded = read(fetch(), max_pixels=max_pixels, where=path)
    # An MPO is a JPEG file with more JPEGs behind it, from some cameras; a DIB is a BMP without its first header.
    name = {"MPO": "JPEG", "DIB": "BMP", "HEIF": "HEIC"}.get(decoded.format, decoded.format)
    pixels = decoded.pixels
    return _ImageInfo(name, decoded.mode, max(decoded.sides), pixel_digest(pixels), perceptual_hash(pixels))


def _kind(path: str, fetch: Callable[[], Content]) -> str:
    """Return the kind of a file that is not an image, in the plural ("videos (MP4)"); empty where there is no name."""
    content = or_reason(fetch)
    kind = kind_of(path, content[:N_BEGINNING]) if isinstance(content, bytes) else None
    return kind.plural if kind else ""


def _not_images(kinds: Mapping[str, str]) -> list[Finding]:
    paths: dict[str, list[str]] = defaultdict(list)
    for path, plural in kinds.items():
        paths[plural].append(path)
    what = {plural: f"{plural}, not images" if plural else "not images" for plural in paths}
    return [Finding("not_images", what[plural], tuple(paths[plural])) for plural in sorted(paths)]


def _duplicates(images: Iterable[LabelledImage], digest_of: Callable[[str], object]) -> list[Finding]:
    findings = []
    for group in duplicates(images, digest_of):
        paths = tuple(image.path for image in group)
        labels = tuple(sorted({image.label for image in group}, key=natural_key))
        present = {image.split for image in group}
        splits = tuple(split for split in SPLITS if split in present)
        if len(labels) > 1:
            what = f"the same image, labelled {listed(labels)}"
            findings.append(Finding("two_labels", what, paths, labels, splits))
        if len(splits) > 1:
            what = f"the same image, in {' and '.join(splits)}"
            findings.append(Finding("duplicates_across_splits", what, paths, labels, splits))
        if len(labels) == 1 and len(present) == 1:
            findings.append(Finding("duplicates", f"the same image, {len(paths)} times", paths, labels, splits))
    return findings


def _near_duplicates(images: Iterable[LabelledImage], infos: Mapping[str, _ImageInfo]) -> Iterator[Finding]:
    pairs = near_duplicates(images, lambda path: infos[path].pixel_digest, lambda path: infos[path].perceptual_hash)
    for one, other, distance in sorted(pairs, key=lambda pair: pair[2]):
        yield _near_duplicate(one, other, distance)


def _near_duplicate(one: LabelledImage, other: LabelledImage, distance: int, n_more: int = 0) -> Finding:
    splits = (str(one.split), str(other.split))
    labels = tuple(dict.fromkeys((one.label, other.label)))
    more = f", and {n_more} more {'pair' if n_more == 1 else 'pairs'} like this" if n_more else ""
    what = f"nearly the same image, in {' and '.join(splits)} (distance {distance}){more}"
    return Finding("near_duplicates_across_splits", what, (one.path, other.path), labels, splits, distance)


def _similar_groups(images: Iterable[LabelledImage], infos: Mapping[str, _ImageInfo]) -> Iterator[Finding]:
    """Find groups of similar images without a split, across labels; of exact duplicates only the first is compared."""
    firsts = {infos[image.path].pixel_digest: image for image in reversed(list(images)) if image.split is None}
    for group in similar_groups(reversed(firsts.values()), lambda path: infos[path].burst_hash):
        if len(group) > 1:
            labels = tuple(sorted({image.label for image in group}, key=natural_key))
            what = f"{len(group)} images that look alike{f', labelled {listed(labels)}' if len(labels) > 1 else ''}"
            yield Finding("near_duplicates", what, tuple(image.path for image in group), labels)


def _wrong_endings(infos: Mapping[str, _ImageInfo]) -> Iterator[Finding]:
    paths: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path, info in infos.items():
        named = _named(path)
        if info.format and named != f"named {info.format}":  # a source without files has no formats
            paths[named, info.format].append(path)
    for (named, name), misnamed in paths.items():
        yield Finding("wrong_ending", f"{named}, but {name} inside", tuple(misnamed))


def _named(path: str) -> str:
    """Return the words for an ending: "named JPEG", "named .dat", "no ending"."""
    ending = ending_of(path)
    return f"named {_FORMAT_OF.get(ending, ending)}" if ending else "no ending"


def _unusual_modes(infos: Mapping[str, _ImageInfo]) -> Iterator[Finding]:
    paths: dict[str, list[str]] = defaultdict(list)
    for path, info in infos.items():
        if info.mode not in USUAL_MODES:
            paths[info.mode].append(path)
    for mode, unusual in paths.items():
        words = "deep grey" if mode[0] in "IF" else _MODE_WORDS.get(mode)
        yield Finding("unusual_mode", f"stored as {mode}{f' ({words})' if words else ''}", tuple(unusual))


def _count(source: Source, images: Iterable[LabelledImage]) -> dict[str, dict[str, int]]:
    counts = Counter((image.label, image.split or UNSPLIT) for image in images)
    present = {image.split for image in source.images}
    splits = [split for split in SPLITS if split in present] or [UNSPLIT]
    return {label: {split: counts[label, split] for split in splits} for label in source.classes}


def _one_class(images: Iterable[LabelledImage]) -> Iterator[Finding]:
    labels = {image.label for image in images}
    if len(labels) == 1:
        yield Finding("one_class", f"all images are of {listed(labels)}", labels=tuple(labels))


def _empty_classes(classes: Mapping[str, Mapping[str, int]]) -> Iterator[Finding]:
    empty = tuple(label for label, counts in classes.items() if not any(counts.values()))
    if empty:
        yield Finding("empty_class", f"no usable images of {listed(empty)}", labels=empty)


def _one_image_classes(images: Iterable[LabelledImage]) -> Iterator[Finding]:
    by_label: dict[str, list[str]] = defaultdict(list)
    for image in images:
        by_label[image.label].append(image.path)
    single = {label: paths[0] for label, paths in by_label.items() if len(paths) == 1}
    if single:
        what = f"the only image of {listed(single)}"
        yield Finding("one_image_class", what, tuple(single.values()), tuple(single))


def _imbalance(images: Iterable[LabelledImage]) -> Iterator[Finding]:
    """Compare the classes of ``train``; ``val`` and ``test`` may be unbalanced. Without splits, all images count."""
    counts = Counter(image.label for image in images if image.split in ("train", None)).most_common()
    if counts and counts[0][1] > IMBALANCE * counts[-1][1]:
        (large, n_large), (small, n_small) = counts[0], counts[-1]
        what = f"{n_large} images of {shown(large)} to train on, but {n_small} of {shown(small)}"
        yield Finding("imbalance", what, labels=(large, small))


def _missing_classes(classes: Mapping[str, Mapping[str, int]]) -> Iterator[Finding]:
    present = {label: counts for label, counts in classes.items() if any(counts.values())}
    splits = next(iter(classes.values()), {})
    for split in splits:
        missing = tuple(label for label, counts in present.items() if not counts[split])
        if not missing:
            continue
        unlearned = ", so it cannot be learned" if split == "train" else ""
        yield Finding("classes_differ", f"no {split} images of {listed(missing)}{unlearned}", (), missing, (split,))
