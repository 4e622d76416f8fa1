"""The labels of images in the words of the network that is judged on them."""

from dataclasses import replace

from alexnet.data.source import Source, like
from alexnet.data.sources.vocabulary import nfc
from alexnet.errors import DataError, listed, shown


def labelled_as(source: Source, classes: tuple[str, ...]) -> Source:
    """Return images labelled by the classes of a network, whichever system wrote the accents of either.

    Args:
        source: the images.
        classes: what the network knows.

    Raises:
        DataError: it does not know the class of an image.
    """
    known = {nfc(label): label for label in classes} | {label: label for label in classes}
    labels = {each.label for each in source.images}
    named = {label: known[name] for label in labels for name in (nfc(label), label) if name in known}
    unknown = sorted(labels - set(named))
    if unknown:
        alike = like(unknown[0], classes)
        knows = f", but {listed(alike)}" if alike else f"; it knows {listed(classes)}"
        raise DataError(
            f"the model does not know the class {shown(unknown[0])} of {source.name!r}{knows}; rename or omit it"
        )
    return source.with_images(tuple(replace(each, label=named[each.label]) for each in source.images))
