"""RTMW and RTMW3D: RTMPose for whole bodies, with a neck; RTMW3D has depth, too."""

from collections.abc import Callable
from functools import partial

from jaxpose import skeletons
from jaxpose.codecs import Codec, simcc, simcc_3d
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Rule
from jaxpose.models.csp import Style
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.detection import PathAggregation
from jaxpose.models.published.record import APACHE, OPENMMLAB, Family, PublishedPose, Weights
from jaxpose.models.published.rtmpose import RTMPOSE_SIZES, token_rules
from jaxpose.models.rtmw import RTMWHead, RTMWModel

__all__ = ["RTMW", "RTMWHead", "RTMWModel", "rtmw"]


def rtmw(
    size: str,
    num_keypoints: int = 133,
    input_hw: tuple[int, int] = (256, 192),
    *,
    depth: bool = False,
    split_ratio: float = 2.0,
    dtype: str = "float32",
) -> RTMWModel:
    """RTMW (Jiang et al. 2024, arXiv:2407.08634) of `size` m, l or x; the sizes of `rtmpose`.

    The outputs are logits over `split_ratio` bins per pixel of the image, for x and for y. With
    `depth` the model is RTMW3D, whose third output is for an axis as long as the image is wide.
    """
    if size not in RTMPOSE_SIZES:
        raise InputError(
            f"Unknown RTMW size {size!r}; known: {', '.join(RTMPOSE_SIZES)}."
            f"{nearest(size, RTMPOSE_SIZES)}"
        )
    deepen, widen = RTMPOSE_SIZES[size]
    hw = input_hw[0], input_hw[1]
    return RTMWModel(
        CSPNeXt(deepen, widen, (2, 3, 4), dtype=dtype),
        RTMWHead(num_keypoints, hw, hw[1] if depth else 0, split_ratio, dtype=dtype),
        PathAggregation(0, 2, "cspnext", 0, Style(dtype=dtype), (1, 2)),
    )


def _mmpose(head: RTMWHead) -> list[Rule]:
    """Rules for RTMWHead and RTMW3DHead."""
    rules = []
    for source, target in (
        ("conv_dec", "enlarge"),
        ("final_layer", "coarse_maps"),
        ("final_layer2", "fine_maps"),
    ):
        conv, norm = rf"head\.{source}\.conv", rf"head\.{source}\.bn"
        rules += layouts.conv_norm(conv, norm, f"head/{target}")
    tokens = {"mlp": ("coarse_norm", "coarse_tokens"), "mlp2": ("fine_norm", "fine_tokens")}
    return [*rules, *token_rules(tokens, "xyz" if head.depth else "xy")]


_SOURCE = "MMPose projects/rtmpose, Cocktail14: COCO-WholeBody val AP"
_SOURCE_3D = "MMPose projects/rtmpose3d, Cocktail14: COCO-WholeBody val AP"
_RTMW, _RTMW3D = "v1/projects/rtmw", "v1/wholebody_3d_keypoint/rtmw3d"
# Size, end of the name, image, parameters (M), depth, score, folder and file, digits of the
# checksum, reference. Parameters are counted.
_TABLE = (
    (
        *("m", "", (256, 192), 32.26, False, "AP 58.2"),
        *(f"{_RTMW}/rtmw-dw-l-m_simcc-cocktail14_270e-256x192-20231122", ""),
        ("rtmw_m_256x192",),
    ),
    (
        *("l", "", (256, 192), 57.20, False, "AP 66.0"),
        *(f"{_RTMW}/rtmw-dw-x-l_simcc-cocktail14_270e-256x192-20231122", "", ()),
    ),
    (
        *("l", "-384x288", (384, 288), 57.35, False, "AP 70.1"),
        *(f"{_RTMW}/rtmw-dw-x-l_simcc-cocktail14_270e-384x288-20231122", "", ()),
    ),
    (
        *("x", "", (256, 192), 92.04, False, "AP 67.2"),
        f"{_RTMW}/rtmw-x_simcc-cocktail14_pt-ucoco_270e-256x192-13a2546d_20231208",
        *("13a2546d", ()),
    ),
    (
        *("x", "-384x288", (384, 288), 92.20, False, "AP 70.2"),
        f"{_RTMW}/rtmw-x_simcc-cocktail14_pt-ucoco_270e-384x288-f840f204_20231122",
        *("f840f204", ()),
    ),
    (
        *("l", "-384x288", (384, 288), 57.50, True, "AP 67.8"),
        f"{_RTMW3D}/rtmw3d-l_8xb64_cocktail14-384x288-794dbc78_20240626",
        *("794dbc78", ("rtmw3d_l_384x288",)),
    ),
    (
        *("x", "-384x288", (384, 288), 92.34, True, "AP 68.0"),
        f"{_RTMW3D}/rtmw3d-x_8xb64_cocktail14-384x288-b0a0eab7_20240626",
        *("b0a0eab7", ()),
    ),
)


def _make(size: str, depth: bool) -> Callable[[int, tuple[int, int]], PoseModel]:
    return partial(rtmw, size, depth=depth)


def _codec(depth: bool) -> Callable[[tuple[int, int]], Codec]:
    return simcc_3d.rtmw3d if depth else simcc.rtmpose


RTMW = Family(
    "rtmw",
    mmpose={RTMWHead: _mmpose},
    published=tuple(
        PublishedPose(
            name=f"rtmw{'3d' if depth else ''}-{size}{suffix}",
            make=_make(size, depth),
            codec=_codec(depth),
            skeleton=skeletons.COCO_WHOLEBODY133,
            input_hw=input_hw,
            num_keypoints=133,
            parameters=parameters,
            score=score,
            source=_SOURCE_3D if depth else _SOURCE,
            licence=APACHE,
            trained_on=("Cocktail14",),
            weights=Weights(f"{OPENMMLAB}/{file}.pth", digits),
            golden=golden,
        )
        for size, suffix, input_hw, parameters, depth, score, file, digits, golden in _TABLE
    ),
)
