"""Prediction of poses of objects from an image, boxes, and the camera."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxpose import geometry
from jaxpose.codecs.codec import Codec
from jaxpose.codecs.decoded import Decoded
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, check_cameras
from jaxpose.geometry.rigid import RigidPose
from jaxpose.models.split import for_device_of
from jaxpose.objects import KnownObject
from jaxpose.tasks.crop_batches import checked_boxes
from jaxpose.tasks.objects.pose import FoundKeypoints, pose_from_keypoints
from jaxpose.tasks.topdown.augment import normalize


@dataclass(frozen=True)
class ObjectPose:
    """One object in an image.

    Attributes:
      object: which object it is.
      pose: in the camera's frame, mm; None if too few keypoints agree with one.
      score: mean score of the keypoints.
      keypoints: pixels of the image, with scores and covariances.
    """

    object: KnownObject
    pose: RigidPose | None
    score: float
    keypoints: FoundKeypoints


class ObjectPredictor:
    """Predicts the pose of the object in each of the given boxes.

    Crops are padded to batches of one size, so that the network is compiled once.
    """

    def __init__(
        self,
        model: Any,
        variables: Any,
        codec: Codec,
        objects: Sequence[KnownObject],
        *,
        padding: float = 1.25,
        threshold: float = 0.04,
        batch_size: int = 8,
    ) -> None:
        """Prepares prediction with a trained model.

        Args:
          model: a Linen module; `model.apply(variables, images)` returns what `codec` decodes.
          variables: the variables of the model, on the device.
          codec: crops, and keypoints from outputs.
          objects: objects that the model was trained with.
          padding: factor by which boxes are enlarged.
          threshold: largest distance of an inlier, in longer sides of the box.
          batch_size: crops in one forward pass.

        Raises:
          InputError: a padding, threshold or batch size that is not positive; no objects.
        """
        if batch_size < 1 or not padding > 0 or not threshold > 0:
            raise InputError(
                "batch_size, padding and threshold must be positive, and are "
                f"{batch_size}, {padding} and {threshold}"
            )
        if not objects:
            raise InputError("the model has no object: give its keypoints in 3D")
        self.codec, self.padding, self.batch_size = codec, padding, batch_size
        self.threshold = threshold
        self.objects = {known.id: known for known in objects}
        self.compilations = 0
        """Number of compilations of the forward pass; more than one is an error."""
        self._variables = variables

        def forward(variables: Any, images: jax.Array) -> Decoded:
            self.compilations += 1  # runs when JAX traces, not when it computes
            return codec.decode(model.apply(variables, normalize(images), train=False))

        self._forward = jax.jit(for_device_of(variables, forward))

    def __call__(
        self, image: np.ndarray, boxes_xywh: Any, object_ids: Sequence[int], camera: Camera
    ) -> list[ObjectPose]:
        """Predicts the objects in `boxes_xywh [P, 4]` of `image`, uint8 RGB `[H, W, 3]`.

        Args:
          image: uint8 RGB.
          boxes_xywh: `[P, 4]` (x, y, w, h) pixels.
          object_ids: number of the object in each box.
          camera: camera of the image; K and distortion are used.

        Raises:
          InputError: an image, boxes, numbers or a camera of another form; an output that is not
            finite.
        """
        boxes = checked_boxes(image, boxes_xywh)
        if len(object_ids) != len(boxes):
            raise InputError(
                f"{len(boxes)} boxes need as many numbers of objects, and there are "
                f"{len(object_ids)}"
            )
        check_numbers(object_ids, self.objects)
        check_cameras(Camera(camera.K, np.eye(3), np.zeros(3), camera.distortion))
        udp, size = self.codec.udp, self.codec.input_hw
        matrices = geometry.box_crop_matrix(boxes, size, padding=self.padding, udp=udp)
        crops = [geometry.crop_image(image, matrix, size) for matrix in matrices]
        found = in_image(self._decoded(crops), matrices)
        made = []
        for row, (number, box) in enumerate(zip(object_ids, boxes, strict=True)):
            thing, own = self.objects[int(number)], found.take(row)
            points = np.array(thing.keypoints)
            pose = pose_from_keypoints(own, points, camera, self.threshold * box[2:].max())
            score = float(np.where(own.valid, own.scores, 0).mean())
            made.append(ObjectPose(thing, pose, score, own))
        return made

    def _decoded(self, crops: list[np.ndarray]) -> Decoded:
        parts = []
        for start in range(0, max(len(crops), 1), self.batch_size):
            part = crops[start : start + self.batch_size]
            batch = np.zeros((self.batch_size, *self.codec.input_hw, 3), np.uint8)
            for place, crop in enumerate(part):
                batch[place] = crop
            found = self._forward(self._variables, batch)
            size = len(part)
            parts.append(jax.tree.map(lambda x, size=size: np.array(x)[:size], found))
        decoded: Decoded = jax.tree.map(lambda *values: np.concatenate(values), *parts)
        if not np.isfinite(decoded.scores).all():
            raise InputError("the model's output is not finite: did its training diverge?")
        return decoded


def check_numbers(object_ids: Sequence[int], objects: Mapping[int, KnownObject]) -> None:
    """Raise InputError for a number that is not one of the model's objects."""
    other = sorted(set(object_ids) - set(objects))
    if other:
        known = ", ".join(f"{each.id} ({each.name})" for each in objects.values())
        raise InputError(f"the model has no object {other[0]}; it has {known}.")


def in_image(decoded: Decoded, matrices: np.ndarray) -> FoundKeypoints:
    """Keypoints of crops `[P, K]` in pixels of the image.

    Args:
      decoded: in pixels of the crops.
      matrices: `[P, 2, 3]` from the image to the crops.
    """
    back = geometry.invert_affine(np.asarray(matrices, np.float64))
    keypoints = geometry.apply_affine(back, np.asarray(decoded.keypoints, np.float64))
    covariance = None
    if decoded.covariance is not None:
        linear = back[:, None, :, :2]
        covariance = linear @ np.asarray(decoded.covariance, np.float64)
        covariance = covariance @ linear.swapaxes(-1, -2)
    scores, valid = np.asarray(decoded.scores), np.asarray(decoded.valid)
    return FoundKeypoints(keypoints, scores, valid, covariance)
