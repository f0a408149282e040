"""Codec of OpenPose: maps of keypoints, and fields along the limbs that join them to people.

Cao et al. 2017, arXiv:1611.08050; Cao et al. 2021, arXiv:1812.08008.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mean_of_two
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.limb_assembly import (
    Groups,
    Peaks,
    assemble,
    blur_weights,
    cubic_weights,
    find_peaks,
    limb_scores,
    match,
    resampled,
)
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import reordered, values_at
from jaxpose.skeletons import BODY25, OPENPOSE18, Skeleton

# Largest exponent of a Gaussian that is drawn: ln 100.
_REACH = 4.6052


class StageParts(NamedTuple):
    """Outputs of a stage that has only one of both kinds of maps; None for the other.

    Attributes:
      maps: `[B, h, w, K + 1]`.
      fields: `[B, h, w, 2 L]`.
    """

    maps: jax.Array | None = None
    fields: jax.Array | None = None


@dataclass(frozen=True)
class PartAffinity:
    """Outputs `[B, h, w, K + 1 + 2 L]`: maps of keypoints, of the background, and fields of limbs.

    A keypoint is a peak of its map. The field of a limb has, near the line from its first to its
    second keypoint, the unit vector (x, y) along it. Decoding enlarges all maps, joins peaks by the
    limbs with the highest values along the line, and limbs to people (`codecs.limb_assembly`). It
    runs on the device.

    The score of a keypoint is the value of its map at the peak, clipped to [0, 1]; `raw` is the
    value. A keypoint that a person lacks is at the mean of the others, with score 0 and `valid`
    False. People are in the order of their scores, the sum over keypoints and limbs.

    Targets follow the published code: maps are at the centres of cells, fields at their corners.

    Attributes:
      limbs: keypoints (first, second) of each field, in the order of the channels.
      input_hw: size of the model's input.
      stride: input pixels of a cell.
      sigma: standard deviation of the target Gaussians in input pixels.
      thickness: largest distance in cells from a limb's line at which its field is drawn.
      overlap: "max" takes the highest of several people's Gaussians (eq. 7 of the first paper),
        "sum" their sum up to 1, as in the published code.
      crossing: "mean" averages fields of people whose limbs cross (eq. 9), "last" draws later
        people over earlier ones.
      max_people: largest number of people in one image.
      candidates: number of highest peaks of each keypoint that are tried.
      enlargement: factor on the maps before decoding.
      smoothing: standard deviation in enlarged pixels of the blur in which peaks are searched for;
        0 for none.
      nms_radius: distance in enlarged pixels within which peaks are the same; 0 for none.
      between: place peaks between enlarged pixels; False for whole pixels, as in the published
        Python decoders.
      min_peak: lowest value of a peak.
      min_field: lowest value of a field on a limb.
      min_share: share of points on a limb that have to exceed `min_field`.
      far_limbs: limbs longer than half the height have lower scores; see `limb_assembly`.
      order: limbs in the order of assembly; empty for the order of the channels.
      bridging: limbs that only join what other limbs found.
      min_keypoints: smallest number of keypoints of a person.
      min_person: lowest mean score of a person, over keypoints.
    """

    limbs: tuple[tuple[int, int], ...]
    input_hw: tuple[int, int] = (368, 432)
    stride: int = 8
    sigma: float = 7.0
    thickness: float = 1.0
    overlap: Literal["max", "sum"] = "max"
    crossing: Literal["mean", "last"] = "mean"
    max_people: int = 30
    candidates: int = 40
    enlargement: int = 8
    smoothing: float = 3.0
    nms_radius: float = 0.0
    between: bool = False
    min_peak: float = 0.1
    min_field: float = 0.05
    min_share: float = 0.8
    far_limbs: bool = True
    order: tuple[int, ...] = ()
    bridging: tuple[int, ...] = ()
    min_keypoints: int = 4
    min_person: float = 0.4

    def __post_init__(self) -> None:
        if not self.limbs:
            raise InputError(
                "A codec with part affinity fields needs limbs: pairs of keypoints. Choose a "
                "skeleton with limbs, or name the pairs."
            )
        if any(min(limb) < 0 or limb[0] == limb[1] for limb in self.limbs):
            raise InputError("limbs must be pairs of two different keypoints, from 0 on.")
        if self.stride < 1 or any(s < self.stride or s % self.stride for s in self.input_hw):
            raise InputError(f"input_hw {self.input_hw} is no multiple of stride {self.stride}.")
        if self.sigma <= 0 or self.thickness <= 0 or min(self.smoothing, self.nms_radius) < 0:
            raise InputError(
                "sigma and thickness must be positive, smoothing and nms_radius at least 0."
            )
        if min(self.max_people, self.candidates, self.enlargement, self.min_keypoints) < 1:
            raise InputError(
                "max_people, candidates, enlargement and min_keypoints must be at least 1."
            )
        if self.overlap not in ("max", "sum") or self.crossing not in ("mean", "last"):
            raise InputError('overlap must be "max" or "sum", and crossing "mean" or "last".')
        places = range(len(self.limbs))
        if self.order and sorted(self.order) != list(places):
            raise InputError(f"order must list each of the {len(self.limbs)} limbs once.")
        if not set(self.bridging) <= set(places):
            raise InputError("bridging names a limb that does not exist.")

    @property
    def udp(self) -> Udp:
        """Always True: images are letterboxed between outermost pixel centres."""
        return True

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of the maps in cells."""
        return self.input_hw[0] // self.stride, self.input_hw[1] // self.stride

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch; none if a limb has no such keypoint."""
        if max(map(max, self.limbs)) >= num_keypoints:
            return ()
        return (((*self.heatmap_hw, num_keypoints + 1 + 2 * len(self.limbs)),),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets `[B, h, w, K + 1 + 2 L]` and weights of cells `[B, h, w]`, float32.

        Weights are 0 in regions where people are not labelled.

        Args:
          sample: keypoints `[B, P, K, 2]`, visible `[B, P, K]`; counted `[B, h, w]`, with the size
            of the maps, or None.
        """
        height, width = self.heatmap_hw
        labelled = sample.labelled()
        # `where` instead of a product: an unlabelled keypoint may be NaN.
        points = jnp.where(labelled[..., None], sample.keypoints.astype(jnp.float32), 0.0)
        batch, _, keypoints = labelled.shape
        shift = (self.stride - 1) / 2
        column, row = (jnp.arange(n, dtype=jnp.float32) for n in (width, height))
        starts, ends = (np.array([limb[end] for limb in self.limbs]) for end in (0, 1))

        def add(carry: tuple[jax.Array, ...], person: tuple[jax.Array, ...]) -> tuple[Any, None]:
            maps, fields, number = carry
            point, known = person
            x = (column * self.stride + shift)[None, :, None] - point[:, None, :, 0]
            y = (row * self.stride + shift)[None, :, None] - point[:, None, :, 1]
            exponent = (x[:, None] ** 2 + y[:, :, None] ** 2) / (2 * self.sigma**2)
            drawn = (exponent <= _REACH) & known[:, None, None]
            values = jnp.where(drawn, jnp.exp(-exponent), 0.0)
            both = reordered(known, starts, axis=1) & reordered(known, ends, axis=1)
            first, second = (reordered(point, of, axis=1) for of in (starts, ends))
            near, unit = self._near(first, second, column, row)
            near &= both[:, None, None]
            maps = jnp.maximum(maps, values) if self.overlap == "max" else maps + values
            unit = unit[:, None, None]
            if self.crossing == "last":
                fields = jnp.where(near[..., None], unit, fields)
            else:
                fields = fields + jnp.where(near[..., None], unit, 0.0)
            return (maps, fields, number + near), None

        empty = (batch, height, width, len(self.limbs))
        start = (
            jnp.zeros((batch, height, width, keypoints)),
            jnp.zeros((*empty, 2)),
            jnp.zeros(empty, jnp.int32),
        )
        people = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), (points, labelled))
        (maps, fields, number), _ = jax.lax.scan(add, start, people)
        maps = jnp.minimum(maps, 1.0)
        if self.crossing == "mean":
            fields = fields / jnp.maximum(number, 1)[..., None]
        background = 1.0 - maps.max(axis=-1, keepdims=True)
        fields = fields.reshape(batch, height, width, -1)
        counted = jnp.ones((batch, height, width))
        if sample.counted is not None:
            counted = sample.counted.astype(jnp.float32)
        return Targets(jnp.concatenate([maps, background, fields], axis=-1), counted)

    def decode(self, outputs: jax.Array) -> Decoded:
        """Decode up to `max_people` people `[B, P, K]`, the highest score first; see the class."""
        outputs = outputs.astype(jnp.float32)
        peaks, groups = self.grouped(outputs)
        mean = groups.total / jnp.maximum(groups.number, 1)
        there = (groups.number >= self.min_keypoints) & (mean >= self.min_person)
        total, row = jax.lax.top_k(jnp.where(there, groups.total, -jnp.inf), self.max_people)
        index = jnp.broadcast_to(row[..., None], (*row.shape, groups.peaks.shape[2]))
        chosen = values_at(groups.peaks, index, axis=1)  # [B, P, K]
        valid = (chosen >= 0) & (total > -jnp.inf)[..., None]
        place = jnp.swapaxes(jnp.maximum(chosen, 0), 1, 2)  # [B, K, P]
        raw = jnp.swapaxes(values_at(peaks.score, place, axis=2), 1, 2)
        pair = jnp.broadcast_to(place[..., None], (*place.shape, 2))
        xy = jnp.swapaxes(values_at(peaks.xy, pair, axis=2), 1, 2)
        xy = (xy + 0.5) * (self.stride / self.enlargement) - 0.5
        known = valid[..., None]
        middle = jnp.where(known, xy, 0.0).sum(axis=2, keepdims=True)
        middle = middle / jnp.maximum(valid.sum(axis=2), 1)[..., None, None]
        # A model that diverged has no peaks: without this it would seem that nobody is there.
        finite = jnp.isfinite(outputs.sum(axis=(1, 2, 3)))[:, None, None]
        raw = jnp.where(finite, jnp.where(valid, raw, 0.0), jnp.nan)
        lost = jnp.maximum(there.sum(axis=1) - self.max_people, 0) + groups.lost
        lost += peaks.lost.max(axis=1)
        xy = jnp.where(known, xy, middle)
        return Decoded(xy, jnp.clip(raw, 0.0, 1.0), raw, valid & finite, lost)

    def grouped(self, outputs: jax.Array) -> tuple[Peaks, Groups]:
        """Find peaks, and all groups of peaks, before those with few keypoints are left out."""
        height, width = self.heatmap_hw
        count = outputs.shape[-1] - 1 - 2 * len(self.limbs)
        rows, columns = (cubic_weights(n, self.enlargement) for n in (height, width))
        values = resampled(outputs[..., :count], rows, columns)
        smooth = values
        if self.smoothing:
            blurred = (blur_weights(len(x), self.smoothing) @ x for x in (rows, columns))
            smooth = resampled(outputs[..., :count], *blurred)
        peaks = find_peaks(
            smooth, values, self.candidates, self.min_peak, self.nms_radius, self.between
        )
        scores = limb_scores(
            resampled(outputs[..., count + 1 :], rows, columns),
            peaks,
            self.limbs,
            least=self.min_field,
            share=self.min_share,
            far=self.far_limbs,
        )
        order = self.order or tuple(range(len(self.limbs)))
        # Parts of people that later limbs join need rows, too.
        rooms = max(2 * self.candidates, self.max_people)
        return peaks, assemble(match(scores), peaks, self.limbs, order, self.bridging, rooms)

    def flip_back(self, outputs: jax.Array, permutation: Any) -> jax.Array:
        """Convert outputs for the mirrored input to the frame of the original input.

        Raises:
          InputError: the mirror image of a limb is no limb.
        """
        order = np.asarray(permutation)
        keypoints = len(order)
        channels, signs = [*order.tolist(), keypoints], [1.0] * (keypoints + 1)
        for first, second in self.limbs:
            limb = (int(order[first]), int(order[second]))
            turned = limb not in self.limbs
            if turned and limb[::-1] not in self.limbs:
                raise InputError(
                    "The codec's limbs are not the same after exchanging left and right: predict "
                    "without the flip test (--no-flip-test)."
                )
            place = keypoints + 1 + 2 * self.limbs.index(limb[::-1] if turned else limb)
            channels += [place, place + 1]
            # The x of a mirrored vector has the other sign, and so has a limb in reverse.
            signs += [1.0, -1.0] if turned else [-1.0, 1.0]
        mirrored = reordered(outputs[:, :, ::-1], np.array(channels), axis=3)
        return mirrored * np.array(signs, np.float32)[None, None, None]

    def average(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """Mean of two outputs in the same frame, float32."""
        return mean_of_two(a, b)

    def maps(self, outputs: jax.Array) -> jax.Array:
        """Maps of the keypoints, float32 `[B, h, w, K]`."""
        count = outputs.shape[-1] - 1 - 2 * len(self.limbs)
        return outputs[..., :count].astype(jnp.float32)

    def _near(
        self, start: jax.Array, end: jax.Array, column: jax.Array, row: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Cells `[B, h, w, L]` near lines from `[B, L, 2]` to `[B, L, 2]`; units `[B, L, 2]`."""
        start, end = start / self.stride, end / self.stride
        lead = end - start
        length = jnp.sqrt(jnp.square(lead).sum(axis=-1))
        unit = lead / jnp.maximum(length, 1e-7)[..., None]
        low = jnp.floor(jnp.minimum(start, end) - self.thickness)
        high = jnp.floor(jnp.maximum(start, end) + self.thickness)

        def between(cell: jax.Array, axis: int) -> jax.Array:
            cell = cell[None, :, None]
            return (cell >= low[:, None, :, axis]) & (cell < high[:, None, :, axis])

        inside = between(row, 1)[:, :, None] & between(column, 0)[:, None]
        x = (column[None, :, None] - start[:, None, :, 0])[:, None]
        y = (row[None, :, None] - start[:, None, :, 1])[:, :, None]
        away = jnp.abs(x * unit[:, None, None, :, 1] - y * unit[:, None, None, :, 0])
        near = inside & (away <= self.thickness) & (length > 1e-7)[:, None, None]
        return near, unit


# Channels of the limbs in the order in which the published code joins them.
_ORDER_18 = (6, 10, 7, 8, 11, 12, 0, 1, 2, 3, 4, 5, 14, 15, 17, 16, 18, 9, 13)
_EARS_18 = (9, 13)
_ORDER_25 = (
    *(0, 7, 11, 8, 9, 12, 13, 3, 1, 2, 4, 5, 6, 15, 16, 18, 17, 19),
    *(10, 14, 20, 21, 22, 23, 24, 25),
)
_EARS_25 = (10, 14)


def openpose18_fields(input_hw: tuple[int, int] = (368, 432), **options: Any) -> PartAffinity:
    """Codec of OpenPose's COCO model: 18 keypoints, 19 limbs."""
    return PartAffinity(
        tuple(OPENPOSE18.limb_indices), input_hw, order=_ORDER_18, bridging=_EARS_18, **options
    )


def body25_fields(input_hw: tuple[int, int] = (368, 432), **options: Any) -> PartAffinity:
    """Codec of OpenPose's BODY_25: 25 keypoints, 26 limbs."""
    return PartAffinity(
        tuple(BODY25.limb_indices), input_hw, order=_ORDER_25, bridging=_EARS_25, **options
    )


def lightweight_fields(input_hw: tuple[int, int] = (256, 456), **options: Any) -> PartAffinity:
    """Codec of Lightweight OpenPose (arXiv:1811.12004): OpenPose's limbs, other settings."""
    settings: dict[str, Any] = {
        "overlap": "sum",
        "crossing": "last",
        "enlargement": 4,
        "smoothing": 0.0,
        "nms_radius": 6.0,
        "far_limbs": False,
        "min_keypoints": 3,
        "min_person": 0.2,
    }
    return openpose18_fields(input_hw, **settings | options)


def fields_of(skeleton: Skeleton, input_hw: tuple[int, int], **options: Any) -> PartAffinity:
    """Codec with the limbs of a skeleton.

    Raises:
      InputError: the skeleton has no limbs, or a keypoint without a limb.
    """
    alone = set(skeleton.keypoints) - {name for limb in skeleton.limbs for name in limb}
    if not skeleton.limbs or alone:
        raise InputError(
            f"Part affinity fields join keypoints along limbs, but skeleton {skeleton.name!r} has "
            + (f"no limb to {min(alone)}." if skeleton.limbs else "none.")
            + " Add limbs to the skeleton, so that all keypoints are joined."
        )
    return PartAffinity(tuple(skeleton.limb_indices), input_hw, **options)
