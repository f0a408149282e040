"""Lightweight OpenPose: keypoints and part affinity fields of several people on CPUs."""

from jaxpose.codecs.part_affinity import lightweight_fields
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule, Transform
from jaxpose.models.lightweight_openpose import (
    LAYERS,
    DilatedMobileNet,
    LightweightOpenPoseHead,
)
from jaxpose.models.normalisation import HALF_BGR
from jaxpose.models.published.record import APACHE, Family, PublishedPose, any_size
from jaxpose.skeletons import OPENPOSE18

__all__ = [
    "LIGHTWEIGHT_OPENPOSE",
    "DilatedMobileNet",
    "LightweightOpenPoseHead",
    "lightweight_openpose",
]


def lightweight_openpose(
    num_keypoints: int = 18, *, limbs: int = 19, refinements: int = 1, dtype: str = "float32"
) -> PoseModel:
    """Lightweight OpenPose (Osokin 2018, arXiv:1811.12004), with maps of an eighth of the image.

    Outputs are those of `openpose` with a background.
    """
    head = LightweightOpenPoseHead(num_keypoints, limbs, refinements, dtype)
    return PoseModel(DilatedMobileNet(dtype), head)


def _backbone(model: DilatedMobileNet) -> list[Rule]:
    """Rules for the backbone; images are BGR."""
    del model
    stem = layouts.conv_norm(r"model\.0\.0", r"model\.0\.1", "backbone/stem")
    rules = [Rule(stem[0].pattern, stem[0].target, layouts.bgr_conv), *stem[1:]]
    for i, (_, _, dilation) in enumerate(LAYERS):
        source, target = rf"model\.{i + 1}", f"backbone/layer_{i}"
        if dilation == 1:
            rules += layouts.conv_norm(rf"{source}\.0", rf"{source}\.1", f"{target}_depthwise")
        else:
            name = f"params/{target}_depthwise/kernel"
            rules.append(Rule(rf"{source}\.0\.weight", name, layouts.conv))
            rules += layouts.batch_norm(rf"{source}\.1", f"{target}_depthwise_norm")
        rules += layouts.conv_norm(rf"{source}\.3", rf"{source}\.4", f"{target}_pointwise")
    return rules


def _head(head: LightweightOpenPoseHead) -> list[Rule]:
    """Rules for the reduction and the stages."""
    rules = _conv(r"cpm\.align\.0", "align") + _conv(r"cpm\.conv\.0", "reduce")
    for i in range(3):
        source, target = rf"cpm\.trunk\.{i}", f"params/head/separable_{i}"
        rules += [
            Rule(rf"{source}\.0\.weight", f"{target}_depthwise", layouts.conv),
            Rule(rf"{source}\.2\.weight", f"{target}_point/kernel", layouts.conv),
        ]
        rules += _conv(rf"initial_stage\.trunk\.{i}\.0", f"first_{i}")
    rules += _outputs("initial_stage", "first")
    for s in range(head.refinements):
        stage = rf"refinement_stages\.{s}"
        for i in range(5):
            source, target = rf"{stage}\.trunk\.{i}", f"refine_{s}_{i}"
            rules += _conv(rf"{source}\.initial\.0", f"{target}_initial")
            for j in (0, 1):
                rules += _conv(rf"{source}\.trunk\.{j}\.0", f"{target}_conv_{j}")
                rules += layouts.batch_norm(rf"{source}\.trunk\.{j}\.1", f"head/{target}_norm_{j}")
        rules += _outputs(stage, f"refine_{s}")
    return rules


def _conv(source: str, target: str, kernel: Transform = layouts.conv) -> list[Rule]:
    return layouts.dense(source, f"head/{target}", kernel=kernel)


def _outputs(source: str, target: str) -> list[Rule]:
    rules = []
    for theirs, ours in (("heatmaps", "maps"), ("pafs", "fields")):
        rules += _conv(rf"{source}\.{theirs}\.0\.0", f"{target}_{ours}_wide")
        rules += _conv(rf"{source}\.{theirs}\.1\.0", f"{target}_{ours}_final")
    return rules


LIGHTWEIGHT_OPENPOSE = Family(
    "lightweight-openpose",
    formats=(
        Format(
            name="Lightweight OpenPose",
            marker=r"initial_stage\.pafs\.0\.0\.weight",
            head=r"(cpm|initial_stage|refinement_stages)\..+",
            tables={DilatedMobileNet: _backbone, LightweightOpenPoseHead: _head},
            dataset="coco",
        ),
    ),
    published=(
        PublishedPose(
            name="lightweight-openpose",
            make=any_size(lightweight_openpose),
            codec=lightweight_fields,
            skeleton=OPENPOSE18,
            input_hw=(256, 456),
            num_keypoints=18,
            padding=1.0,
            normalisation=HALF_BGR,
            parameters=4.1,
            gflops=9.0,
            score="AP 40.0",
            source="arXiv:1811.12004: COCO val2017 AP, one scale",
            licence=APACHE,
            trained_on=("COCO",),
            takes="images",
            golden=("lightweight_openpose_mobilenet",),
        ),
    ),
)
