"""Look before you train: which images cannot be used, and what would spoil training or judging."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from alexnet.data.duplicates import LEAST_SIDE, alike, copies, look, near_copies, perceptual_hash
from alexnet.data.findings import Finding, Report, in_order
from alexnet.data.parallel import Track, in_threads, untracked
from alexnet.data.source import SPLITS, Content, LabelledImage, Source
from alexnet.data.split import Identities
from alexnet.data.store.catalogue import or_reason
from alexnet.errors import listed, shown
from alexnet.files.paths import natural_key
from alexnet.images.choices import MAX_PIXELS
from alexnet.images.decoding import read
from alexnet.images.signatures import N_BEGINNING, ending_of, kind_of

# Of two classes of ten to one, always answering the larger is right 91% of the time: top-1 no longer says much.
IMBALANCE = 10
# Where images are counted that are in no split.
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
class _Seen:
    """What is kept of an image: the file's format, mode and longest side, what it shows, and what it looks like."""

    format: str
    mode: str
    longest_side: int
    look: bytes
    hash: int | None

    @property
    def burst_hash(self) -> int | None:
        return self.hash if self.longest_side >= LEAST_SIDE else None


def check(source: Source, *, max_pixels: int = MAX_PIXELS, track: Track = untracked) -> Report:
    """Read every file of a source in full and report on it. Nothing is written, to the source or anywhere else.

    Args:
        source: the images.
        max_pixels: larger images are unusable, as in training.
        track: how progress is shown.
    """
    paths = [image.path for image in source.images]
    reading = in_threads(source.reader, paths, partial(_see, max_pixels))
    seen = dict(track(reading, len(paths), "checking"))
    # Of films and the like, the beginning says enough.
    kinds = dict(in_threads(source.reader, source.others, _plural, N_BEGINNING))
    images = {image.path: image for image in source.images}
    good = {path: each for path in images if isinstance(each := seen[path], _Seen)}
    usable = [images[path] for path in good]
    unreadable = [(path, str(seen[path])) for path in images if path not in good]
    findings = _strangers(kinds)
    findings += _copies(usable, lambda path: good[path].look)
    findings += [*_near_copies(usable, good), *_alike(usable, good)]
    findings += [*_wrong_endings(good), *_unusual_modes(good)]
    classes = _count(source, usable)
    findings += [*_alone(usable), *_empty(classes), *_lonely(usable), *_imbalance(usable), *_differing(classes)]
    unusable = tuple(sorted(unreadable, key=lambda each: natural_key(each[0])))
    return Report(source.name, len(usable), unusable, in_order(findings), classes, images)


def quick(source: Source, identities: Identities) -> tuple[Finding, ...]:
    """Return what can be told from prepared images without reading any: copies, and what is odd about classes.

    Near copies in two splits are counted and one pair is named, as a film in two splits has thousands. Classes that are
    empty, or missing from a split, are among the source's warnings.
    """
    usable = [image for image in source.images if image.path in identities.rows]
    near = list(near_copies(usable, identities.look, identities.hash))
    nearest = [_near(*min(near, key=lambda pair: pair[2]), n_more=len(near) - 1)] if near else []
    return in_order([*_copies(usable, identities.look), *nearest, *_lonely(usable), *_imbalance(usable)])


def _see(max_pixels: int, path: str, fetch: Callable[[], Content]) -> _Seen | str:
    return or_reason(partial(_decoded, max_pixels, path, fetch))


def _decoded(max_pixels: int, path: str, fetch: Callable[[], Content]) -> _Seen:
    decoded = read(fetch(), max_pixels=max_pixels, where=path)
    # Some cameras put several JPEGs into what they call one; DIB is a BMP without its first header.
    name = {"MPO": "JPEG", "DIB": "BMP", "HEIF": "HEIC"}.get(decoded.format, decoded.format)
    return _Seen(name, decoded.mode, max(decoded.sides), look(decoded.pixels), perceptual_hash(decoded.pixels))


def _plural(path: str, fetch: Callable[[], Content]) -> str:
    """Return what several files of this kind are called; empty where nobody needs to be told."""
    content = or_reason(fetch)
    kind = kind_of(path, content[:N_BEGINNING]) if isinstance(content, bytes) else None
    return kind.plural if kind else ""


def _strangers(kinds: Mapping[str, str]) -> list[Finding]:
    paths: dict[str, list[str]] = defaultdict(list)
    for path, plural in kinds.items():
        paths[plural].append(path)
    what = {plural: f"{plural}, not images" if plural else "not images" for plural in paths}
    return [Finding("not_images", what[plural], tuple(paths[plural])) for plural in sorted(paths)]


def _copies(images: Iterable[LabelledImage], look_of: Callable[[str], object]) -> list[Finding]:
    findings = []
    for group in copies(images, look_of):
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


