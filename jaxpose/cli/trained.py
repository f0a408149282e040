"""A model ready to predict with, from a run directory or from a release folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax

from jaxpose.codecs import Codec
from jaxpose.config import from_json
from jaxpose.convert.reading import RELEASE
from jaxpose.convert.release import load_release
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel
from jaxpose.models.distill import Distilled
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


def load_trained(directory: Path, checkpoint: Literal["best", "last"]) -> Trained:
    """The model of a run directory, or of a folder that `jaxpose convert` wrote.

    Raises:
      InputError: as `load_run` and `load_release`; a release that does not say how its outputs
        become keypoints.
    """
    if not (directory / RELEASE).is_file():
        run = load_run(directory, checkpoint)
        of = run.experiment
        return Trained(
            directory, of.model, run.variables, of.codec, of.skeleton, of.padding, run.step
        )
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
    return Trained(directory, variables=variables, padding=padding, step=None, **parts)
