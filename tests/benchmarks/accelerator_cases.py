"""The networks that `accelerator` measures."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxpose.models import DeconvHead, PoseModel, hrnet_pose, vitpose
from jaxpose.models.hrnet import HRNet
from jaxpose.models.vit import ViT

BFLOAT16 = "bfloat16"


class Case(NamedTuple):
    """A model, its batch in training, and how PyTorch's is made (from `torch_rivals`)."""

    make: Callable[..., Any]
    batch: int
    rival: Callable[[Any], Any] | None
    input_hw: tuple[int, int] = (256, 192)


def _vit(size: str, batch: int, dim: int, depth: int, heads: int) -> Case:
    return Case(
        lambda **options: vitpose(size, dtype=BFLOAT16, **options),
        batch,
        lambda rivals: rivals.vitpose((256, 192), dim, depth, heads),
    )


def _hrnet(width: int, batch: int) -> Case:
    return Case(
        lambda: hrnet_pose(f"W{width}", dtype=BFLOAT16), batch, lambda rivals: rivals.hrnet(width)
    )


# The most important first: the minutes may not suffice for all.
CASES = {
    "ViTPose-B": _vit("B", 256, 768, 12, 12),
    "ViTPose-L": _vit("L", 96, 1024, 24, 16),
    "ViTPose-H": _vit("H", 48, 1280, 32, 16),
    "HRNet-W32": _hrnet(32, 128),
    "ViTPose-S": _vit("S", 384, 384, 12, 12),
    "HRNet-W48": _hrnet(48, 96),
}


def _tiny_vit(**options: Any) -> PoseModel:
    backbone = ViT(input_hw=(64, 48), dim=32, depth=1, heads=2, dtype=BFLOAT16, **options)
    return PoseModel(backbone, DeconvHead(17, (8, 8), dtype=BFLOAT16))


def _tiny_hrnet() -> PoseModel:
    backbone = HRNet(
        channels=(4, 8), modules=(1,), blocks=1, stem_channels=4, stage1_channels=4,
        stage1_blocks=1, dtype=BFLOAT16,
    )  # fmt: skip
    return PoseModel(backbone, DeconvHead(17, (), dtype=BFLOAT16))


TINY = {
    "tiny ViT": Case(_tiny_vit, 2, lambda rivals: rivals.vitpose((64, 48), 32, 1, 2), (64, 48)),
    "tiny HRNet": Case(_tiny_hrnet, 2, None, (64, 48)),
}
