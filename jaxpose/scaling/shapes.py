"""Sizes of a model: a ViT's shape by its dimensions, or any model's by named overrides.

The axes of a ViT and its data are `width` (`backbone.dim`; heads keep their dimension), `depth`,
`mlp` (hidden units), `patch`, `resolution` (height of the input; width follows) and `data` (the
fraction of the training set that is used).
"""

import itertools
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxpose.data.source import SyntheticPeople
from jaxpose.errors import InputError
from jaxpose.models.heads import DeconvHead
from jaxpose.models.vit import ViT
from jaxpose.train.experiment import Experiment

AXES = ("width", "depth", "mlp", "patch", "resolution", "data")
SHAPE_EXPONENTS = {"width": 0.22, "depth": 0.45, "mlp": 0.6}
"""Exponents in compute of SoViT's optimal shapes (arXiv:2305.13035)."""


@dataclass(frozen=True)
class Size:
    """Size of a model.

    Attributes:
      name: short, part of folder names.
      set: overrides of the experiment for this size.
      shape: its value on every axis that varies; empty for a size given by overrides.
    """

    name: str
    set: tuple[str, ...]
    shape: Mapping[str, float]


def named(text: str) -> Size:
    """Parses a size from `NAME: key=value key=value ...`, for any model."""
    name, colon, rest = text.partition(":")
    name = name.strip()
    if not colon or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise InputError(
            f"--size {text!r} is not of the form 'NAME: key=value key=value', such as "
            "'wide: model.backbone.dim=512 model.backbone.heads=8'."
        )
    return Size(name, tuple(shlex.split(rest)), {})


def grid(experiment: Experiment, axes: Mapping[str, Sequence[float]]) -> list[Size]:
    """All combinations of the values on the axes."""
    names = list(axes)
    return [
        _size(experiment, dict(zip(names, values, strict=True)))
        for values in itertools.product(*axes.values())
    ]


def star(experiment: Experiment, axes: Mapping[str, Sequence[float]]) -> list[Size]:
    """Centre, and shapes that differ from it on one axis (SoViT, arXiv:2305.13035).

    The centre is the experiment itself. Its MLP keeps its number of hidden units, so that a wider
    ViT does not get a larger MLP as well.
    """
    centre = centre_of(experiment, axes)
    shapes = [centre]
    for axis, values in axes.items():
        shapes += [centre | {axis: value} for value in values if value != centre[axis]]
    return [_size(experiment, shape, label=_differing(shape, centre)) for shape in shapes]


def joint(
    experiment: Experiment,
    factors: Sequence[float],
    exponents: Mapping[str, float] = SHAPE_EXPONENTS,
) -> list[Size]:
    """Scales the experiment's shape for `factors` times its compute, all axes together.

    Axis k grows as `factor ** exponents[k]` (SoViT, arXiv:2305.13035), rounded to values that a ViT
    can have.
    """
    centre = centre_of(experiment, exponents)
    step = {"width": head_dim(experiment), "mlp": head_dim(experiment), "depth": 1}
    if not all(0 < factor < math.inf for factor in factors):
        raise InputError(f"--joint factors must be positive numbers: {list(factors)}.")
    sizes = []
    for factor in factors:
        shape = {}
        for axis, exponent in exponents.items():
            value, unit = centre[axis] * factor**exponent, step[axis]
            shape[axis] = float(max(unit, round(value / unit) * unit))
        sizes.append(_size(experiment, shape, label=f"x{factor:g}"))
    return sizes


def centre_of(experiment: Experiment, axes: Mapping[str, Any]) -> dict[str, float]:
    """Values of the experiment on each axis.

    Raises:
      InputError: the backbone is not a ViT, or there is no such axis.
    """
    image = _image_experiment(experiment)
    vit = image.model.backbone
    own = {
        "width": vit.dim,
        "depth": vit.depth,
        "mlp": vit.mlp_hidden or 4 * vit.dim,
        "patch": vit.patch,
        "resolution": image.codec.input_hw[0],
        "data": 1.0,
    }
    for axis in axes:
        if axis not in own:
            raise InputError(f"There is no axis {axis!r}; the axes are {', '.join(AXES)}.")
    return {axis: float(own[axis]) for axis in axes}


def _size(experiment: Experiment, shape: Mapping[str, float], label: str | None = None) -> Size:
    name = label or "-".join(f"{_LETTER[axis]}{value:g}" for axis, value in shape.items())
    return Size(name, tuple(_overrides(experiment, shape)), dict(shape))


_LETTER = {"width": "w", "depth": "d", "mlp": "m", "patch": "p", "resolution": "r", "data": "data"}


