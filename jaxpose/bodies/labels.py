"""Bodies as labels of a dataset: fits to its keypoints, and the file that holds them.

As SPIN (Kolotouros et al. 2019, arXiv:1909.12828): where no body is known, one that is fitted to
the keypoints takes its place in the training of a network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxpose.bodies.files import BodyFile
from jaxpose.bodies.fit import Fitted, Fitting, fit_body, fit_in_groups
from jaxpose.bodies.network_body import NetworkBody, body_fingerprint, free_body
from jaxpose.bodies.prior import PosePrior
from jaxpose.bodies.saving import save_parameters
from jaxpose.codecs.mesh_crops import MeshCodec
from jaxpose.convert.npz import read_npz
from jaxpose.data.source import Source
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import centred_camera
from jaxpose.geometry.rotations import matrix_from_axis_angle

_BATCH = 32  # people at a time
_COLUMNS = ("betas", "poses", "sample", "dataset", "error", "model", "body", "gender")
_OF_OTHERS = ("pose", "annotation_id")
_TURNS = 4 * np.pi  # radians; no pose has larger numbers, and most in degrees have


@dataclass(frozen=True)
class BodyLabels:
    """Bodies of the N samples of a dataset; those without one have zeros.

    Attributes:
      shape: `[N, S]`.
      rotations: `[N, J, 3, 3]`, the root's in the camera's frame.
      error: `[N]` root mean square distance from the keypoints, in longer sides of the box;
        infinite for samples without a body, and 0 where a file states none.
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
    file: BodyFile | None = None,
) -> int:
    """Fits a body to the keypoints of each sample, and writes the bodies to a file.

    The keypoints are those of the canvas, and so is the camera, whose axis goes through the middle.

    Args:
      source: the samples.
      path: a `.npz`.
      settings: see `bodies.fit.Fitting`.
      focal: focal length in pixels of the canvas; None takes that of the networks (`MeshCodec`),
        a long one.
      prior: see `fit_body`.
      on_fitted: called with the number of people fitted so far.
      file: the body model; None for the free body.

    Returns:
      The number of people with a body.

    Raises:
      InputError: a skeleton that the body has not; a prior of another body; a file that cannot be
        written.
    """
    file = free_body().file if file is None else file
    body, canvas_hw = file.body, source.canvas_hw
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
        "body": np.array(body_fingerprint(body)),
    }
    save_parameters(
        path,
        body,
        fitted.shape[there],
        fitted.rotations[there],
        fitted.translation[there],
        columns,
        file.gender,
    )
    return int(there.sum())


def read_labels(path: Path, source: Source, body: NetworkBody | None = None) -> BodyLabels:
    """Reads the bodies of a dataset, those that `fit_labels` wrote or those of other tools.

    Files of other tools have `betas [M, S]`, `poses` or `pose [M, 3 J]` (axis-angle in radians, the
    root's in the camera's frame: x right, y down, z forward) and `annotation_id [M]`, the ids of
    the dataset's people.

    Args:
      path: a `.npz`.
      source: the dataset.
      body: the body model; None for the free body.

    Raises:
      InputError: the file is missing, damaged, of another body model or of another dataset.
    """
    body = free_body() if body is None else body
    if not path.is_file():
        raise InputError(
            f"{path} does not exist. `jaxpose fit DATASET {path.name} --split SPLIT` makes it."
        )
    arrays = read_npz(path, (*_COLUMNS, *_OF_OTHERS))
    if "pose" in arrays:
        arrays.setdefault("poses", arrays["pose"])
    own = "sample" in arrays
    needed = ("betas", "poses", *(("sample", "dataset") if own else ("annotation_id",)))
    missing = [name for name in needed if name not in arrays]
    if missing:
        raise InputError(
            f"{path} has no {', '.join(missing)}. Bodies of a dataset are needed: `jaxpose fit "
            "DATASET FILE --split SPLIT` writes them, and files of other tools have betas, poses "
            "and annotation_id, the ids of the dataset's people."
        )
    _check_model(path, arrays, body)
    if own and str(arrays["dataset"]) != source.fingerprint():
        raise InputError(
            f"{path} was made for another dataset, split or part of it: fit the bodies again."
        )
    betas, poses, error = _checked(path, arrays, body, arrays[needed[2]])
    if own:
        rows, sample = np.arange(len(betas)), arrays["sample"]
    else:
        rows, sample = _of_annotations(path, arrays["annotation_id"], source)
    count = len(source)
    if len(sample) and (sample.min() < 0 or sample.max() >= count):
        raise InputError(f"{path} has samples outside 0 to {count - 1}.")
    shape = np.zeros((count, body.body.num_shapes), np.float32)
    rotations = np.tile(np.eye(3, dtype=np.float32), (count, len(body.body.joints), 1, 1))
    away = np.full(count, np.inf)
    shape[sample], away[sample] = betas[rows], error[rows]
    rotations[sample] = matrix_from_axis_angle(poses[rows].astype(np.float64))
    return BodyLabels(shape, rotations, away)


