"""A model ready to predict with, from a run directory or from a release folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax

from jaxpose.codecs import Codec
from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.config import LiftingExperiment, from_json
from jaxpose.convert.reading import RELEASE
from jaxpose.convert.release import load_release
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel
from jaxpose.models.distill import Distilled
from jaxpose.models.lifting.lifter import Lifter, pose_part
from jaxpose.skeletons import Skeleton
from jaxpose.train.run import load_run


@dataclass(frozen=True)
class Trained:
    """A model with all that prediction needs.

    Attributes:
      directory: where it was read from.
      step: of the training; None for a release.
    """

    directory: Path
    model: PoseModel | Distilled
    variables: Any
    codec: Codec
    skeleton: Skeleton
    padding: float
    step: int | None


@dataclass(frozen=True)
class TrainedLifter:
    """A lifter with all that prediction needs; its codec has the training set's statistics."""

    directory: Path
    model: Lifter
    variables: Any
    codec: LiftingCodec
    skeleton: Skeleton
    step: int | None


def load_trained(directory: Path, checkpoint: Literal["best", "last"]) -> Trained:
    """The model of a run directory, or of a folder that `jaxpose convert` wrote.

    Raises:
      InputError: as `load_run` and `load_release`; a release that does not say how its outputs
        become keypoints; a lifter.
    """
    stored = _stored(directory, checkpoint)
    if isinstance(stored.codec, LiftingCodec):
        raise InputError(
            f"{directory} holds a lifter, which takes keypoints and not pictures. Name it with "
            "--lift, and a model for pictures with --from."
        )
    return Trained(
        directory,
        stored.model,
        stored.variables,
        stored.codec,
        stored.skeleton,
        stored.padding,
        stored.step,
    )


def load_lifter(directory: Path, checkpoint: Literal["best", "last"] = "best") -> TrainedLifter:
    """The lifter of a run directory, or of a folder that `jaxpose convert` wrote.

    Raises:
      InputError: as `load_trained`; a model for pictures.
    """
    stored = _stored(directory, checkpoint)
    if not isinstance(stored.codec, LiftingCodec):
        raise InputError(
            f"{directory} holds a model for pictures, not a lifter. Train one with a recipe such "
            "as h36m_mlp."
        )
    return TrainedLifter(
        directory, stored.model, stored.variables, stored.codec, stored.skeleton, stored.step
    )


class _Stored(NamedTuple):
    model: Any
    variables: Any
    codec: Any
    skeleton: Skeleton
    padding: float
    step: int | None


def _stored(directory: Path, checkpoint: Literal["best", "last"]) -> _Stored:
    """Whatever model the folder holds."""
    if not (directory / RELEASE).is_file():
        run = load_run(directory, checkpoint)
        of = run.experiment
        padding = getattr(of, "padding", 0.0)
        model, variables = of.model, run.variables
        if isinstance(of, LiftingExperiment):
            model, variables = pose_part(of.model, variables)
        return _Stored(model, variables, of.codec, of.skeleton, padding, run.step)
    release = load_release(directory)
    parts = {
        name: from_json(release.config.get(name), name) for name in ("model", "codec", "skeleton")
    }
    if not all(parts.values()):
        absent = ", ".join(name for name, part in parts.items() if not part)
        raise InputError(
            f"{directory / 'config.json'} has no {absent}, which prediction needs. Convert the "
            "checkpoint again with --skeleton, or load it with jaxpose.convert.load_pretrained."
        )
    padding = float(release.config.get("padding", 1.25))
    variables = jax.device_put(release.variables)
    return _Stored(**parts, variables=variables, padding=padding, step=None)
