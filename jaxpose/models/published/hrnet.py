"""HRNet for pose."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from jaxpose import skeletons
from jaxpose.codecs import Codec
from jaxpose.codecs.heatmap import dark, msra, udp
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.heads import DeconvHead
from jaxpose.models.hrnet import HRNet
from jaxpose.models.published.heads import heatmaps
from jaxpose.models.published.record import (
    APACHE,
    OPENMMLAB,
    Family,
    PublishedPose,
    Weights,
    any_size,
)

__all__ = ["HRNET", "HRNet", "hrnet_backbone", "hrnet_pose", "hrnetv2_pose"]

# Width of the first branch, exchange modules, residual blocks per branch, stage-1 width and blocks.
# W32 and W48: arXiv:1902.09212, section 3. The others, small ones (v1 and v2): arXiv:1908.07919 and
# its code.
_HRNET_SIZES = {
    "W18-small": (16, (1, 1, 1), 2, 32, 1),
    "W18-small-v2": (18, (1, 3, 2), 2, 64, 2),
    **{f"W{width}": (width, (1, 4, 3), 4, 64, 4) for width in (18, 30, 32, 40, 44, 48, 64)},
}


def hrnet_pose(
    size: str,
    num_keypoints: int = 17,
    *,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """HRNet for pose (Sun et al. 2019, arXiv:1902.09212) of `size` W18-small, W18, W32 or W48.

    A 1x1 convolution on the highest-resolution branch gives heatmaps of a quarter of the image.
    """
    backbone = _backbone(size, outputs="high", enlargement="nearest", remat=remat, dtype=dtype)
    return PoseModel(backbone, DeconvHead(num_keypoints, (), dtype=dtype))


def hrnetv2_pose(
    size: str,
    num_keypoints: int = 98,
    *,
    remat: str = "none",
    dtype: str = "float32",
) -> PoseModel:
    """HRNetV2 for faces and hands (Sun et al. 2019, arXiv:1904.04514) of the sizes of `hrnet_pose`.

    All branches, enlarged and concatenated, pass two 1x1 convolutions to heatmaps of a quarter of
    the image.
    """
    backbone = _backbone(size, outputs="concat", enlargement="bilinear", remat=remat, dtype=dtype)
    head = DeconvHead(num_keypoints, (), conv_channels=(sum(backbone.channels),), dtype=dtype)
    return PoseModel(backbone, head)


def hrnet_backbone(size: str, *, remat: str = "none", dtype: str = "float32") -> HRNet:
    """HRNet with all branches as outputs, as for ImageNet; the sizes of `hrnet_pose`."""
    return _backbone(size, outputs="all", enlargement="nearest", remat=remat, dtype=dtype)


def _backbone(size: str, *, outputs: str, enlargement: str, remat: str, dtype: str) -> HRNet:
    if size not in _HRNET_SIZES:
        raise InputError(
            f"Unknown HRNet size {size!r}; known: {', '.join(_HRNET_SIZES)}."
            f"{nearest(size, _HRNET_SIZES)}"
        )
    width, modules, blocks, stage1_channels, stage1_blocks = _HRNET_SIZES[size]
    return HRNet(
        channels=(width, 2 * width, 4 * width, 8 * width),
        modules=modules,
        blocks=blocks,
        stage1_channels=stage1_channels,
        stage1_blocks=stage1_blocks,
        outputs=outputs,
        enlargement=enlargement,
        remat=remat,
        dtype=dtype,
    )


def _mmpose(model: HRNet) -> list[Rule]:
    """Rules for MMPose's and MMPretrain's HRNet, with the original code's numbers of modules."""
    return _whole(model, r"backbone\.")


def official_backbone(model: HRNet) -> list[Rule]:
    """Rules for HRNet's own code, for pose and for ImageNet, and timm's, which has its names."""
    return _whole(model, "")