def _check_model(path: Path, arrays: dict[str, np.ndarray], body: NetworkBody) -> None:
    """Compares the body model that a file of labels states, if it does, with `body`."""
    stated = {name: str(arrays[name]) for name in ("model", "body", "gender") if name in arrays}
    name, gender = body.body.name, body.file.gender
    if stated.get("model", name) != name:
        raise InputError(f"{path} has bodies of {stated['model']}; {body.source} is needed.")
    if gender and stated.get("gender", "") not in ("", gender):
        raise InputError(
            f"{path} has bodies of the {stated['gender']} model, and {body.source} is the {gender} "
            "one: fit the bodies again with it."
        )
    if stated.get("body", body.fingerprint) != body.fingerprint:
        raise InputError(
            f"{path} was made with another file or version of the body model than {body.source}: "
            "fit the bodies again with it."
        )


def _checked(
    path: Path, arrays: dict[str, np.ndarray], body: NetworkBody, keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shapes `[M, S]`, axis-angle vectors `[M, J, 3]` and errors `[M]` of M people."""
    rows = len(keys) if keys.ndim == 1 and np.issubdtype(keys.dtype, np.integer) else -1
    betas, poses = arrays["betas"], arrays["poses"]
    error = arrays.get("error", np.zeros(max(rows, 0)))
    joints, shapes = len(body.body.joints), body.body.num_shapes
    if betas.ndim == 2 and betas.shape[0] == rows and betas.shape[1] != shapes:
        raise InputError(
            f"{path} has {betas.shape[1]} shape numbers a person, and {body.source} has {shapes} "
            "here: cut betas or fill them with zeros, or set the MeshHead's shapes and fit again."
        )
    fits = (
        betas.shape == (rows, shapes)
        and poses.shape in ((rows, 3 * joints), (rows, joints, 3))
        and error.shape == (rows,)
        and all(np.issubdtype(value.dtype, np.number) for value in (betas, poses, error))
    )
    if not fits or not all(np.isfinite(value).all() for value in (poses, betas, error)):
        raise InputError(
            f"{path} has arrays of other shapes, or numbers that are not finite: for M people and "
            f"{body.source}, betas are [M, {shapes}], poses [M, {3 * joints}] and the others [M]."
        )
    if rows and np.abs(poses).max() > _TURNS:
        raise InputError(
            f"{path} has poses up to {np.abs(poses).max():.0f}; they must be in radians."
        )
    return betas, poses.reshape(rows, joints, 3), error


def _of_annotations(path: Path, ids: np.ndarray, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a file and samples of a dataset that have the same annotation ids."""
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise InputError(f"{path} has several bodies for annotation {values[counts > 1][0]}.")
    groups = (np.arange(i, min(i + _BATCH, len(source))) for i in range(0, len(source), _BATCH))
    there = np.concatenate([source.samples(group)["annotation_id"] for group in groups])
    sample = np.flatnonzero(np.isin(there, values))
    if not len(sample):
        raise InputError(
            f"{path} has no body for any person of the dataset: its annotation_id are not the "
            "dataset's ids."
        )
    order = np.argsort(ids)
    return order[np.searchsorted(ids[order], there[sample])], sample
