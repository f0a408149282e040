"""FLOPs of the matrix multiplications and convolutions of a compiled program.

Two for each multiply-add. Additions, activations, norms and softmax are not counted: they do not
run on the matrix units whose peak a chip's FLOP/s state.
"""

import functools
import itertools
import math
import re

from jaxpose.chips.hlo_text import Array, Computation, Instruction

_WINDOW = re.compile(r"window=\{([^}]*)\}")
_LABELS = re.compile(r"dim_labels=([\w?]+)_([\w?]+)->([\w?]+)")
_GROUPS = re.compile(r"batch_group_count=(\d+)")
_CONTRACTED = re.compile(r"lhs_contracting_dims=\{([\d,]*)\}")
_STATED = re.compile(r'"cost_estimate":\{"flops":"(\d+)"')
# Products of `[N, N]` and `[N, d]` in the backward kernels of JAX's flash attention, which state
# none: logits and their gradient, and the gradients of the queries, or of keys and values.
_FLASH = {"flash_mha_bwd_dq_": 3, "flash_mha_bwd_dkv_": 4}
_GEMM_CONTRACTED = re.compile(r'"lhs_contracting_dimensions":\[([\d,"]*)\]')


def flops(instruction: Instruction, inside: Computation) -> int:
    """FLOPs of one instruction; 0 for one that is no multiplication of matrices.

    The calls of cuBLAS and cuDNN in a program for GPUs count as the operations they stand for; a
    Pallas kernel of a program for TPUs as what its `pl.CostEstimate` states (`_FLASH` apart).
    """
    opcode, target = instruction.opcode, instruction.target
    if opcode == "dot":
        return _dot(instruction, inside, _CONTRACTED)
    if opcode == "convolution":
        return _convolution(instruction, inside)
    if target.startswith(("__cublas$", "__cudnn$blockScaledDot", "__onednn$matmul")):
        return _dot(instruction, inside, _GEMM_CONTRACTED)
    if target.startswith("__cudnn$conv"):
        return _library_convolution(instruction, inside)
    if target == "tpu_custom_call" and (stated := _STATED.search(instruction.rest)):
        return int(stated[1])
    for name, products in _FLASH.items():
        if target == "tpu_custom_call" and instruction.name.startswith(name):
            batch, heads, tokens, width = instruction.outputs[0].shape
            return 2 * products * batch * heads * tokens**2 * width
    return 0


def _dot(instruction: Instruction, inside: Computation, contracted: re.Pattern[str]) -> int:
    left = _operand(instruction, inside, 0)
    found = contracted.search(instruction.rest)
    if left is None or found is None:
        return 0
    axes = [int(axis) for axis in re.findall(r"\d+", found[1])]
    return 2 * instruction.outputs[0].size * math.prod(left.shape[axis] for axis in axes)


def _convolution(instruction: Instruction, inside: Computation) -> int:
    left, right = (_operand(instruction, inside, i) for i in (0, 1))
    labels = _LABELS.search(instruction.rest)
    if left is None or right is None or labels is None:
        return 0
    image, kernel, result = labels.groups()
    out = instruction.outputs[0].shape
    groups = _GROUPS.search(instruction.rest)
    window = _window(instruction.rest, kernel)
    taps = 1
    for name, (size, stride, low, dilation, spread) in window.items():
        image_size = left.shape[image.index(name)]
        places = out[result.index(name)]
        taps *= _valid_taps(image_size, places, size, stride, low, dilation, spread)
    batch = left.shape[image.index("b")] // (int(groups[1]) if groups else 1)
    # The kernel's inputs are those of one group.
    return 2 * batch * out[result.index("f")] * right.shape[kernel.index("i")] * taps


def _library_convolution(instruction: Instruction, inside: Computation) -> int:
    """FLOPs of a call of cuDNN, forward or backward; taps on padding count too."""
    labels = _LABELS.search(instruction.rest)
    arrays = [_operand(instruction, inside, i) for i in (0, 1)]
    if labels is None or None in arrays:
        return 0
    left, right = (array.shape for array in arrays if array is not None)
    kernel = labels[2]
    target, out = instruction.target, instruction.outputs[0].shape
    # Of the three arrays, the kernel and the forward pass's result are needed.
    if target.endswith("BackwardFilter"):
        weights, made = out, right
    elif target.endswith("BackwardInput"):
        weights, made = right, left
    else:
        weights, made = right, out
    per_value = math.prod(weights) // weights[kernel.index("o")]
    return 2 * math.prod(made) * per_value


def _operand(instruction: Instruction, inside: Computation, number: int) -> Array | None:
    source = inside.get(instruction.operands[number]) if instruction.operands[number:] else None
    return source.outputs[0] if source and source.outputs else None


def _window(rest: str, kernel: str) -> dict[str, tuple[int, int, int, int, int]]:
    """Size, stride, padding before, dilation of the input and of the kernel, by spatial axis."""
    found = _WINDOW.search(rest)
    fields = dict(part.split("=", 1) for part in found[1].split()) if found else {}
    axes = sorted(name for name in kernel if name.isdigit())

    def values(name: str, default: str) -> list[str]:
        return fields[name].split("x") if name in fields else [default] * len(axes)

    columns = (
        [int(value) for value in values("size", "1")],
        [int(value) for value in values("stride", "1")],
        [int(value.split("_")[0]) for value in values("pad", "0_0")],
        [int(value) for value in values("lhs_dilate", "1")],
        [int(value) for value in values("rhs_dilate", "1")],
    )
    return {axis: tuple(column[i] for column in columns) for i, axis in enumerate(axes)}  # type: ignore[misc]


@functools.cache
def _valid_taps(
    image: int, places: int, size: int, stride: int, low: int, dilation: int, spread: int
) -> int:
    """Pairs of a result and a tap that meet a value of the input, along one axis.

    Neither padding nor the zeros between the values of a dilated input count.
    """
    end = (image - 1) * dilation
    met = (
        place * stride + tap * spread - low
        for place, tap in itertools.product(range(places), range(size))
    )
    return sum(1 for at in met if 0 <= at <= end and at % dilation == 0)
