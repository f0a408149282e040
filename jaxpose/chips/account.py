"""Account of a program on real chips: what their own compiler makes of it, and what follows.

A bound is no speed: see `LIMITS`.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from jaxpose.chips import hlo_cost, programs
from jaxpose.chips.hlo_cost import Work
from jaxpose.chips.hlo_text import Program, read_program
from jaxpose.chips.table import Chip
from jaxpose.chips.topology import Slice
from jaxpose.errors import InputError
from jaxpose.models.build import abstract_variables, count_parameters
from jaxpose.train.experiment import Experiment
from jaxpose.train.mesh import make_mesh
from jaxpose.train.step import PARTS

LIMITS = (
    "Bounds, not speeds: each array is read once, everything overlaps, and the chip is always at "
    "its peak. Not included: padding in the matrix units, waits between operations, real clocks"
)
_NO_AUTOTUNING = ", the choice of kernels by measurement (no autotuning without a GPU)"

_LARGEST = 10
_PART = re.compile(rf"(?:^|/)({'|'.join(PARTS)})(?=/|$)")
_USED = re.compile(
    r"(?:Used |HLO temporaries \()([\d.]+[KMGT]?)"
    r"(?: of |\) exceeds available HBM \()([\d.]+[KMGT]?)"
)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class TooLarge(InputError):
    """Error of a program that does not fit the chips' memory.

    Attributes:
      used, available: bytes on each chip.
    """

    def __init__(self, wanted: Slice, used: float, available: float) -> None:
        self.used, self.available = used, available
        super().__init__(
            f"The program needs {used / 2**30:.2f} GiB on each chip of {wanted}, "
            f"{(used - available) / 2**30:.2f} GiB more than the {available / 2**30:.2f} GiB that "
            "it has."
        )


@dataclass(frozen=True)
class Compiled:
    """Program for each chip of a slice, as its compiler has made it."""

    text: str
    memory: hlo_cost.Memory
    xla: dict[str, float]
    seconds: float
    mesh: dict[str, int]


def limits(chip: Chip) -> str:
    """Sentence on what a bound for a chip does not include."""
    return f"{LIMITS}{_NO_AUTOTUNING if chip.kind == 'gpu' else ''}."


def compile_for(experiment: Experiment, wanted: Slice, name: programs.Name) -> Compiled:
    """Compile a program of an experiment for a slice of chips.

    Raises:
      TooLarge: the program does not fit the chips' memory.
      InputError: the mesh does not fit the slice or the batch; the program needs cuDNN; an error of
        `Slice.devices`.
    """
    mesh = make_mesh(experiment.mesh, wanted.devices())
    begun = time.perf_counter()
    try:
        lowered = programs.lower(experiment, name, mesh)
    except RuntimeError as error:
        if "cuDNN" not in str(error):
            raise
        raise InputError(
            "Attention by cuDNN (attention=cudnn) can only be compiled on a machine that has cuDNN "
            "and the GPU. Set it to xla for a bound; cuDNN's moves fewer bytes."
        ) from error
    try:
        compiled = lowered.compile(compiler_options=wanted.compiler_options or None)
    except jax.errors.JaxRuntimeError as error:
        found = _USED.search(str(error))
        if "RESOURCE_EXHAUSTED" not in str(error) or found is None:
            raise
        used, available = (_bytes(size) for size in found.groups())
        raise TooLarge(wanted, used, available) from error
    memory = hlo_cost.memory(compiled)
    if memory.total > wanted.chip.hbm:  # only TPUs' compiler refuses such a program
        raise TooLarge(wanted, memory.total, wanted.chip.hbm)
    costs = compiled.cost_analysis() or {}
    return Compiled(
        compiled.as_text() or "",
        memory,
        {name: float(costs.get(name, 0.0)) for name in ("flops", "bytes accessed")},
        time.perf_counter() - begun,
        dict(mesh.shape),
    )


def account(experiment: Experiment, wanted: Slice, name: programs.Name = "train") -> dict[str, Any]:
    """Compile a program for a slice, and return its costs on each chip as JSON types.

    Raises:
      InputError: an error of `compile_for`.
    """
    compiled = compile_for(experiment, wanted, name)
    variables = abstract_variables(experiment.model, experiment.input_hw)
    return {
        "chips": str(wanted),
        "program": name,
        "mesh": compiled.mesh,
        "batch_size": programs.batch_of(experiment, name),
        "accumulate": experiment.accumulate if name == "train" else 1,
        "parameters": count_parameters(variables),
        "compile_seconds": compiled.seconds,
        "memory": {
            "arguments": compiled.memory.state_and_batch,
            "temporaries": compiled.memory.temporary,
            "peak": compiled.memory.total,
            "hbm": wanted.chip.hbm,
        },
        "xla": compiled.xla,
        **costs(
            read_program(compiled.text),
            wanted.chip,
            programs.model_flops(experiment, name) / wanted.count,
        ),
    }


def costs(program: Program, chip: Chip, model_flops: float) -> dict[str, Any]:
    """Costs of a program for one chip, and the bounds that follow, as JSON types.

    Args:
      program: the program of one chip.
      chip: figures of the chip.
      model_flops: FLOPs of the model on one chip, which MFU is the share of.
    """
    works = hlo_cost.work(program)
    flops, moved = sum(one.flops for one in works), sum(one.bytes for one in works)
    traffic = hlo_cost.traffic(program)
    seconds = {
        "flops": flops / chip.flops,
        "bytes": moved / chip.bandwidth,
        "links": sum(one.sent for one in traffic.values()) / chip.links,
    }
    longest = max(seconds.values())
    loops = hlo_cost.loops(program)
    return {
        "flops": flops,
        "model_flops": model_flops,
        "bytes": moved,
        "seconds": seconds,
        # A compiler leaves out products that the model's FLOPs contain, such as some with padding.
        "mfu_bound": min(model_flops / chip.flops / longest, 1.0) if longest else 1.0,
        "parts": _parts(works, chip),
        "collectives": {
            kind: {"number": one.number, "sent_bytes": one.sent, "overlapped": one.overlapped}
            for kind, one in traffic.items()
        },
        "operations": _operations(works),
        "loops": {
            "number": sum(times for _, times, _ in loops),
            "rounds": sum(times * (rounds or 0) for _, times, rounds in loops),
            "of_unknown_length": sum(times for _, times, rounds in loops if rounds is None),
        },
        "largest": [_described(one, moved) for one in hlo_cost.largest(works, _LARGEST)],
    }


def _parts(works: Iterable[Work], chip: Chip) -> dict[str, Any]:
    """Costs of the scopes of a training step; `other` is what belongs to none of them."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in works:
        found = _PART.search(one.op_name)
        total = sums[found[1] if found else "other"]
        total[0] += one.flops
        total[1] += one.bytes
    return {
        name: {
            "flops": flops,
            "bytes": moved,
            "seconds": max(flops / chip.flops, moved / chip.bandwidth),
        }
        for name, (flops, moved) in sorted(sums.items())
    }


