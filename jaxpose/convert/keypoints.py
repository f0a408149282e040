"""Copies of a head's outputs for the keypoints that two sets share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jaxpose.convert.rules import flatten
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel, abstract_variables


@dataclass(frozen=True)
class KeypointAxis:
    """Axis of a leaf that counts its keypoints, with `factor` values for each keypoint."""

    axis: int
    factor: int


def shared_keypoints(target: Sequence[str], source: Sequence[str]) -> dict[int, int]:
    """Map `{row in target: row in source}` of the keypoints with the same name.

    Raises:
      InputError: no name is in both.
    """
    rows = {name: row for row, name in enumerate(source)}
    shared = {row: rows[name] for row, name in enumerate(target) if name in rows}
    if not shared:
        raise InputError(
            f"No keypoint has the same name in both sets ({', '.join(target[:4])}, … and "
            f"{', '.join(source[:4])}, …). Give the rows as a mapping, or reset the head."
        )
    return shared


def keypoint_axes(model: PoseModel, input_hw: tuple[int, int]) -> dict[str, KeypointAxis]:
    """Leaves of `model`, by path, whose shapes depend on its number of keypoints."""
    count = model.head.num_keypoints
    larger = model.clone(head=model.head.clone(num_keypoints=count + 1))
    shapes, more = (flatten(abstract_variables(m, input_hw)) for m in (model, larger))
    axes = {}
    for path, leaf in shapes.items():
        for axis, (size, grown) in enumerate(zip(leaf.shape, more[path].shape, strict=True)):
            if grown != size:
                axes[path] = KeypointAxis(axis, grown - size)
    return axes


def count_keypoints(
    axes: Mapping[str, KeypointAxis], shapes: Mapping[str, tuple[int, ...]]
) -> int | None:
    """Number of keypoints of a head of these shapes; None if the shapes do not agree."""
    counts = set()
    for path, where in axes.items():
        if path in shapes and len(shapes[path]) > where.axis:
            counts.add(shapes[path][where.axis] / where.factor)
    count = counts.pop() if len(counts) == 1 else 0.5
    return int(count) if count == int(count) else None


def copy_keypoints(
    loaded: np.ndarray,
    fresh: np.ndarray,
    where: KeypointAxis,
    rows: Mapping[int, int],
    source_count: int,
    target_count: int,
) -> np.ndarray:
    """Return `fresh` with the values of `loaded` for the keypoints in `rows`.

    `rows` is `{row of the model's keypoints: row of the checkpoint's}`.

    Raises:
      InputError: a row does not exist.
    """
    for target, source in rows.items():
        if not (0 <= target < target_count and 0 <= source < source_count):
            raise InputError(
                f"keypoints maps row {target} to the checkpoint's row {source}, but the model has "
                f"{target_count} keypoints and the checkpoint {source_count}."
            )
    merged = np.moveaxis(np.array(fresh), where.axis, 0)
    values = np.moveaxis(loaded, where.axis, 0)
    factor = where.factor
    for target, source in rows.items():
        merged[target * factor : (target + 1) * factor] = values[
            source * factor : (source + 1) * factor
        ]
    return np.moveaxis(merged, 0, where.axis)
