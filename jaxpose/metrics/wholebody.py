"""COCO-WholeBody: separate AP for body, feet, face and hands, and AP for all 133 keypoints.

Jin et al., arXiv:2007.11858. A part of a person is ignored if none of its keypoints is labelled;
its OKS uses the area of the person and the sigmas of the part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from jaxpose.errors import InputError
from jaxpose.metrics.coco import Detections, GroundTruth, load_document
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric
from jaxpose.metrics.oks import METRICS, NEEDS, coco_keypoint_ap, people_of
from jaxpose.skeletons import COCO_WHOLEBODY133, Skeleton

PARTS: dict[str, slice] = {
    "body": slice(0, 17),
    "foot": slice(17, 23),
    "face": slice(23, 91),
    "lefthand": slice(91, 112),
    "righthand": slice(112, 133),
    "whole": slice(0, 133),
}
"""Range of each part's keypoints among the 133."""

# The lists of a person in COCO-WholeBody's files, in the order of the skeleton.
_LISTS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")


def wholebody_ap(truth: GroundTruth, detections: Detections) -> dict[str, float]:
    """COCO's AP and AR for the whole person and for each part.

    In every part, the size of an unmatched detection is the extent of its body keypoints.

    Args:
      truth: people of 133 keypoints.
      detections: people of 133 keypoints.

    Returns:
      The metrics of `coco_keypoint_ap` for all keypoints (`AP` and so on), then those of each part
      (`body/AP` and so on); -1 where there is no person to find.

    Raises:
      InputError: the number of keypoints is not 133, or an error of `coco_keypoint_ap`.
    """
    for name, array in (("ground truth", truth.keypoints), ("detections", detections.keypoints)):
        if len(array) and array.shape[1] != COCO_WHOLEBODY133.num_keypoints:
            raise InputError(f"{name} of {array.shape[1]} keypoints; COCO-WholeBody has 133")
    area = np.prod(np.ptp(detections.keypoints[:, PARTS["body"]], axis=1), axis=-1)
    sigmas = COCO_WHOLEBODY133.oks_sigmas()
    result: dict[str, float] = {}
    for part in ("whole", *(name for name in PARTS if name != "whole")):
        chosen = PARTS[part]
        visible = truth.visible[:, chosen]
        metrics = coco_keypoint_ap(
            replace(
                truth,
                keypoints=truth.keypoints[:, chosen],
                visible=visible,
                ignore=np.logical_not((visible > 0).any(axis=1)),
            ),
            replace(detections, keypoints=detections.keypoints[:, chosen], area=area),
            sigmas[chosen],
        )
        prefix = "" if part == "whole" else f"{part}/"
        result |= {f"{prefix}{name}": value for name, value in metrics.items()}
    return result


@dataclass(frozen=True)
class WholeBodyAP(Metric):
    """`wholebody_ap` as an object for a config: AP and AR of the person and each part."""

    uses_sigmas: ClassVar[bool] = True
    whole_images: ClassVar[bool] = True

    @property
    def figures(self) -> dict[str, Direction]:
        parts = ("", *(f"{part}/" for part in PARTS if part != "whole"))
        return dict.fromkeys((part + name for part in parts for name in METRICS), "higher")

    def check(self, skeleton: Skeleton) -> None:
        wanted = COCO_WHOLEBODY133.num_keypoints
        if skeleton.num_keypoints != wanted:
            raise InputError(
                f"WholeBodyAP is for COCO-WholeBody's {wanted} keypoints, and skeleton "
                f"{skeleton.name!r} has {skeleton.num_keypoints}. Use CocoAP()."
            )

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        return NEEDS

    def __call__(self, estimates: Estimates) -> dict[str, float]:
        return wholebody_ap(*people_of(estimates))


def read_ground_truth(source: str | Path | Mapping[str, Any]) -> GroundTruth:
    """Read people of 133 keypoints from a COCO-WholeBody annotation file, or its parsed content.

    Raises:
      FileNotFoundError: the file does not exist.
      InputError: not a COCO-WholeBody annotation document.
    """
    document, where = load_document(source, "annotations")
    if not isinstance(document, Mapping) or not isinstance(document.get("annotations"), list):
        raise InputError(f"{where} is not a COCO keypoints file: it has no list 'annotations'")
    people = [_joined(person, where) for person in document["annotations"]]
    return GroundTruth.from_coco({**document, "annotations": people})


def read_detections(source: str | Path | Sequence[Mapping[str, Any]]) -> Detections:
    """Read people of 133 keypoints from a COCO-WholeBody results file, or its parsed content.

    Raises:
      FileNotFoundError: the file does not exist.
      InputError: not a COCO-WholeBody results document.
    """
    people, where = load_document(source, "detections")
    if not isinstance(people, Sequence) or isinstance(people, str):
        raise InputError(f"{where} is not a COCO results file: it must be a list of people")
    return Detections.from_coco_results([_joined(person, where) for person in people])


def _joined(person: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Person with its five keypoint lists joined into one, without `num_keypoints`."""
    if not isinstance(person, Mapping) or not all(
        isinstance(person.get(name, []), Sequence | np.ndarray) for name in _LISTS
    ):
        raise InputError(f"{where}: an entry is not a person with lists of keypoints")
    missing = [name for name in _LISTS if name not in person]
    if missing:
        raise InputError(
            f"{where}: the entry {person.get('id', 'without id')} has no {missing[0]!r}; "
            "COCO-WholeBody's files have five lists of keypoints"
        )
    joined = [number for name in _LISTS for number in person[name]]
    rest = {key: value for key, value in person.items() if key not in (*_LISTS, "num_keypoints")}
    return {**rest, "keypoints": joined}
