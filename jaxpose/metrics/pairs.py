"""Pairs of an annotated person and the person found for it, where results do not name them."""

import numpy as np

from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.oks import oks
from jaxpose.metrics.people import PeopleInImages

# For skeletons without published sigmas: about that of COCO's shoulders and wrists.
_SIGMA = 0.07


def pair_people(people: PeopleInImages) -> np.ndarray:
    """Row of the found person of each annotated person, int64 `[N]`; -1 where there is none.

    If the results name the annotation whose box they were predicted in (`annotation_id`), these
    are the pairs. Otherwise the pairs of each image are chosen greedily, the most alike (OKS)
    first, and a found person is in one pair at most. Ignored people, such as crowds, have no pair.
    """
    truth, found = people.truth, people.found
    if truth.annotation_id is not None and found.annotation_id is not None:
        place = {number: row for row, number in enumerate(found.annotation_id.tolist())}
        rows = [place.get(number, -1) for number in truth.annotation_id.tolist()]
        return np.where(truth.ignore, -1, np.array(rows, np.int64))
    skeleton = people.skeleton
    sigmas = (
        np.full(skeleton.num_keypoints, _SIGMA)
        if skeleton.sigmas is None
        else skeleton.oks_sigmas()
    )
    paired = np.full(len(truth), -1, np.int64)
    found_in = _by_image(found.image_id)
    for image, annotated in _by_image(truth.image_id).items():
        annotated = annotated[~truth.ignore[annotated]]
        candidates = found_in.get(image, np.zeros(0, np.int64))
        if len(annotated) and len(candidates):
            _pair(truth, found, sigmas, annotated, candidates, paired)
    return paired


def paired_estimates(
    people: PeopleInImages, rows: np.ndarray, head_boxes: np.ndarray | None = None
) -> Estimates:
    """Estimates of the annotated people that count; keypoints are NaN for people not found.

    Args:
      rows: `[N]` from `pair_people`.
      head_boxes: `[N, 4]` two corners of each annotated head box, or None.
    """
    truth = people.truth
    counted = np.flatnonzero(~truth.ignore)
    own = rows[counted]
    keypoints = np.full((len(counted), people.skeleton.num_keypoints, 2), np.nan)
    keypoints[own >= 0] = people.found.keypoints[own[own >= 0]]
    ids = truth.annotation_id
    return Estimates(
        people.skeleton,
        keypoints,
        truth.keypoints[counted].reshape(keypoints.shape),
        truth.visible[counted].reshape(keypoints.shape[:2]),
        image_id=truth.image_id[counted],
        annotation_id=None if ids is None else ids[counted],
        box_xywh=truth.box_xywh[counted],
        area=truth.area[counted],
        head_boxes=None if head_boxes is None else head_boxes[counted],
    )


def _by_image(image_id: np.ndarray) -> dict[int, np.ndarray]:
    """Rows of each image, ascending."""
    order = np.argsort(image_id, kind="stable")
    images, first = np.unique(image_id[order], return_index=True)
    return dict(zip(images.tolist(), np.split(order, first[1:]), strict=True)) if len(order) else {}


def _pair(
    truth: GroundTruth,
    found: Detections,
    sigmas: np.ndarray,
    annotated: np.ndarray,
    candidates: np.ndarray,
    paired: np.ndarray,
) -> None:
    """Writes the pairs of one image into `paired`."""
    similarity = oks(
        found.keypoints[candidates][None],
        truth.keypoints[annotated][:, None],
        truth.visible[annotated][:, None],
        truth.area[annotated][:, None],
        sigmas,
    )
    same = truth.category_id[annotated][:, None] == found.category_id[candidates][None]
    free = np.where(same, similarity, -1.0)
    for _ in range(min(free.shape)):
        person, candidate = np.unravel_index(np.argmax(free), free.shape)
        if free[person, candidate] < 0:
            return
        paired[annotated[person]] = candidates[candidate]
        free[person, :] = free[:, candidate] = -1.0
