"""tf-pose-estimation's MobileNetV2-small: OpenPose's keypoints and fields on phones."""

import numpy as np

from jaxpose.codecs.part_affinity import PartAffinity, openpose18_fields
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule, Transform
from jaxpose.models.mobile_openpose import SIZES, MobileNetV2Pair, MobileOpenPoseHead
from jaxpose.models.mobilenetv2 import STAGES
from jaxpose.models.normalisation import PIXELS_BGR
from jaxpose.models.published.record import APACHE, Family, PublishedPose, any_size
from jaxpose.skeletons import OPENPOSE18

__all__ = ["MOBILE_OPENPOSE", "MobileNetV2Pair", "MobileOpenPoseHead", "mobile_openpose"]


def mobile_openpose(
    num_keypoints: int = 18,
    *,
    limbs: int = 19,
    stages: int = 6,
    widen: float = 0.5,
    dtype: str = "float32",
) -> PoseModel:
    """OpenPose on MobileNetV2 (tf-pose-estimation, 2018), with maps of an eighth of the image.

    Outputs are those of `openpose` with a background.
    """
    head = MobileOpenPoseHead(num_keypoints, limbs, stages, dtype)
    return PoseModel(MobileNetV2Pair(widen, dtype), head)


# Numbers that the optimiser of graphs appends to names.
_READ = r"/read/_\d+__cf__\d+"


def _array(source: str, target: str, transform: Transform = np.asarray) -> Rule:
    return Rule(rf"{source}{_READ}", f"params/{target}", transform)


def _bgr(weight: np.ndarray) -> np.ndarray:
    return weight[:, :, ::-1]


def _backbone(model: MobileNetV2Pair) -> list[Rule]:
    """Rules for the backbone; images are BGR, and norms have no running statistics."""
    del model
    rules = [
        _array(r"MobilenetV2/Conv/weights", "backbone/stem/conv/kernel", _bgr),
        *_norm(r"MobilenetV2/Conv", "backbone/stem"),
        Rule(
            r"MobilenetV2/.+/Const(_1)?", None, reason="no statistics: those of the image are used"
        ),
    ]
    number = 0
    for s, (expansion, _, blocks, _) in enumerate(STAGES[:5]):
        for k in range(blocks):
            source = r"MobilenetV2/expanded_conv" + (f"_{number}" if number else "")
            target = f"backbone/stage_{s}_block_{k}"
            first = () if expansion == 1 else ("expand",)
            for part in (*first, "depthwise", "project"):
                deep = part == "depthwise"
                name = "depthwise_weights" if deep else "weights"
                layout = layouts.tf_depthwise if deep else np.asarray
                rules += [
                    _array(rf"{source}/{part}/{name}", f"{target}/{part}/conv/kernel", layout),
                    *_norm(rf"{source}/{part}", f"{target}/{part}"),
                ]
            number += 1
    return rules


def _norm(source: str, target: str) -> list[Rule]:
    return [
        _array(rf"{source}/BatchNorm/gamma", f"{target}/norm/scale"),
        _array(rf"{source}/BatchNorm/beta", f"{target}/norm/bias"),
    ]


def _head(head: MobileOpenPoseHead) -> list[Rule]:
    """Rules for the stages: L1 has the fields, L2 the maps, and their order is the source's own."""
    rules = [
        Rule(r"(strided_slice/.+|.*concat/axis)", None, reason="numbers of the graph"),
        Rule(r"Openpose/concat_stage7/axis", None, reason="numbers of the graph"),
    ]
    fields, maps = 2 * head.limbs, head.num_keypoints + 1

    def joined(weight: np.ndarray) -> np.ndarray:
        """Depthwise kernels of (fields, maps, features) -> those of (features, maps, fields)."""
        kernel = layouts.tf_depthwise(weight)
        parts = np.split(kernel, [fields, fields + maps], axis=3)
        return np.concatenate(parts[::-1], axis=3)

    def joined_point(weight: np.ndarray) -> np.ndarray:
        parts = np.split(weight, [fields, fields + maps], axis=2)
        return np.concatenate(parts[::-1], axis=2)

    for kind, suffix in (("fields", "L1"), ("maps", "L2")):
        for s in range(head.stages):
            for i in range(len(SIZES)):
                source = rf"Openpose/MConv_Stage{s + 1}_{suffix}_{i + 1}"
                target = f"head/stage_{s}_{kind}_{i}"
                both = s > 0 and i == 0
                norm = rf"{source}_pointwise/BatchNorm"
                rules += [
                    _array(
                        rf"{source}_depthwise/depthwise_weights",
                        f"{target}/depthwise/kernel",
                        joined if both else layouts.tf_depthwise,
                    ),
                    _array(
                        rf"{source}_pointwise/weights",
                        f"{target}/point/conv/kernel",
                        joined_point if both else np.asarray,
                    ),
                    Rule(rf"{norm}/Const", f"params/{target}/point/norm/scale"),
                    _array(rf"{norm}/beta", f"{target}/point/norm/bias"),
                ]
                for theirs, ours in (("moving_mean", "mean"), ("moving_variance", "var")):
                    path = f"batch_stats/{target}/point/norm/{ours}"
                    rules.append(Rule(rf"{norm}/{theirs}{_READ}", path))
    return rules


def _codec(input_hw: tuple[int, int]) -> PartAffinity:
    return openpose18_fields(input_hw)


MOBILE_OPENPOSE = Family(
    "mobile-openpose",
    formats=(
        Format(
            name="tf-pose-estimation",
            marker=r"Openpose/MConv_Stage1_L1_1_depthwise/depthwise_weights.*",
            head=r"(Openpose/.+|strided_slice/.+|feat_concat/axis)",
            tables={MobileNetV2Pair: _backbone, MobileOpenPoseHead: _head},
            dataset="coco",
        ),
    ),
    published=(
        PublishedPose(
            name="openpose-mobilenetv2",
            make=any_size(mobile_openpose),
            codec=_codec,
            skeleton=OPENPOSE18,
            input_hw=(368, 432),
            num_keypoints=18,
            padding=1.0,
            normalisation=PIXELS_BGR,
            source="tf-pose-estimation's mobilenet_v2_small, without a score",
            licence=APACHE,
            trained_on=("COCO",),
            takes="images",
        ),
    ),
)
