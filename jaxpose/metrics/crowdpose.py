"""CrowdPose: AP for three levels of crowding in an image (Li et al., arXiv:1812.00324)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric, Scored
from jaxpose.metrics.oks import NEEDS, coco_keypoint_ap, people_of
from jaxpose.skeletons import Skeleton

AREA_OF_BOX = 0.53
"""Share of the box that is the area of OKS: CrowdPose has no segmentations."""

BOUNDS = (0.2, 0.8)
"""Crowd indices where the levels medium and hard begin, as in the published evaluation."""

METRICS = ("AP", "AP50", "AP75", "AR", "AR50", "AR75")
LEVELS = ("easy", "medium", "hard")


def crowd_index(truth: GroundTruth) -> dict[int, float]:
    """Crowd index of each image, 0 where no box contains others (section 4.1 of the paper).

    The index is the mean over people of (labelled keypoints of others in the person's box) /
    (labelled keypoints of the person), rounded to hundredths as in the published files. People
    without a labelled keypoint do not count.
    """
    labelled = truth.visible > 0
    own = labelled.sum(axis=1)
    images = np.unique(truth.image_id if truth.images is None else truth.images)
    found = {}
    for image in images:
        rows = np.flatnonzero((truth.image_id == image) & (own > 0))
        low = truth.box_xywh[rows, None, None, :2]
        high = low + truth.box_xywh[rows, None, None, 2:]
        points = truth.keypoints[rows][None]
        inside = ((points >= low) & (points <= high)).all(axis=-1) & labelled[rows][None]
        # [person, other]: keypoints of the other in the person's box.
        within = inside.sum(axis=-1)
        others = within.sum(axis=1) - np.diagonal(within)
        found[int(image)] = round(float(np.mean(others / own[rows])), 2) if len(rows) else 0.0
    return found


def crowdpose_ap(
    truth: GroundTruth,
    detections: Detections,
    sigmas: Sequence[float] | np.ndarray,
    index: Mapping[int, float] | None = None,
) -> dict[str, float]:
    """AP and AR over all images, and AP of the easy, medium and hard ones.

    Args:
      truth: the annotated people; see `GroundTruth.from_coco(..., area_of_box=AREA_OF_BOX)`.
      detections: the predicted people.
      sigmas: `[K]`, see `jaxpose.metrics.oks.oks`.
      index: crowd index by image id; by default `crowd_index(truth)`.

    Returns:
      `METRICS`, then `AP_easy`, `AP_medium` and `AP_hard`, in [0, 1]; -1 where there is no
      person to find.

    Raises:
      InputError: as in `coco_keypoint_ap`.
    """
    everyone = coco_keypoint_ap(truth, detections, sigmas)
    crowd = crowd_index(truth) if index is None else index
    images = np.array(sorted(crowd), np.int64)
    level = np.digitize([crowd[image] for image in images.tolist()], BOUNDS)
    result = {name: everyone[name] for name in METRICS}
    for number, name in enumerate(LEVELS):
        chosen = images[level == number]
        rows = np.isin(detections.image_id, chosen)
        metrics = coco_keypoint_ap(
            replace(truth, images=chosen),
            Detections(
                image_id=detections.image_id[rows],
                keypoints=detections.keypoints[rows],
                scores=detections.scores[rows],
                area=detections.area[rows],
                category_id=detections.category_id[rows],
            ),
            sigmas,
        )
        result[f"AP_{name}"] = metrics["AP"]
    return result


@dataclass(frozen=True)
class CrowdPoseAP(Metric):
    """`crowdpose_ap` as an object for a config; crowd indices come from the scored people."""

    uses_sigmas: ClassVar[bool] = True
    whole_images: ClassVar[bool] = True

    @property
    def figures(self) -> dict[str, Direction]:
        return dict.fromkeys((*METRICS, *(f"AP_{level}" for level in LEVELS)), "higher")

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        return NEEDS

    def __call__(self, estimates: Estimates) -> Scored:
        area = AREA_OF_BOX * np.prod(estimates.column("box_xywh")[:, 2:], axis=1)
        truth, found = people_of(estimates, area)
        words = f"{AREA_OF_BOX} of the box; crowd index from the scored annotations"
        values = crowdpose_ap(truth, found, estimates.skeleton.oks_sigmas())
        return Scored(values, {"area": words})
