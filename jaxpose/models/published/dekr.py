"""DEKR: keypoints of all people in whole images, by displacements from their centres."""

from functools import partial

import numpy as np

from jaxpose.codecs.displacements import Displacements
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Rule
from jaxpose.models.dekr import DEKRHead
from jaxpose.models.published.hrnet import hrnetv2_pose
from jaxpose.models.published.record import APACHE, Family, PublishedPose, any_size
from jaxpose.skeletons import COCO17

__all__ = ["DEKR", "DEKRHead", "dekr"]


def dekr(
    size: str, num_keypoints: int = 17, *, remat: str = "none", dtype: str = "float32"
) -> PoseModel:
    """DEKR (Geng et al. 2021, arXiv:2104.02300) on HRNet of the sizes of `hrnet_pose`.

    All branches of HRNet, enlarged and concatenated; maps of a quarter of the image.
    """
    backbone = hrnetv2_pose(size, remat=remat, dtype=dtype).backbone.clone(enlargement="nearest")
    return PoseModel(backbone, DEKRHead(num_keypoints, dtype=dtype))


def _mmpose(head: DEKRHead) -> list[Rule]:
    """Rules for DEKRHead of MMPose."""
    count, each = head.num_keypoints, head.keypoint_channels

    def taps(weight: np.ndarray) -> np.ndarray:
        """`[G * out, in, 3, 3]` -> `[9, G, in, out]`."""
        split = weight.reshape(count, each, each, 9)
        return split.transpose(3, 0, 2, 1)

    maps, vectors = r"head\.heatmap_conv_layers", r"head\.displacement_conv_layers"
    rules = [
        *layouts.conv_norm(rf"{maps}\.0\.conv", rf"{maps}\.0\.bn", "head/heatmaps_stem"),
        *layouts.residual_block(rf"{maps}\.1", "head/heatmaps_block", 2),
        *layouts.dense(rf"{maps}\.2", "head/heatmaps_final", kernel=layouts.conv),
        *layouts.conv_norm(rf"{vectors}\.0\.conv", rf"{vectors}\.0\.bn", "head/vectors_stem"),
        *layouts.dense(rf"{vectors}\.3", "head/vectors_final", kernel=layouts.conv),
        Rule(r"head\.rescore_net\..+", None, reason="a network that rates poses after decoding"),
    ]
    for i in (0, 1):
        source, target = rf"{vectors}\.{i + 1}", f"head/vectors_block_{i}"
        rules += [
            *layouts.dense(
                rf"{source}\.transform_matrix_conv", f"{target}/maps", kernel=layouts.conv
            ),
            Rule(rf"{source}\.adapt_conv\.weight", f"params/{target}/kernel", taps),
            *layouts.batch_norm(rf"{source}\.norm", f"{target}/norm"),
            Rule(
                rf"{source}\.regular_matrix",
                None,
                reason="a constant: the places of the taps",
                numbers=(-1.0, 0.0, 1.0),
            ),
        ]
    return rules


_record = partial(
    PublishedPose,
    codec=Displacements,
    skeleton=COCO17,
    padding=1.0,
    licence=APACHE,
    trained_on=("COCO",),
    takes="images",
)

DEKR = Family(
    "dekr",
    mmpose={DEKRHead: _mmpose},
    published=(
        _record(
            name="dekr-w32",
            make=any_size(dekr, "W32"),
            input_hw=(512, 512),
            parameters=29.6,
            gflops=45.4,
            score="AP 68.0",
            source="arXiv:2104.02300, table 2: COCO val2017 AP, flip test, one scale",
            golden=("dekr_hrnet_w32_256x256",),
        ),
        _record(
            name="dekr-w48",
            make=any_size(dekr, "W48"),
            input_hw=(640, 640),
            parameters=65.7,
            gflops=141.5,
            score="AP 71.0",
            source="arXiv:2104.02300, table 2: COCO val2017 AP, flip test, one scale",
        ),
    ),
)
