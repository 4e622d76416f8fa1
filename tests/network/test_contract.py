"""What every variant, and every custom network, must be able to do."""

import copy
import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from alexnet import VARIANTS, AlexNet, Architecture, summary
from alexnet.images.preprocessing import Preprocessing, mean_and_std
from alexnet.model.artifact import Artifact, load_model, save_artifact
from alexnet.model.opening import load_artifact
from alexnet.network import diagram
from alexnet.network.module.model import without_weights
from alexnet.network.value.changes import resolve
from alexnet.network.value.layers import BatchNorm, Conv, GroupNorm, LocalNorm, MapNorm, Pool
from alexnet.training.choices.recipes import MODERN
from alexnet.training.learning.optimizer import make_optimizer
from alexnet.training.learning.step import Step
from alexnet.training.machine.runtime import detect

# Each as narrow as it can be, so that all of this takes seconds, and the family as it is where it says so.
OWN = resolve(
    replace(
        VARIANTS["small"],
        variant="own",
        layers=(
            Conv(channels=8, kernel=7, stride=2, padding=3, norm=GroupNorm(n_groups=2, place="after")),
            Conv(channels=12, kernel=3, groups=4, norm=LocalNorm(place="pooled"), pool=Pool(kind="average", kernel=2)),
        ),
        hidden=(10, 9, 8),
        activation="silu",
    ),
    dropout=0.1,
)
# Every field of the program of 2012, also as it has it not, at a size where all windows hang over the edge.
PROGRAM = Architecture(
    variant="program",
    layers=(
        Conv(
            channels=8, kernel=5, stride=3, padding=1, rounding="up", norm=LocalNorm(place="before", groups=2),
            second_norm=MapNorm(place="pooled"), pool=Pool(rounding="up"), activation_after="pool",
        ),
        Conv(
            channels=8, kernel=3, stride=2, padding=1, rounding="up", groups=2, norm=MapNorm(size=2, alpha=0.5),
            second_norm=LocalNorm(alpha=0.5, groups=4, place="before"), pool=Pool(kind="average", rounding="up"),
        ),
        Conv(channels=8, kernel=2, padding=1, norm=BatchNorm(place="after"), pool=Pool(kernel=2, rounding="up"),
             activation_after="pool"),
    ),
    hidden=(12, 10),
    grid=3,
    dropout=0.3,
    dropout_scaling="prediction",
    mean_image=True,
    n_classes=3,
    image_size=34,
    activation="tanh",
)  # fmt: skip
NETS = {name: resolve(name, width=0.125, hidden=(24, 16), n_classes=3) for name in VARIANTS}
NETS |= {
    "batchnorm+group": resolve(NETS["batchnorm"], norm="group", norm_place="after", activation="gelu", pool="average"),
    "paper+grey": resolve(NETS["paper"], in_channels=1, image_size=96, groups=4, activation="tanh"),
    "no hidden": resolve(NETS["torchvision"], hidden=(), norm="batch", norm_place="pooled", pool="separate"),
    "own": replace(OWN, n_classes=3),
    "program": PROGRAM,
}


@pytest.fixture(params=NETS)
def net(request):
    return NETS[request.param]


@pytest.fixture
def model(net) -> AlexNet:
    torch.manual_seed(0)
    # Of the paper's own small weights hardly anything of an image would reach the logits of so narrow a network.
    return AlexNet(replace(net, initialisation="torch"))


def images_for(net, n: int = 4, **kind) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(n, net.in_channels, net.image_size, net.image_size).to(**kind)


def test_a_step_of_training_reaches_every_parameter(net, model) -> None:
    before = copy.deepcopy(model.state_dict())
    runtime = detect("cpu", "fp32")
    recipe = replace(MODERN, lr=0.05)
    step = Step(network=model.train(), optimizer=make_optimizer(model, recipe, runtime), runtime=runtime, recipe=recipe)
    loss = F.cross_entropy(model(images_for(net)), torch.tensor([0, 1, 2, 0]))
    loss.backward()
    for name, parameter in model.named_parameters():
        # A bias before batch norm changes nothing, so its gradient is zero but for rounding.
        assert parameter.grad is not None, name
        assert name.endswith("conv.bias") or parameter.grad.abs().sum() > 0, name
    model.zero_grad()
    assert float(step.take(images_for(net), torch.tensor([0, 1, 2, 0]), seed=0)) > 0
    after = model.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in after if name.endswith("weight"))


def test_saved_and_loaded_it_predicts_the_same(net, model, tmp_path) -> None:
    mean, std = mean_and_std(net.in_channels)
    how = Preprocessing(store_size=256, mean=mean, std=std, resize="squash", max_pixels=10**6)
    artifact = Artifact(
        folder=tmp_path / "model",
        architecture=model.architecture,
        classes=("a", "b", "c"),
        preprocessing=how,
        provenance={},
    )
    save_artifact(artifact, model.state_dict(), "")
    again = load_artifact(tmp_path / "model")
    assert again.architecture == model.architecture
    loaded = load_model(again)
    with torch.inference_mode():
        assert torch.equal(loaded(images_for(net)), model.eval()(images_for(net)))


