"""A model ready to predict with, from a run, a release or a checkpoint, by path or address."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
from rich.console import Console

import jaxpose
from jaxpose.cli.convert import Options, release_checkpoint
from jaxpose.codecs import Codec
from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.config import LiftingExperiment, from_json
from jaxpose.convert.reading import PYTORCH, RELEASE
from jaxpose.convert.release import load_release
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel
from jaxpose.models.distill import Distilled
from jaxpose.models.lifting.lifter import Lifter, pose_part
from jaxpose.places import in_bucket, on_disk, place
from jaxpose.skeletons import Skeleton
from jaxpose.train.run import load_run
from jaxpose.weights import cache_folder, checksum, local


@dataclass(frozen=True)
class Trained:
    """A model with all that prediction needs.

    Attributes:
      directory: the run or release that it was read from.
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


def load_trained(where: str | Path, checkpoint: Literal["best", "last"] = "best") -> Trained:
    """A model for pictures.

    Args:
      where: a run directory, a folder that `jaxpose convert` wrote, or a checkpoint that it can
        tell the model of; on this machine, in a bucket, or, but for a run, at an `https://`
        address. A checkpoint is converted once, into the cache (`jaxpose.weights.cache_folder`).
      checkpoint: of a run, the one with the best held-out score, or the newest.

    Raises:
      InputError: as `load_run`, `load_release`, `jaxpose convert` and `weights.local`; a release
        that does not say how its outputs become keypoints; a lifter.
    """
    trained = load_any(where, checkpoint)
    if isinstance(trained, TrainedLifter):
        raise InputError(
            f"{where} holds a lifter, which takes keypoints and not pictures. Name it with "
            "--lift, and a model for pictures with --from."
        )
    return trained


def load_lifter(where: str | Path, checkpoint: Literal["best", "last"] = "best") -> TrainedLifter:
    """A lifter, of a run directory or of a folder that `jaxpose convert` wrote.

    Args:
      where: the folder, or the `https://` address of a release.
      checkpoint: as in `load_trained`.

    Raises:
      InputError: as `load_trained`; a model for pictures.
    """
    trained = load_any(where, checkpoint)
    if isinstance(trained, Trained):
        raise InputError(
            f"{where} holds a model for pictures, not a lifter. Train one with a recipe such "
            "as h36m_mlp."
        )
    return trained


def load_any(
    where: str | Path, checkpoint: Literal["best", "last"] = "best"
) -> Trained | TrainedLifter:
    """Whichever of the two is there; arguments and errors as of `load_trained`."""
    bucket = in_bucket(where)
    directory = place(where) if bucket else local(where)
    if bucket and not (directory / "checkpoints").is_dir():  # no run, which is read from there
        with on_disk(directory) as copy:
            return load_any(copy, checkpoint)
    if directory.is_file() or directory.suffix.lower() in PYTORCH:
        directory = _released(directory)
    if not (directory / RELEASE).is_file():
        run = load_run(directory, checkpoint)
        of = run.experiment
        if isinstance(of, LiftingExperiment):
            lifter, variables = pose_part(of.model, run.variables)
            return TrainedLifter(directory, lifter, variables, of.codec, of.skeleton, run.step)
        return Trained(
            directory, of.model, run.variables, of.codec, of.skeleton, of.padding, run.step
        )
    release = load_release(directory)
    if "finds" in release.config:
        raise InputError(
            f"{where} holds a detector. Name it with --detector, and a model for keypoints with "
            "--from."
        )
    parts = {
        name: from_json(release.config.get(name), name) for name in ("model", "codec", "skeleton")
    }
    if not all(parts.values()):
        absent = ", ".join(name for name, part in parts.items() if not part)
        raise InputError(
            f"{where} does not say its {absent}, which prediction needs. Convert the checkpoint "
            "with --skeleton, or load it with jaxpose.convert.load_pretrained."
        )
    variables = jax.device_put(release.variables)
    if isinstance(parts["codec"], LiftingCodec):
        return TrainedLifter(directory, **parts, variables=variables, step=None)
    padding = float(release.config.get("padding", 1.25))
    return Trained(directory, **parts, variables=variables, padding=padding, step=None)


def _released(file: Path) -> Path:
    """The release that `jaxpose convert` makes of a checkpoint, made once for each content."""
    if not file.is_file():
        raise InputError(f"There is no checkpoint file {file}.")
    name = f"{checksum(file)[:16]}-{jaxpose.__version__}"
    folder = cache_folder() / "releases" / name
    if not (folder / RELEASE).is_file():
        table = release_checkpoint(file, folder, Options())
        console = Console(stderr=True, soft_wrap=True)
        console.print(table)
        console.print(f"Converted once; kept in {folder}", highlight=False, markup=False)
    return folder
