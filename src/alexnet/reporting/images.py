"""Images inside the page: small copies as data URIs, each with a link to its file."""

import io
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from alexnet.data.source import Source
from alexnet.data.sources.folders.folder import Folder
from alexnet.data.store.store import Store
from alexnet.errors import AlexNetError, DataError
from alexnet.html.blocks import image
from alexnet.html.thumbnails import thumbnail as thumbnail_of
from alexnet.images.decoding import Pixels
from alexnet.reporting.facts import Facts, known

# Side of a small copy, in pixels. Pages show it at 112 px and less, so it is sharp on paper too.
THUMBNAIL = 144


@dataclass(frozen=True)
class StoredImages:
    """The images of a run, read from its prepared images.

    Args:
        source: the data.
        store: the same, prepared.
    """

    source: Source
    store: Store

    def pixels(self, name: str) -> Pixels:
        """Return an image, ``(S, S, 3)`` uint8.

        Raises:
            DataError: it cannot be read any more, or is damaged on the disk.
        """
        if name not in self.store.rows:
            raise DataError(f"{name!r} is not there any more")
        return self.store.pixels[self.store.rows[name]]

    def file(self, name: str) -> Path | None:
        """Return its file; None where it is in an archive or a data set."""
        reader = self.source.reader
        return reader.root / name if isinstance(reader, Folder) else None


def thumbnail(facts: Facts, name: str, overlay: Pixels | None = None) -> Markup:
    """Return a small copy of an image, with a link to its file if it has one.

    Args:
        facts: what is known of the run.
        name: the image.
        overlay: what to show instead of its pixels.

    Raises:
        Missing: the images are not there any more.
    """
    images = known(facts.images)
    try:
        shown = inline(images.pixels(name) if overlay is None else overlay, name)
    except AlexNetError as error:
        shown = Markup('<span class="gone" title="{}">not readable</span>').format(error)
    file = images.file(name)
    return shown if file is None else Markup('<a href="{}">{}</a>').format(file.absolute().as_uri(), shown)


def card(facts: Facts, name: str, said: str, kind: str = "") -> Markup:
    """Return an image with its place, and what is said of it.

    Args:
        facts: what is known of the run.
        name: the image.
        said: what stands below it.
        kind: ``right`` or ``wrong``, which colours its edge.
    """
    return Markup('<figure class="card {}">{}<figcaption>{}{}</figcaption></figure>').format(
        kind, thumbnail(facts, name), said, place(facts, name)
    )


def place(facts: Facts, name: str) -> Markup:
    """Return where an image is: the name of its file, which the image links to, or else its whole path."""
    has_file = known(facts.images).file(name) is not None
    return Markup('<small title="{}">{}</small>').format(name, name.rpartition("/")[2] if has_file else name)


def inline(pixels: Pixels, alt: str) -> Markup:
    """Return an image ``(H, W, 3)`` uint8 as a JPEG inside the page, its longer side at most ``THUMBNAIL`` pixels."""
    return image(thumbnail_of(pixels, THUMBNAIL), "jpeg", alt)


def exact(pixels: Pixels, alt: str, scale: int = 1) -> Markup:
    """Return an image ``(H, W, 3)`` uint8 as a PNG inside the page, on a white card.

    Args:
        pixels: the image.
        alt: what it shows.
        scale: the side of the sharp square that each of its pixels becomes, in pixels of the screen. With 1, the image
            is smoothed where there is less room: a sharp one would lose whole rows.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    height, width = (str(scale * side) for side in pixels.shape[:2])
    return Markup('<span class="exact {}">{}</span>').format(
        "sharp" if scale > 1 else "", image(file.getvalue(), "png", alt, width=width, height=height)
    )
