"""Match the labels of images to the class names of a network."""

from dataclasses import replace

from alexnet.data.source import Source, similar_names
from alexnet.data.sources.vocabulary import nfc
from alexnet.errors import DataError, listed, shown


def labelled_as(source: Source, classes: tuple[str, ...]) -> Source:
    """Return images with the class names of a network; accents match in either spelling (NFC or NFD).

    Args:
        source: the images.
        classes: the classes of the network.

    Raises:
        DataError: the class of an image is not among them.
    """
    known = {nfc(label): label for label in classes} | {label: label for label in classes}
    labels = {each.label for each in source.images}
    named = {label: known[name] for label in labels for name in (nfc(label), label) if name in known}
    unknown = sorted(labels - set(named))
    if unknown:
        similar = similar_names(unknown[0], classes)
        knows = f", but {listed(similar)}" if similar else f"; it knows {listed(classes)}"
        raise DataError(
            f"the model does not know the class {shown(unknown[0])} of {source.name!r}{knows}; rename or omit it"
        )
    return source.with_images(tuple(replace(each, label=named[each.label]) for each in source.images))
