"""OpenPose: keypoints of one person in a crop, or keypoints and fields of several people."""

from functools import partial

from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.openpose import VGG_BLOCKS, OpenPoseHead, VGGStem
from jaxpose.models.published.record import Family, PublishedPose

__all__ = ["OPENPOSE", "OpenPoseHead", "VGGStem", "openpose"]


def openpose(
    num_keypoints: int = 17, *, limbs: int = 0, stages: int = 6, dtype: str = "float32"
) -> PoseModel:
    """OpenPose (Cao et al. 2017, arXiv:1611.08050), with maps of an eighth of the image.

    The confidence maps come first, then `limbs` part affinity fields of two channels each.
    """
    return PoseModel(VGGStem(dtype), OpenPoseHead(num_keypoints, limbs, stages, dtype))


def _any_size(num_keypoints: int, input_hw: tuple[int, int], limbs: int) -> PoseModel:
    del input_hw  # fully convolutional
    return openpose(num_keypoints, limbs=limbs)


# Convolutions of VGG-19 after the tenth, by their place in torchvision's sequence.
_LATER = (23, 25, 28, 30, 32, 34)


def _torchvision(model: VGGStem) -> list[Rule]:
    """Rules for torchvision's VGG-19: convolutions, ReLUs and poolings are in one sequence."""
    del model  # the keys are the same for every configuration
    rules, place = [], 0
    for b, (_, convolutions) in enumerate(VGG_BLOCKS, start=1):
        for i in range(1, convolutions + 1):
            source, target = rf"features\.{place}", f"backbone/conv_{b}_{i}"
            rules += layouts.dense(source, target, kernel=layouts.conv)
            place += 2  # its ReLU
        place += 1  # the pooling
    later = "|".join(str(place) for place in _LATER)
    rules.append(
        Rule(rf"features\.({later})\..+", None, reason="a layer after VGG-19's tenth convolution")
    )
    return rules


# The paper's COCO model has 18 keypoints (one is the neck) and 19 fields. A separate algorithm,
# which is not part of this library, groups keypoints to people by these fields.
_PUBLISHED = (
    PublishedPose(
        name="openpose",
        make=partial(_any_size, limbs=19),
        codec=None,
        skeleton=None,
        input_hw=(368, 368),
        num_keypoints=18,
        normalisation=None,
        source="arXiv:1611.08050, without the background's map",
        trained_on=("COCO",),
    ),
)

OPENPOSE = Family(
    "openpose",
    formats=(
        Format(
            name="torchvision VGG",
            marker=r"features\.0\.weight",
            head=r"classifier\..+",
            purpose="classification",
            tables={VGGStem: _torchvision},
        ),
    ),
    published=_PUBLISHED,
)