def _differing(shape: Mapping[str, float], centre: Mapping[str, float]) -> str:
    parts = [f"{_LETTER[k]}{v:g}" for k, v in shape.items() if v != centre[k]]
    return "-".join(parts) or "centre"


def _overrides(experiment: Experiment, shape: Mapping[str, float]) -> list[str]:
    image, changes = _image_experiment(experiment), []
    vit, codec = image.model.backbone, image.codec
    if "width" in shape:
        width, per_head = _whole("width", shape["width"]), head_dim(experiment)
        if width % per_head:
            raise InputError(
                f"width {width} is not a multiple of the recipe's head dimension {per_head}; heads "
                "keep their dimension when the width changes."
            )
        changes += [f"model.backbone.dim={width}", f"model.backbone.heads={width // per_head}"]
    if "depth" in shape:
        changes.append(f"model.backbone.depth={_whole('depth', shape['depth'])}")
    if "mlp" in shape:
        changes.append(f"model.backbone.mlp_hidden={_whole('mlp', shape['mlp'])}")
    input_hw, heatmap_hw = codec.input_hw, getattr(codec, "heatmap_hw", None)
    if "resolution" in shape:
        input_hw, heatmap_hw = _resized(image, _whole("resolution", shape["resolution"]))
        changes += [f"codec.input_hw={input_hw}", f"model.backbone.input_hw={input_hw}"]
        changes += [f"codec.heatmap_hw={heatmap_hw}"] if heatmap_hw else []
    if "patch" in shape:
        patch = _whole("patch", shape["patch"])
        if any(side % patch for side in input_hw):
            raise InputError(f"patch {patch} does not divide the input {input_hw}.")
        changes.append(f"model.backbone.patch={patch}")
        changes += _head_for(image, vit.patch, patch)
    if "data" in shape:
        changes += _part_of_data(image, shape["data"])
    return changes


def _resized(image: Any, height: int) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """Input and heatmap of that height, with the same aspect and stride."""
    codec, patch = image.codec, image.model.backbone.patch
    scale = height / codec.input_hw[0]
    heatmap = getattr(codec, "heatmap_hw", None)
    sides = [(side * scale) for side in (*codec.input_hw, *(heatmap or ()))]
    if any(side != int(side) for side in sides) or any(side % patch for side in sides[:2]):
        raise InputError(
            f"resolution {height} gives an input of {sides[0]:g}x{sides[1]:g} pixels, which patch "
            f"{patch} does not divide, or a heatmap size that is not whole."
        )
    whole = [int(side) for side in sides]
    return (whole[0], whole[1]), (whole[2], whole[3]) if heatmap else None


def _head_for(image: Any, before: int, patch: int) -> list[str]:
    """Overrides for more or fewer deconvolutions, so that the heatmap keeps its size."""
    more = math.log2(patch / before)
    head = image.model.head
    channels = getattr(head, "deconv_channels", ())
    if more == 0:
        return []
    if not isinstance(head, DeconvHead) or more != int(more) or -more > len(channels):
        raise InputError(
            f"patch {patch} in place of {before} changes the size of the heatmap, and "
            f"{type(head).__name__} cannot compensate for this with deconvolutions; give the "
            "sizes with --size and set the head and the codec too."
        )
    count = len(channels) + int(more)
    longer = (*channels, *(channels[-1:] or (64,)) * max(0, int(more)))[:count]
    return [f"model.head.deconv_channels={longer}"]


def _part_of_data(image: Any, fraction: float) -> list[str]:
    if not 0 < fraction <= 1:
        raise InputError(f"data is a fraction of the training set in (0, 1], and is {fraction:g}.")
    if fraction == 1:
        return []
    if not isinstance(image.train_data, SyntheticPeople):
        return [f"train_data.part={fraction * image.train_data.part:.6g}"]
    return [f"train_data.count={max(1, round(fraction * image.train_data.count))}"]


def _image_experiment(experiment: Experiment) -> Any:
    if not isinstance(getattr(experiment.model, "backbone", None), ViT):
        raise InputError(
            "width, depth, mlp, patch and resolution are axes of a ViT for images, and this "
            "recipe has none. Give its sizes as --size 'NAME: key=value key=value'."
        )
    return experiment


def head_dim(experiment: Experiment) -> int:
    """Dimension of the heads of the experiment's ViT."""
    vit = _image_experiment(experiment).model.backbone
    return vit.dim // vit.heads


def _whole(axis: str, value: float) -> int:
    if value != int(value) or value < 1:
        raise InputError(f"{axis} must be a whole number of at least 1, and is {value:g}.")
    return int(value)
