"""Object keypoint similarity, and COCO's average precision and recall over it, in NumPy float64.

Source: Lin et al., "Microsoft COCO: Common Objects in Context", 2014, and its keypoint evaluation
(cocodataset.org/#keypoints-eval). The numbers equal those of pycocotools' COCOeval with
`iouType="keypoints"`, with one deliberate difference: an annotation with id 0 counts like any other
(pycocotools treats a match with it as no match).

The evaluation is one vectorised pass: similarities of all (detection, person) pairs of one
image, then the greedy matching, which handles the detections of one rank in all images, for all
thresholds and all size ranges at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np

from jaxpose.errors import InputError
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric
from jaxpose.metrics.people import PeopleInImages
from jaxpose.skeletons import Skeleton

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
AREA_RANGES = {"all": (0.0, 1e5**2), "M": (32.0**2, 96.0**2), "L": (96.0**2, 1e5**2)}
"""px² bounds, both inclusive."""
METRICS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")

# Keypoint differences computed at once: limits the memory of a large evaluation to about 100 MB.
_CHUNK = 1_000_000

Similarity = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Similarities `[P]` of the detections and people with these numbers, `[P]` each."""


def oks(
    keypoints: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray,
    area: np.ndarray,
    sigmas: Sequence[float] | np.ndarray,
    box_xywh: np.ndarray | None = None,
) -> np.ndarray:
    """Object keypoint similarity of each prediction with its person.

    It is the mean over labelled keypoints of exp(-d² / (2 area (2 sigma)²)), with d in the pixels
    of `area`. If a person has no labelled keypoint, d is the distance to the person's box enlarged
    to three times its size and the mean is over all keypoints (COCO's rule for ignored people).

    Args:
      keypoints: `[..., K, 2]` predicted (x, y).
      truth: `[..., K, 2]` annotated (x, y); the leading dimensions of all arguments broadcast.
      visible: `[..., K]`, labelled where above 0.
      area: `[...]` px² of the person.
      sigmas: `[K]` falloff of each keypoint, as COCO publishes it (not doubled).
      box_xywh: `[..., 4]`; without it, the similarity with unlabelled people is 0.

    Returns:
      `[...]` float64 in [0, 1].
    """
    keypoints = np.asarray(keypoints, np.float64)
    truth = np.asarray(truth, np.float64)
    labelled = np.asarray(visible) > 0
    blank = np.asarray(~labelled.any(axis=-1))
    delta = keypoints - truth
    if box_xywh is not None and blank.any():
        box = np.asarray(box_xywh, np.float64)[..., None, :]
        low, size = box[..., :2], box[..., 2:]
        outside = np.maximum(0, low - size - keypoints) + np.maximum(
            0, keypoints - (low + size * 2)
        )
        delta = np.where(blank[..., None, None], outside, delta)
        labelled = labelled | blank[..., None]
    # The order of operations is COCOeval's: an OKS on a threshold then falls on the same side.
    variances = (np.asarray(sigmas, np.float64) * 2) ** 2
    scale = np.asarray(area, np.float64)[..., None] + np.spacing(1)
    exponent = (delta[..., 0] ** 2 + delta[..., 1] ** 2) / variances / scale / 2
    similarity = np.where(labelled, np.exp(-exponent), 0.0).sum(axis=-1)
    return similarity / np.maximum(labelled.sum(axis=-1), 1)


def instance_score(
    keypoint_scores: np.ndarray, box_scores: np.ndarray | float = 1.0, threshold: float = 0.2
) -> np.ndarray:
    """Scores of people from a top-down model: confidence in the box and in its keypoints.

    The box score times the mean of the keypoint scores above `threshold`; 0 if none is above it. It
    is the convention of SimpleBaseline, HRNet and ViTPose results on COCO (Xiao et al. 2018,
    section 4).

    Args:
      keypoint_scores: `[..., K]` in [0, 1].
      box_scores: `[...]` scores of the detector; 1 for annotated boxes.

    Returns:
      `[...]` float64.
    """
    scores = np.asarray(keypoint_scores, np.float64)
    counted = scores > threshold
    mean = np.where(counted, scores, 0.0).sum(axis=-1) / np.maximum(counted.sum(axis=-1), 1)
    return np.asarray(box_scores, np.float64) * mean


