"""Zeros around the input of a convolution, as two frameworks place them."""

from collections.abc import Sequence
from typing import Literal

Padding = Literal["torch", "tensorflow"]
Pads = tuple[tuple[int, int], tuple[int, int]]


def pads(input_hw: Sequence[int], size: int, stride: int, padding: Padding) -> Pads:
    """Zeros before and after the rows and the columns: ((top, bottom), (left, right)).

    The output has ceil(side / stride) rows and columns in both conventions. "torch" has size // 2
    zeros at both ends, so that outputs are centred on pixels 0, stride, ...; "tensorflow" ("SAME")
    has as few zeros as possible, and of an odd number one more at the end. A stride of 1 makes them
    equal. There are size - 1 zeros in all, the last of which may not be read.

    Args:
      input_hw: height and width of the input.
      size: side of the kernel, odd.
      stride: stride of the convolution.
      padding: the convention.
    """
    top, left = (_before(side, size, stride, padding) for side in input_hw)
    return (top, size - 1 - top), (left, size - 1 - left)


def _before(side: int, size: int, stride: int, padding: Padding) -> int:
    if padding == "torch":
        return size // 2
    last = (-(-side // stride) - 1) * stride
    return max(last + size - side, 0) // 2
