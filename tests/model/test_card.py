from pathlib import Path

import pytest

from alexnet.images.preprocessing import Preprocessing
from alexnet.model.artifact import Artifact
from alexnet.model.card import model_card
from alexnet.network.value.architecture import Architecture

PROVENANCE = {
    "alexnet": "0.1.0", "torch": "2.15.0", "data": "digits", "n_train": 1437, "n_val": 180,
    "recipe": {"name": "modern"}, "seed": 0, "precision": "bf16", "init": None, "epochs": 40, "passes": 40.0,
    "val_top1": 0.98765, "val_loss": 0.1, "n_val_seen_before": 0, "finished": "2026-05-04T12:00:00+00:00",
}  # fmt: skip


def card(data: str = "digits", n_classes: int = 3) -> str:
    return model_card(
        Artifact(
            folder=Path("model"),
            architecture=Architecture(n_classes=n_classes),
            classes=tuple(f"class {number}" for number in range(n_classes)),
            preprocessing=Preprocessing(store_size=256),
            provenance={**PROVENANCE, "data": data},
        )
    )


def test_it_names_classes_data_and_score() -> None:
    text = card()
    for words in ("`batchnorm`", "46,762,051", "- class 2", "digits: 1,437 images", "`modern`, 40 epochs", "0.988"):
        assert words in text
    assert 'alexnet.load("THIS_FOLDER")' in text


def test_a_thousand_classes_are_not_all_listed() -> None:
    text = card(n_classes=1000)
    assert "- class 49\n- and 950 more: see `config.json`\n" in text
    assert "class 50" not in text


@pytest.mark.parametrize(
    ("data", "name", "kind", "datasets"),
    [
        ("digits", "digits", "digits", None),
        ("/home/anna/photos", "photos", "imagefolder", None),
        ('/home/anna/"a": #1 \U0001f426\n---\udce9', '"a": #1 \U0001f426?---?', "imagefolder", None),
        ("hf:ylecun/mnist", "hf:ylecun/mnist", "ylecun/mnist", ["ylecun/mnist"]),
        ("hf:anna/birds:small", "hf:anna/birds:small", "anna/birds", ["anna/birds"]),
        ("hf:/home/anna/parquet", "parquet", "imagefolder", None),
    ],
)
def test_the_hub_can_read_it(data: str, name: str, kind: str, datasets: list[str] | None) -> None:
    hub = pytest.importorskip("huggingface_hub")
    read = hub.ModelCard(card(data)).data
    assert (read.to_dict()["library_name"], read.pipeline_tag, read.datasets) == (
        "alexnet",
        "image-classification",
        datasets,
    )
    (score,) = read.eval_results
    assert (score.dataset_name, score.dataset_type, score.metric_value) == (name, kind, 0.9877)
    assert "/home/anna" not in card(data)
