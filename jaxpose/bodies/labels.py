"""Bodies as labels of a dataset: fits to its keypoints, and the file that holds them.

As SPIN (Kolotouros et al. 2019, arXiv:1909.12828): where no body is known, one that is fitted to
the keypoints takes its place in the training of a network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxpose.bodies.drawn import drawn_body
from jaxpose.bodies.fit import Fitted, Fitting, fit_body, fit_in_groups
from jaxpose.bodies.prior import PosePrior
from jaxpose.bodies.saving import save_parameters
from jaxpose.codecs.mesh_crops import MeshCodec
from jaxpose.convert.npz import read_npz
from jaxpose.data.source import Source
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import centred_camera
from jaxpose.geometry.rotations import matrix_from_axis_angle

_BATCH = 32  # people at a time
_COLUMNS = ("betas", "poses", "model", "sample", "error", "dataset")


@dataclass(frozen=True)
class BodyLabels:
    """Bodies of the N samples of a dataset; those without a fit have zeros.

    Attributes:
      shape: `[N, S]`.
      rotations: `[N, J, 3, 3]`, the root's in the camera's frame.
      error: `[N]` root mean square distance from the keypoints, in longer sides of the box;
        infinite for samples without a fit.
    """

    shape: np.ndarray
    rotations: np.ndarray
    error: np.ndarray


def fit_labels(
    source: Source,
    path: Path,
    settings: Fitting,
    focal: float | None = None,
    prior: PosePrior | None = None,
    on_fitted: Callable[[int], None] = lambda people: None,
) -> int:
    """Fits the free body to the keypoints of each sample, and writes the bodies to a file.

    The keypoints are those of the canvas, and so is the camera, whose axis goes through the middle.

    Args:
      source: the samples.
      path: a `.npz`.
      settings: see `bodies.fit.Fitting`.
      focal: focal length in pixels of the canvas; None takes that of the networks (`MeshCodec`),
        a long one.
      prior: see `fit_body`.
      on_fitted: called with the number of people fitted so far.

    Returns:
      The number of people with a body.

    Raises:
      InputError: a skeleton that the body has not; a prior of another body; a file that cannot be
        written.
    """
    body, canvas_hw = drawn_body(), source.canvas_hw
    camera = centred_camera(focal or MeshCodec.focal * max(canvas_hw), canvas_hw)
    sides = np.ones(len(source))

    def group(take: np.ndarray) -> Fitted:
        batch = source.samples(take)
        seen = (batch["visible"] > 0).astype(np.float64)
        sides[take] = batch["box_xywh"][:, 2:].max(axis=1)
        made = fit_body(body, source.skeleton, batch["keypoints"], seen, camera, settings, prior)
        on_fitted(int(take.max()) + 1)
        return made

    fitted = fit_in_groups(len(source), _BATCH, group)
    error = fitted.error / np.maximum(sides, 1.0)
    there = np.isfinite(error)
    columns = {
        "sample": np.flatnonzero(there),
        "error": error[there],
        "dataset": np.array(source.fingerprint()),
    }
    save_parameters(
        path,
        body,
        fitted.shape[there],
        fitted.rotations[there],
        fitted.translation[there],
        columns,
    )
    return int(there.sum())


def read_labels(path: Path, source: Source) -> BodyLabels:
    """Reads the bodies of a dataset.

    Raises:
      InputError: the file is missing, damaged, of another body model or of another dataset.
    """
    if not path.is_file():
        raise InputError(
            f"{path} does not exist. `jaxpose fit DATASET {path.name} --split SPLIT` makes it."
        )
    arrays = read_npz(path)
    missing = [name for name in _COLUMNS if name not in arrays]
    if missing:
        raise InputError(
            f"{path} has no {', '.join(missing)}: bodies of a dataset are needed, which "
            "`jaxpose fit DATASET FILE --split SPLIT` writes."
        )
    body, count = drawn_body(), len(source)
    sample, poses, betas, error = (arrays[k] for k in ("sample", "poses", "betas", "error"))
    if str(arrays["model"]) != body.name:
        raise InputError(f"{path} has bodies of {arrays['model']}; the free body is needed.")
    if str(arrays["dataset"]) != source.fingerprint():
        raise InputError(
            f"{path} was made for another dataset, split or part of it: fit the bodies again."
        )
    rows = len(sample) if sample.ndim == 1 else -1
    fits = (
        poses.shape == (rows, 3 * len(body.joints))
        and betas.shape == (rows, body.num_shapes)
        and error.shape == (rows,)
        and np.issubdtype(sample.dtype, np.integer)
    )
    if not fits or not all(np.isfinite(value).all() for value in (poses, betas, error)):
        raise InputError(f"{path} has arrays of other shapes, or numbers that are not finite.")
    if rows and (sample.min() < 0 or sample.max() >= count):
        raise InputError(f"{path} has samples outside 0 to {count - 1}.")
    shape = np.zeros((count, body.num_shapes), np.float32)
    rotations = np.tile(np.eye(3, dtype=np.float32), (count, len(body.joints), 1, 1))
    away = np.full(count, np.inf)
    shape[sample], away[sample] = betas, error
    rotations[sample] = matrix_from_axis_angle(poses.reshape(rows, -1, 3).astype(np.float64))
    return BodyLabels(shape, rotations, away)
