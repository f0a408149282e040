"""Default models of prediction: a pose model and a person detector for each quality."""

from dataclasses import dataclass
from typing import Any, Literal

from jaxpose.detect.detector import Detector
from jaxpose.download.transfer import Unreachable
from jaxpose.errors import InputError, nearest
from jaxpose.hub.catalogue import print_note
from jaxpose.hub.load import Trained, load_detector, load_pose
from jaxpose.hub.shipped import FINDER, POSE, shipped_folder

Quality = Literal["fast", "balanced", "accurate"]
DEFAULT: Quality = "balanced"


@dataclass(frozen=True)
class Pair:
    """Pose model and person detector that are used together.

    Attributes:
      pose: name of a published pose model.
      detector: name of a published person detector.
      score: published AP of both together on COCO val2017 (MMPose, projects/rtmpose, "Pipeline
        Performance").
    """

    pose: str
    detector: str
    score: str


PAIRS: dict[Quality, Pair] = {
    "fast": Pair("rtmpose-t", "rtmdet-nano-person", "AP 64.4"),
    "balanced": Pair("rtmpose-m", "rtmdet-nano-person", "AP 73.2"),
    "accurate": Pair("rtmpose-l", "rtmdet-m-person", "AP 76.6"),
}


def pair_of(quality: str | None) -> Pair:
    """Return the pair of a quality; None takes `DEFAULT`.

    Raises:
      InputError: there is no such quality.
    """
    if quality is None:
        return PAIRS[DEFAULT]
    if quality not in PAIRS:
        raise InputError(
            f"quality is {quality!r}; choose one of {', '.join(PAIRS)}.{nearest(quality, PAIRS)}"
        )
    return PAIRS[quality]


def load_default_pose(quality: str | None = None, **options: Any) -> tuple[str, Trained]:
    """Load the pose model of a quality, with its name; without a network, the one in the package.

    Args:
      quality: "fast", "balanced" or "accurate"; None takes `DEFAULT`.
      options: as for `load_pose`.

    Raises:
      InputError: as for `pair_of` and `load_pose`; the weights cannot be fetched, and the package
        has no pose model.
    """
    name = pair_of(quality).pose
    try:
        return name, load_pose(name, **options)
    except Unreachable as error:
        return POSE, load_pose(_instead(name, POSE, "--from", error), **options)


def load_default_detector(quality: str | None = None, **options: Any) -> tuple[str, Detector]:
    """Load the detector of a quality, with its name; without a network, the one in the package.

    Args:
      quality: "fast", "balanced" or "accurate"; None takes `DEFAULT`.
      options: as for `load_detector`.

    Raises:
      InputError: as for `pair_of` and `load_detector`; the weights cannot be fetched, and the
        package has no detector.
    """
    name = pair_of(quality).detector
    try:
        return name, load_detector(name, **options)
    except Unreachable as error:
        return FINDER, load_detector(_instead(name, FINDER, "--detector", error), **options)


def _instead(name: str, other: str, option: str, error: Unreachable) -> str:
    """Path of the model in the package that replaces `name`, with a note."""
    folder = shipped_folder(other)
    if folder is None:
        raise Unreachable(
            str(error),
            f"This installation has no model of its own ({other}), either; {option} takes a model "
            "that is on this machine.",
        ) from error
    print_note(
        f"{error.reason} {other}, a smaller model that is part of jaxpose, is used in place of "
        f"{name}; `jaxpose models {name}` says how to get that one."
    )
    return str(folder)
