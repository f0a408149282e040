"""People of any dataset as training data of models of meshes: keypoints, and bodies where known."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from jaxpose.bodies.labels import BodyLabels, read_labels
from jaxpose.bodies.network_body import NetworkBody, free_body
from jaxpose.data.source import Batch, Dataset, Source
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, Skeleton

_FEWEST = 6


class LabelledSource:
    """Samples of a dataset with the keypoints of COCO-17, and with labels of their bodies.

    A batch has, beside the arrays of `data.source.Batch`: `shape [B, S]` and `rotations
    [B, J, 3, 3]` of the body model, float32, where `has_body [B]` is true; and `keypoints_3d
    [B, 17, 3]`, float32 mm in the camera's frame, NaN where unknown.

    Args:
      source: the samples.
      labels: bodies; None: there are none.
      max_error: largest error of a body that is used, see `BodyLabels`.
      body: the body model; None for the free body.

    Raises:
      InputError: the samples have fewer than six keypoints of COCO-17.
    """

    def __init__(
        self,
        source: Source,
        labels: BodyLabels | None,
        max_error: float,
        body: NetworkBody | None = None,
    ) -> None:
        self._body = (free_body() if body is None else body).body
        self._source, self._labels, self._max_error = source, labels, max_error
        names = source.skeleton.keypoints
        self._there = np.array([name in names for name in COCO17.keypoints])
        if self._there.sum() < _FEWEST:
            raise InputError(
                f"{self._there.sum()} keypoints of the skeleton {source.skeleton.name!r} have "
                f"names of COCO-17; {_FEWEST} are needed to learn bodies from them."
            )
        self._rows = [names.index(name) if name in names else 0 for name in COCO17.keypoints]

    @property
    def canvas_hw(self) -> tuple[int, int]:
        return self._source.canvas_hw

    @property
    def skeleton(self) -> Skeleton:
        return COCO17

    def __len__(self) -> int:
        return len(self._source)

    @cached_property
    def bodies(self) -> int:
        """Number of samples whose bodies are used."""
        return 0 if self._labels is None else int((self._labels.error <= self._max_error).sum())

    @property
    def has_3d(self) -> bool:
        """True if the dataset has keypoints in 3D."""
        return bool(getattr(self._source, "has_3d", False))

    def fingerprint(self) -> str:
        if self._labels is None:
            return f"keypoints-of-{self._source.fingerprint()}"
        made = hashlib.sha256(self._labels.rotations.tobytes() + self._labels.shape.tobytes())
        return f"{made.hexdigest()[:16]}-{self._max_error:g}-of-{self._source.fingerprint()}"

    def names(self, indices: np.ndarray) -> list[str]:
        """Names of samples for messages."""
        ids = self._source.samples(indices)["annotation_id"]
        return [f"annotation {a} (record {i})" for i, a in zip(indices, ids, strict=True)]

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Reads a batch of people with their bodies."""
        batch = dict(self._source.samples(indices))
        batch["keypoints"] = batch["keypoints"][:, self._rows]
        batch["visible"] = np.where(self._there, batch["visible"][:, self._rows], 0).astype(
            np.uint8
        )
        count, body = len(batch["mask"]), self._body
        points = np.full((count, COCO17.num_keypoints, 3), np.nan, np.float32)
        if "keypoints_3d" in batch:
            points[:, self._there] = batch["keypoints_3d"][:, self._rows][:, self._there]
        batch["keypoints_3d"] = points
        if self._labels is None:
            return {
                **batch,
                "shape": np.zeros((count, body.num_shapes), np.float32),
                "rotations": np.tile(np.eye(3, dtype=np.float32), (count, len(body.joints), 1, 1)),
                "has_body": np.zeros(count, bool),
            }
        rows = batch["index"]
        return {
            **batch,
            "shape": self._labels.shape[rows],
            "rotations": self._labels.rotations[rows],
            "has_body": self._labels.error[rows] <= self._max_error,
        }


@dataclass(frozen=True)
class LabelledBodies:
    """People of any dataset, for training and evaluation of models of meshes.

    Attributes:
      data: the dataset, such as `Records`. Its keypoints, in the image and in 3D where it has
        them, are taken by their names in COCO-17.
      bodies: `.npz` that `jaxpose fit DATASET FILE --split SPLIT` wrote, or one of another tool
        (`bodies.labels.read_labels`); None: keypoints are the only labels, and
        `MeshLoss(prior=...)` should keep the bodies human.
      max_error: largest error of a body that is used, root mean square over the keypoints, in
        longer sides of the person's box.
    """

    data: Dataset
    bodies: str | None = None
    max_error: float = 0.05

    @property
    def canvas_hw(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.data.open().canvas_hw

    def open(self, body: NetworkBody | None = None) -> LabelledSource:
        """Opens the dataset for a body model, the free body if None.

        Raises:
          InputError: a dataset or a file of bodies that cannot be read; bodies of another model or
            another dataset.
        """
        source = self.data.open()
        labels = None if self.bodies is None else read_labels(Path(self.bodies), source, body)
        return LabelledSource(source, labels, self.max_error, body)
