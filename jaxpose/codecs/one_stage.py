"""Codec of one-stage models: every place of a few maps proposes a person with all keypoints.

Sources: YOLO-Pose (arXiv:2204.06806), RTMO (arXiv:2312.07526), MMPose's YOLOX-Pose and the
published descriptions of YOLOv8-, YOLO11- and YOLO26-pose.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import rows_at
from jaxpose.geometry.suppression import best_boxes

GREY = 114
"""Value of the margins around an image, as in the training of the published models."""

# Largest logarithm of a box's size in strides, far beyond any image: larger ones overflow.
_LARGEST = 20.0


class Places(NamedTuple):
    """Outputs of a one-stage head for all places of one map; logits unless said otherwise.

    Attributes:
      person: that the place proposes a person, `[B, h, w, 1]`.
      boxes: `[B, h, w, 4]`, or `[B, h, w, 4 * bins]` for distributions; see `OneStage.boxes`.
      visible: that each keypoint is visible, `[B, h, w, K]`.
      keypoints: vectors to the keypoints, `[B, h, w, 2 K]` (x, y of each in turn); None where only
        `vectors` has them.
      objectness: a second probability by which that of `person` is multiplied, `[B, h, w, 1]`.
      vectors: features of the person's pose `[B, h, w, D]`, for `OneStageOutputs.classifier`.
      spread: logarithms of the keypoints' deviations `[B, h, w, 2 K]`, for training only.
    """

    person: jax.Array
    boxes: jax.Array
    visible: jax.Array
    keypoints: jax.Array | None = None
    objectness: jax.Array | None = None
    vectors: jax.Array | None = None
    spread: jax.Array | None = None


@partial(jax.tree_util.register_dataclass, data_fields=["variables"], meta_fields=["module"])
@dataclass(frozen=True, eq=False)
class BoundModule:
    """Function with parameters that a model returns, for the few places that need it.

    Attributes:
      module: object with `apply(variables, *arguments)`.
      variables: its variables, without a batch axis.
    """

    module: Any
    variables: Any

    def __call__(self, *arguments: Any) -> Any:
        return self.module.apply(self.variables, *arguments)


class OneStageOutputs(NamedTuple):
    """Outputs of a one-stage model.

    Attributes:
      levels: `Places` of each map, by increasing stride.
      classifier: function of vectors `[B, N, D]`, boxes `[B, N, 4]` (x1, y1, x2, y2) and places
        `[B, N, 2]`, both in pixels, to keypoints; see `models.CoordinateClassifier`. None where
        `Places.keypoints` are the result.
      more: levels of a second head that only supports the training; empty for none.
    """

    levels: tuple[Places, ...]
    classifier: BoundModule | None = None
    more: tuple[Places, ...] = ()


class People(NamedTuple):
    """Annotated people, the targets of a one-stage loss; P rows, of which some are padding.

    Attributes:
      boxes: `[B, P, 4]` (x1, y1, x2, y2) in pixels of the input.
      keypoints: `[B, P, K, 2]` in pixels of the input; 0 where not labelled.
      area: `[B, P]` in square pixels of the input.
    """

    boxes: jax.Array
    keypoints: jax.Array
    area: jax.Array


class PeopleWeights(NamedTuple):
    """Weights of `People` in a loss.

    Attributes:
      labelled: float32 `[B, P, K]`, 1 for labelled keypoints of real people.
      person: float32 `[B, P]`, 1 for people with a labelled keypoint.
      counted: float32 `[B, h, w]` on the finest map, 0 where people are not labelled.
    """

    labelled: jax.Array
    person: jax.Array
    counted: jax.Array


class Proposals(NamedTuple):
    """Proposals of all places of all maps, N in all, level by level and row by row; float32.

    Attributes:
      person: logits `[B, N]`; objectness: logits `[B, N]`, or None.
      boxes: `[B, N, 4]` (x1, y1, x2, y2) in pixels of the input.
      raw_boxes: `[B, N, 4 or 4 * bins]`, as the head returns them.
      visible: logits `[B, N, K]`.
      keypoints: `[B, N, K, 2]` in pixels of the input, or None.
      vectors: `[B, N, D]`, or None.
      places: `[N, 2]` (x, y) of the places in pixels, and strides: `[N]`; NumPy.
    """

    person: jax.Array
    objectness: jax.Array | None
    boxes: jax.Array
    raw_boxes: jax.Array
    visible: jax.Array
    keypoints: jax.Array | None
    vectors: jax.Array | None
    places: np.ndarray
    strides: np.ndarray

    def probability(self) -> jax.Array:
        """Probability that a place proposes a person, `[B, N]`."""
        person = jax.nn.sigmoid(self.person)
        return person if self.objectness is None else person * jax.nn.sigmoid(self.objectness)


@dataclass(frozen=True)
class OneStage:
    """Codec of one-stage models, whose cost does not depend on the number of people.

    Decoding takes the places whose probability is at least `threshold`, keeps the best of those
    whose boxes overlap, and reads the keypoints there. A keypoint's score is the probability of the
    place times that of being visible, and `raw` is the logit of being visible. Images have grey
    margins (114), and box centres as in MMPose's `BottomupResize`.

    Attributes:
      input_hw: size of the model's input, multiples of the largest stride.
      strides: input pixels per place of each map.
      boxes: "sizes" for the centre's offset and the logarithms of width and height (YOLOX,
        arXiv:2107.08430), "distances" to the four sides (FCOS, arXiv:1904.01355), from the centre
        of the place.
      origin: point of a place from which boxes of "sizes" and keypoints are measured: the "corner"
        of its cell, the upper left one, its "middle", or the mean of its "pixels", half a pixel
        before the middle.
      keypoint_gain: factor on the vectors to keypoints.
      threshold: lowest probability of a person, above 0.
      iou: overlap above which only the better one of two people is kept; 1 keeps both, for heads
        that were trained to propose every person once.
      max_people: largest number of people in one image.
    """

    input_hw: tuple[int, int] = (640, 640)
    strides: tuple[int, ...] = (8, 16, 32)
    boxes: Literal["sizes", "distances"] = "sizes"
    origin: Literal["corner", "middle", "pixels"] = "corner"
    keypoint_gain: float = 1.0
    threshold: float = 0.01
    iou: float = 0.65
    max_people: int = 100

    averages: ClassVar[bool] = False
    """False: proposals of an image and of its mirror image cannot be averaged, so that a flip test
    is never made."""
    border: ClassVar[int] = GREY
    """Value of the input around the image."""

    def __post_init__(self) -> None:
        largest = max(self.strides, default=0)
        if largest < 1 or any(side < largest or side % largest for side in self.input_hw):
            raise InputError(
                f"input_hw {self.input_hw} must be multiples of the largest stride, {largest}: the "
                "maps of the coarser levels would be empty or cut off."
            )
        if not 0 < self.threshold < 1 or not 0 < self.iou <= 1 or self.max_people < 1:
            raise InputError(
                "threshold must be between 0 and 1, iou above 0 and at most 1, and max_people at "
                f"least 1, but they are {self.threshold}, {self.iou} and {self.max_people}."
            )

    @property
    def udp(self) -> Udp:
        """Always False: an image's size, not the distance of its outermost pixels, is resized."""
        return False

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of the finest map."""
        return self.input_hw[0] // self.strides[0], self.input_hw[1] // self.strides[0]

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Places `[N, 2]` (x, y) in pixels and their strides `[N]`, float32, level by level."""
        every, strides = [], []
        for stride in self.strides:
            rows, columns = (np.arange(side // stride) for side in self.input_hw)
            x, y = np.meshgrid(columns, rows)
            cells = np.stack([x, y], axis=-1).reshape(-1, 2)
            every.append(cells * stride + self._shift(stride))
            strides.append(np.full(len(cells), stride))
        return (
            np.concatenate(every).astype(np.float32),
            np.concatenate(strides).astype(np.float32),
        )

    def _shift(self, stride: Any) -> Any:
        """Pixels from the corner of a cell to its origin."""
        return {"corner": 0.0 * stride, "middle": stride / 2, "pixels": (stride - 1) / 2}[
            self.origin
        ]

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """None: heads differ in their outputs; `check_levels` compares the maps' sizes."""
        del num_keypoints
        return ()

    def check_levels(self, outputs: Any, num_keypoints: int) -> None:
        """Raise InputError if `decode` cannot read these outputs, or shapes of them."""
        levels = getattr(outputs, "levels", ())
        given = [tuple(level.visible.shape[1:]) for level in levels]
        wanted = [
            (self.input_hw[0] // stride, self.input_hw[1] // stride, num_keypoints)
            for stride in self.strides
        ]
        if given != wanted:
            raise InputError(
                f"OneStage decodes maps {wanted} (height, width, keypoints), but the model returns "
                f"{given or type(outputs).__name__}. Set codec.strides and codec.input_hw to those "
                "of the model's head."
            )

    def encode(self, sample: Sample) -> Targets:
        """Encode targets `People` and weights `PeopleWeights`, which the loss assigns to places.

        Boxes enclose the labelled keypoints, too, and end at the input's edges. A person without a
        labelled keypoint inside the input and a crowd region have no weight.

        Args:
          sample: keypoints `[B, P, K, 2]`, visible `[B, P, K]`, box_xywh `[B, P, 4]`, area
            `[B, P]`; counted `[B, h, w]`, with the size of the finest map, or None.
        """
        size = jnp.array(self.input_hw[::-1], jnp.float32)
        inside = (sample.keypoints >= 0) & (sample.keypoints < size[None, None, None])
        labelled = sample.labelled() & inside.all(axis=-1)
        keypoints = jnp.where(labelled[..., None], sample.keypoints, 0.0).astype(jnp.float32)
        low = sample.box_xywh[..., :2].astype(jnp.float32)
        high = low + sample.box_xywh[..., 2:].astype(jnp.float32)
        low = jnp.minimum(low, jnp.where(labelled[..., None], keypoints, jnp.inf).min(axis=-2))
        high = jnp.maximum(high, jnp.where(labelled[..., None], keypoints, -jnp.inf).max(axis=-2))
        limit = size[None, None]
        low, high = jnp.clip(low, 0.0, limit), jnp.clip(high, 0.0, limit)
        person = labelled.any(axis=-1)
        boxes = jnp.where(person[..., None], jnp.concatenate([low, high], axis=-1), 0.0)
        area = jnp.where(person, sample.area.astype(jnp.float32), 1.0)
        counted = sample.counted
        if counted is None:
            counted = jnp.ones((len(labelled), *self.heatmap_hw))
        weights = (labelled, person, counted)
        return Targets(
            People(boxes, keypoints, jnp.maximum(area, 1.0)),
            PeopleWeights(*(values.astype(jnp.float32) for values in weights)),
        )

    def proposals(self, levels: tuple[Places, ...]) -> Proposals:
        """Decode the boxes and keypoints of all places."""
        places, strides = self.places()

        def flat(name: str) -> Any:
            maps = [getattr(level, name) for level in levels]
            if maps[0] is None:
                return None
            rows = [x.reshape(x.shape[0], -1, x.shape[-1]).astype(jnp.float32) for x in maps]
            return jnp.concatenate(rows, axis=1)

        person, objectness, keypoints = flat("person"), flat("objectness"), flat("keypoints")
        raw_boxes = flat("boxes")
        if keypoints is not None:
            vectors = keypoints.reshape(*keypoints.shape[:2], -1, 2)
            keypoints = vectors * (self.keypoint_gain * strides)[None, :, None, None]
            keypoints = keypoints + places[None, :, None]
        return Proposals(
            person[..., 0],
            None if objectness is None else objectness[..., 0],
            self._boxes(raw_boxes, places, strides),
            raw_boxes,
            flat("visible"),
            keypoints,
            flat("vectors"),
            places,
            strides,
        )

    def _boxes(self, numbers: jax.Array, places: np.ndarray, strides: np.ndarray) -> jax.Array:
        """Boxes `[B, N, 4]` (x1, y1, x2, y2) in pixels."""
        scale = strides[None, :, None]
        if self.boxes == "sizes":
            middle = numbers[..., :2] * scale + places[None]
            half = jnp.exp(jnp.minimum(numbers[..., 2:], _LARGEST)) * scale / 2
            return jnp.concatenate([middle - half, middle + half], axis=-1)
        bins = numbers.shape[-1] // 4
        if bins > 1:
            # The mean of a distribution over whole distances (arXiv:2006.04388, eq. 5).
            shares = jax.nn.softmax(numbers.reshape(*numbers.shape[:2], 4, bins), axis=-1)
            numbers = (shares * jnp.arange(bins, dtype=jnp.float32)[None, None, None]).sum(axis=-1)
        middle = places[None] + scale / 2 - self._shift(scale)
        low = middle - numbers[..., :2] * scale
        return jnp.concatenate([low, middle + numbers[..., 2:] * scale], axis=-1)

    def decode(self, outputs: OneStageOutputs) -> Decoded:
        """Decode up to `max_people` people `[B, P, K]`, the most probable first; see the class."""
        found = self.proposals(outputs.levels)
        rows, probability = best_boxes(
            found.boxes,
            found.probability(),
            threshold=self.threshold,
            iou=self.iou,
            limit=self.max_people,
        )

        def chosen(values: jax.Array | None) -> jax.Array:
            assert values is not None
            return rows_at(values, rows)

        if outputs.classifier is not None:
            places = chosen(jnp.broadcast_to(found.places, (len(rows), *found.places.shape)))
            classified = outputs.classifier(chosen(found.vectors), chosen(found.boxes), places)
            keypoints = classified.keypoints
        else:
            keypoints = chosen(found.keypoints)
        raw = chosen(found.visible)
        valid = jnp.broadcast_to((probability > 0)[..., None], raw.shape)
        scores = jnp.where(valid, jax.nn.sigmoid(raw) * probability[..., None], 0.0)
        return Decoded(
            jnp.where(valid[..., None], keypoints, 0.0), scores, jnp.where(valid, raw, 0.0), valid
        )

    def flip_back(self, outputs: Any, permutation: Any) -> Any:
        """Raise InputError; see `averages`."""
        raise InputError("One-stage models have no flip test.")

    def average(self, a: Any, b: Any) -> Any:
        """Raise InputError; see `averages`."""
        raise InputError("One-stage models have no flip test.")
