import json
import shlex
from dataclasses import replace

import pytest

from alexnet import Settings, cli
from alexnet.reporting.facts import known
from alexnet.reporting.sections.settings import repeat, repeating_command, settings

from ..made_up import facts_of


def saved(data: str = "/data/my images", **options: object) -> dict:
    """Return what a run saves of its settings, after a way through a file."""
    return json.loads(json.dumps({"data": data, **Settings(**options).to_json(), "resolved": {"device": "cpu"}}))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"epochs": 3, "lr": 0.013, "seed": 7},
        {"time_limit": "1.5h", "variant": "small", "recipe": "paper", "flip": "on"},
        {"hidden": (64, 32), "track": ("tensorboard", "wandb"), "dropout": 0.0},
        {"hidden": ()},
        {"init": "torchvision", "freeze": "conv3", "init_take": "fitting"},
        {"architecture": '{"hidden": [8], "n_classes": 3}', "precision": "fp32", "checkpoint_minutes": 0.5},
        {"in_channels": 1, "max_pixels": 1000, "data_dir": "/it's here", "balance": "sampler"},
    ],
    ids=lambda options: " ".join(options) or "none",
)
def test_the_command_trains_with_the_same_settings(options) -> None:
    command = repeating_command(saved(**options))
    program, name, *arguments = shlex.split(command)
    assert (program, name) == ("alexnet", "train")
    call = cli._parse("train", arguments, {})
    given = call.keywords["choices"]
    expected = Settings.from_json(saved(**options))
    assert replace(given, architecture=None) == replace(expected, architecture=None)
    assert given.base == expected.base
    assert call.args == ("/data/my images",)


def test_options_with_their_defaults_are_left_out() -> None:
    assert repeating_command(saved(data="digits")) == "alexnet train set:digits"
    assert repeating_command(saved(epochs=3)) == "alexnet train '/data/my images' --epochs 3"


def test_settings_are_those_given_and_what_followed(tmp_path) -> None:
    html = settings(facts_of(tmp_path))
    assert "<td>--epochs</td>" in html
    assert "<td>--track</td><td>tensorboard</td>" in html
    assert "<td>--recipe</td>" not in html
    assert "<td>image_size</td><td>99</td>" in html
    assert "&#34;checkpoint_minutes&#34;: 5.0" in html
    every = facts_of(tmp_path, settings={**known(facts_of(tmp_path).settings), **Settings().to_json()})
    assert "Every option had its default." in settings(every)


def test_the_run_can_be_repeated(tmp_path) -> None:
    facts = facts_of(tmp_path)
    html = repeat(facts)
    assert "alexnet train &#39;/data/made up&#39; --epochs 7 --image-size 99 --track tensorboard" in html
    assert "With OMP_NUM_THREADS=2" in html
    assert "alexnet 0.1.0, torch 2.11" in html
    limited = {**known(facts.settings), "time_limit": "10m"}
    assert "depends on the speed of the machine" in repeat(replace(facts, settings=limited))
    on_gpu = {**known(facts.settings), "resolved": {"n_threads": None, "device": "cuda:0"}}
    assert "On a GPU the last bits" in repeat(replace(facts, settings=on_gpu))
