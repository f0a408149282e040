"""Detection of people in images: gives the boxes that pose models need."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.config import from_json, to_json
from jaxpose.convert.load import to_variables
from jaxpose.convert.reading import input_hw_of, load_state_dict
from jaxpose.convert.release import CONFIG, Card, load_config, save_release
from jaxpose.deprecations import moved_names
from jaxpose.detect.decode import convention_of
from jaxpose.detect.letterbox import Letterbox
from jaxpose.detect.nms import Kept, suppress
from jaxpose.detect.weights import recognise_detector
from jaxpose.download import local
from jaxpose.errors import InputError
from jaxpose.models.blaze import AnchoredHead
from jaxpose.models.published.catalogue import DETECTORS

# Options of a detector that a release stores, besides its input size.
_SAVED = {"threshold": float, "iou": float, "max_people": int, "person_class": int}


@dataclass(frozen=True)
class Detections:
    """Detected people in one image, best first.

    Attributes:
      boxes_xywh: float32 `[P, 4]` (x, y, w, h) in pixels of the image, within it.
      scores: float32 `[P]`, probabilities in [0, 1].
    """

    boxes_xywh: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


class Detector:
    """One-stage detector of people.

    Images of any size are letterboxed, or for PicoDet stretched, on the host to one size and put
    into batches of one size, so the model is compiled once; the device normalises, runs the model,
    decodes and suppresses.
    """

    def __init__(
        self,
        model: Any,
        variables: Any,
        input_hw: tuple[int, int],
        *,
        threshold: float | None = None,
        iou: float | None = None,
        max_people: int = 100,
        batch_size: int = 1,
        person_class: int = 0,
        name: str = "",
    ) -> None:
        """Creates a detector from a model and its variables.

        Args:
          model: a model of `jaxpose.models.yolox`, `rtmdet` or `picodet`.
          variables: its variables.
          input_hw: height and width of its input in pixels, multiples of 32; a larger input finds
            smaller people.
          threshold: lowest score of a box that is reported, above 0 and below 1; None takes the
            family's (see `Convention.threshold`).
          iou: if two boxes overlap by more than this part of their union, only the better one is
            kept. None takes that of the published evaluations, 0.65 or for PicoDet 0.6; it keeps
            people who stand in front of each other.
          max_people: largest number of boxes per image.
          batch_size: images in one forward pass; the last batch is padded.
          person_class: index of the class to detect.
          name: name of the published model, or any other name.

        Raises:
          InputError: an argument is out of range.
        """
        self.convention = convention_of(model)
        threshold = self.convention.threshold if threshold is None else threshold
        iou = self.convention.iou if iou is None else iou
        _check(input_hw, threshold, iou, max_people, batch_size)
        if not 0 <= person_class < model.head.num_classes:
            raise InputError(
                f"person_class must be from 0 to {model.head.num_classes - 1}, not {person_class}"
            )
        self.name = name
        self.num_classes = model.head.num_classes
        self.input_hw = input_hw
        self.batch_size = batch_size
        self.variables = jax.device_put(variables)
        self._model = model
        self._settings = {
            "threshold": threshold,
            "iou": iou,
            "max_people": max_people,
            "person_class": person_class,
        }
        self._suppress = partial(suppress, threshold=threshold, iou=iou, limit=max_people)
        self.compilations = 0
        """Number of compilations of the forward pass; more than one is a fault."""

        def places(variables: Any, canvases: jax.Array) -> tuple[jax.Array, jax.Array]:
            self.compilations += 1  # runs when JAX traces, not when it computes
            levels = model.apply(variables, self.convention.prepare(canvases))
            return self.convention.decode(levels, person_class)

        self._places = jax.jit(places)

    @classmethod
    def load(
        cls, where: str | Path, *, input_hw: tuple[int, int] | None = None, **options: Any
    ) -> "Detector":
        """Loads a detector from a file, a release folder or an address.

        Args:
          where: official PyTorch weights of YOLOX or RTMDet (`.pth`, `.safetensors`, or `.npz` with
            the same names; batch norms folded or not), PicoDet as an OpenVINO model (`.xml`,
            with the `.bin` beside it), a release folder, or the `https://` address
            of either.
          input_hw: as for a new detector; None takes the size that the file states, or that it was
            published or saved for.
          options: the other options; a release folder has its own defaults.

        Raises:
          InputError: the file cannot be read or has no detector's weights, or an option is out of
            range.
        """
        path = local(where)
        saved = load_config(path) if (path / CONFIG).is_file() else {}
        state_dict = load_state_dict(path)
        try:
            model = from_json(saved.get("model"), "model")
            if model is None:
                entry, model, variables = recognise_detector(state_dict)
                published = {"name": entry.name, "input_hw": input_hw_of(path) or entry.input_hw}
            else:
                variables, published = to_variables(state_dict, model), {}
            saved = {**published, **saved}
            size = tuple(int(side) for side in input_hw or saved["input_hw"])
            kept = {key: type_(saved[key]) for key, type_ in _SAVED.items() if key in saved}
            name = str(saved.get("name") or published.get("name", ""))
            kind: Any = cls.of(model)
            found: Detector = kind(model, variables, size, **{"name": name, **kept, **options})
            return found
        except (InputError, TypeError, ValueError) as error:
            raise InputError(f"{where}: {error}") from error

    @classmethod
    def of(cls, model: Any) -> "type[Detector]":
        """Class of detectors for a model: `AnchoredDetector` if its head has anchors."""
        from jaxpose.detect.anchored import AnchoredDetector

        return AnchoredDetector if isinstance(model.head, AnchoredHead) else cls

    def save(
        self,
        folder: str | Path,
        *,
        source: str = "",
        finds: str = "people",
        overwrite: bool = False,
        half: bool = False,
    ) -> None:
        """Writes a release folder, which `load` and `jaxpose predict --detector` read.

        Args:
          folder: folder to write; it appears whole or not at all.
          source: origin of the weights, for the model card.
          finds: objects that it detects, in words.
          overwrite: replace `folder` if it is a release.
          half: store the weights as float16.

        Raises:
          InputError: `folder` exists and must not be overwritten, or it cannot be written.
        """
        config = {
            "name": self.name,
            "finds": finds,
            "input_hw": list(self.input_hw),
            "num_classes": self.num_classes,
            **self._settings,
        }
        if not any(entry.make(self.num_classes) == self._model for entry in DETECTORS):
            config["model"] = to_json(self._model)
        height, width = self.input_hw
        card = Card(
            self.name or "detector",
            source or "not stated",
            f"RGB, {width} x {height} pixels (width x height), a whole image",
            (),
            finds=finds,
        )
        variables = jax.device_get(self.variables)
        save_release(folder, variables, config, card, overwrite=overwrite, half=half)

    def __call__(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detects people in each of `images`, uint8 RGB `[H, W, 3]`; sizes may differ.

        Raises:
          InputError: an image has another type or shape, or the model's output is not finite.
        """
        if isinstance(images, np.ndarray) and images.ndim < 4:
            raise InputError("give a list of images, even for one image: detector([image])")
        boxes = [self.convention.fit(image, self.input_hw) for image in images]
        size = self.batch_size
        batches = [boxes[start : start + size] for start in range(0, len(boxes), size)]
        # The device works on the next batch while the host waits for the previous one.
        running = [(self._launch(batch), batch) for batch in batches]
        return [found for result, batch in running for found in _collect(result, batch)]

    def places(self, canvases: np.ndarray) -> tuple[jax.Array, jax.Array]:
        """Boxes and scores of all places of canvases, uint8 RGB `[B, h, w, 3]`, before suppression.

        Returns:
          `[B, N, 4]` (x1, y1, x2, y2) in pixels of the canvas, and `[B, N]` in [0, 1].
        """
        return self._places(self.variables, canvases)

    def _launch(self, batch: list[Letterbox]) -> tuple[Kept, jax.Array]:
        canvases = np.zeros((self.batch_size, *self.input_hw, 3), np.uint8)
        canvases[: len(batch)] = [box.canvas for box in batch]
        boxes, scores = self.places(canvases)
        return self._suppress(boxes, scores), jnp.isfinite(scores).all()


