"""Drawn people with their bodies: images, keypoints, and parameters of the free body model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from jaxpose.bodies.drawn import (
    AVERAGE,
    JOINTS,
    REST,
    drawn_body,
    frames_of,
    shape_numbers,
)
from jaxpose.data.source import Batch
from jaxpose.data.synthetic.body import forward_kinematics
from jaxpose.data.synthetic.source import SyntheticSource


class BodySource(SyntheticSource):
    """`SyntheticSource` whose batches also have the parameters of each person's body.

    `shape [B, 8]`, `rotations [B, 17, 3, 3]` (the root's in the camera's frame) and `translation
    [B, 3]` mm of the free body model, float32; `K [B, 3, 3]` of the canvas; and `has_body` and
    `keypoints_3d` of `labelled_people.LabelledSource`, true and NaN: the bodies have the points.
    """

    keys: ClassVar[tuple[str, ...]] = (
        *SyntheticSource.keys,
        *("shape", "part_rotations", "pelvis", "K"),
    )

    def names(self, indices: np.ndarray) -> list[str]:
        """Names of samples for messages."""
        return [f"person {self.first_index + index}" for index in indices]

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        batch = dict(super().samples(indices))
        parts, pelvis = batch.pop("part_rotations"), batch.pop("pelvis")
        body = drawn_body()
        rest = forward_kinematics(REST, AVERAGE).rotation
        number = frames_of(JOINTS)
        turned = parts[:, number] @ rest[number].transpose(0, 2, 1)
        parents = np.array(body.parents[1:])
        local = turned[:, parents].transpose(0, 1, 3, 2) @ turned[:, 1:]
        shape = shape_numbers(batch["shape"])
        # The root of the body in the rest pose, which the translation moves to the pelvis.
        surface = np.asarray(body.template) + np.einsum("bs,vcs->bvc", shape, body.shapes)
        root = np.einsum("v,bvc->bc", np.asarray(body.regressor)[0], surface)
        return {
            **batch,
            "shape": shape.astype(np.float32),
            "rotations": np.concatenate([turned[:, :1], local], axis=1).astype(np.float32),
            "translation": (pelvis - root).astype(np.float32),
            "K": batch["K"].astype(np.float32),
            "has_body": np.ones(len(shape), bool),
            "keypoints_3d": np.full((len(shape), self.skeleton.num_keypoints, 3), np.nan, "f4"),
        }


@dataclass(frozen=True)
class SyntheticBodies:
    """Drawn people whose bodies are known, for training of models of meshes.

    Attributes:
      count: number of samples.
      seed: seed of the set; sets of different seeds are unrelated.
      canvas_hw: height and width of the canvas in pixels.
      plain: one upright person per image, facing the camera, completely visible.
    """

    count: int
    seed: int
    canvas_hw: tuple[int, int] = (384, 288)
    plain: bool = False

    def open(self) -> BodySource:
        return BodySource(self.count, self.seed, self.canvas_hw, plain=self.plain)
