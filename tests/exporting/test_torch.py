import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.exporting.torch import write_program

from .networks import NETS, graph_of, pixels_for


@pytest.mark.parametrize("name", ["batchnorm at 67 px", "paper", "batchnorm+group", "own", "program"])
def test_torch_runs_it_for_any_number_of_images(name, tmp_path, capfd) -> None:
    net = NETS[name]
    graph = graph_of(net)
    write_program(graph, tmp_path / "net.pt2", '{"a": 1}')
    extra = {"alexnet.json": ""}
    program = torch.export.load(tmp_path / "net.pt2", extra_files=extra).module()
    assert extra == {"alexnet.json": '{"a": 1}'}
    for n in (1, 3):
        pixels = pixels_for(net, n)
        for mine, theirs in zip(program(torch.from_numpy(pixels)), graph(torch.from_numpy(pixels)), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-5, rtol=1e-5)
    assert capfd.readouterr() == ("", "")


def test_it_holds_no_pickle_and_no_path(tmp_path, monkeypatch) -> None:
    write_program(graph_of(NETS["paper"]), tmp_path / "net.pt2", "{}")
    with zipfile.ZipFile(tmp_path / "net.pt2") as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    for name, content in contents.items():
        assert not content.startswith((b"\x80", b"PK")), f"{name} is a pickle, or torch's archive of one"
        assert b'"use_pickle": true' not in content
        for place in (str(Path.cwd()), "site-packages", str(tmp_path)):
            assert place.encode() not in content, name

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something is unpickled")

    for function in ("torch.load", "pickle.loads", "torch._C._pickle_load_obj"):
        monkeypatch.setattr(function, refuse)
    torch.export.load(tmp_path / "net.pt2")
