"""Prediction of people from an image and boxes, in batches of a few fixed shapes."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import geometry
from jaxpose.codecs.codec import Codec
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.visualize import as_maps, has_maps
from jaxpose.errors import InputError
from jaxpose.models.frames import FrameImages
from jaxpose.models.split import for_device_of
from jaxpose.results.people import People, SkippedBox
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.topdown.augment import normalize
from jaxpose.tasks.topdown.forward import predict_keypoints, predict_outputs

# No camera image is this large; float32 still resolves a tenth of a pixel there.
_LARGEST_COORDINATE = 1e6
# Keypoints with score 0 still have a mean over the scales.
_LEAST = 1e-6


@dataclass
class _Image:
    """Image in progress: the boxes in use and the keypoints found in them so far."""

    image_hw: tuple[int, int]
    boxes_xywh: np.ndarray
    box_indices: np.ndarray
    skipped: tuple[SkippedBox, ...]
    keypoints: np.ndarray
    scores: np.ndarray
    waiting: int
    depths: np.ndarray | None = None
    hands: np.ndarray | None = None


@dataclass
class _Crop:
    image: np.ndarray  # [h, w, 3], or [F, h, w, 3] for a model of several frames
    image_from_input: np.ndarray
    owner: _Image
    row: int


class Predictor:
    """Predicts keypoints inside given boxes: crop, forward pass, flip test, decode, map back.

    Crops of consecutive images share batches. Every batch is padded to one of a few sizes (by
    default one), so the model is compiled once for each size. The crops have the padding, aspect
    ratio and matrix of evaluation, but OpenCV resamples them directly from the image. DARK's step
    is at most two heatmap pixels. Evaluation, like the published code, has no such limit; without
    it, maps without a sharp peak can give keypoints outside the image.
    """

    def __init__(
        self,
        model: Any,
        variables: Any,
        codec: Codec,
        skeleton: Skeleton,
        *,
        flip_test: bool = True,
        padding: float = 1.25,
        batch_size: int = 8,
        sizes: Sequence[int] = (),
        scales: Sequence[float] = (1.0,),
    ) -> None:
        """Prepare prediction with a trained model.

        Args:
          model: a Linen module; `model.apply(variables, images)` returns the outputs that `codec`
            decodes.
          variables: the variables of the model, on the device.
          codec: the codec of the training; it determines the size and convention of the crop.
          skeleton: the names of the keypoints.
          flip_test: average with the mirrored crop; twice the work, usually about one AP better.
          padding: factor by which boxes are enlarged before they are cropped.
          batch_size: crops in one forward pass (twice as many images with the flip test).
          sizes: smaller batch sizes that may also be used, for few people at a time; each is
            compiled when it is first needed.
          scales: factors of the padded box. Each person is predicted from one crop per factor, and
            the keypoints are averaged, weighted by their scores.
        """
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, and is {batch_size}")
        if not padding > 0:
            raise InputError(f"padding must be positive, and is {padding}")
        if not scales or not all(scale > 0 for scale in scales):
            raise InputError(f"scales must be positive numbers, and are {list(scales)}")
        self.variables = variables
        self.codec = codec = bounded(codec)
        self.skeleton = skeleton
        self.padding = padding
        self.batch_size = batch_size
        self.sizes = sorted({size for size in sizes if 0 < size < batch_size} | {batch_size})
        self.scales = tuple(scales)
        self.times: tuple[float, ...] = tuple(getattr(getattr(model, "head", None), "times", ()))
        """Times of the frames that the model sees at once, the current one first; else empty."""
        self._shape = (*([len(self.times)] if self.times else []), *codec.input_hw, 3)
        self.compilations = 0
        """Number of compilations of the forward pass; more than one per size is an error."""
        permutation = skeleton.flip_permutation

        def forward(variables: Any, images: jax.Array) -> Decoded:
            self.compilations += 1  # runs when JAX traces, not when it computes
            inputs = self._inputs(images)
            return predict_keypoints(model, variables, inputs, codec, permutation, flip_test)

        def maps(variables: Any, images: jax.Array) -> jax.Array:
            arguments = model, variables, self._inputs(images), codec, permutation, flip_test
            return as_maps(codec, predict_outputs(*arguments))

        self._forward = jax.jit(for_device_of(variables, forward))
        self._maps = jax.jit(for_device_of(variables, maps))

    def _inputs(self, crops: jax.Array) -> jax.Array | FrameImages:
        """Normalised crops, with the times of the frames for a model of several."""
        if not self.times:
            return normalize(crops)
        times = jnp.broadcast_to(jnp.asarray(self.times, jnp.float32)[None], crops.shape[:2])
        return FrameImages(normalize(crops), times)

    def warm_up(self, *, every_size: bool = True) -> None:
        """Compile the forward pass for every batch size, or only for the largest."""
        for size in self.sizes if every_size else self.sizes[-1:]:
            images = np.zeros((size, *self._shape), np.uint8)
            jax.block_until_ready(self._forward(self.variables, images))

    def __call__(self, image: np.ndarray, boxes_xywh: Any) -> People:
        """Predict the people in `boxes_xywh [P, 4]` of `image`, uint8 RGB `[H, W, 3]`.

        A box that is not finite, has no area, or is completely outside the image is left out and
        listed in `People.skipped`. Without boxes the result is empty and no forward pass is run.

        Raises:
          InputError: the image is not uint8 RGB, the boxes are not four numbers each, or the
            model's output is not finite.
        """
        return next(self.stream([(image, boxes_xywh)]))

    def stream(self, items: Iterable[tuple[Any, ...]], *, full: bool = False) -> Iterator[People]:
        """Predict `People` for each (image, boxes), in order, with batches filled across images.

        Images are uint8 RGB `[H, W, 3]`, boxes `[P, 4]` (x, y, w, h) in their pixels. For a model
        of several frames, a third entry may be the list of the other frames, in the order of
        `times`; without it the image stands for all of them.
        With `full`, the last batch is padded to the full size, so that only that size is compiled.
        The host cuts the next crops while the device works. A result may come up to two batches
        after its image was taken from `items`.
        """
        entries: deque[_Image] = deque()
        crops: deque[_Crop] = deque()
        running: deque[tuple[Decoded, list[_Crop]]] = deque()
        for image, boxes_xywh, *others in items:
            entry = self._enter(image, boxes_xywh)
            entries.append(entry)
            for row, scale in itertools.product(range(len(entry.boxes_xywh)), self.scales):
                crops.append(self._cut(image, entry, row, scale, *others))
                if len(crops) == self.batch_size:
                    running.append(self._launch(crops, full))
                if len(running) > 1:
                    _collect(*running.popleft(), len(self.scales) > 1)
            del image, others
            while entries and not entries[0].waiting:
                yield self._finish(entries.popleft())
        if crops:
            running.append(self._launch(crops, full))
        while running:
            _collect(*running.popleft(), len(self.scales) > 1)
        for entry in entries:
            yield self._finish(entry)

    def maps(self, image: np.ndarray, boxes_xywh: Any) -> tuple[np.ndarray, np.ndarray]:
        """Crops of boxes and the maps that the model predicts in them, for `viz.draw_heatmaps`.

        Args:
          image: uint8 RGB `[H, W, 3]`.
          boxes_xywh: `[P, 4]` pixels; unusable boxes are left out as in `__call__`.

        Returns:
          The crops, uint8 `[P, h, w, 3]`, and their maps, float32 `[P, h', w', K]`
          (the codec's `maps`).

        Raises:
          InputError: an error of `__call__`; the model predicts coordinates, not maps.
        """
        if not has_maps(self.codec):
            raise InputError(
                f"this model ({type(self.codec).__name__}) predicts coordinates, so it has no "
                "heatmaps to draw"
            )
        entry = self._enter(image, boxes_xywh)
        rows = range(len(entry.boxes_xywh))
        crops = np.zeros((len(rows), *self._shape), np.uint8)
        made = [np.zeros((0, 1, 1, self.skeleton.num_keypoints), np.float32)] if not rows else []
        for row in rows:
            crops[row] = self._cut(image, entry, row, 1.0).image
        for start in range(0, len(rows), self.batch_size):
            part = crops[start : start + self.batch_size]
            batch = np.zeros((self.batch_size, *self._shape), np.uint8)
            batch[: len(part)] = part
            made.append(np.asarray(self._maps(self.variables, batch))[: len(part)])
        return crops[:, 0] if self.times else crops, np.concatenate(made)

    def _enter(self, image: np.ndarray, boxes_xywh: Any) -> _Image:
        if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
            raise InputError(
                f"an image must be uint8 RGB [H, W, 3], not {image.dtype} {list(image.shape)}; "
                "jaxpose.media.image.read_image reads files in this form"
            )
        boxes = np.asarray(boxes_xywh, np.float64)
        boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise InputError(f"boxes must be [P, 4] (x, y, w, h), not {list(boxes.shape)}")
        height, width = image.shape[:2]
        faults = [_fault(box, height, width) for box in boxes]
        kept = np.array([i for i, fault in enumerate(faults) if fault is None], np.int64)
        count, num_keypoints = len(kept), self.skeleton.num_keypoints
        return _Image(
            image_hw=(height, width),
            boxes_xywh=boxes[kept].astype(np.float32),
            box_indices=kept,
            skipped=tuple(SkippedBox(i, f) for i, f in enumerate(faults) if f is not None),
            keypoints=np.zeros((count, num_keypoints, 2), np.float32),
            scores=np.zeros((count, num_keypoints), np.float32),
            waiting=count * len(self.scales),
        )

    def _cut(
        self,
        full_image: np.ndarray,
        entry: _Image,
        row: int,
        scale: float,
        others: Sequence[np.ndarray] = (),
    ) -> _Crop:
        height, width = self.codec.input_hw
        padding = self.padding * scale
        matrix = geometry.box_crop_matrix(
            entry.boxes_xywh[row], (height, width), padding=padding, udp=self.codec.udp
        )
        image = geometry.crop_image(full_image, matrix, (height, width))
        if self.times:
            more = [geometry.crop_image(one, matrix, (height, width)) for one in others]
            image = np.stack([image, *(more or [image] * (len(self.times) - 1))])
        return _Crop(image, geometry.invert_affine(matrix), entry, row)

    def _launch(self, crops: deque[_Crop], full: bool) -> tuple[Decoded, list[_Crop]]:
        """Start the forward pass of all waiting crops (at most a batch) and empty the queue."""
        batch = list(crops)
        crops.clear()
        size = next(
            size for size in self.sizes if size >= (self.batch_size if full else len(batch))
        )
        images = np.zeros((size, *self._shape), np.uint8)
        images[: len(batch)] = [crop.image for crop in batch]
        return self._forward(self.variables, images), batch

    def _finish(self, entry: _Image) -> People:
        if len(self.scales) > 1:
            entry.keypoints /= np.maximum(entry.scores, _LEAST)[..., None]
            entry.scores /= len(self.scales)
            for values in (entry.depths, entry.hands):
                if values is not None:
                    values /= len(self.scales)
        return People(
            self.skeleton,
            entry.image_hw,
            entry.keypoints,
            entry.scores,
            entry.boxes_xywh,
            entry.box_indices,
            entry.skipped,
            depths=entry.depths,
            hands=entry.hands,
        )


def bounded(codec: Codec) -> Codec:
    """Codec of prediction: the result of its `bounded`, or the codec itself."""
    return codec.bounded() if hasattr(codec, "bounded") else codec


def _collect(result: Decoded, batch: list[_Crop], several: bool) -> None:
    """Wait for a forward pass and write its keypoints, in pixels of the image, to their images."""
    keypoints, scores, raw = (np.asarray(values)[: len(batch)] for values in result[:3])
    # The maximum of NaNs is NaN or minus infinity, depending on the backend; a score may hide it.
    if not all(np.isfinite(values).all() for values in (keypoints, scores, raw)):
        raise InputError("the model's output is not finite: did its training diverge?")
    more = _more(result)
    for row, (crop, found, score) in enumerate(zip(batch, keypoints, scores, strict=True)):
        place = geometry.apply_affine(crop.image_from_input, found)
        if several:
            score = np.maximum(score, _LEAST)
            place = place * score[:, None]
        crop.owner.keypoints[crop.row] += place
        crop.owner.scores[crop.row] += score
        crop.owner.waiting -= 1
        for name, values in more.items():
            known = getattr(crop.owner, name)
            if known is None:
                known = np.zeros((len(crop.owner.scores), values.shape[1]), np.float32)
                setattr(crop.owner, name, known)
            known[crop.row] += values[row]


def _more(result: Decoded) -> dict[str, np.ndarray]:
    """Further columns of `People`, `[B, ...]`, by name."""
    more = {}
    if result.depth is not None:
        more["depths"] = np.asarray(result.depth)
    if result.hands is not None:
        apart = np.asarray(result.hands.left_from_right)
        more["hands"] = np.column_stack([np.asarray(result.hands.present), apart])
    return more


def _fault(box: np.ndarray, height: int, width: int) -> str | None:
    """Fault of a box `[4]` (x, y, w, h) in an image of this size; None for a usable box."""
    x, y, w, h = box
    numbers = ", ".join(f"{value:g}" for value in box)
    if not np.isfinite(box).all():
        return f"box ({numbers}) has a number that is not finite"
    if w <= 0 or h <= 0:
        return f"box ({numbers}) has no area"
    if w <= 1 and h <= 1:
        return f"box ({numbers}) is no larger than a pixel; boxes are in pixels, not fractions"
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        return f"box ({numbers}) is outside the image of {width} x {height} pixels"
    if np.abs(box).max() > _LARGEST_COORDINATE:
        return f"box ({numbers}) is not in pixels"
    return None