def check_list(images: Sequence[np.ndarray]) -> None:
    """Checks that `images` is not one image `[H, W, 3]`.

    Raises:
      InputError: it is.
    """
    if isinstance(images, np.ndarray) and images.ndim < 4:
        raise InputError("give a list of images, even for one image: detector([image])")


def _collect(result: tuple[Kept, jax.Array], batch: list[Letterbox]) -> list[Detections]:
    (boxes_xyxy, scores), finite = jax.device_get(result)
    if not finite:
        raise InputError("the detector's output is not finite: are these weights its own?")
    return [_found(box, boxes_xyxy[row], scores[row]) for row, box in enumerate(batch)]


def _found(box: Letterbox, boxes_xyxy: np.ndarray, scores: np.ndarray) -> Detections:
    """Boxes of one image with a score above 0 and an area within the image."""
    boxes_xywh = box.to_image(boxes_xyxy)
    there = (scores > 0) & (boxes_xywh[:, 2:] > 0).all(axis=1)
    return Detections(boxes_xywh[there], scores[there])


def _check(
    input_hw: tuple[int, int], threshold: float, iou: float, max_people: int, batch_size: int
) -> None:
    if len(input_hw) != 2 or any(side < 32 or side % 32 for side in input_hw):
        raise InputError(f"input_hw must be two multiples of 32, not {input_hw}")
    if not 0 < threshold < 1:
        raise InputError(f"threshold must be between 0 and 1, and is {threshold}")
    if not 0 < iou <= 1:
        raise InputError(f"iou must be above 0 and at most 1, and is {iou}")
    if max_people < 1 or batch_size < 1:
        raise InputError(
            f"max_people and batch_size must be at least 1, and are {max_people} and {batch_size}"
        )


__getattr__ = moved_names(__name__)
