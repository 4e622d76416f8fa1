"""AlexNet as an arm starts it, and grown from half its width."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.network.module.model import AlexNet
from alexnet.network.value.variants import VARIANTS
from benchmarks.equal_compute.arm import Arm
from benchmarks.equal_compute.images import Images, whole

# Two copies of a channel share its old weights unequally, so that they can learn different things.
SPREAD = 0.15
# Images whose patches whiten conv1.
N_WHITENING = 256


def build(arm: Arm, width: float, images: Images, size: int) -> AlexNet:
    """Build the network.

    Args:
        arm: the way to train.
        width: share of the channels and hidden units.
        images: the images to train with.
        size: the first image size in pixels.
    """
    network = _plain(arm, width, images)
    weights = dict(network.named_parameters())
    if arm.whiten:
        rows = torch.randperm(len(images), device=images.labels.device)[:N_WHITENING]
        _whiten(weights["conv1.conv.weight"], whole(images.pixels[rows], size), network.architecture.layers[0].stride)
    if arm.zero_last:
        nn.init.zeros_(weights["fc8.linear.weight"])
        nn.init.zeros_(weights["fc8.linear.bias"])
    if arm.he_hidden:
        for layer in ("fc6", "fc7"):
            nn.init.kaiming_normal_(weights[f"{layer}.linear.weight"], nonlinearity="relu")
            nn.init.zeros_(weights[f"{layer}.linear.bias"])
    return network


def _plain(arm: Arm, width: float, images: Images) -> AlexNet:
    hidden = tuple(int(n * width) for n in VARIANTS[arm.variant].hidden)
    network = AlexNet(arm.variant, n_classes=images.n_classes, width=width, hidden=hidden, dropout=arm.dropout)
    network.to(images.labels.device)
    network.to(memory_format=torch.channels_last)
    return network


@torch.no_grad()
def _whiten(weight: Tensor, images: Tensor, stride: int) -> None:
    """Start filters of conv1 as whitening filters of the images' patches, and as many as their negatives."""
    side = weight.shape[-1]
    patches = F.unfold(images, side, stride=max(stride, 2)).transpose(1, 2).reshape(-1, weight[0].numel())
    patches = patches - patches.mean(0)
    values, vectors = torch.linalg.eigh((patches.t() @ patches / len(patches)).double())
    n = min(len(weight) // 2, weight[0].numel())
    filters = (vectors[:, -n:] / (values[-n:] + 1e-2).sqrt()).t().flip(0).float().reshape(n, *weight.shape[1:])
    filters *= weight.flatten(1).norm(dim=1).mean() / filters.flatten(1).norm(dim=1).mean()
    weight[: 2 * n] = torch.cat((filters, -filters))


@torch.no_grad()
def widened(half: AlexNet, arm: Arm, images: Images) -> AlexNet:
    """Return a network of the arm's full width with the predictions of one of half the width.

    Each channel becomes two. Their weights to the next layer share the old weight, unequally.
    """
    full = _plain(arm, arm.width, images)
    old = half.state_dict()
    for name, tensor in full.state_dict().items():
        small = old[name]
        if small.ndim and small.shape[0] != tensor.shape[0]:
            small = small.repeat_interleave(2, 0)
        if small.shape != tensor.shape:
            small = _shared(small, full.architecture.grid**2 if name.startswith("fc6") else 1)
        tensor.copy_(small.reshape(tensor.shape))
    return full


def _shared(weight: Tensor, n_per_channel: int) -> Tensor:
    """Share the weights ``(O, I, ...)`` of each input channel between two.

    Args:
        weight: of a layer.
        n_per_channel: inputs of each channel; the size of its map before fc6.
    """
    of_channels = weight.reshape(len(weight), -1, n_per_channel, *weight.shape[2:])
    share = 0.5 + SPREAD * torch.randn_like(of_channels)
    return torch.stack((of_channels * share, of_channels * (1 - share)), 2)
