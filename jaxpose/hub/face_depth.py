"""Depths of the 68 landmarks of faces, with face-alignment's published network."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxpose import geometry
from jaxpose.convert import rules
from jaxpose.convert.reading import load_state_dict
from jaxpose.errors import InputError
from jaxpose.models.face_depth import INPUT_HW, FaceDepth
from jaxpose.models.published.fan import PADDING, face_depth_rules

_MARKER = "layer3.35.conv3.weight"


@dataclass(frozen=True)
class FaceDepths:
    """Function from an image and FAN's landmarks to the landmarks' depths.

    Attributes:
      model: the network.
      variables: its variables.
    """

    model: FaceDepth
    variables: Any = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_run", jax.jit(self.model.apply))

    def __call__(self, image: np.ndarray, keypoints: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Compute depths `[N, K]` in pixels of the image, float32; positive away from the camera.

        As published, the zero is where the network puts it: depths are comparable within a face.

        Args:
          image: uint8 `[H, W, 3]`, RGB.
          keypoints: `[N, K, 2]` in pixels of the image, as from `fan-3d`.
          boxes: `[N, 4]` (xywh) of the faces, those that FAN was given.

        Raises:
          InputError: arrays of other shapes, or keypoints that are not finite.
        """
        points, boxes = np.asarray(keypoints, np.float64), np.asarray(boxes, np.float64)
        count = self.model.num_keypoints
        shapes = [points.shape, boxes.shape]
        if np.ndim(image) != 3 or shapes != [(len(boxes), count, 2), (len(boxes), 4)]:
            raise InputError(
                f"Depths of faces need an image [H, W, 3], keypoints [N, {count}, 2] and boxes "
                f"[N, 4], not {list(np.shape(image))}, {list(shapes[0])} and {list(shapes[1])}."
            )
        if not (np.isfinite(points).all() and np.isfinite(boxes).all()):
            raise InputError("Depths of faces need all keypoints and boxes: some are NaN.")
        depths = np.zeros(points.shape[:2], np.float32)
        for row, (own, box) in enumerate(zip(points, boxes, strict=True)):
            matrix = geometry.box_crop_matrix(box, INPUT_HW, padding=PADDING, udp="edges")
            crop = geometry.crop_image(image, matrix, INPUT_HW)
            given = crop[None].astype(np.float32) / 255
            placed = geometry.apply_affine(matrix, own)[None].astype(np.float32)
            found: Any = self._run(self.variables, given, placed)  # type: ignore[attr-defined]
            depths[row] = np.asarray(found)[0] / matrix[0, 0]
        return depths


def load_face_depth(path: str | Path) -> FaceDepths:
    """Load face-alignment's network of depths (`3DFAN4` calls it `depth`) from its file.

    Raises:
      InputError: as `convert.load_state_dict`; the arrays are not those of this network.
    """
    arrays = load_state_dict(path)
    if _MARKER not in arrays or arrays.get("conv1.weight", np.zeros(4)).shape[1:2] != (71,):
        raise InputError(
            f"{path} has no network of depths: it must be face-alignment's ResNet-152 with 71 "
            "input channels."
        )
    model = FaceDepth()
    shape: Any = jax.ShapeDtypeStruct
    image = shape((1, *INPUT_HW, 3), np.float32)
    points = shape((1, model.num_keypoints, 2), np.float32)
    expected = rules.flatten(jax.eval_shape(model.init, jax.random.key(0), image, points))
    return FaceDepths(model, rules.nest(rules.apply(face_depth_rules(model), arrays, expected)))