def _operations(works: Sequence[Work]) -> dict[str, Any]:
    """Numbers of operations in a run that are slow on accelerators, and of kernels."""
    opcodes: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    kernels: Counter[str] = Counter()
    for one in works:
        for opcode, number in one.opcodes.items():
            opcodes[opcode] += one.times * number
        instruction = one.instruction
        kernels[instruction.opcode.removesuffix("-start")] += one.times
        if instruction.opcode == "custom-call":
            calls[instruction.target] += one.times
    return {
        **{opcode: opcodes[opcode] for opcode in ("gather", "scatter", "sort")},
        "kernels": kernels.total(),
        "fusions": kernels["fusion"],
        "library_calls": dict(sorted(calls.items())),
    }


def _described(one: Work, moved: int) -> dict[str, Any]:
    outputs = one.instruction.outputs
    return {
        "bytes": one.bytes,
        "share": one.bytes / moved if moved else 0.0,
        "flops": one.flops,
        "runs": one.times,
        "operation": one.instruction.name,
        "shape": ", ".join(f"{x.kind}{list(x.shape)}" for x in outputs[:2])
        + (", ..." if len(outputs) > 2 else ""),
        "op_name": one.op_name,
        "place": str(one.place) if one.place else "",
    }


def _bytes(size: str) -> float:
    return float(size.rstrip("KMGT")) * _UNITS[size[-1] if size[-1] in "KMGT" else ""]
