import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.network.module.norms import LocalResponseNorm


def krizhevsky(maps: torch.Tensor, size: int, alpha: float, beta: float, k: float) -> torch.Tensor:
    """The formula of section 3.3 as Krizhevsky's code computes it, one number at a time."""
    maps = maps.double()
    out = torch.empty_like(maps)
    for n, channels, height, width in [maps.shape]:
        for i in range(n):
            for c in range(channels):
                for y in range(height):
                    for x in range(width):
                        first = c - size // 2
                        around = [maps[i, j, y, x] ** 2 for j in range(max(0, first), min(channels, first + size))]
                        out[i, c, y, x] = maps[i, c, y, x] / (k + alpha / size * sum(around)) ** beta
    return out


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 7), st.floats(1e-4, 1.0), st.floats(0.1, 1.5), st.floats(0.5, 2.0),
    st.integers(0, 10_000),
)  # fmt: skip
def test_it_is_krizhevskys_formula(channels, size, alpha, beta, k, seed) -> None:
    maps = torch.randn(2, channels, 3, 2, generator=torch.Generator().manual_seed(seed)) * 3
    expected = krizhevsky(maps, size, alpha, beta, k)
    assert torch.allclose(LocalResponseNorm(size, alpha, beta, k)(maps).double(), expected, atol=1e-6, rtol=1e-6)


def test_it_is_torchs_own_to_the_last_digits() -> None:
    maps = torch.randn(2, 96, 13, 13) * 5
    theirs = torch.nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)(maps)
    assert torch.allclose(LocalResponseNorm(5, 1e-4, 0.75, 2.0)(maps), theirs, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_and_memory_format_are_kept(dtype) -> None:
    maps = torch.randn(2, 8, 5, 5).to(dtype).contiguous(memory_format=torch.channels_last)
    out = LocalResponseNorm(5, 1e-4, 0.75, 2.0)(maps)
    assert out.dtype == dtype
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_gradients_are_those_of_the_formula() -> None:
    maps = torch.randn(1, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(LocalResponseNorm(3, 0.1, 0.75, 2.0), maps)
