"""CID: keypoints of all people in whole images, by heatmaps of each person alone."""

import numpy as np

from jaxpose.codecs.instance_heatmaps import InstanceHeatmaps
from jaxpose.models import layouts
from jaxpose.models.cid import CIDHead, CIDModel
from jaxpose.models.conversion import Rule
from jaxpose.models.published.dekr import dekr
from jaxpose.models.published.record import APACHE, Family, PublishedPose, any_size
from jaxpose.skeletons import COCO17

__all__ = ["CID", "CIDHead", "CIDModel", "cid"]


def cid(
    size: str, num_keypoints: int = 17, *, remat: str = "none", dtype: str = "float32"
) -> CIDModel:
    """CID (Wang and Zhang 2022, CVPR) on HRNet of the sizes of `hrnet_pose`.

    All branches of HRNet, enlarged and concatenated; maps of a quarter of the image.
    """
    backbone = dekr(size, remat=remat, dtype=dtype).backbone
    return CIDModel(backbone, CIDHead(num_keypoints, dtype=dtype))


def _matrix(weight: np.ndarray) -> np.ndarray:
    """1x1 convolution `[out, in, 1, 1]` -> `[in, out]`."""
    return layouts.linear(weight[:, :, 0, 0])


def _mmpose(head: CIDHead) -> list[Rule]:
    """Rules for CIDHead of MMPose."""
    del head
    gfd = r"head\.gfd_module"
    return [
        *layouts.dense(
            r"head\.iia_module\.keypoint_root_conv", "head/coupled", kernel=layouts.conv
        ),
        *layouts.dense(rf"{gfd}\.conv_down", "head/reduce", kernel=_matrix),
        *layouts.dense(rf"{gfd}\.channel_attention\.atn", "head/channels"),
        *layouts.dense(rf"{gfd}\.spatial_attention\.atn", "head/pixels"),
        *layouts.dense(rf"{gfd}\.spatial_attention\.conv", "head/mask", kernel=layouts.conv),
        *layouts.dense(rf"{gfd}\.fuse_attention", "head/fuse", kernel=_matrix),
        *layouts.dense(rf"{gfd}\.heatmap_conv", "head/final", kernel=layouts.conv),
    ]


CID = Family(
    "cid",
    mmpose={CIDHead: _mmpose},
    published=(
        PublishedPose(
            name="cid-w32",
            make=any_size(cid, "W32"),
            codec=InstanceHeatmaps,
            skeleton=COCO17,
            input_hw=(512, 512),
            padding=1.0,
            parameters=29.36,
            source="MMPose 1.x, cid/coco",
            licence=APACHE,
            trained_on=("COCO",),
            takes="images",
            golden=("cid_hrnet_w32_256x256",),
        ),
    ),
)
