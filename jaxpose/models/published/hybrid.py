"""TransPose-R: two stages of a ResNet, a transformer encoder, one deconvolution."""

from jaxpose.codecs.heatmap import msra
from jaxpose.errors import InputError, nearest
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.hybrid import TransPose
from jaxpose.models.published.record import Family, PublishedPose, any_size
from jaxpose.models.resnet import ResNet
from jaxpose.skeletons import COCO17

__all__ = ["TRANSPOSE", "TransPose", "transpose_r"]

# Encoder layers (arXiv:2012.14214, table 1).
_DEPTHS = {"A3": 3, "A4": 4}


def transpose_r(size: str, num_keypoints: int = 17, *, dtype: str = "float32") -> PoseModel:
    """TransPose-R (Yang et al. 2021, arXiv:2012.14214) of `size` A3 or A4.

    ResNet-50's first two stages, of stride 8, then attention; heatmaps of a quarter of the image.
    """
    if size not in _DEPTHS:
        raise InputError(
            f"Unknown TransPose-R size {size!r}; known: {', '.join(_DEPTHS)}."
            f"{nearest(size, _DEPTHS)}"
        )
    backbone = TransPose(ResNet((3, 4), dtype=dtype), depth=_DEPTHS[size], dtype=dtype)
    return PoseModel(backbone, DeconvHead(num_keypoints, (256,), dtype=dtype))


# The published parameters include the fixed table of positions, 0.20 million. The published GFLOPs
# agree with a deconvolution counted with all 16 taps for each output, 2.42 more than are needed.
_PUBLISHED = tuple(
    PublishedPose(
        name=f"transpose-r-{size.lower()}",
        make=any_size(transpose_r, size),
        codec=msra,
        skeleton=COCO17,
        parameters=parameters,
        gflops=gflops,
        score=f"AP {score}",
        source="TransPose repository, README (COCO val2017, detections of 56.4 person AP)",
        trained_on=("COCO",),
    )
    for size, parameters, gflops, score in (("A3", 5.2, 8.0, 71.7), ("A4", 6.0, 8.9, 72.6))
)

TRANSPOSE = Family("transpose", published=_PUBLISHED)
