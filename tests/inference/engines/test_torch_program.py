"""A ``.pt2`` file is run without torch's own loader, which trusts it."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from alexnet.errors import ArtifactError
from alexnet.inference.engines.engine import open_engine
from alexnet.model.opening import load_artifact

from ...exports import OUTPUTS, compute, random_images, random_weights

PROGRAM = "models/model.json"


def changed(path: Path, new: Path, old_text: str, new_text: str) -> Path:
    """Write a ``.pt2`` file whose program has another text in one place."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(new, "w") as archive:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(PROGRAM):
                assert old_text.encode() in content
                content = content.replace(old_text.encode(), new_text.encode(), 1)
            archive.writestr(name, content)
    return new


def test_torchs_own_loader_computes_the_same(exports) -> None:
    """The file is what any program with torch can run."""
    import torch

    images = random_images(6, seed=5)
    program = torch.export.load(exports["torch"])
    theirs = dict(zip(OUTPUTS, program.module()(torch.from_numpy(images)), strict=True))
    engine = open_engine(load_artifact(exports["torch"]))
    for name, expected in compute(random_weights(), images).items():
        assert np.abs(engine.run(name, images) - expected).max() < 2e-5
        assert np.array_equal(engine.run(name, images), theirs[name].detach().numpy())


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("torch.ops.aten.relu.default", "torch.os.system", "the operation torch.os.system is not known"),
        ("torch.ops.aten.relu.default", "torch.ops.aten.from_file.default", "torch.ops.aten.from_file.default is not"),
        ("torch.ops.aten.relu.default", "torch.hub.load", "the operation torch.hub.load is not known"),
        ("torch.ops.aten.relu.default", "torch.ops.aten.relu.nothing", "nothing"),
        ('"parameter_name": "conv1.conv.weight"', '"parameter_name": "conv9"', "conv9"),
        ('"graph_module"', '"graph_modula"', "graph_module is None"),
        ('"nodes"', '"notes"', "nodes"),
    ],
)
def test_a_program_that_could_do_something_else_is_refused(exports, tmp_path, old, new, reason) -> None:
    path = changed(exports["torch"], tmp_path / "x.pt2", old, new)
    with pytest.raises(ArtifactError, match=re.escape(reason)):
        open_engine(load_artifact(path))


def test_nothing_is_unpickled_and_no_expression_is_evaluated(exports, tmp_path, monkeypatch) -> None:
    """What torch's loader would run: example inputs, sizes, names of values."""
    monkeypatch.chdir(tmp_path)
    attack = "open('pwned', 'w')"
    with zipfile.ZipFile(exports["torch"]) as old, zipfile.ZipFile("x.pt2", "w") as archive:
        for name in old.namelist():
            content = old.read(name)
            if "sample_inputs" in name:
                content = b"cbuiltins\nopen\n(S'pwned'\nS'w'\ntR."
            if name.endswith(PROGRAM):
                program = json.loads(content)
                program["graph_module"]["graph"]["tensor_values"] = {
                    "x": {"sizes": [{"as_expr": {"expr_str": attack}}]}
                }
                program["guards_code"] = [attack]
                content = json.dumps(program).encode()
            archive.writestr(name, content)
    engine = open_engine(load_artifact("x.pt2"))
    assert engine.logits(random_images(2)).shape == (2, 3)
    assert not Path("pwned").exists()
