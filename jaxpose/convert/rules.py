"""Weight conversion as data: a table of key patterns, applied so that nothing is left over.

A table is a list of `Rule`. Each names source keys by a regular expression and says where in the
variables they go and how the array changes. `apply` insists that every source key and every model
leaf is used exactly once, and reports all that were not in one message.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from jaxpose.errors import InputError

Transform = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Rule:
    r"""Where the source keys that match `pattern` go.

    Attributes:
      pattern: regular expression for the whole key; its named groups may be used in `target`.
      target: path of a model leaf, such as `"params/head/final/{name}"`; None drops the key, for
        values the model has no use for.
      transform: source array to the model's layout.
      stack: name of the group that numbers the layers: the arrays of all layers are stacked on a
        new leading axis. `""` for none.
      join: name of the group that tells apart the parts of one leaf, such as query, key and value
        of a fused projection: the parts are concatenated. `""` for none.
      join_order: every value of the `join` group, in order.
      join_axis: axis of concatenation, after `transform` and before stacking.
    """

    pattern: str
    target: str | None
    transform: Transform = np.asarray
    stack: str = ""
    join: str = ""
    join_order: tuple[str, ...] = ()
    join_axis: int = 0


@dataclass(frozen=True)
class _Piece:
    key: str
    array: np.ndarray
    rule: Rule
    layer: int
    part: int


def apply(
    rules: Sequence[Rule], state_dict: Mapping[str, np.ndarray], expected: Mapping
) -> dict[str, np.ndarray]:
    """The model's leaves, by path, from the source arrays.

    Args:
      rules: the table.
      state_dict: source arrays by key.
      expected: what the model needs, `{path: array or ShapeDtypeStruct}` (see `flatten`).

    Returns:
      `{path: array}` with exactly the paths, shapes and dtypes of `expected`.

    Raises:
      InputError: listing every source key without a rule or with several, every model leaf without
        a source, and every shape that differs.
    """
    compiled = [(re.compile(rule.pattern), rule) for rule in rules]
    pieces: dict[str, list[_Piece]] = {}
    unknown, faulty = [], []
    for key, array in state_dict.items():
        matches = [(m, rule) for pattern, rule in compiled if (m := pattern.fullmatch(key))]
        if len(matches) != 1:
            several = " (several rules of the table match)" if matches else ""
            unknown.append(f"{key} {_shape(array)}{several}")
            continue
        match, rule = matches[0]
        if rule.target is None:
            continue
        groups = match.groupdict()
        path = rule.target.format_map(groups)
        if path not in expected:
            unknown.append(f"{key} {_shape(array)}")
            continue
        layer = int(groups[rule.stack]) if rule.stack else 0
        part = rule.join_order.index(groups[rule.join]) if rule.join else 0
        try:
            piece = _Piece(key, rule.transform(array), rule, layer, part)
        except ValueError:  # the transform reshapes or transposes, and the rank or size is wrong
            faulty.append(f"{key} {_shape(array)} does not fit {path} {_shape(expected[path])}")
            pieces.setdefault(path, [])
            continue
        pieces.setdefault(path, []).append(piece)

    leaves = {}
    for path, found in pieces.items():
        if not found:
            continue
        try:
            leaf = _assemble(found)
        except ValueError as error:
            faulty.append(f"{_names(found)} -> {path} {_shape(expected[path])}: {error}")
            continue
        if leaf.shape != tuple(expected[path].shape):
            faulty.append(
                f"{_names(found)} gives {_shape(leaf)}, {path} needs {_shape(expected[path])}"
            )
            continue
        leaves[path] = leaf.astype(expected[path].dtype)
    missing = [f"{path} {_shape(leaf)}" for path, leaf in expected.items() if path not in pieces]
    if unknown or missing or faulty:
        raise InputError(
            "The checkpoint does not belong to this model."
            + _section("keys of the checkpoint without a place in the model", unknown)
            + _section("leaves of the model that the checkpoint lacks", missing)
            + _section("arrays of another shape", faulty)
            + "\nBuild the model that the checkpoint was trained as (size, head, number of "
            "keypoints). To keep only its backbone, load it with reset_head=True."
        )
    return leaves


def _assemble(pieces: Sequence[_Piece]) -> np.ndarray:
    """Concatenate the parts of each layer, then stack the layers; ValueError says what is amiss."""
    rule = pieces[0].rule
    by_place = {(piece.layer, piece.part): piece.array for piece in pieces}
    if len(by_place) != len(pieces):
        raise ValueError("several keys for one place")
    layers = max(piece.layer for piece in pieces) + 1
    parts = max(1, len(rule.join_order))
    absent = [
        f"layer {layer}" + (f" {rule.join_order[part]}" if rule.join else "")
        for layer in range(layers)
        for part in range(parts)
        if (layer, part) not in by_place
    ]
    if absent:
        raise ValueError(f"no key for {', '.join(absent)}")
    joined = [
        np.concatenate([by_place[layer, part] for part in range(parts)], rule.join_axis)
        if rule.join
        else by_place[layer, 0]
        for layer in range(layers)
    ]
    return np.stack(joined) if rule.stack else joined[0]


def flatten(variables: Mapping) -> dict:
    """Nested variables -> `{"params/backbone/...": leaf}`, in the order of the tree."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(variables)
    return {"/".join(entry.key for entry in path): leaf for path, leaf in leaves}


def nest(leaves: Mapping[str, np.ndarray]) -> dict:
    """The inverse of `flatten`, always with `params` and `batch_stats`."""
    tree: dict = {"params": {}, "batch_stats": {}}
    for path, leaf in leaves.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
    return tree


def _shape(array) -> str:
    return str(list(array.shape))


def _names(pieces: Sequence[_Piece]) -> str:
    more = f" and {len(pieces) - 1} more" if len(pieces) > 1 else ""
    return f"{pieces[0].key}{more}"


def _section(title: str, lines: Iterable[str]) -> str:
    lines = list(lines)
    return f"\n{len(lines)} {title}:\n  " + "\n  ".join(lines) if lines else ""
