"""OpenPose for one person: all keypoints of a crop, or with fields of several people."""

from functools import partial

from jaxpose.models.build import PoseModel
from jaxpose.models.openpose import OpenPoseHead, VGGStem
from jaxpose.models.published.entry import Published


def openpose(
    num_keypoints: int = 17, *, limbs: int = 0, stages: int = 6, dtype: str = "float32"
) -> PoseModel:
    """OpenPose (Cao et al. 2017, arXiv:1611.08050): maps of an eighth of the image.

    `limbs` part affinity fields follow the confidence maps as pairs of channels.
    """
    return PoseModel(VGGStem(dtype), OpenPoseHead(num_keypoints, limbs, stages, dtype))


def _any_size(num_keypoints: int, input_hw: tuple[int, int], limbs: int) -> PoseModel:
    del input_hw  # fully convolutional
    return openpose(num_keypoints, limbs=limbs)


# The paper's COCO model has 18 keypoints (the neck is one) and 19 fields.
PUBLISHED = (
    Published(
        "openpose",
        partial(_any_size, limbs=19),
        (368, 368),
        num_keypoints=18,
        source="arXiv:1611.08050, without the background's map",
    ),
)