def _whole(model: HRNet, prefix: str) -> list[Rule]:
    rules = _branches(model, prefix)
    if model.outputs != "high":
        return rules
    stage, module = len(model.channels), model.modules[-1] - 1
    unused = rf"{prefix}stage{stage}\.{module}\.fuse_layers\.[1-9]\..+"
    reason = "the last fusion into lower resolutions, which this model does not return"
    return [replace(rule, pattern=f"(?!{unused}){rule.pattern}") for rule in rules] + [
        Rule(unused, None, reason=reason)
    ]


def trunk_rules(model: HRNet, prefix: str) -> list[Rule]:
    """Rules for stem, stage 1 and transitions, which all networks of these branches share."""
    rules = []
    for i in range(2):
        rules += layouts.conv_norm(
            rf"{prefix}conv{i + 1}", rf"{prefix}bn{i + 1}", f"backbone/stem_{i}"
        )
    rules += layouts.residual_block(rf"{prefix}layer1\.(?P<k>\d+)", "backbone/stage_1_block_{k}", 3)
    for s in range(2, len(model.channels) + 1):
        # A branch that only changes its width is one convolution, a new one is a list of one.
        transition = rf"{prefix}transition{s - 1}\.(?P<b>\d+)(\.0)?"
        rules += layouts.conv_norm(
            rf"{transition}\.0", rf"{transition}\.1", f"backbone/stage_{s}_transition_" + "{b}"
        )
    return rules


def _branches(model: HRNet, prefix: str) -> list[Rule]:
    rules = trunk_rules(model, prefix)
    for s in range(2, len(model.channels) + 1):
        source, module = rf"{prefix}stage{s}\.(?P<m>\d+)", f"backbone/stage_{s}_module_" + "{m}"
        rules += layouts.residual_block(
            source + r"\.branches\.(?P<b>\d+)\.(?P<k>\d+)", module + "/branch_{b}_block_{k}", 2
        )
        fuse = source + r"\.fuse_layers\.(?P<i>\d+)\.(?P<j>\d+)"
        rules += layouts.conv_norm(rf"{fuse}\.0", rf"{fuse}\.1", module + "/fusion/to_{i}_from_{j}")
        down = rf"{fuse}\.(?P<k>\d+)"
        rules += layouts.conv_norm(
            rf"{down}\.0", rf"{down}\.1", module + "/fusion/to_{i}_from_{j}_{k}"
        )
    return rules


def _official_head(head: DeconvHead) -> list[Rule]:
    """Rules for the head of HRNet's own code; its names have no prefix, like the backbone's."""
    return heatmaps(head, "", "head")


_FORMATS = (
    Format(
        name="HRNet for ImageNet (its own code or timm)",
        marker=r"incre_modules\..+",
        head="",
        purpose="classification",
        tables={HRNet: official_backbone},
        rules=(
            Rule(
                r"(incre_modules|downsamp_modules|final_layer|classifier)\..+",
                None,
                reason="the ImageNet classifier, which no pose model has",
            ),
        ),
    ),
    Format(
        name="HRNet's own code",
        marker=r"stage2\.0\.branches\..+",
        head=r"(deconv_layers|conv_layers|final_layer)\..+",
        tables={HRNet: official_backbone, DeconvHead: _official_head},
        # The head of the face models is one sequence.
        renames=((r"^head\.([01])\.", r"conv_layers.\1."), (r"^head\.3\.", "final_layer.")),
    ),
)

_COCO = f"{OPENMMLAB}/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-"

