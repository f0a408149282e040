"""HRFormer with heatmaps, and its conversion table."""

from functools import partial

from jaxpose import skeletons
from jaxpose.codecs.heatmap import msra
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Rule
from jaxpose.models.heads import DeconvHead
from jaxpose.models.hrformer import HRFormer
from jaxpose.models.published.hrnet import trunk_rules
from jaxpose.models.published.record import APACHE, OPENMMLAB, Family, PublishedPose, Weights

__all__ = ["HRFORMER", "HRFormer", "hrformer"]

# Width of the first branch and attention heads (arXiv:2110.09408, table 1).
_SIZES = {"S": (32, (1, 2, 4, 8)), "B": (78, (2, 4, 8, 16))}


def hrformer(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    *,
    drop_path: float = 0.0,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """HRFormer (Yuan et al. 2021, arXiv:2110.09408) of `size` S or B.

    A 1x1 convolution on the highest-resolution branch gives heatmaps of a quarter of the image,
    which may have any size of multiples of 32 pixels.

    Raises:
      InputError: there is no such size.
    """
    del input_hw  # the arrays are the same for every size
    if size not in _SIZES:
        known = list(_SIZES)
        raise InputError(f"Unknown HRFormer size {size!r}; known: {known}.{nearest(size, known)}")
    width, heads = _SIZES[size]
    channels = (width, 2 * width, 4 * width, 8 * width)
    backbone = HRFormer(channels, heads=heads, drop_path=drop_path, remat=remat, dtype=dtype)
    return PoseModel(backbone, DeconvHead(num_keypoints, (), dtype=dtype))


def _mmpose(model: HRFormer) -> list[Rule]:
    """Rules for MMPose's HRFormer."""
    rules = trunk_rules(model, r"backbone\.")
    for s in range(2, len(model.channels) + 1):
        module = rf"backbone\.stage{s}\.(?P<m>\d+)"
        target = f"backbone/stage_{s}_module_" + "{m}"
        for b in range(s):
            source = rf"{module}\.branches\.{b}\.(?P<k>\d+)"
            rules += _block(source, f"{target}/branch_{b}_block_" + "{k}", model.heads[b])
        fuse = module + r"\.fuse_layers\.(?P<i>\d+)\.(?P<j>\d+)"
        path = target + "/fusion/to_{i}_from_{j}"
        down = rf"{fuse}\.(?P<k>\d+)"
        rules += [
            *layouts.conv_norm(rf"{fuse}\.0", rf"{fuse}\.1", path),
            *layouts.conv_norm(rf"{down}\.0", rf"{down}\.1", path + "_{k}_depthwise"),
            *layouts.conv_norm(rf"{down}\.2", rf"{down}\.3", path + "_{k}"),
        ]
    return rules


def _block(source: str, target: str, heads: int) -> list[Rule]:
    attend, out, ffn = rf"{source}\.attn\.attn", f"{target}/attention", rf"{source}\.ffn"
    return [
        *layouts.layer_norm(rf"{source}\.norm1", f"{target}/norm1"),
        *layouts.layer_norm(rf"{source}\.norm2", f"{target}/norm2"),
        *layouts.dense(
            rf"{attend}\.qkv",
            f"{out}/qkv",
            kernel=layouts.fused_qkv(heads),
            bias=layouts.fused_qkv_bias(heads),
        ),
        *layouts.dense(rf"{attend}\.proj", f"{out}/out", kernel=layouts.attention_out(heads)),
        Rule(rf"{attend}\.relative_position_bias_table", f"params/{out}/position_bias"),
        Rule(
            rf"{attend}\.relative_position_index",
            None,
            reason="constants: the relative positions of patches",
        ),
        *_conv_norm(rf"{ffn}\.fc1", rf"{ffn}\.norm1", f"{target}/fc1"),
        *_conv_norm(rf"{ffn}\.dw3x3", rf"{ffn}\.norm2", f"{target}/depthwise"),
        *_conv_norm(rf"{ffn}\.fc2", rf"{ffn}\.norm3", f"{target}/fc2"),
    ]


def _conv_norm(conv: str, norm: str, target: str) -> list[Rule]:
    """Rules for a convolution that has a bias although a norm follows."""
    return [
        *layouts.dense(conv, f"{target}/conv", kernel=layouts.conv),
        *layouts.batch_norm(norm, f"{target}/norm"),
    ]


# AP: COCO val2017 with the detections of 56.4 person AP, flip test.
HRFORMER = Family(
    "hrformer",
    mmpose={HRFormer: _mmpose},
    published=tuple(
        PublishedPose(
            name=f"hrformer-{size.lower()}{suffix}",
            make=partial(hrformer, size),
            codec=msra,
            skeleton=skeletons.COCO17,
            input_hw=input_hw,
            parameters=parameters,
            score=f"AP {score}",
            source="MMPose 1.x model zoo, hrformer_coco",
            licence=APACHE,
            trained_on=("COCO",),
            weights=Weights(
                f"{OPENMMLAB}/top_down/hrformer/hrformer_{file}_20220316.pth", file[-8:]
            ),
        )
        for size, suffix, input_hw, parameters, score, file in (
            ("S", "", (256, 192), 7.75, 73.8, "small_coco_256x192-5310d898"),
            ("S", "-384", (384, 288), 7.75, 75.7, "small_coco_384x288-98d237ed"),
            ("B", "", (256, 192), None, 75.4, "base_coco_256x192-6f5f1169"),
            ("B", "-384", (384, 288), None, 77.4, "base_coco_384x288-ecf0758d"),
        )
    ),
)