def person_score(
    keypoint_scores: np.ndarray,
    box_scores: np.ndarray | float = 1.0,
    *,
    whole_images: bool = False,
) -> np.ndarray:
    """Scores of people by which results are ranked.

    Args:
      keypoint_scores: `[..., K]` in [0, 1].
      box_scores: `[...]` scores of the boxes; 1 for annotated boxes.
      whole_images: of a model that finds the people of whole images: the mean of all keypoint
        scores, as published for bottom-up models. False: `instance_score`.

    Returns:
      `[...]` float64.
    """
    if whole_images:
        return np.asarray(keypoint_scores, np.float64).mean(axis=-1)
    return instance_score(keypoint_scores, box_scores)


NEEDS = ("image_id", "box_xywh", "area", "scores")
"""Columns of `Estimates` that `people_of` reads."""


def people_of(
    estimates: Estimates | PeopleInImages, area: np.ndarray | None = None
) -> tuple[GroundTruth, Detections]:
    """Annotated people and estimated people of `estimates`.

    Args:
      area: `[N]` px² of the people, used in place of the annotated areas.
    """
    if isinstance(estimates, PeopleInImages):
        own = estimates.truth
        return (own if area is None else replace(own, area=area)), estimates.found
    truth = GroundTruth(
        image_id=estimates.column("image_id"),
        keypoints=estimates.truth,
        visible=estimates.visible,
        box_xywh=estimates.column("box_xywh"),
        area=estimates.column("area") if area is None else area,
    )
    found = Detections(
        image_id=estimates.column("image_id"),
        keypoints=estimates.keypoints,
        scores=instance_score(estimates.column("scores")),
    )
    return truth, found


@dataclass(frozen=True)
class CocoAP(Metric):
    """`coco_keypoint_ap` as an object for a config: COCO's AP and AR over OKS."""

    uses_sigmas: ClassVar[bool] = True
    whole_images: ClassVar[bool] = True

    @property
    def figures(self) -> dict[str, Direction]:
        return dict.fromkeys(METRICS, "higher")

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        return NEEDS

    def __call__(self, estimates: Estimates) -> dict[str, float]:
        return coco_keypoint_ap(*people_of(estimates), estimates.skeleton.oks_sigmas())


