"""Body model whose parameters a network gives: the free body, or that of a user's file."""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.bodies.drawn import drawn_body, drawn_faces
from jaxpose.bodies.files import BodyFile, check_gender, read_body
from jaxpose.bodies.landmarks import Landmarks, landmarks
from jaxpose.bodies.model import Body
from jaxpose.bodies.prior import PosePrior, pose_prior, upright
from jaxpose.errors import InputError
from jaxpose.geometry.lookup import reordered
from jaxpose.skeletons import COCO17

# Mirrors the camera's frame (x right).
_CAMERA = np.diag([-1.0, 1.0, 1.0]).astype(np.float32)
_SIDES = {"left": "right", "right": "left"}


@dataclass(frozen=True, eq=False)
class NetworkBody:
    """Body model with all that training and evaluation compute from it, each of it once.

    Attributes:
      file: the model, its faces and its gender.
      source: name for messages: the path of the file, or "the free body".
    """

    file: BodyFile
    source: str

    @property
    def body(self) -> Body:
        return self.file.body

    @cached_property
    def fingerprint(self) -> str:
        """Text that identifies the arrays of the model."""
        return body_fingerprint(self.body)

    @cached_property
    def places(self) -> Landmarks:
        """Keypoints of COCO-17 on the body.

        Raises:
          InputError: the body is a hand, or another one without them.
        """
        # Concrete arrays, also where a program is traced: they are kept for the next one.
        with jax.ensure_compile_time_eval():
            made: Landmarks = jax.tree.map(np.asarray, landmarks(self.body, COCO17))
        return made

    @cached_property
    def prior(self) -> PosePrior:
        """Prior of the body's pose from the poses of drawn people."""
        return pose_prior(self.body)

    def mirrored(self, rotations: jax.Array) -> jax.Array:
        """Rotations `[B, J, 3, 3]` as seen in a mirror: left and right exchanged.

        The root's is in the camera's frame. With the same shape numbers, the mirrored person has
        the mirrored surface if the template is symmetric. The free body's is; SMPL's is nearly, and
        its authors' networks mirror bodies in the same way.
        """
        order, mirror = self._mirror
        inside = jnp.einsum("ij,bnjk,kl->bnil", mirror, rotations, mirror)
        root = jnp.einsum("ij,bjk,kl->bil", _CAMERA, rotations[:, 0], mirror)
        return reordered(inside, order, axis=1).at[:, 0].set(root)

    @cached_property
    def _mirror(self) -> tuple[list[int], np.ndarray]:
        """Joint that each joint's rotation comes from, and mirror `[3, 3]` of the body's frame."""
        joints = self.body.joints
        order = []
        for joint in joints:
            side, _, part = joint.partition("_")
            order.append(joints.index(f"{_SIDES[side]}_{part}" if side in _SIDES else joint))
        left = np.abs(upright(self.body)[0])  # in the body's frame, along one of its axes
        return order, np.diag(np.where(left == left.max(), -1.0, 1.0)).astype(np.float32)


@lru_cache(maxsize=1)
def free_body() -> NetworkBody:
    """Body model of the drawn people."""
    return NetworkBody(BodyFile(drawn_body(), drawn_faces(), 0, {}, ""), "the free body")


def read_network_body(
    path: str | Path | None,
    *,
    joints: int,
    shapes: int,
    gender: str | None = None,
    fingerprint: str = "",
    owner: str = "The model's MeshHead",
) -> NetworkBody:
    """Reads the body model of a network, or returns the free body for None.

    A file is read once in a process, unless it changes.

    Args:
      path: the file of SMPL, SMPL-H, SMPL-X or MANO.
      joints, shapes: rotations and shape numbers that the network gives; no expression numbers.
      gender: as in `read_body`.
      fingerprint: that of the model which the network was trained with; empty for any.
      owner: the network, for messages.

    Raises:
      InputError: no such file, one with other joints or fewer shape numbers, or one with another
        fingerprint; as `read_body`.
    """
    if path is None:
        found = free_body()
    else:
        path = Path(path)
        if not path.is_file():
            raise InputError(
                f"The body model {path} does not exist. Its owners give the file under their own "
                "terms. If it has moved, give its new place: `body` in a recipe, --body in "
                "commands."
            )
        stat = path.stat()
        found = _read(path, shapes, stat.st_mtime_ns, stat.st_size)
        check_gender(found.file.gender, gender, path)
    body = found.body
    if (len(body.joints), body.num_shapes) != (joints, shapes):
        kind = found.source if path is None else f"the body model {body.name!r} of {path}"
        raise InputError(
            f"{owner} gives {joints} joints and {shapes} shape numbers, but {kind} has "
            f"{len(body.joints)} joints and {body.num_shapes} shape numbers. A network for it has "
            f"MeshHead(joints={len(body.joints)}, shapes={body.num_shapes})."
        )
    if fingerprint and fingerprint != found.fingerprint:
        raise InputError(
            f"{found.source} is not the body model of the training: its fingerprint is "
            f"{found.fingerprint}, that of the training {fingerprint}. The file has changed, or is "
            "of another version or gender: give the former one."
        )
    return found


@lru_cache(maxsize=4)
def _read(path: Path, shapes: int, changed: int, size: int) -> NetworkBody:
    del changed, size  # another file is read again
    file = read_body(path, shapes=shapes, expressions=0)
    return NetworkBody(file, str(path))


def body_fingerprint(body: Body) -> str:
    """Text that identifies the arrays of a body model, whatever kind of file they are from."""
    digest = hashlib.sha256(repr((body.name, body.parents)).encode())
    for name in ("template", "shapes", "pose_shapes", "regressor", "weights"):
        array = np.ascontiguousarray(np.asarray(getattr(body, name)), np.float32)
        digest.update(repr(array.shape).encode() + array.tobytes())
    return digest.hexdigest()[:16]
