"""Estimated and annotated keypoints as NumPy arrays, the input of every metric."""

from dataclasses import dataclass, fields

import numpy as np

from jaxpose.errors import InputError
from jaxpose.skeletons import Skeleton

_ALWAYS = ("skeleton", "keypoints", "truth", "visible")


class MissingColumn(InputError):
    """Error of a column that the task does not fill, or the dataset does not have."""


@dataclass(frozen=True)
class Estimates:
    """Estimated and annotated keypoints of N samples of a dataset; row i is sample i.

    A sample is a person in an image (D = 2, pixels of the image) or a frame of motion (D = 3, mm
    about the root). A column that a task cannot fill is None; a metric names the columns that it
    needs (`Metric.needs`).

    Attributes:
      skeleton: the K keypoints.
      keypoints: `[N, K, D]` estimated.
      truth: `[N, K, D]` annotated.
      visible: `[N, K]`; 0 not labelled, above 0 labelled (2D: 1 occluded, 2 visible).
      scores: `[N, K]` confidence in [0, 1].
      index: `[N]` int64, rows of the dataset.
      image_id, annotation_id: `[N]` int64.
      box_xywh: `[N, 4]` annotated boxes in pixels; area: `[N]` px².
      head_boxes: `[N, 4]` annotated head boxes, two corners in pixels; filled only if a metric has
        the column in `Metric.reads`; None if the dataset has no such boxes.
      subject, action: `[N]` names, for motion.
      clip: `[N]` int, the clip of each frame; the frames of a clip are in order.
      depth, hands, truth_3d: of two hands in an image, filled only if a metric reads them: `[N, K]`
        estimated millimetres of depth from the wrist of the joint's hand; `[N, 3]` probabilities
        that the right and the left hand are there, and the left wrist's depth from the right one
        in millimetres; `[N, K, 3]` annotated millimetres in the camera's frame.

    Raises:
      InputError: arrays whose shapes do not fit together.
    """

    skeleton: Skeleton
    keypoints: np.ndarray
    truth: np.ndarray
    visible: np.ndarray
    scores: np.ndarray | None = None
    index: np.ndarray | None = None
    image_id: np.ndarray | None = None
    annotation_id: np.ndarray | None = None
    box_xywh: np.ndarray | None = None
    area: np.ndarray | None = None
    head_boxes: np.ndarray | None = None
    subject: np.ndarray | None = None
    action: np.ndarray | None = None
    clip: np.ndarray | None = None
    depth: np.ndarray | None = None
    hands: np.ndarray | None = None
    truth_3d: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.keypoints)
        if len(shape) != 3 or shape[2] not in (2, 3) or np.shape(self.truth) != shape:
            raise InputError(
                "Estimates need keypoints and truth of one shape, [N, K, 2] or [N, K, 3]; these "
                f"are {list(shape)} and {list(np.shape(self.truth))}."
            )
        if shape[1] != self.skeleton.num_keypoints or np.shape(self.visible) != shape[:2]:
            raise InputError(
                f"Estimates of {shape[1]} keypoints with visible {list(np.shape(self.visible))} do "
                f"not fit skeleton {self.skeleton.name!r} of {self.skeleton.num_keypoints}."
            )
        for name in self.columns():
            if len(getattr(self, name)) != shape[0]:
                raise InputError(
                    f"Column {name!r} of the estimates has {len(getattr(self, name))} rows for "
                    f"{shape[0]} samples."
                )

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def dimensions(self) -> int:
        """2 for keypoints in images, 3 for 3D joints."""
        return int(self.keypoints.shape[2])

    @property
    def labelled(self) -> np.ndarray:
        """Mask of keypoints with an annotated position, bool `[N, K]`."""
        return np.asarray(self.visible) > 0

    @property
    def distances(self) -> np.ndarray:
        """Distance from each estimate to the truth, float64 `[N, K]`; NaN where not labelled."""
        error = np.asarray(self.keypoints, np.float64) - np.asarray(self.truth, np.float64)
        return np.where(self.labelled, np.linalg.norm(error, axis=-1), np.nan)

    def columns(self) -> frozenset[str]:
        """Names of the filled columns, without those that are always filled."""
        names = (field.name for field in fields(self) if field.name not in _ALWAYS)
        return frozenset(name for name in names if getattr(self, name) is not None)

    def column(self, name: str) -> np.ndarray:
        """Return the column `name`; raises MissingColumn if it is not filled."""
        values: np.ndarray | None = getattr(self, name)
        if values is None:
            raise MissingColumn(f"these estimates have no {name!r}")
        return values