def coco_keypoint_ap(
    truth: GroundTruth,
    detections: Detections,
    sigmas: Sequence[float] | np.ndarray,
    *,
    max_detections: int = 20,
) -> dict[str, float]:
    """Compute average precision and recall over OKS, as COCO defines them.

    AP and AR are means over the thresholds 0.50, 0.55, ... 0.95; AP50, AP75, AR50, AR75 are at one
    threshold; M counts people of 32² to 96² px², L larger ones. Several categories are evaluated
    separately and the results are averaged.

    Args:
      truth: the annotated people.
      detections: the predicted people, of the same skeleton.
      sigmas: `[K]`, see `oks`.
      max_detections: number of detections used per image, those with the highest scores.

    Returns:
      The ten metrics of `METRICS` in [0, 1]; -1 where there is no person to find.

    Raises:
      InputError: sigmas or skeletons of different lengths; a detection in an image that is not in
        `truth.images`.
    """
    sigmas = np.asarray(sigmas, np.float64)
    for name, array in (("ground truth", truth.keypoints), ("detections", detections.keypoints)):
        if len(array) and array.shape[1] != len(sigmas):
            raise InputError(
                f"{len(sigmas)} sigmas for {name} of {array.shape[1]} keypoints; all three need "
                "the same skeleton"
            )
    if truth.images is not None:
        foreign = ~np.isin(detections.image_id, truth.images)
        if foreign.any():
            raise InputError(
                f"{int(foreign.sum())} detections are in images that the ground truth does not "
                f"list, first image id {int(detections.image_id[foreign][0])}; evaluate with the "
                "annotations of the same split"
            )

    def similarity(rows: np.ndarray, people: np.ndarray) -> np.ndarray:
        return oks(
            detections.keypoints[rows],
            truth.keypoints[people],
            truth.visible[people],
            truth.area[people],
            sigmas,
            truth.box_xywh[people],
        )

    chunk = max(1, _CHUNK // max(1, len(sigmas)))
    return similarity_ap(truth, detections, similarity, max_detections=max_detections, chunk=chunk)


def similarity_ap(
    truth: GroundTruth,
    detections: Detections,
    similarity: Similarity,
    *,
    max_detections: int = 20,
    chunk: int = _CHUNK,
) -> dict[str, float]:
    """Compute average precision and recall as `coco_keypoint_ap`, over another similarity.

    Args:
      truth: the annotated people; their keypoints are not read.
      detections: the predicted people; their keypoints are not read.
      similarity: function of the numbers of detections and of people, `[P]` each, that returns
        their similarities `[P]` from 0 to 1.
      max_detections: number of detections used per image, those with the highest scores.
      chunk: largest number of pairs of one call.

    Returns:
      The ten metrics of `METRICS`; -1 where there is no person to find.
    """
    listed = np.ones(len(truth), bool)
    if truth.images is not None:
        listed = np.isin(truth.image_id, truth.images)
    results = []
    for category in np.unique(truth.category_id):
        people = np.flatnonzero(listed & (truth.category_id == category))
        rows = np.flatnonzero(detections.category_id == category)
        results.append(_curves(truth, detections, similarity, chunk, max_detections, people, rows))
    shape = (-1, len(AREA_RANGES), len(THRESHOLDS))
    precision = np.array([p for p, _ in results]).reshape(*shape, len(RECALLS))
    recall = np.array([r for _, r in results]).reshape(shape)
    values: list[float] = []
    for measured in (precision, recall):
        everyone, medium, large = (measured[:, area] for area in range(len(AREA_RANGES)))
        half, three_quarters = everyone[:, 0], everyone[:, 5]
        values += map(_mean_measured, (everyone, half, three_quarters, medium, large))
    return dict(zip(METRICS, values, strict=True))


def _mean_measured(values: np.ndarray) -> float:
    counted = values[values > -1]
    return float(counted.mean()) if counted.size else -1.0


@dataclass(frozen=True)
class _Pairs:
    """Candidate matches, ordered by (rank, detection, OKS, place of the person in the file).

    Detections are numbered by (image, rank within the image), people in the order of the file.
    """

    detection: np.ndarray  # [P]
    person: np.ndarray  # [P]
    similarity: np.ndarray  # [P]
    rank: np.ndarray  # [P]


def _curves(
    truth: GroundTruth,
    detections: Detections,
    similarity: Similarity,
    chunk: int,
    max_detections: int,
    people: np.ndarray,
    rows: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute precision `[A, T, R]` and recall `[A, T]` of the chosen rows, -1 where undefined.

    `people` and `rows` index the ground truth and the detections, ascending.
    """
    bounds = np.array(list(AREA_RANGES.values()))[:, :, None]  # [A, 2, 1]
    area = truth.area[people][None, :]
    outside = (area < bounds[:, 0]) | (area > bounds[:, 1])
    truth_ignored = truth.ignore[people][None, :] | outside  # [A, N]

    # lexsort is stable: equal scores keep the order of the file.
    rows = rows[np.lexsort((-detections.scores[rows], detections.image_id[rows]))]
    image = detections.image_id[rows]
    rank = np.arange(len(rows)) - np.searchsorted(image, image, side="left")
    rows, rank = rows[rank < max_detections], rank[rank < max_detections]
    pairs = _candidates(truth, detections, similarity, chunk, people, rows, rank)
    matched, ignored = _match(pairs, truth_ignored, truth.iscrowd[people], len(rows))

    size = detections.area[rows][None, :]
    wrong_size = (size < bounds[:, 0]) | (size > bounds[:, 1])
    ignored = ignored | (~matched & wrong_size[:, None, :])
    order = np.argsort(-detections.scores[rows], kind="stable")
    hits = np.cumsum((matched & ~ignored)[..., order], axis=-1).astype(np.float64)
    misses = np.cumsum((~matched & ~ignored)[..., order], axis=-1).astype(np.float64)
    to_find = np.count_nonzero(~truth_ignored, axis=1)  # [A]

    shape = (len(AREA_RANGES), len(THRESHOLDS))
    precision, recall = np.full((*shape, len(RECALLS)), -1.0), np.full(shape, -1.0)
    for a in np.flatnonzero(to_find):
        precision[a], recall[a] = 0.0, 0.0
        for t in range(len(THRESHOLDS) if len(rows) else 0):
            reached = hits[a, t] / to_find[a]
            exact = hits[a, t] / (misses[a, t] + hits[a, t] + np.spacing(1))
            envelope = np.maximum.accumulate(exact[::-1])[::-1]
            place = np.searchsorted(reached, RECALLS, side="left")
            place = place[place < len(envelope)]
            precision[a, t, : len(place)] = envelope[place]
            recall[a, t] = reached[-1]
    return precision, recall


def _candidates(
    truth: GroundTruth,
    detections: Detections,
    measure: Similarity,
    chunk: int,
    people: np.ndarray,
    rows: np.ndarray,
    rank: np.ndarray,
) -> _Pairs:
    """Pairs of an image whose similarity reaches the lowest threshold; others cannot match."""
    by_image = people[np.argsort(truth.image_id[people], kind="stable")]
    image = truth.image_id[by_image]
    first = np.searchsorted(image, detections.image_id[rows], side="left")
    count = np.searchsorted(image, detections.image_id[rows], side="right") - first
    detection = np.repeat(np.arange(len(rows)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    person = by_image[np.repeat(first, count) + within]

    similarity = np.empty(len(detection))
    for start in range(0, len(detection), chunk):
        part = slice(start, start + chunk)
        similarity[part] = measure(rows[detection[part]], person[part])
    able = np.flatnonzero(similarity >= THRESHOLDS[0])
    detection, person, similarity = detection[able], person[able], similarity[able]
    order = np.lexsort((person, similarity, detection, rank[detection]))
    numbered = np.searchsorted(people, person[order])
    return _Pairs(detection[order], numbered, similarity[order], rank[detection[order]])


def _match(
    pairs: _Pairs, ignored: np.ndarray, crowd: np.ndarray, detections: int
) -> tuple[np.ndarray, np.ndarray]:
    """Match greedily: `[A, T, D]` matched, and `[A, T, D]` matched to an ignored person.

    In order of score, each detection takes the free person with the highest OKS, first among the
    people that count and then among the ignored ones. Crowds are always free. At equal OKS the last
    person in the file is taken.
    """
    shape = (len(ignored), len(THRESHOLDS))
    free = np.ones((*shape, ignored.shape[1]), bool)
    matched = np.zeros((*shape, detections), bool)
    to_ignored = np.zeros((*shape, detections), bool)
    # COCOeval lets a perfect OKS of 1 pass any threshold by capping the threshold below 1.
    reaches = pairs.similarity[None, :] >= np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]  # [T, P]
    edges = np.searchsorted(pairs.rank, np.arange(pairs.rank[-1] + 2 if len(pairs.rank) else 1))
    for begin, end in pairwise(edges):
        if begin == end:
            continue
        detection, person = pairs.detection[begin:end], pairs.person[begin:end]
        # Pairs of one detection are adjacent, with OKS ascending: the largest place wins. An offset
        # places the people that count above all ignored ones.
        offset = end - begin
        place = np.arange(offset)
        starts = np.flatnonzero(np.diff(detection, prepend=-1))
        able = reaches[None, :, begin:end] & (free[..., person] | crowd[person])
        preference = place[None, :] + np.where(ignored[:, person], 0, offset)  # [A, P']
        best = np.maximum.reduceat(np.where(able, preference[:, None, :], -1), starts, axis=-1)
        a, t, segment = np.nonzero(best >= 0)
        winner = best[a, t, segment] % offset
        matched[a, t, detection[winner]] = True
        to_ignored[a, t, detection[winner]] = ignored[a, person[winner]]
        free[a, t, person[winner]] = False
    return matched, to_ignored
