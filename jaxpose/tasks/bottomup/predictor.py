"""Prediction of all people in an image, in batches of a few fixed shapes."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxpose import geometry
from jaxpose.codecs.codec import ImageCodec, border_of
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.visualize import as_maps
from jaxpose.data.instances import letterbox
from jaxpose.errors import InputError
from jaxpose.models.split import for_device_of
from jaxpose.results.people import People
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.topdown.augment import normalize
from jaxpose.tasks.topdown.forward import predict_keypoints, predict_outputs


class _Image(NamedTuple):
    """Letterboxed image, with its map to the original image and the requested boxes."""

    input: np.ndarray
    image_from_input: np.ndarray
    image_hw: tuple[int, int]
    boxes_xywh: np.ndarray


class ImagePredictor:
    """Predicts all people in whole images: letterbox, forward pass, flip test, decode, map back.

    The cost of an image does not depend on the number of people in it. Every batch is padded to one
    of a few sizes, so the model is compiled once for each size.
    """

    def __init__(
        self,
        model: Any,
        variables: Any,
        codec: ImageCodec,
        skeleton: Skeleton,
        *,
        flip_test: bool = True,
        batch_size: int = 8,
        sizes: Sequence[int] = (),
        scales: Sequence[float] = (1.0,),
        padding: float | None = None,
    ) -> None:
        """Prepare prediction with a trained model.

        Args:
          model: a Linen module; `model.apply(variables, images)` returns the outputs that `codec`
            decodes.
          variables: the variables of the model, on the device.
          codec: the codec of the training.
          skeleton: the names of the keypoints.
          flip_test: average with the mirrored image; no effect on codecs that do not average.
          batch_size: images in one forward pass (twice as many with the flip test).
          sizes: smaller batch sizes that may also be used; each is compiled when first needed.
          scales, padding: options of models that take crops; only the defaults are accepted.

        Raises:
          InputError: an option does not apply to this kind of model.
        """
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, and is {batch_size}.")
        if padding is not None or tuple(scales) != (1.0,):
            raise InputError(
                "padding and scales are for models that take a crop of each person; this one takes "
                "whole images. Leave them out."
            )
        self.variables = variables
        self.codec = codec
        self.skeleton = skeleton
        self.batch_size = batch_size
        self.sizes = sorted({size for size in sizes if 0 < size < batch_size} | {batch_size})
        self.compilations = 0
        """Number of compilations of the forward pass; more than one per size is an error."""
        self.full_images = 0
        """Images with as many people as the codec returns at most; further people are left out."""
        permutation = skeleton.flip_permutation

        def forward(variables: Any, images: jax.Array) -> Decoded:
            self.compilations += 1  # runs when JAX traces, not when it computes
            images = normalize(images)
            return predict_keypoints(model, variables, images, codec, permutation, flip_test)

        def outputs(variables: Any, images: jax.Array) -> Any:
            self.compilations += 1
            images = normalize(images)
            return predict_outputs(model, variables, images, codec, permutation, flip_test)

        def maps(variables: Any, images: jax.Array) -> jax.Array:
            arguments = model, variables, normalize(images), codec, permutation, flip_test
            return as_maps(codec, predict_outputs(*arguments))

        self._forward: Any = jax.jit(for_device_of(variables, forward))
        if getattr(codec, "on_host", False):
            compiled = jax.jit(for_device_of(variables, outputs))
            self._forward = lambda *given: codec.decode(jax.device_get(compiled(*given)))
        self._maps = jax.jit(for_device_of(variables, maps))

    def warm_up(self, *, every_size: bool = True) -> None:
        """Compile the forward pass for every batch size, or only for the largest."""
        for size in self.sizes if every_size else self.sizes[-1:]:
            images = np.zeros((size, *self.codec.input_hw, 3), np.uint8)
            jax.block_until_ready(self._forward(self.variables, images))

    def __call__(self, image: np.ndarray, boxes_xywh: Any = None) -> People:
        """Predict the people of one image, uint8 RGB `[H, W, 3]`; `boxes_xywh` as in `stream`.

        Raises:
          InputError: the image is not uint8 RGB, the boxes are not four numbers each, or the
            model's output is not finite.
        """
        return next(self.stream([(image, boxes_xywh)]))

    def stream(
        self, items: Iterable[tuple[np.ndarray, Any]], *, full: bool = False
    ) -> Iterator[People]:
        """Predict `People` for each (image, boxes), in order.

        Boxes `[P, 4]` (x, y, w, h) select people: those whose mean keypoint is in a box are kept,
        and `box_indices` has the index of that box. None keeps all people. With `full`, the last
        batch is padded to the full size, so that only that size is compiled. The host reads the
        next images while the device works; a result may come up to two batches after its image
        was taken from `items`.
        """
        waiting: list[_Image] = []
        running: deque[tuple[Decoded, list[_Image]]] = deque()
        for image, boxes_xywh in items:
            waiting.append(self._enter(image, boxes_xywh))
            if len(waiting) == self.batch_size:
                running.append(self._launch(waiting, full))
                waiting = []
            if len(running) > 1:
                yield from self._collect(*running.popleft())
        if waiting:
            running.append(self._launch(waiting, full))
        while running:
            yield from self._collect(*running.popleft())

    def maps(self, image: np.ndarray, boxes_xywh: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Letterboxed image, uint8 `[1, h, w, 3]`, and its maps, float32 `[1, h', w', K]`.

        The boxes have no effect on them; see `viz.draw_heatmaps`. Only for codecs that have maps
        (`codecs.visualize.has_maps`).
        """
        entry = self._enter(image, boxes_xywh)
        batch = np.zeros((self.sizes[0], *entry.input.shape), np.uint8)
        batch[0] = entry.input
        return entry.input[None], np.asarray(self._maps(self.variables, batch))[:1]

    def _enter(self, image: np.ndarray, boxes_xywh: Any) -> _Image:
        if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or not image.size:
            raise InputError(
                f"an image must be uint8 RGB [H, W, 3], not {image.dtype} {list(image.shape)}; "
                "jaxpose.media.image.read_image reads files in this form"
            )
        height, width = image.shape[:2]
        boxes = np.array([[-0.5, -0.5, width, height]]) if boxes_xywh is None else boxes_xywh
        boxes = np.asarray(boxes, np.float64)
        boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise InputError(f"boxes must be [P, 4] (x, y, w, h), not {list(boxes.shape)}")
        codec = self.codec
        matrix = letterbox((height, width), codec.input_hw, codec.udp)
        small = geometry.crop_image(image, matrix, codec.input_hw, border_of(codec))
        return _Image(small, geometry.invert_affine(matrix), (height, width), boxes)

    def _launch(self, images: list[_Image], full: bool) -> tuple[Decoded, list[_Image]]:
        """Start the forward pass of at most one batch."""
        wanted = self.batch_size if full else len(images)
        size = next(size for size in self.sizes if size >= wanted)
        batch = np.zeros((size, *self.codec.input_hw, 3), np.uint8)
        batch[: len(images)] = [image.input for image in images]
        return self._forward(self.variables, batch), images

    def _collect(self, result: Decoded, images: list[_Image]) -> Iterator[People]:
        """Wait for a forward pass and yield the people of each image."""
        keypoints, scores, raw, valid = (np.asarray(x)[: len(images)] for x in result[:4])
        lost = np.zeros(len(images), int) if result.lost is None else np.asarray(result.lost)
        if not all(np.isfinite(values).all() for values in (keypoints, scores, raw)):
            raise InputError("the model's output is not finite: did its training diverge?")
        for row, image in enumerate(images):
            there = valid[row].any(axis=-1)
            self.full_images += int(there.all())
            points = geometry.apply_affine(
                image.image_from_input, keypoints[row, there].astype(np.float64)
            )
            height, width = image.image_hw
            middle = np.clip(points.mean(axis=1), 0, [width - 1, height - 1])
            low = image.boxes_xywh[None, :, :2]
            inside = (middle[:, None] >= low) & (
                middle[:, None] <= low + image.boxes_xywh[None, :, 2:]
            )
            inside = inside.all(axis=-1)
            kept = np.flatnonzero(inside.any(axis=1)) if inside.size else np.zeros(0, np.int64)
            points = points[kept]
            corner = points.min(axis=1)
            yield People(
                self.skeleton,
                image.image_hw,
                points.astype(np.float32),
                scores[row, there][kept].astype(np.float32),
                np.concatenate([corner, points.max(axis=1) - corner], axis=1).astype(np.float32),
                inside[kept].argmax(axis=1).astype(np.int64)
                if len(kept)
                else np.zeros(0, np.int64),
                lost=int(lost[row]),
            )
