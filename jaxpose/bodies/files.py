"""Reader of body models in the layout of SMPL's files: SMPL, SMPL-H, SMPL-X and MANO.

The files belong to others and are not part of this project: users download them under their own
licence. A `.npz` and a `.pkl` have the same arrays; a pickle is read without running anything that
it names. The files are in metres, the models in millimetres.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.bodies.joints import NAMES
from jaxpose.bodies.model import Body
from jaxpose.convert.npz import read_npz
from jaxpose.data.pickles import Stored, read_pickle
from jaxpose.errors import InputError

_NEEDED = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
_HANDS = tuple(
    f"hands_{what}{side}" for side in ("", "l", "r") for what in ("components", "mean", "coeffs")
)
# Shape and expression numbers of SMPL-X by the number of all; other models have shapes alone.
_EXPRESSIONS = {400: 100, 20: 10}
_MM = 1000.0
# Sizes of a mesh in the rest pose in metres: between a finger and a giant.
_SMALLEST, _LARGEST = 0.02, 4.0

_SHARE = 0.01  # by which the weights of a vertex may differ from shares of 1


@dataclass(frozen=True)
class HandBasis:
    """Principal components of a hand's pose.

    Attributes:
      components: `[C, 45]`, rows in falling order of variance.
      mean: `[45]` axis-angle of the 15 joints of the relaxed hand, radians.
      deviations: `[C]` standard deviations of the components' factors in the poses from which the
        file was made; None where it has no such poses.
    """

    components: np.ndarray
    mean: np.ndarray
    deviations: np.ndarray | None = None

    def pose(self, numbers: Any) -> Any:
        """Axis-angle vectors `[..., 15, 3]` of the first components' factors `[..., n]`."""
        offset = numbers @ self.components[: numbers.shape[-1]]
        return (offset + self.mean.reshape((1,) * (offset.ndim - 1) + (45,))).reshape(
            *offset.shape[:-1], 15, 3
        )


@dataclass(frozen=True)
class BodyFile:
    """Contents of a file of a body model.

    Attributes:
      body: the model, mm; its shape numbers are those of the shape, then of the expression.
      faces: int `[F, 3]` triangles.
      expressions: number of the last shape numbers that are of the facial expression.
      hands: bases of the hands' poses by "left" and "right", or "hand" for MANO.
      gender: "male", "female", "neutral", or "" where neither the file nor its name says.
    """

    body: Body
    faces: np.ndarray
    expressions: int
    hands: dict[str, HandBasis]
    gender: str


def read_body(
    path: Path, *, shapes: int = 10, expressions: int = 10, gender: str | None = None
) -> BodyFile:
    """Reads a body model from a `.npz` or `.pkl` file.

    Args:
      path: the file.
      shapes, expressions: highest number of shape and expression numbers to keep.
      gender: the gender that is wanted; None accepts any.

    Raises:
      InputError: another kind of file, arrays that do not fit together, lengths that are not
        metres, a mirrored model, or one of another gender.
    """
    path = Path(path)
    arrays = _arrays(path)
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        raise InputError(
            f"{path} has no {', '.join(missing)}: it is not a body model in SMPL's layout. Files of"
            " poses (AMASS, parameters of SMPL) have none either."
        )
    found = _gender(path, arrays.get("gender"))
    check_gender(found, gender, path)
    body, kept = body_from_arrays(arrays, str(path), shapes=shapes, expressions=expressions)
    return BodyFile(body, _faces(arrays, body, path), kept, _hands(arrays, path), found)


def check_gender(found: str, wanted: str | None, path: Path) -> None:
    """Raise InputError if a model's gender is known and not the one that is wanted, if any."""
    if wanted is not None and found and found != wanted:
        raise InputError(f"{path} is the {found} model; the {wanted} one is wanted.")


