"""Shapes on the line of a study's sizes: the model of any number of parameters, and its cost."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxpose.config import from_json, override
from jaxpose.models.build import abstract_variables
from jaxpose.scaling import shapes
from jaxpose.scaling.frontier import Price, price
from jaxpose.scaling.manifest import Manifest
from jaxpose.scaling.shapes import Size
from jaxpose.scaling.training_cost import TrainingCost, experiment_cost
from jaxpose.train.experiment import Experiment
from jaxpose.train.optimizers import frozen_patterns
from jaxpose.train.parameter_groups import frozen_mask

_WALKED = ("width", "depth", "mlp")
_MOST_TRACED = 6
_MOST_TRIED = 8
_PLACES = (-9.0, 9.0)  # logarithms


@dataclass(frozen=True)
class Shape:
    """Model of a study's line.

    Attributes:
      size: its overrides; experiment: the study's experiment with them.
      cost: its parameters and FLOPs.
    """

    size: Size
    experiment: Any
    cost: TrainingCost


def nearest_shape(manifest: Manifest, parameters: float) -> Shape | None:
    """Shape with about that number of parameters, on the line of the study's sizes.

    The line is one axis of a ViT (width, depth or MLP) if the study varies that one alone, and the
    joint growth of all three if it varies all. None for a study of other sizes.
    """
    experiment = from_json(manifest.experiment)
    make = _line(manifest, experiment)
    if make is None:
        return None
    sizes: dict[tuple[str, ...], tuple[Size, float]] = {}
    places: list[float] = [0.0, math.log(4.0)]
    logs: list[float] = []
    for _ in range(_MOST_TRIED):
        size = make(math.exp(places[len(logs)]))
        if size.set not in sizes:
            count = _trainable(override(experiment, size.set))
            sizes[size.set] = size, math.log(count / parameters)
        logs.append(sizes[size.set][1])
        if len(logs) >= len(places):
            # Parameters are nearly a power of the place: the secant in logarithms.
            run, rise = places[-1] - places[-2], logs[-1] - logs[-2]
            if abs(rise) < 1e-6:
                break
            place = places[-1] - logs[-1] * run / rise
            places.append(min(max(place, _PLACES[0]), _PLACES[1]))
    best, _ = min(sizes.values(), key=lambda pair: abs(pair[1]))
    sized = override(experiment, best.set)
    return Shape(best, sized, experiment_cost(sized))


def _trainable(experiment: Any) -> int:
    """Number of trainable values, without a trace of the training step."""
    params = abstract_variables(experiment.model, experiment.input_hw)["params"]
    still = frozen_mask(params, frozen_patterns(experiment.optimizer))
    moving = jax.tree.map(lambda x, s: 0 if s else x.size, params, still)
    return sum(jax.tree.leaves(moving))


def _line(manifest: Manifest, experiment: Experiment) -> Callable[[float], Size] | None:
    """Sizes of the study's line by a positive number, in which parameters are nearly a power."""
    seen = [{k: v for k, v in point.shape.items() if k != "data"} for point in manifest.points]
    names = sorted({name for shape in seen for name in shape})
    varied = [name for name in names if len({shape.get(name) for shape in seen}) > 1]
    if sorted(varied) == sorted(_WALKED):
        return lambda place: shapes.joint(experiment, [place])[0]
    if len(varied) != 1 or varied[0] not in _WALKED:
        return None
    (axis,) = varied
    fixed = {name: [seen[0][name]] for name in names if name != axis}
    unit = 1 if axis == "depth" else shapes.head_dim(experiment)

    def size(place: float) -> Size:
        return shapes.grid(experiment, {axis: [float(unit * max(1, round(place)))]} | fixed)[0]

    return size


def forward_price(manifest: Manifest) -> Price | None:
    """FLOPs of one sample in use, without training, by size; None with a single size."""
    sets = {point.parameters: point for point in manifest.points}
    chosen = [sets[n] for n in sorted(sets)]
    chosen = chosen[:: max(1, len(chosen) // _MOST_TRACED)]
    costs = [experiment_cost(manifest.experiment_of(point)) for point in chosen]
    if len({cost.trainable for cost in costs}) < 2:
        return None
    sizes, forward = np.array([(cost.trainable, 2.0 * cost.forward) for cost in costs]).T
    return price(sizes, forward)
