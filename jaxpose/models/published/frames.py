"""Models of several frames of a video: DCPose and PoseWarper."""

from functools import partial

import numpy as np

from jaxpose.codecs.heatmap import msra
from jaxpose.models import layouts
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.dcpose import DCPoseHead
from jaxpose.models.frames import FrameImages, FrameModel
from jaxpose.models.hrnet import HRNet
from jaxpose.models.posewarper import PoseWarperHead
from jaxpose.models.published.hrnet import hrnet_pose, official_backbone
from jaxpose.models.published.record import (
    APACHE,
    OPENMMLAB,
    Family,
    PublishedPose,
    Weights,
    any_size,
)
from jaxpose.skeletons import POSETRACK17

__all__ = [
    "FRAMES",
    "DCPoseHead",
    "FrameImages",
    "FrameModel",
    "PoseWarperHead",
    "dcpose",
    "posewarper",
]


def dcpose(
    size: str = "W48", num_keypoints: int = 17, *, remat: str = "none", dtype: str = "float32"
) -> FrameModel:
    """DCPose (Liu et al. 2021, arXiv:2103.07254) on HRNet of the sizes of `hrnet_pose`.

    Heatmaps of a quarter of the image, from the frame and one before and after it.
    """
    backbone = hrnet_pose(size, remat=remat, dtype=dtype).backbone
    return FrameModel(backbone, DCPoseHead(num_keypoints, dtype=dtype))


def posewarper(
    size: str = "W48", num_keypoints: int = 17, *, remat: str = "none", dtype: str = "float32"
) -> FrameModel:
    """PoseWarper (Bertasius et al. 2019, arXiv:1906.04016) on HRNet of the sizes of `hrnet_pose`.

    Heatmaps of a quarter of the image, from the frame and two before and after it.
    """
    backbone = hrnet_pose(size, remat=remat, dtype=dtype).backbone
    return FrameModel(backbone, PoseWarperHead(num_keypoints, dtype=dtype))


def _taps(weight: np.ndarray) -> np.ndarray:
    """Kernel `[out, in, 3, 3]` -> `[9, in, out]`."""
    return weight.transpose(2, 3, 1, 0).reshape(9, weight.shape[1], weight.shape[0])


def _steps(source: str, target: str) -> list[Rule]:
    """Rules for the residual steps blocks of a sequence."""
    source, target, rules = rf"{source}\.layers\.(?P<i>\d+)\.", target + "_{i}/", []
    names = {"conv_bn_relu1": "reduce", "conv_bn_relu3": "expand", "downsample": "shortcut"}
    for branch, step in ((b, s) for b in range(4) for s in range(b + 1)):
        names[f"conv_bn_relu2_{branch + 1}_{step + 1}"] = f"branch_{branch}_step_{step}"
    for layer, name in names.items():
        conv = f"params/{target}{name}/conv"
        rules += [
            Rule(rf"{source}{layer}\.conv\.weight", f"{conv}/kernel", layouts.conv),
            Rule(rf"{source}{layer}\.conv\.bias", f"{conv}/bias"),
            *layouts.batch_norm(rf"{source}{layer}\.bn", f"{target}{name}/norm"),
        ]
    return rules


def _dcpose(head: DCPoseHead) -> list[Rule]:
    """Rules for the head of DCPose's own code."""
    del head
    number = r"(?P<i>\d+)"
    warp = rf"modulated_deform_conv_list\.{number}\.deform_conv"
    return [
        *layouts.dense("final_layer", "head/rough", kernel=layouts.conv),
        *_steps("diff_temporal_fuse", "head/differences"),
        *_steps("support_temporal_fuse", "head/support"),
        *_steps("offset_mask_combine_conv", "head/combine"),
        Rule(rf"offsets_list\.{number}\.0\.weight", "params/head/moves_{i}/kernel", layouts.conv),
        Rule(rf"masks_list\.{number}\.0\.weight", "params/head/weights_{i}/kernel", layouts.conv),
        *layouts.dense(warp, "head/warp_{i}", kernel=_taps),
    ]


def _posewarper(head: PoseWarperHead) -> list[Rule]:
    """Rules for PoseWarperNeck of MMPose, whose head has no parameters."""
    del head
    number = r"(?P<i>\d+)"
    return [
        *layouts.dense(r"neck\.trans_layer", "head/final", kernel=layouts.conv),
        *layouts.residual_block(rf"neck\.offset_feats\.{number}", "head/block_{i}", 2),
        Rule(
            rf"neck\.offset_layers\.{number}\.weight",
            "params/head/moves_{i}/kernel",
            layouts.conv,
        ),
        Rule(rf"neck\.deform_conv_layers\.{number}\.weight", "params/head/warp_{i}/kernel", _taps),
    ]


FRAMES = Family(
    "frames",
    mmpose={PoseWarperHead: _posewarper},
    formats=(
        Format(
            name="DCPose's own code",
            marker=r"modulated_deform_conv_list\.0\.deform_conv\.weight",
            head=r"(final_layer|\w+_temporal_fuse|offset_mask_combine_conv|offsets_list|masks_list|"
            r"modulated_deform_conv_list)\..+",
            tables={HRNet: official_backbone, DCPoseHead: _dcpose},
            renames=((r"^rough_pose_estimation_net\.", ""),),
        ),
    ),
    published=(
        PublishedPose(
            name="dcpose-hrnet-w48",
            make=any_size(dcpose, "W48"),
            codec=partial(msra, sigma=3.0),
            skeleton=POSETRACK17,
            input_hw=(384, 288),
            parameters=65.2,
            source="its own code, DcPose_RSN for PoseTrack18; parameters counted",
            licence=APACHE,
            trained_on=("COCO", "PoseTrack18"),
            golden=("dcpose_hrnet48_128x96",),
        ),
        PublishedPose(
            name="posewarper-hrnet-w48",
            make=any_size(posewarper, "W48"),
            codec=partial(msra, sigma=3.0),
            skeleton=POSETRACK17,
            input_hw=(384, 288),
            source="MMPose 0.29 model zoo, PoseTrack18 validation",
            licence=APACHE,
            trained_on=("COCO", "PoseTrack18"),
            weights=Weights(
                f"{OPENMMLAB}/top_down/posewarper/"
                "hrnet_w48_posetrack18_384x288_posewarper_stage2-4abf88db_20211130.pth",
                "4abf88db",
            ),
            golden=("posewarper_neck",),
        ),
    ),
)
