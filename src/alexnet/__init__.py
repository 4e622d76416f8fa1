"""Build, train, evaluate and use AlexNet image classifiers.

The names below are imported on first use: ``import alexnet`` loads neither torch nor numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet.errors import AlexNetError as AlexNetError
    from alexnet.evaluation.scoring import evaluate as evaluate
    from alexnet.explanation.explain import explain as explain
    from alexnet.exporting.export import export as export
    from alexnet.inference.classifier import Classifier as Classifier
    from alexnet.inference.classifier import load as load
    from alexnet.model.push import push as push
    from alexnet.network.diagram import summary as summary
    from alexnet.network.module.model import AlexNet as AlexNet
    from alexnet.network.value.architecture import Architecture as Architecture
    from alexnet.network.value.variants import VARIANTS as VARIANTS
    from alexnet.pretrained.loading import load_weights as load_weights
    from alexnet.reporting.report import report as report
    from alexnet.training.choices.recipe import Recipe as Recipe
    from alexnet.training.choices.recipes import RECIPES as RECIPES
    from alexnet.training.choices.settings import Settings as Settings
    from alexnet.training.session import train as train

_HOMES = {
    "AlexNet": "network.module.model",
    "AlexNetError": "errors",
    "Architecture": "network.value.architecture",
    "Classifier": "inference.classifier",
    "RECIPES": "training.choices.recipes",
    "Recipe": "training.choices.recipe",
    "Settings": "training.choices.settings",
    "VARIANTS": "network.value.variants",
    "evaluate": "evaluation.scoring",
    "explain": "explanation.explain",
    "export": "exporting.export",
    "load": "inference.classifier",
    "load_weights": "pretrained.loading",
    "push": "model.push",
    "report": "reporting.report",
    "summary": "network.diagram",
    "train": "training.session",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'alexnet' has no attribute {name!r}")
    from alexnet.errors import whole_package

    with whole_package(f"alexnet.{name}"):
        value = getattr(import_module(f"alexnet.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