def body_from_arrays(
    arrays: dict[str, np.ndarray], source: str, *, shapes: int = 10, expressions: int = 10
) -> tuple[Body, int]:
    """Body model of arrays under the names of SMPL's files, and how many expressions it has.

    Args:
      arrays: in metres.
      source: the file, for messages.
      shapes, expressions: as in `read_body`.

    Raises:
      InputError: arrays that do not fit together; lengths that are not metres; a mirrored model.
    """
    values = {name: _numbers(arrays[name], name, source) for name in _NEEDED[:5]}
    template, weights = values["v_template"], values["weights"]
    table = np.asarray(arrays["kintree_table"]).astype(np.int64).astype(np.uint32).astype(np.int32)
    count, joints = len(template), table.shape[-1]
    _fits(template, (count, 3), "v_template", source)
    _fits(weights, (count, joints), "weights", source)
    if weights.min() < -_SHARE or np.abs(weights.sum(axis=1) - 1).max() > _SHARE:
        raise InputError(
            f"{source}: the weights of a vertex are shares of joints, from 0 to 1 with the sum 1; "
            f"these are from {weights.min():.3g} to {weights.max():.3g}. Download the file again."
        )
    _fits(values["J_regressor"], (joints, count), "J_regressor", source)
    _fits(values["posedirs"], (count, 3, 9 * (joints - 1)), "posedirs", source)
    shapedirs = values["shapedirs"]
    _fits(shapedirs, (count, 3, *shapedirs.shape[2:3]), "shapedirs", source)
    size = float(np.ptp(template, axis=0).max())
    if not _SMALLEST <= size <= _LARGEST:
        raise InputError(
            f"{source}: the mesh is {size:.3g} long; the published files are in metres, between "
            f"{_SMALLEST} and {_LARGEST}. Divide millimetres by 1000."
        )
    faces = _EXPRESSIONS.get(shapedirs.shape[2], 0) if joints == 55 else 0
    ends = shapedirs.shape[2] - faces
    chosen = np.r_[: min(shapes, ends), ends : ends + min(expressions, faces)]
    name, names = NAMES.get(joints, ("body", tuple(f"joint_{j}" for j in range(joints))))
    _check_sides(values["J_regressor"] @ template, names, source)
    body = Body(
        name=name,
        joints=names,
        parents=_parents(table[0], source),
        template=template * _MM,
        shapes=shapedirs[:, :, chosen] * _MM,
        pose_shapes=np.moveaxis(values["posedirs"], 2, 0) * _MM,
        regressor=values["J_regressor"],
        weights=weights,
    )
    return body, min(expressions, faces)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    wanted = (*_NEEDED, *_HANDS, "gender")
    if path.suffix.lower() == ".npz":
        return read_npz(path, wanted)
    if path.suffix.lower() != ".pkl":
        raise InputError(f"{path}: body models are read from .npz and .pkl files.")
    content = read_pickle(path, ("chumpy", "scipy.sparse"))
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a body model: it contains a {type(content).__name__}.")
    return {name: _dense(content[name], name, path) for name in wanted if name in content}


def _dense(value: Any, name: str, path: Path) -> np.ndarray:
    """Array of what a pickle contains: an array, a chumpy array, or a sparse matrix of SciPy."""
    if not isinstance(value, Stored):
        return np.asarray(value)
    state = value.state
    if "indptr" in state:
        return _sparse(state, type(value).__name__, name, path)
    if "x" in state:
        return _dense(state["x"], name, path)
    if {"a", "idxs"} <= set(state):  # chumpy's selection of elements
        chosen = _dense(state["a"], name, path).ravel()[np.asarray(state["idxs"])]
        shape = state.get("preferred_shape")
        return chosen if shape is None else chosen.reshape(shape)
    raise InputError(f"{path}: {name} is a {type(value).__name__}, which is not an array.")


