"""Collectives that a TPU runs beside other work: a chain of fusions in its program.

The first fusion starts the collective, the last ends it. Each between them is other work, such as a
matrix multiplication, with which a step of the collective runs. All contain the collective's
instruction, which runs once.
"""

from typing import Literal

from jaxpose.chips.hlo_text import Instruction, Program

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")

Piece = Literal["start", "step", "done"]
_TARGETS: dict[str, Piece] = {"AsyncCollectiveStart": "start", "AsyncCollectiveDone": "done"}


def piece(program: Program, instruction: Instruction) -> Piece | None:
    """Piece of a collective that a fusion is; None for another instruction."""
    if instruction.opcode != "fusion":
        return None
    name = instruction.calls["calls"]
    for one in program.computations.get(name, {}).values():
        if one.target in _TARGETS:
            return _TARGETS[one.target]
    return "step" if name.startswith("async_collective_fusion") else None


def passed_on(program: Program, step: Instruction) -> tuple[set[int], set[int]]:
    """Operands and results of a step that belong to the collective alone, by number.

    They are the same arrays as before the step, and the collective's pieces pass them on.
    """
    body = program.computations[step.calls["calls"]]
    root = program.root(step.calls["calls"])
    own = {one.name for one in body.values() if one.opcode in COLLECTIVES}
    users: dict[str, set[str]] = {}
    for one in body.values():
        for operand in one.operands:
            users.setdefault(operand, set()).add(one.name)
    numbers = {
        one.name: int(one.rest[1 : one.rest.index(")")])
        for one in body.values()
        if one.opcode == "parameter"
    }
    kept = {name for name in numbers if users.get(name, set()) <= own | {root.name}}
    results = root.operands if root.opcode == "tuple" else ()
    return (
        {numbers[name] for name in kept},
        {i for i, name in enumerate(results) if name in kept or name in own},
    )