# AP: COCO val2017 with the detections of 56.4 person AP, flip test.
_BODIES = tuple(
    PublishedPose(
        name=f"hrnet-{size.lower()}{suffix}",
        make=any_size(hrnet_pose, size),
        codec=msra,
        skeleton=skeletons.COCO17,
        input_hw=input_hw,
        parameters=parameters,
        gflops=gflops,
        score=score,
        source="MMPose 1.x model zoo, hrnet_coco",
        licence=APACHE,
        trained_on=("COCO",),
        weights=Weights(f"{_COCO}{file}.pth", file.split("-")[-1].split("_")[0]),
        golden=golden,
    )
    for size, suffix, input_hw, parameters, gflops, score, golden, file in (
        ("W32", "", (256, 192), 28.54, 7.7, "AP 74.9", ("hrnet_w32_256x192",),
         "w32_8xb64-210e_coco-256x192-81c58e40_20220909"),
        ("W32", "-384", (384, 288), 28.54, 17.33, "AP 76.1", (),
         "w32_8xb64-210e_coco-384x288-ca5956af_20220909"),
        ("W48", "", (256, 192), 63.6, 15.77, "AP 75.6", (),
         "w48_8xb32-210e_coco-256x192-0e67c616_20220913"),
        ("W48", "-384", (384, 288), 63.6, 35.48, "AP 76.7", (),
         "w48_8xb32-210e_coco-384x288-c161b7de_20220915"),
    )
)  # fmt: skip


def _sigma_by_size(make: Callable[..., Codec], input_hw: tuple[int, int]) -> Codec:
    """Codec with the sigma of MMPose's recipes for DARK and UDP: 3 for 384x288 pixels, else 2."""
    return make(input_hw, sigma=3.0 if input_hw == (384, 288) else 2.0)


# The same networks with the conventions of DARK and UDP; parameters and multiply-adds as above.
_DARK_AND_UDP = tuple(
    PublishedPose(
        name=f"hrnet-{size}-{word}{'-384' if input_hw == (384, 288) else ''}",
        make=any_size(hrnet_pose, size.upper()),
        codec=partial(_sigma_by_size, codec),
        only_by_name=True,
        skeleton=skeletons.COCO17,
        input_hw=input_hw,
        parameters=28.54 if size == "w32" else 63.6,
        score=score,
        source=f"MMPose 1.x model zoo, hrnet_{word}_coco",
        licence=APACHE,
        trained_on=("COCO",),
        weights=Weights(f"{_COCO}{size}_{word}-{file}.pth", file.split("-")[-1].split("_")[0]),
    )
    for size, word, codec, input_hw, score, file in (
        ("w32", "dark", dark, (256, 192), "AP 75.7", "8xb64-210e_coco-256x192-0e00bf12_20220914"),
        ("w32", "dark", dark, (384, 288), "AP 76.6", "8xb64-210e_coco-384x288-9bab4c9b_20220917"),
        ("w48", "dark", dark, (256, 192), "AP 76.4", "8xb32-210e_coco-256x192-e1ebdd6f_20220913"),
        ("w48", "dark", dark, (384, 288), "AP 77.2", "8xb32-210e_coco-384x288-39c3c381_20220916"),
        ("w32", "udp", udp, (256, 192), "AP 76.2", "8xb64-210e_coco-256x192-73ede547_20220914"),
        ("w32", "udp", udp, (384, 288), "AP 76.8", "8xb64-210e_coco-384x288-9a3f7c85_20220914"),
        ("w48", "udp", udp, (256, 192), "AP 76.8", "8xb32-210e_coco-256x192-3feaef8f_20220913"),
        ("w48", "udp", udp, (384, 288), "AP 77.3", "8xb32-210e_coco-384x288-70d7ab01_20220913"),
    )
)

_ANIMALS = tuple(
    PublishedPose(
        name=f"hrnet-{size.lower()}-ap10k",
        make=any_size(hrnet_pose, size),
        codec=msra,
        skeleton=skeletons.AP10K17,
        input_hw=(256, 256),
        parameters=parameters,
        score=score,
        source="MMPose model zoo, AP-10K",
        licence=APACHE,
        trained_on=("AP-10K",),
        weights=Weights(f"{OPENMMLAB}/animal/hrnet/hrnet_{size.lower()}_ap10k_{file}.pth", digits),
    )
    for size, parameters, score, file, digits in (
        ("W32", 28.54, "AP 72.2", "256x256-18aac840_20211029", "18aac840"),
        ("W48", 63.6, "AP 72.8", "256x256-d95ab412_20211029", "d95ab412"),
    )
)