def _sparse(state: dict[str, Any], kind: str, name: str, path: Path) -> np.ndarray:
    from scipy import sparse

    matrix = {"csc_matrix": sparse.csc_matrix, "csr_matrix": sparse.csr_matrix}.get(kind)
    if matrix is None:
        raise InputError(f"{path}: {name} is a {kind}, which is not supported.")
    try:
        made = matrix(
            (state["data"], state["indices"], state["indptr"]), shape=tuple(state["_shape"])
        )
        made.check_format(full_check=True)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: the sparse matrix {name} is damaged: {error}.") from error
    return made.toarray()


def _numbers(value: Any, name: str, source: str) -> np.ndarray:
    value = np.asarray(value)
    if value.dtype.kind not in "fiu" or not np.isfinite(value).all():
        raise InputError(f"{source}: {name} has values that are not finite numbers.")
    return value if value.dtype == np.float64 else value.astype(np.float32)


def _fits(value: np.ndarray, shape: tuple[int, ...], name: str, source: str) -> None:
    if value.shape != shape:
        raise InputError(
            f"{source}: {name} has the shape {list(value.shape)}, not {list(shape)} as the other "
            "arrays require: the file is of another kind, or mixes two models."
        )


def _check_sides(joints: np.ndarray, names: tuple[str, ...], source: str) -> None:
    """Checks that the left joints of the rest pose `[J, 3]` lie at larger x than the right ones."""
    sides = [
        joints[names.index(name), 0] - joints[names.index(name.replace("left", "right", 1)), 0]
        for name in names
        if name.startswith("left_") and name.replace("left", "right", 1) in names
    ]
    if sides and np.median(sides) < 0:
        raise InputError(
            f"{source}: the left joints are on the right side: the model is mirrored or turned. In "
            "the published files x is to the left of the body, y up and z forward."
        )


def _parents(table: np.ndarray, source: str) -> tuple[int, ...]:
    parents = tuple(-1 if j == 0 else int(parent) for j, parent in enumerate(table))
    if any(not 0 <= parent < j for j, parent in enumerate(parents) if j):
        raise InputError(f"{source}: kintree_table has a joint before its parent.")
    return parents


def _faces(arrays: dict[str, np.ndarray], body: Body, path: Path) -> np.ndarray:
    faces = np.asarray(arrays["f"]).astype(np.int64)
    if (
        faces.ndim != 2
        or faces.shape[1] != 3
        or faces.min() < 0
        or faces.max() >= len(body.template)
    ):
        raise InputError(f"{path}: f has triangles with vertices that the mesh has not.")
    return faces


def _hands(arrays: dict[str, np.ndarray], path: Path) -> dict[str, HandBasis]:
    found = {}
    for suffix, hand in (("", "hand"), ("l", "left"), ("r", "right")):
        names = f"hands_components{suffix}", f"hands_mean{suffix}"
        if all(name in arrays for name in names):
            components, mean = (_numbers(arrays[name], name, str(path)) for name in names)
            _fits(mean, (45,), names[1], str(path))
            _fits(components, (len(components), 45), names[0], str(path))
            found[hand] = HandBasis(components, mean, _deviations(arrays, suffix, components, path))
    return found


def _deviations(
    arrays: dict[str, np.ndarray], suffix: str, components: np.ndarray, path: Path
) -> np.ndarray | None:
    """Deviations `[C]` of the factors `hands_coeffs [N, C]` of N poses; None without them."""
    name = f"hands_coeffs{suffix}"
    if name not in arrays:
        return None
    factors = _numbers(arrays[name], name, str(path))
    _fits(factors, (len(factors), len(components)), name, str(path))
    return factors.std(axis=0) if len(factors) > 1 else None


def _gender(path: Path, stated: Any) -> str:
    text = str(np.asarray(stated)).lower() if stated is not None else ""
    words = set(re.split(r"[^a-z]+", f"{text} {path.stem.lower()}"))
    for gender, marks in (
        ("female", {"female", "f"}),
        ("male", {"male", "m"}),
        ("neutral", {"neutral", "n"}),
    ):
        if words & marks:
            return gender
    return ""
