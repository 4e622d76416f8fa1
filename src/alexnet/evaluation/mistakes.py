"""A table of images to look at: those first whose label the network believes least."""

import csv
import io
import os

import numpy as np

from alexnet.errors import SettingsError
from alexnet.evaluation.outputs import Outputs
from alexnet.files.atomic import atomic_file
from alexnet.files.paths import expanded

COLUMNS = ("path", "label", "predicted", "probability_of_label", "probability_of_predicted")


def check_new(file: str | os.PathLike[str]) -> None:
    """Check that a file can be written.

    Raises:
        SettingsError: it exists, or there is no folder for it.
    """
    path = expanded(file)
    if os.path.lexists(path):
        raise SettingsError(f"{str(file)!r} exists, and is not overwritten; give another name, or delete it")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise SettingsError(f"there is no folder {str(path.parent)!r} for {path.name!r}; create it first")
    if not os.access(folder, os.W_OK):
        raise SettingsError(f"the folder {str(path.parent)!r} cannot be written to; write {path.name!r} elsewhere")


def write_errors(outputs: Outputs, file: str | os.PathLike[str]) -> None:
    """Write a CSV line for each image, in the order of the probability of its label, lowest first.

    The first lines are mistakes of the network, or of the labels: look at them.

    Raises:
        OSError: the disk is full, or cannot be written to.
        SettingsError: see ``check_new``.
    """
    check_new(file)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    probabilities, own = outputs.probabilities, outputs.own
    for i in np.argsort(own, kind="stable"):
        label, predicted = outputs.labels[i], outputs.predicted[i]
        numbers = (f"{own[i]:.6f}", f"{probabilities[i, predicted]:.6f}")
        writer.writerow((outputs.names[i], outputs.classes[label], outputs.classes[predicted], *numbers))
    with atomic_file(expanded(file)) as binary:
        # Names of files may hold bytes that are not text.
        binary.write(buffer.getvalue().encode("utf-8", "surrogateescape"))