_WFLW = Weights(
    f"{OPENMMLAB}/face/hrnetv2/hrnetv2_w18_wflw_256x256-2bf032a6_20210125.pth", "2bf032a6"
)

# NME in percent, normalised as each dataset does.
_FACES_AND_HANDS = tuple(
    PublishedPose(
        name=f"hrnetv2-w18-{dataset.lower()}",
        make=any_size(hrnetv2_pose, "W18"),
        codec=msra,
        skeleton=skeleton,
        input_hw=(256, 256),
        num_keypoints=skeleton.num_keypoints,
        score=score,
        source="MMPose 1.3 model zoo",
        licence=APACHE if weights else "",
        trained_on=(dataset,),
        weights=weights,
        golden=golden,
    )
    for dataset, skeleton, score, golden, weights in (
        ("WFLW", skeletons.FACE98, "NME 4.06 (test)", ("hrnetv2_w18_wflw_256x256",), _WFLW),
        ("300W", skeletons.FACE68, "NME 3.45 (full)", (), None),
        ("AFLW", skeletons.AFLW19, "NME 1.41 (full)", (), None),
        ("COFW", skeletons.COFW29, "NME 3.48", (), None),
        ("OneHand10K", skeletons.HAND21, "PCK@0.2 0.990, AUC 0.567, EPE 24.26", (), None),
        ("RHD2D", skeletons.RHD21, "PCK@0.2 0.992, AUC 0.902, EPE 2.21", (), None),
    )
)

_FACES_TRAINED_OTHERWISE = tuple(
    PublishedPose(
        name=f"hrnetv2-w18-wflw-{word}",
        make=any_size(hrnetv2_pose, "W18"),
        codec=codec,
        only_by_name=word == "dark",
        skeleton=skeletons.FACE98,
        input_hw=(256, 256),
        num_keypoints=98,
        score=score,
        source="MMPose 1.3 model zoo",
        licence=APACHE,
        trained_on=("WFLW",),
        weights=Weights(f"{OPENMMLAB}/face/{file}.pth", file.rpartition("-")[2].split("_")[0]),
    )
    for word, codec, score, file in (
        (
            "awing",
            msra,
            "NME 4.02 (test)",
            "hrnetv2/hrnetv2_w18_wflw_256x256_awing-5af5055c_20211212",
        ),
        (
            "dark",
            dark,
            "NME 3.98 (test)",
            "darkpose/hrnetv2_w18_wflw_256x256_dark-3f8e0c2c_20210125",
        ),
    )
)

# Name, constructor, image, and millions of parameters at 17 keypoints, counted.
_OTHERS = (
    ("hrnet-w18-small", hrnet_pose, "W18-small", (256, 192), 1.28),
    ("hrnet-w18", hrnet_pose, "W18", (256, 192), 9.32),
    ("hrnetv2-w18-small", hrnetv2_pose, "W18-small", (256, 256), 1.54),
    ("hrnetv2-w32", hrnetv2_pose, "W32", (256, 256), 29.55),
    ("hrnetv2-w48", hrnetv2_pose, "W48", (256, 256), 65.86),
)

HRNET = Family(
    "hrnet",
    mmpose={HRNet: _mmpose},
    formats=_FORMATS,
    published=_BODIES + _DARK_AND_UDP + _ANIMALS + _FACES_AND_HANDS + _FACES_TRAINED_OTHERWISE,
    unpublished=tuple(
        PublishedPose(
            name=name,
            make=any_size(make, size),
            codec=msra,
            skeleton=None,
            input_hw=input_hw,
            parameters=millions,
        )
        for name, make, size, input_hw, millions in _OTHERS
    ),
)
