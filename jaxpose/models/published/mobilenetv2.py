"""MobileNetV2 under SimpleBaseline's head."""

from functools import partial

from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.mobilenetv2 import MobileNetV2
from jaxpose.models.published.entry import Published


def mobilenet_pose(
    num_keypoints: int = 17, *, widen: float = 1.0, dtype: str = "float32"
) -> PoseModel:
    """MobileNetV2 (arXiv:1801.04381) and three deconvolutions (arXiv:1804.06208).

    Heatmaps of a quarter of the image. `widen` is the factor on the backbone's channels.
    """
    head = DeconvHead(num_keypoints, (256, 256, 256), dtype=dtype)
    return PoseModel(MobileNetV2(widen, dtype=dtype), head)


def _any_size(num_keypoints: int, input_hw: tuple[int, int], widen: float) -> PoseModel:
    del input_hw  # fully convolutional
    return mobilenet_pose(num_keypoints, widen=widen)


_SOURCE = "MMPose topdown_heatmap/coco/mobilenetv2_coco: COCO val2017 AP, flip test"

PUBLISHED = tuple(
    Published(
        f"mobilenetv2{suffix}",
        partial(_any_size, widen=1.0),
        input_hw,
        score=score,
        source=_SOURCE,
    )
    for suffix, input_hw, score in (
        ("", (256, 192), "AP 64.8"),
        ("-384x288", (384, 288), "AP 67.7"),
    )
)