def test_state_dict_round_trip(net, model) -> None:
    twin = AlexNet(model.architecture)
    assert str(twin.load_state_dict(model.state_dict())) == "<All keys matched successfully>"
    with torch.inference_mode():
        assert torch.equal(twin.eval()(images_for(net)), model.eval()(images_for(net)))


def test_it_is_summarised_and_drawn(net, model) -> None:
    assert f"{net.n_parameters:,}" in summary(model) == diagram.table(net)
    assert diagram.mermaid(net).count("Conv(") == len(net.layers)
    assert json.loads(diagram.as_json(net))["n_parameters"] == net.n_parameters


def test_it_is_exported_for_batches_of_any_number(net, model) -> None:
    n = torch.export.Dim("n", min=1, max=64)
    exported = torch.export.export(model.eval(), (images_for(net),), dynamic_shapes=({0: n},)).module()
    images = images_for(net, 7)
    with torch.inference_mode():
        assert torch.allclose(exported(images), model(images), atol=1e-6)


def test_copies_are_equal_and_independent(net, model) -> None:
    twin = copy.deepcopy(model.eval())
    with torch.inference_mode():
        assert torch.equal(model(images_for(net)), twin(images_for(net)))
        twin.conv1.conv.weight.zero_()
        assert not torch.equal(model(images_for(net)), twin(images_for(net)))


def test_on_the_meta_device_it_has_shapes_only(net) -> None:
    model = without_weights(net)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert model(images_for(net, device="meta")).shape == (4, 3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_it_is_summarised_with_every_dtype(net, model, dtype) -> None:
    assert f"{net.n_parameters:,}" in summary(model.to(dtype))


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-5), (torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_other_dtypes(net, model, dtype, atol) -> None:
    with torch.inference_mode():
        exact = model.eval()(images_for(net))
        other = model.to(dtype)(images_for(net, dtype=dtype))
    assert other.dtype == dtype
    assert torch.allclose(other.float(), exact, atol=atol * max(1.0, float(exact.abs().max())))


def test_channels_last_changes_nothing(net, model) -> None:
    with torch.inference_mode():
        plain = model.eval()(images_for(net))
        laid = model.to(memory_format=torch.channels_last)(images_for(net, memory_format=torch.channels_last))
    assert torch.allclose(plain, laid, atol=1e-5)


def test_it_is_deterministic_at_its_own_size(net, model) -> None:
    gradients = []
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(2):
            model.zero_grad()
            torch.manual_seed(3)
            F.cross_entropy(model(images_for(net)), torch.tensor([0, 1, 2, 0])).backward()
            gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(map(torch.equal, *gradients))


@pytest.mark.parametrize("variant", VARIANTS)
def test_at_its_own_size_nothing_is_pooled_to_the_grid(variant) -> None:
    """pytorch #50198: adaptive pooling's backward pass is not deterministic on a GPU."""
    assert "AdaptiveAvgPool" not in diagram.as_json(VARIANTS[variant])


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_gives_logits(variant) -> None:
    net = VARIANTS[variant]
    with torch.inference_mode():
        logits = AlexNet(net).eval()(images_for(net, 1))
    assert logits.shape == (1, 1000)
    assert bool(logits.isfinite().all())


@pytest.mark.slow
def test_compiled_it_predicts_the_same(net, model) -> None:
    with torch.inference_mode():
        assert torch.allclose(torch.compile(model.eval())(images_for(net)), model(images_for(net)), atol=1e-5)


def test_a_custom_network_works_end_to_end(image_folder, tmp_path) -> None:
    """Train from options, save, evaluate and predict."""
    from alexnet import Settings, evaluate, load, train
    from alexnet.training.learning.reports import EpochReport
    from alexnet.training.session import Session

    file = tmp_path / "mine.json"
    file.write_text(json.dumps(OWN.to_json()))
    settings = Settings(architecture=str(file), hidden=(12,), epochs=2, image_size=40, device="cpu")
    session = Session.start(image_folder, tmp_path / "run", settings)
    for report in session.reports():
        if isinstance(report, EpochReport):
            break
    session.save()
    file.unlink()  # the run knows its network without the file
    run = train(resume=tmp_path / "run", verbose=False)
    classifier = load(run.folder)
    assert classifier.artifact.architecture == resolve(OWN, hidden=(12,), n_classes=3, image_size=40)
    assert len(load_file(run.model_folder / "model.safetensors")) > 0
    assert sum(each.probability for each in classifier.predict(next(image_folder.rglob("*.jpg")))[0].predictions) > 0.99
    assert evaluate(run.folder).scores.n_images > 0


def test_a_network_that_takes_large_images_only_is_trained_at_a_size_it_can_take(image_folder, tmp_path) -> None:
    from alexnet import Settings, train

    layer = Conv(channels=8, kernel=3, padding=1, pool=Pool())
    deep = replace(OWN, layers=(layer,) * 6, grid=1, image_size=140)
    assert deep.smallest_image_size == 127
    settings = Settings(architecture=json.dumps(deep.to_json()), epochs=1, device="cpu")
    run = train(image_folder, out=tmp_path / "run", settings=settings, verbose=False)
    assert run.settings()["resolved"]["image_size"] == 127, "as small images are, and no smaller"
