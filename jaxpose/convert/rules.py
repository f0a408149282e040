"""Weight conversion by a table of key patterns, which has to cover every array.

A table is a list of `Rule`. Each rule selects source keys by a regular expression, and has their
path in the variables and the change of their layout. `apply` checks that every source key and every
model leaf is used exactly once, and reports all that were not in one message.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from jaxpose.convert.mismatch import Entry, Mismatch
from jaxpose.models.conversion import Rule

_KEEP_BACKBONE = (
    "load it with reset_head=True (in training `--set reset_head=true`, in convert `--model NAME "
    "--reset-head`)."
)


@dataclass(frozen=True)
class _Piece:
    key: str
    array: np.ndarray
    rule: Rule
    layer: int
    part: int


@dataclass
class Plan:
    """Result of a table for a checkpoint, before any array is copied.

    Attributes:
      pieces: arrays in the model's layout, by the leaf that they belong to.
      shapes: shape that each leaf would get.
      wanted: shape of each leaf of the model.
      identity: value that fills a leaf of a folded batch norm, by leaf.
      dropped: `(key, reason)` of the keys that the model does not use.
      unknown: keys without a leaf.
      missing: leaves without a key.
      faulty: arrays with a wrong shape.
    """

    pieces: dict[str, list[_Piece]]
    shapes: dict[str, tuple[int, ...]]
    wanted: dict[str, tuple[int, ...]]
    identity: dict[str, float]
    dropped: list[tuple[str, str]]
    unknown: list[Entry]
    missing: list[Entry]
    faulty: list[Entry]

    @property
    def fits(self) -> bool:
        """True if every key and every leaf is used exactly once, with the right shape."""
        return not self.faults

    @property
    def faults(self) -> int:
        """Number of keys and leaves that do not fit."""
        return len(self.unknown) + len(self.missing) + len(self.faulty)


def apply(
    rules: Sequence[Rule],
    state_dict: Mapping[str, np.ndarray],
    expected: Mapping,
    *,
    own: bool = False,
    reset_head: bool = False,
) -> dict[str, np.ndarray]:
    """Convert the source arrays to the model's leaves, by path.

    Args:
      rules: the table.
      state_dict: source arrays by key.
      expected: leaves of the model, `{path: array or ShapeDtypeStruct}` (see `flatten`).
      own: True for this library's own files, for the message.
      reset_head: True if only the backbone is loaded, for the message.

    Returns:
      `{path: array}` with exactly the paths, shapes and dtypes of `expected`.

    Raises:
      Mismatch: a source key has no rule or several, a model leaf has no source, or a shape differs;
        the message lists all of them.
    """
    plan = make_plan(rules, state_dict, expected)
    if not plan.fits:
        raise mismatch(plan, own=own, reset_head=reset_head)
    return assemble(plan, expected)


def assemble(plan: Plan, expected: Mapping) -> dict[str, np.ndarray]:
    """Make the leaves of a plan, with the dtypes of `expected` and the shapes of the plan."""
    leaves = {
        path: _join(found).astype(expected[path].dtype) for path, found in plan.pieces.items()
    }
    for path, value in plan.identity.items():
        leaves[path] = np.full(expected[path].shape, value, expected[path].dtype)
    return leaves


def make_plan(
    rules: Sequence[Rule], state_dict: Mapping[str, np.ndarray], expected: Mapping
) -> Plan:
    """Find the leaf of every array; arguments as for `apply`."""
    compiled = [(re.compile(rule.pattern), rule) for rule in rules]
    wanted = {path: tuple(leaf.shape) for path, leaf in expected.items()}
    plan = Plan({}, {}, wanted, {}, [], [], [], [])
    touched = set()
    for key, array in state_dict.items():
        matches = [(m, rule) for pattern, rule in compiled if (m := pattern.fullmatch(key))]
        if len(matches) != 1:
            note = " (several rules of the table match)" if matches else ""
            plan.unknown.append(Entry(key, array.shape, note))
            continue
        match, rule = matches[0]
        if rule.target is None:
            if rule.numbers and not np.isclose(array[..., None], rule.numbers).any(-1).all():
                plan.unknown.append(Entry(key, array.shape, " (not the constant of this model)"))
                continue
            value = rule.value
            if value is not None and not (array.shape == value.shape and np.allclose(array, value)):
                plan.unknown.append(Entry(key, array.shape, " (not the constant of this model)"))
                continue
            plan.dropped.append((key, rule.reason))
            continue
        groups = match.groupdict()
        path = rule.target.format_map(groups)
        if path not in expected:
            plan.unknown.append(Entry(key, array.shape))
            continue
        touched.add(path)
        layer = int(groups[rule.stack]) - rule.first if rule.stack else 0
        part = rule.join_order.index(groups[rule.join]) if rule.join else 0
        try:
            piece = _Piece(key, rule.transform(array), rule, layer, part)
        except ValueError:  # the transform reshapes or transposes, and the rank or size is wrong
            note = f" does not fit {path} {list(wanted[path])}"
            plan.faulty.append(Entry(key, array.shape, note))
            continue
        plan.pieces.setdefault(path, []).append(piece)
    _fill_folded_norms(plan, touched)
    _check_shapes(plan)
    plan.missing += [Entry(path, shape) for path, shape in wanted.items() if path not in touched]
    return plan


def _fill_folded_norms(plan: Plan, touched: set[str]) -> None:
    for path, (first, *_) in plan.pieces.items():
        if first.rule.folded_epsilon is None:
            continue
        norm = re.sub(r"/conv$", "/norm", path.removesuffix("/bias"))
        statistics = norm.replace("params/", "batch_stats/", 1)
        identity = {
            f"{norm}/scale": 1.0,
            f"{norm}/bias": 0.0,
            f"{statistics}/mean": 0.0,
            f"{statistics}/var": 1.0 - first.rule.folded_epsilon,
        }
        identity.pop(path, None)
        if identity.keys() <= plan.wanted.keys() - touched:
            plan.identity |= identity
    touched.update(plan.identity)


def _check_shapes(plan: Plan) -> None:
    for path, found in plan.pieces.items():
        wanted = plan.wanted[path]
        name, shape = _names(found), found[0].array.shape
        try:
            plan.shapes[path] = _joined_shape(found)
        except ValueError as error:
            plan.faulty.append(Entry(name, shape, f" -> {path} {list(wanted)}: {error}"))
            continue
        if plan.shapes[path] != wanted:
            note = f", {path} needs {list(wanted)}"
            plan.faulty.append(Entry(f"{name} gives", plan.shapes[path], note))


def _joined_shape(pieces: Sequence[_Piece]) -> tuple[int, ...]:
    """Shape of `_join(pieces)`.

    Raises:
      ValueError: the pieces do not fit together; the message has the reason.
    """
    rule = pieces[0].rule
    by_place = {(piece.layer, piece.part): piece.array.shape for piece in pieces}
    if len(by_place) != len(pieces):
        if not rule.copies:
            raise ValueError("several keys for one array")
        if not all(np.array_equal(piece.array, pieces[0].array) for piece in pieces):
            raise ValueError("the keys that share this array have different values")
    layers = max(piece.layer for piece in pieces) + 1
    parts = max(1, len(rule.join_order))
    absent = [
        f"layer {layer}" + (f" {rule.join_order[part]}" if rule.join else "")
        for layer in range(layers)
        for part in range(parts)
        if (layer, part) not in by_place
    ]
    if absent:
        more = f" and {len(absent) - 6} more" if len(absent) > 6 else ""
        raise ValueError(f"no key for {', '.join(absent[:6])}{more}")
    first = list(by_place[0, 0])
    axis = rule.join_axis
    for (layer, part), shape in by_place.items():
        same = list(shape)
        if rule.join and len(same) == len(first) and same:
            same[axis] = first[axis]
        if same != first:
            what = f"layer {layer}" + (f" {rule.join_order[part]}" if rule.join else "")
            raise ValueError(f"{what} is {list(shape)}, the first {first}")
    if rule.join:
        first[axis] = sum(by_place[0, part][axis] for part in range(parts))
    return (layers, *first) if rule.stack else tuple(first)


def _join(pieces: Sequence[_Piece]) -> np.ndarray:
    """Concatenate the parts of each layer, then stack the layers."""
    rule = pieces[0].rule
    by_place = {(piece.layer, piece.part): piece.array for piece in pieces}
    layers = max(layer for layer, _ in by_place) + 1
    joined = [
        np.concatenate([by_place[layer, part] for part in range(len(rule.join_order))], axis)
        if rule.join
        else by_place[layer, 0]
        for axis in (rule.join_axis,)
        for layer in range(layers)
    ]
    return np.stack(joined) if rule.stack else joined[0]


def mismatch(plan: Plan, *, own: bool = False, reset_head: bool = False) -> Mismatch:
    """Error for a plan that does not fit; the other arguments are those of `apply`."""
    wrong = {path for path, shape in plan.wanted.items() if plan.shapes.get(path) != shape}
    wrong -= set(plan.identity)
    backbone = [path for path in plan.wanted if path.split("/")[1:2] == ["backbone"]]
    verdict = "The checkpoint does not belong to this model"
    if wrong and backbone and wrong.isdisjoint(backbone):
        verdict += ": its backbone fits, its head does not"
    elif wrong:
        verdict += f": {len(plan.wanted) - len(wrong)} of the model's {len(plan.wanted)} arrays fit"
    helps = not reset_head and bool(backbone) and wrong.isdisjoint(backbone)
    advice = (
        "Build the backbone that the checkpoint was trained with (type, size)"
        if reset_head
        else "Build the model that the checkpoint was trained as (size, head, number of keypoints)"
    )
    advice += (
        "; the config.json beside the weights states it."
        if own
        else "; `jaxpose convert` finds it, if it is a published one."
    )
    if helps:
        advice += f" To keep only the backbone, {_KEEP_BACKBONE}"
    if not plan.unknown and all("no key for" in entry.note for entry in plan.faulty):
        verdict = (
            "The checkpoint is incomplete: all its arrays belong to this model, but "
            f"{len(wrong)} of the model's {len(plan.wanted)} arrays are absent or incomplete"
        )
        advice = "Download the file again, or save the model's whole state_dict again."
        if helps:
            advice += f" If it is only a backbone, {_KEEP_BACKBONE}"
    return Mismatch(
        f"{verdict}.",
        (
            ("keys of the checkpoint without a place in the model", plan.unknown),
            ("leaves of the model that the checkpoint lacks", plan.missing),
            ("arrays with a different shape", plan.faulty),
        ),
        advice,
    )


def flatten(variables: Mapping) -> dict:
    """Nested variables -> `{"params/backbone/...": leaf}`, in the order of the tree."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(variables)
    return {"/".join(entry.key for entry in path): leaf for path, leaf in leaves}


def nest(leaves: Mapping[str, np.ndarray]) -> dict:
    """Inverse of `flatten`, always with `params` and `batch_stats`."""
    tree: dict = {"params": {}, "batch_stats": {}}
    for path, leaf in leaves.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
    return tree


def _names(pieces: Sequence[_Piece]) -> str:
    more = f" and {len(pieces) - 1} more" if len(pieces) > 1 else ""
    return f"{pieces[0].key}{more}"