def _near_copies(images: Iterable[LabelledImage], seen: Mapping[str, _Seen]) -> Iterator[Finding]:
    near = near_copies(images, lambda path: seen[path].look, lambda path: seen[path].hash)
    for one, other, distance in sorted(near, key=lambda pair: pair[2]):
        yield _near(one, other, distance)


def _near(one: LabelledImage, other: LabelledImage, distance: int, n_more: int = 0) -> Finding:
    splits = (str(one.split), str(other.split))
    labels = tuple(dict.fromkeys((one.label, other.label)))
    more = f", and {n_more} more {'pair' if n_more == 1 else 'pairs'} like this" if n_more else ""
    what = f"nearly the same image, in {' and '.join(splits)} (distance {distance}){more}"
    return Finding("near_duplicates_across_splits", what, (one.path, other.path), labels, splits, distance)


def _alike(images: Iterable[LabelledImage], seen: Mapping[str, _Seen]) -> Iterator[Finding]:
    """Find the groups that training would keep on one side, in all labels; of exact copies the first stands for all."""
    firsts = {seen[image.path].look: image for image in reversed(list(images)) if image.split is None}
    for group in alike(reversed(firsts.values()), lambda path: seen[path].burst_hash):
        if len(group) > 1:
            labels = tuple(sorted({image.label for image in group}, key=natural_key))
            what = f"{len(group)} images that look alike{f', labelled {listed(labels)}' if len(labels) > 1 else ''}"
            yield Finding("near_duplicates", what, tuple(image.path for image in group), labels)


def _wrong_endings(seen: Mapping[str, _Seen]) -> Iterator[Finding]:
    paths: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path, each in seen.items():
        called = _called(path)
        if each.format and called != f"called {each.format}":  # where a source has no files there are no formats
            paths[called, each.format].append(path)
    for (called, name), misnamed in paths.items():
        yield Finding("wrong_ending", f"{called}, but {name} inside", tuple(misnamed))


def _called(path: str) -> str:
    """Return the format that an image's ending says, else the words for its ending."""
    ending = ending_of(path)
    return f"called {_FORMAT_OF.get(ending, ending)}" if ending else "no ending"


def _unusual_modes(seen: Mapping[str, _Seen]) -> Iterator[Finding]:
    paths: dict[str, list[str]] = defaultdict(list)
    for path, each in seen.items():
        if each.mode not in USUAL_MODES:
            paths[each.mode].append(path)
    for mode, unusual in paths.items():
        words = "deep grey" if mode[0] in "IF" else _MODE_WORDS.get(mode)
        yield Finding("unusual_mode", f"stored as {mode}{f' ({words})' if words else ''}", tuple(unusual))


def _count(source: Source, images: Iterable[LabelledImage]) -> dict[str, dict[str, int]]:
    counts = Counter((image.label, image.split or UNSPLIT) for image in images)
    present = {image.split for image in source.images}
    splits = [split for split in SPLITS if split in present] or [UNSPLIT]
    return {label: {split: counts[label, split] for split in splits} for label in source.classes}


def _alone(images: Iterable[LabelledImage]) -> Iterator[Finding]:
    labels = {image.label for image in images}
    if len(labels) == 1:
        yield Finding("one_class", f"all images are of {listed(labels)}", labels=tuple(labels))


def _empty(classes: Mapping[str, Mapping[str, int]]) -> Iterator[Finding]:
    empty = tuple(label for label, counts in classes.items() if not any(counts.values()))
    if empty:
        yield Finding("empty_class", f"no usable images of {listed(empty)}", labels=empty)


def _lonely(images: Iterable[LabelledImage]) -> Iterator[Finding]:
    by_label: dict[str, list[str]] = defaultdict(list)
    for image in images:
        by_label[image.label].append(image.path)
    lonely = {label: paths[0] for label, paths in by_label.items() if len(paths) == 1}
    if lonely:
        what = f"the only image of {listed(lonely)}"
        yield Finding("one_image_class", what, tuple(lonely.values()), tuple(lonely))


def _imbalance(images: Iterable[LabelledImage]) -> Iterator[Finding]:
    """Compare the classes that are learned: where there are splits, what is judged does not matter."""
    counts = Counter(image.label for image in images if image.split in ("train", None)).most_common()
    if counts and counts[0][1] > IMBALANCE * counts[-1][1]:
        (large, n_large), (small, n_small) = counts[0], counts[-1]
        what = f"{n_large} images of {shown(large)} to learn from, but {n_small} of {shown(small)}"
        yield Finding("imbalance", what, labels=(large, small))


def _differing(classes: Mapping[str, Mapping[str, int]]) -> Iterator[Finding]:
    present = {label: counts for label, counts in classes.items() if any(counts.values())}
    splits = next(iter(classes.values()), {})
    for split in splits:
        missing = tuple(label for label, counts in present.items() if not counts[split])
        if not missing:
            continue
        unlearned = ", so it cannot be learned" if split == "train" else ""
        yield Finding("classes_differ", f"no {split} images of {listed(missing)}{unlearned}", (), missing, (split,))
