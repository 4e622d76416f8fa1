"""Experiments of two arms and runs of them that nobody has trained."""

from typing import Any

from alexnet.network.value.variants import SMALL
from alexnet.reproduction.plan.value import Arm, Claim, Data, Experiment
from alexnet.reproduction.running.results import Results

IMAGES = "set:digits"


def arm(name: str, **training: Any) -> Arm:
    data = Data(name="digits", n_train=24, n_val=8, n_test=12)
    settings = {"recipe": "article", "image_size": 32, "epochs": 1, "batch_size": 8, **training}
    return Arm(name=name, says=f"the arm {name}", network=SMALL, data=data, training=settings)


def claim(**changes: Any) -> Claim:
    fields = {"says": "With is better", "paper": "2 points", "log": "-", "without": "without", "arm": "with"}
    return Claim(**(fields | {"claimed": 0.02} | changes))


def experiment(*claims: Claim, **changes: Any) -> Experiment:
    arms = (arm("with"), arm("without", lr=0.001))
    fields: dict[str, Any] = {
        "name": "made-up",
        "title": "Made up",
        "source": "section 0",
        "worth": 1,
        "claims": claims or (claim(),),
        "arms": dict.fromkeys(("smoke", "cpu", "gpu"), arms),
        "seeds": dict.fromkeys(("smoke", "cpu", "gpu"), (0, 1)),
        "seconds": dict.fromkeys(("smoke", "cpu", "gpu"), 1.0),
    }
    return Experiment(**(fields | changes))


def run(error: float = 0.5, curve: list[dict[str, float]] | None = None, **figures: float) -> dict[str, Any]:
    machine = {"processor": "an abacus", "gpu": None, "torch": "2"}
    return {
        "machine": machine, "settings": {"training": {"lr": 0.01}}, "precision": "fp32", "threads": 1,
        "n_train": 24, "n_test": 12, "parameters": 1000, "multiply_adds": 1000, "seconds": 60.0,
        "curve": curve or [], "figures": {"test_error": error, "train_error": error / 2, **figures},
    }  # fmt: skip


def store(results: Results, made_up: Experiment, errors: dict[str, list[float]]) -> None:
    """Store a run for each error, with the seeds 0, 1, ..."""
    for name, list_ in errors.items():
        for seed, error in enumerate(list_):
            results.write(made_up.name, made_up.arm(results.scale, name), seed, IMAGES, run(error))
