"""Any network is drawn, saved and exported as what it is."""

import io
import json

import safetensors.torch
import torch
from hypothesis import given, settings

from alexnet import AlexNet, Architecture, summary
from alexnet.network import diagram
from alexnet.network.module.model import without_weights

from . import drawn


def made(net: Architecture) -> tuple[AlexNet, torch.Tensor]:
    torch.manual_seed(0)
    model = AlexNet(net).eval()
    if model.mean_image is not None:
        model.mean_image.normal_()
    return model, torch.randn(2, net.in_channels, net.image_size, net.image_size)


@settings(max_examples=12, deadline=None)
@given(net=drawn.networks())
def test_table_drawing_and_json_say_the_same(net) -> None:
    assert f"{net.n_parameters:,}" in summary(without_weights(net)) == diagram.table(net)
    saved = json.loads(diagram.as_json(net))
    assert Architecture.from_json(saved["architecture"]) == net
    lines = diagram.mermaid(net).splitlines()
    assert sum("Conv(" in line for line in lines) == len(net.layers)
    assert sum("Pool(" in line and "]" in line for line in lines) >= sum(layer.pool is not None for layer in net.layers)
    words = "\n".join(lines)
    n_up = sum(
        (layer.rounding == "up") + (layer.pool is not None and layer.pool.rounding == "up") for layer in net.layers
    )
    assert words.count("rounding=up") == n_up
    n_of_kind = {"LocalResponseNorm": 0, "MapResponseNorm": 0, "BatchNorm": 0, "GroupNorm": 0}
    for op in net.operations():
        if op.kind in n_of_kind:
            n_of_kind[op.kind] += 1
    assert {kind: words.count(kind) for kind in n_of_kind} == n_of_kind
    assert words.count("Dropout(0.3)") == len(net.hidden)


@settings(max_examples=10, deadline=None)
@given(net=drawn.networks())
def test_saved_and_loaded_it_is_the_same(net) -> None:
    model, images = made(net)
    twin = AlexNet(Architecture.from_json(json.loads(json.dumps(net.to_json())))).eval()
    twin.load_state_dict(safetensors.torch.load(safetensors.torch.save(model.state_dict())))
    with torch.inference_mode():
        assert torch.equal(twin(images), model(images))


@settings(max_examples=3, deadline=None)
@given(net=drawn.networks())
def test_it_is_exported_for_batches_of_any_number(net) -> None:
    model, images = made(net)
    shapes = ({0: torch.export.Dim("n", min=1, max=64)},)
    file = io.BytesIO()
    torch.export.save(torch.export.export(model, (images,), dynamic_shapes=shapes), file)
    file.seek(0)
    again = torch.export.load(file).module()
    images = torch.randn(5, *images.shape[1:])
    with torch.inference_mode():
        assert torch.allclose(again(images), model(images), atol=1e-5)
