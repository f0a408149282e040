"""Prediction of landmarks in rotated regions of an image: crop, forward pass, map back."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxpose.codecs.landmarks import Landmarks
from jaxpose.errors import InputError
from jaxpose.geometry.regions import Region
from jaxpose.tasks.topdown.augment import normalize


@dataclass(frozen=True)
class FoundLandmarks:
    """Landmarks in P regions of an image, float32.

    Attributes:
      keypoints: `[P, K, 2]` (x, y) in pixels of the image.
      depth: `[P, K]` z in pixels of the image, less for nearer points; 0 is at the hips, the wrist
        or the centre of the face.
      scores: `[P, K]` in [0, 1], see `codecs.landmarks.Landmarks`.
      presence: `[P]` probability that the body, hand or face is in the region.
      auxiliary: `[P, A, 2]` further points of a body, in pixels of the image.
      world: `[P, K, 3]` positions in metres, upright as the image; None for faces.
      right: `[P]` probability that a hand is the person's right one; None for others.
    """

    keypoints: np.ndarray
    depth: np.ndarray
    scores: np.ndarray
    presence: np.ndarray
    auxiliary: np.ndarray
    world: np.ndarray | None
    right: np.ndarray | None

    def __len__(self) -> int:
        return len(self.presence)


class LandmarkPredictor:
    """Model of landmarks for the regions of an image."""

    def __init__(
        self, model: Any, variables: Any, codec: Landmarks, num_keypoints: int, batch: int = 1
    ) -> None:
        """Prepare prediction.

        Args:
          model: a model whose outputs are `LandmarkOutputs`.
          variables: its variables.
          codec: codec of the model.
          num_keypoints: K, without auxiliary points.
          batch: regions in one forward pass; the last batch is padded.
        """
        self.codec, self.num_keypoints, self.batch = codec, num_keypoints, batch
        self.variables = jax.device_put(variables)
        self.compilations = 0
        """Number of compilations of the forward pass; more than one is an error."""

        def forward(variables: Any, crops: jax.Array) -> Any:
            self.compilations += 1  # runs when JAX traces, not when it computes
            outputs = model.apply(variables, normalize(crops))
            small = outputs._replace(heatmaps=None, segmentation=None)
            decoded = codec.decode(outputs)
            return small, decoded.scores

        self._forward = jax.jit(forward)

    @property
    def side(self) -> int:
        """Side of the crops in pixels."""
        return self.codec.input_hw[0]

    def crop_outputs(self, crops: np.ndarray) -> Any:
        """Outputs of the model for crops uint8 `[N, side, side, 3]`, and scores `[N, K]`.

        Maps are left out.

        Raises:
          InputError: an output is not finite.
        """
        parts = []
        for start in range(0, len(crops), self.batch):
            part = crops[start : start + self.batch]
            padded = np.zeros((self.batch, *crops.shape[1:]), np.uint8)
            padded[: len(part)] = part
            found = jax.device_get(self._forward(self.variables, padded))
            parts.append(jax.tree.map(operator.itemgetter(slice(len(part))), found))
        outputs, scores = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        if not np.isfinite(outputs.landmarks).all():
            raise InputError("the model's output is not finite: are these weights its own?")
        return outputs, scores

    def __call__(self, image: np.ndarray, regions: Sequence[Region]) -> FoundLandmarks:
        """Landmarks in at least one region of `image`, uint8 RGB `[H, W, 3]`.

        Raises:
          InputError: an output is not finite.
        """
        side, count = self.side, self.num_keypoints
        crops = np.stack([region.crop(image, side) for region in regions])
        outputs, scores = self.crop_outputs(crops)
        points = np.stack(
            [
                region.to_image(found[:, :2], side)
                for region, found in zip(regions, outputs.landmarks, strict=True)
            ]
        )
        scales = np.array([region.side / side for region in regions])
        presence = outputs.presence[:, 0]
        if self.codec.part == "face":
            presence = 1 / (1 + np.exp(-presence))
        return FoundLandmarks(
            keypoints=points[:, :count].astype(np.float32),
            depth=(outputs.landmarks[:, :count, 2] * scales[:, None]).astype(np.float32),
            scores=scores,
            presence=presence,
            auxiliary=points[:, count:].astype(np.float32),
            world=None if outputs.world is None else _upright(outputs.world[:, :count], regions),
            # In the mirrored image of the training, right is left.
            right=None if outputs.handedness is None else 1 - outputs.handedness[:, 0],
        )


def _upright(world: np.ndarray, regions: Sequence[Region]) -> np.ndarray:
    """Positions `[P, K, 3]` turned from the regions' axes to the image's."""
    turned = world.copy()
    for row, region in enumerate(regions):
        cos, sin = np.cos(region.rotation), np.sin(region.rotation)
        turned[row, :, :2] = world[row, :, :2] @ np.array([[cos, sin], [-sin, cos]], np.float32)
    return turned
