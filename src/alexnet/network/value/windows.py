"""How many windows of a convolution or a pool a side has, and which sides give how many. No torch here."""

from typing import Literal

Rounding = Literal["down", "up"]
"""``down``: all windows lie inside. ``up``: they cover the side, and the last may hang over its end."""


def n_windows(side: int, kernel: int, stride: int, rounding: Rounding) -> int:
    """Return how many windows there are on a side, padding included; 0 or less if not one fits whole."""
    left = side - kernel
    if rounding == "down" or left < 0:
        return left // stride + 1
    return -(-left // stride) + 1


def smallest_side(n: int, kernel: int, stride: int, rounding: Rounding) -> int:
    """Return the smallest side with ``n`` windows."""
    if rounding == "down" or n == 1:
        return fitting_side(n, kernel, stride)
    return fitting_side(n - 1, kernel, stride) + 1


def fitting_side(n: int, kernel: int, stride: int) -> int:
    """Return the side on which ``n`` windows fit: the last one ends where the side does."""
    return (n - 1) * stride + kernel
