"""InterNet: both hands of a person in 3D from one image."""

from jaxpose import skeletons
from jaxpose.codecs import HandVolumes
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Rule
from jaxpose.models.hand_volumes import HandVolumeHead
from jaxpose.models.heads import DeconvHead
from jaxpose.models.published.heads import heatmaps
from jaxpose.models.published.record import APACHE, OPENMMLAB, Family, PublishedPose, Weights
from jaxpose.models.resnet import ResNet

__all__ = ["INTERNET", "HandVolumeHead", "internet"]


def internet(
    num_keypoints: int = 42, input_hw: tuple[int, int] = (256, 256), *, dtype: str = "float32"
) -> PoseModel:
    """InterNet (Moon et al., InterHand2.6M, ECCV 2020) on ResNet-50.

    The outputs are `codecs.hand_volumes.HandOutputs`, volumes of a quarter of the image's size.
    """
    del input_hw  # fully convolutional
    return PoseModel(ResNet(dtype=dtype), HandVolumeHead(num_keypoints, dtype=dtype))


def _codec(input_hw: tuple[int, int]) -> HandVolumes:
    height, width = input_hw
    return HandVolumes((height, width), (height // 4, width // 4, 64))


def _mmpose(head: HandVolumeHead) -> list[Rule]:
    """Rules for InternetHead."""
    maps = DeconvHead(head.num_keypoints // 2 * head.depth, head.deconv_channels)
    rules = []
    for hand in ("right", "left"):
        rules += heatmaps(maps, rf"head\.{hand}_hand_head\.", f"head/{hand}")
    for source, target in (("root_head", "root"), ("hand_type_head", "hands")):
        for i in range(2):
            rules += layouts.dense(rf"head\.{source}\.fc\.{2 * i}", f"head/{target}_{i}")
    return rules


INTERNET = Family(
    "internet",
    mmpose={HandVolumeHead: _mmpose},
    published=(
        PublishedPose(
            name="internet-r50",
            make=internet,
            codec=_codec,
            skeleton=skeletons.INTERHAND42,
            input_hw=(256, 256),
            num_keypoints=42,
            parameters=47.31,
            score="MPJPE 11.86",
            source="MMPose internet_interhand3d.md: InterHand2.6M test (H+M), mm",
            licence=APACHE,
            trained_on=("InterHand2.6M",),
            weights=Weights(
                f"{OPENMMLAB}/v1/hand_3d_keypoint/internet/interhand3d/"
                "internet_res50_interhand3d-d6ff20d6_20230913.pth",
                "d6ff20d6",
            ),
            golden=("internet_r50_256x256",),
        ),
    ),
)
