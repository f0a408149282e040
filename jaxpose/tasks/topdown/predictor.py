"""From a photo and boxes to people, in batches of a few fixed shapes."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxpose import geometry
from jaxpose.codecs.codec import Codec
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.visualize import as_maps, has_maps
from jaxpose.errors import InputError
from jaxpose.results.people import People, SkippedBox
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.topdown.augment import normalize
from jaxpose.tasks.topdown.forward import predict_keypoints, predict_outputs

# No camera's photo is this large; float32 still resolves a tenth of a pixel there.
_LARGEST_COORDINATE = 1e6
# Keypoints without any score still have a mean over the scales.
_LEAST = 1e-6


@dataclass
class _Photo:
    """A photo on its way through: which boxes are in use and what has been found in them."""

    photo_hw: tuple[int, int]
    boxes_xywh: np.ndarray
    box_indices: np.ndarray
    skipped: tuple[SkippedBox, ...]
    keypoints: np.ndarray
    scores: np.ndarray
    waiting: int


@dataclass
class _Crop:
    image: np.ndarray
    photo_from_input: np.ndarray
    owner: _Photo
    row: int


class Predictor:
    """Predicts keypoints inside given boxes: crop, forward pass, flip test, decode, map back.

    Crops of consecutive photos share batches and every batch is padded to one of a few sizes (by
    default to one), so the model is compiled once for each. The crops are those of evaluation: same
    padding, same aspect, same matrix; only the resampling is OpenCV's, on the photo itself. DARK's
    step is no longer than two heatmap pixels, where evaluation, like the published code, sets no
    bound: on maps without a sharp peak it can lead out of the picture.
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
        """Binds a trained model.

        Args:
          model: a Linen module; `model.apply(variables, images)` gives what `codec` reads.
          variables: its variables, on the device.
          codec: what the model was trained with; it decides the size and convention of the crop.
          skeleton: the names of the keypoints.
          flip_test: average with the mirrored crop; twice the work, usually about one AP.
          padding: factor by which boxes are enlarged before they are cropped.
          batch_size: crops in one forward pass (twice as many images with the flip test).
          sizes: smaller batches that may be used as well, for few people at a time; each is
            compiled when it is first needed.
          scales: each person is looked at in a crop of the padded box times each of these, and the
            keypoints are averaged by their scores.
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
        self.compilations = 0
        """How often the forward pass has been compiled; more than once a size is a fault."""
        permutation = skeleton.flip_permutation

        def forward(variables: Any, images: jax.Array) -> Decoded:
            self.compilations += 1  # runs when JAX traces, not when it computes
            images = normalize(images)
            return predict_keypoints(model, variables, images, codec, permutation, flip_test)

        def maps(variables: Any, images: jax.Array) -> jax.Array:
            arguments = model, variables, normalize(images), codec, permutation, flip_test
            return as_maps(codec, predict_outputs(*arguments))

        self._forward = jax.jit(forward)
        self._maps = jax.jit(maps)

    def warm_up(self, *, every_size: bool = True) -> None:
        """Compiles the forward pass for every batch size, or for the largest only."""
        for size in self.sizes if every_size else self.sizes[-1:]:
            images = np.zeros((size, *self.codec.input_hw, 3), np.uint8)
            jax.block_until_ready(self._forward(self.variables, images))

    def __call__(self, photo: np.ndarray, boxes_xywh: Any) -> People:
        """The people in `boxes_xywh [P, 4]` of `photo`, uint8 RGB `[H, W, 3]`.

        A box that is not finite, without area, or wholly outside the photo is left out and listed
        in `People.skipped`. No boxes give an empty result without a forward pass.

        Raises:
          InputError: the photo is not uint8 RGB, the boxes are not four numbers each, or the
            model's output is not finite.
        """
        return next(self.stream([(photo, boxes_xywh)]))

    def stream(
        self, items: Iterable[tuple[np.ndarray, Any]], *, full: bool = False
    ) -> Iterator[People]:
        """`People` for each (photo, boxes), in order, with batches filled across photos.

        Photos are uint8 RGB `[H, W, 3]`, boxes `[P, 4]` (x, y, w, h) in their pixels.
        With `full` the last batch is padded to the full size, so that only that one is compiled.
        The host cuts the next crops while the device works. A result may come up to two batches
        after its photo was taken from `items`.
        """
        photos: deque[_Photo] = deque()
        crops: deque[_Crop] = deque()
        running: deque[tuple[Decoded, list[_Crop]]] = deque()
        for photo, boxes_xywh in items:
            entry = self._enter(photo, boxes_xywh)
            photos.append(entry)
            for row, scale in itertools.product(range(len(entry.boxes_xywh)), self.scales):
                crops.append(self._cut(photo, entry, row, scale))
                if len(crops) == self.batch_size:
                    running.append(self._launch(crops, full))
                if len(running) > 1:
                    _collect(*running.popleft(), len(self.scales) > 1)
            del photo
            while photos and not photos[0].waiting:
                yield self._finish(photos.popleft())
        if crops:
            running.append(self._launch(crops, full))
        while running:
            _collect(*running.popleft(), len(self.scales) > 1)
        for entry in photos:
            yield self._finish(entry)

    def maps(self, photo: np.ndarray, boxes_xywh: Any) -> tuple[np.ndarray, np.ndarray]:
        """What the model sees and answers in boxes, for `viz.draw_heatmaps` to show.

        Args:
          photo: uint8 RGB `[H, W, 3]`.
          boxes_xywh: `[P, 4]` pixels; odd ones are left out as in `__call__`.

        Returns:
          The crops, uint8 `[P, h, w, 3]`, and their maps, float32 `[P, h', w', K]`
          (the codec's `maps`).

        Raises:
          InputError: as `__call__`; the model gives coordinates rather than maps.
        """
        if not has_maps(self.codec):
            raise InputError(
                f"this model ({type(self.codec).__name__}) gives coordinates, not heatmaps: there "
                "is none to show"
            )
        entry = self._enter(photo, boxes_xywh)
        rows = range(len(entry.boxes_xywh))
        shape = (*self.codec.input_hw, 3)
        crops = np.zeros((len(rows), *shape), np.uint8)
        made = [np.zeros((0, 1, 1, self.skeleton.num_keypoints), np.float32)] if not rows else []
        for row in rows:
            crops[row] = self._cut(photo, entry, row, 1.0).image
        for start in range(0, len(rows), self.batch_size):
            part = crops[start : start + self.batch_size]
            batch = np.zeros((self.batch_size, *shape), np.uint8)
            batch[: len(part)] = part
            made.append(np.asarray(self._maps(self.variables, batch))[: len(part)])
        return crops, np.concatenate(made)

    def _enter(self, photo: np.ndarray, boxes_xywh: Any) -> _Photo:
        if photo.ndim != 3 or photo.shape[-1] != 3 or photo.dtype != np.uint8:
            raise InputError(
                f"a photo is uint8 RGB [H, W, 3], not {photo.dtype} {list(photo.shape)}; "
                "jaxpose.media.image.read_photo reads files so"
            )
        boxes = np.asarray(boxes_xywh, np.float64)
        boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise InputError(f"boxes are [P, 4] (x, y, w, h), not {list(boxes.shape)}")
        height, width = photo.shape[:2]
        faults = [_fault(box, height, width) for box in boxes]
        kept = np.array([i for i, fault in enumerate(faults) if fault is None], np.int64)
        count, num_keypoints = len(kept), self.skeleton.num_keypoints
        return _Photo(
            photo_hw=(height, width),
            boxes_xywh=boxes[kept].astype(np.float32),
            box_indices=kept,
            skipped=tuple(SkippedBox(i, f) for i, f in enumerate(faults) if f is not None),
            keypoints=np.zeros((count, num_keypoints, 2), np.float32),
            scores=np.zeros((count, num_keypoints), np.float32),
            waiting=count * len(self.scales),
        )

    def _cut(self, photo: np.ndarray, entry: _Photo, row: int, scale: float) -> _Crop:
        height, width = self.codec.input_hw
        padding = self.padding * scale
        matrix = geometry.box_crop_matrix(
            entry.boxes_xywh[row], (height, width), padding=padding, udp=self.codec.udp
        )
        image = geometry.crop_photo(photo, matrix, (height, width))
        return _Crop(image, geometry.invert_affine(matrix), entry, row)

    def _launch(self, crops: deque[_Crop], full: bool) -> tuple[Decoded, list[_Crop]]:
        """Starts the forward pass of all waiting crops (at most a batch) and empties the queue."""
        batch = list(crops)
        crops.clear()
        size = next(
            size for size in self.sizes if size >= (self.batch_size if full else len(batch))
        )
        images = np.zeros((size, *self.codec.input_hw, 3), np.uint8)
        images[: len(batch)] = [crop.image for crop in batch]
        return self._forward(self.variables, images), batch

    def _finish(self, entry: _Photo) -> People:
        if len(self.scales) > 1:
            entry.keypoints /= np.maximum(entry.scores, _LEAST)[..., None]
            entry.scores /= len(self.scales)
        return People(
            self.skeleton,
            entry.photo_hw,
            entry.keypoints,
            entry.scores,
            entry.boxes_xywh,
            entry.box_indices,
            entry.skipped,
        )


def bounded(codec: Codec) -> Codec:
    """The codec that prediction uses: what its `bounded` gives, or the codec itself."""
    return codec.bounded() if hasattr(codec, "bounded") else codec


def _collect(result: Decoded, batch: list[_Crop], several: bool) -> None:
    """Waits for a forward pass and writes its keypoints, in photo pixels, to their owners."""
    keypoints, scores, raw = (np.asarray(values)[: len(batch)] for values in result[:3])
    # The highest of NaNs is NaN or minus infinity, as the backend likes; a score may hide it.
    if not all(np.isfinite(values).all() for values in (keypoints, scores, raw)):
        raise InputError("the model's output is not finite: did its training diverge?")
    for crop, found, score in zip(batch, keypoints, scores, strict=True):
        place = geometry.apply_affine(crop.photo_from_input, found)
        if several:
            score = np.maximum(score, _LEAST)
            place = place * score[:, None]
        crop.owner.keypoints[crop.row] += place
        crop.owner.scores[crop.row] += score
        crop.owner.waiting -= 1


def _fault(box: np.ndarray, height: int, width: int) -> str | None:
    """Why nobody can be predicted in a box `[4]` (x, y, w, h) of such a photo, or None."""
    x, y, w, h = box
    numbers = ", ".join(f"{value:g}" for value in box)
    if not np.isfinite(box).all():
        return f"box ({numbers}) has a number that is not finite"
    if w <= 0 or h <= 0:
        return f"box ({numbers}) has no area"
    if w <= 1 and h <= 1:
        return f"box ({numbers}) is no larger than a pixel; boxes are in pixels, not fractions"
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        return f"box ({numbers}) lies outside the photo of {width} x {height} pixels"
    if np.abs(box).max() > _LARGEST_COORDINATE:
        return f"box ({numbers}) is not in pixels"
    return None
