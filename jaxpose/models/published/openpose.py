"""OpenPose: keypoints of one person in a crop, or keypoints and fields of several people."""

from functools import partial

from jaxpose.codecs.part_affinity import body25_fields, openpose18_fields
from jaxpose.codecs.with_background import HeatmapWithBackground
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule, Transform
from jaxpose.models.normalisation import HALF_BGR, HALF_RGB
from jaxpose.models.openpose import (
    LONG_VGG_BLOCKS,
    DenseOpenPoseHead,
    OpenPoseHead,
    VGGStem,
)
from jaxpose.models.published.record import Family, PublishedPose, any_size
from jaxpose.skeletons import BODY25, FACE70, HAND21, OPENPOSE18

__all__ = [
    "OPENPOSE",
    "DenseOpenPoseHead",
    "OpenPoseHead",
    "VGGStem",
    "openpose",
    "openpose_body25",
    "openpose_part",
]


def openpose(
    num_keypoints: int = 17,
    *,
    limbs: int = 0,
    stages: int = 6,
    dtype: str = "float32",
    background: bool = False,
) -> PoseModel:
    """OpenPose (Cao et al. 2017, arXiv:1611.08050), with maps of an eighth of the image.

    The confidence maps come first, then that of the background, if wanted, then `limbs` part
    affinity fields of two channels each.
    """
    return PoseModel(
        VGGStem(dtype), OpenPoseHead(num_keypoints, limbs, stages, dtype, background=background)
    )


def openpose_body25(
    num_keypoints: int = 25, *, limbs: int = 26, dtype: str = "float32"
) -> PoseModel:
    """OpenPose's BODY_25 (Cao et al. 2021, arXiv:1812.08008): four stages of fields, two of maps.

    Outputs are those of `openpose` with a background.
    """
    stem = VGGStem(dtype, last_slopes=True, normalisation=HALF_RGB)
    return PoseModel(stem, DenseOpenPoseHead(num_keypoints, limbs, dtype=dtype))


def openpose_part(num_keypoints: int = 21, *, dtype: str = "float32") -> PoseModel:
    """OpenPose's model of a hand or a face in a crop (Simon et al. 2017, arXiv:1704.07809).

    A convolutional pose machine of six stages; maps of an eighth of the image and a background.
    """
    head = OpenPoseHead(num_keypoints, background=True, reduced=(128,), first_depth=0, dtype=dtype)
    return PoseModel(VGGStem(dtype, LONG_VGG_BLOCKS, normalisation=HALF_RGB), head)


def _coco18(num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw
    head = OpenPoseHead(num_keypoints, 19, background=True, rectified=True)
    return PoseModel(VGGStem(normalisation=HALF_RGB), head)


def _body25(num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw
    return openpose_body25(num_keypoints)


def _part(num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw
    return openpose_part(num_keypoints)


# Blocks of VGG-19, of which the models here have the first ten or fourteen convolutions.
_VGG_19 = (2, 2, 4, 4, 4)


def _torchvision(model: VGGStem) -> list[Rule]:
    """Rules for torchvision's VGG-19: convolutions, ReLUs and poolings are in one sequence."""
    targets = [
        f"backbone/conv_{b}_{i}"
        for b, (_, convolutions) in enumerate(model.blocks, start=1)
        for i in range(1, convolutions + 1)
    ]
    rules, place, later = [], 0, []
    for convolutions in _VGG_19:
        for _ in range(convolutions):
            if targets:
                source = rf"features\.{place}"
                rules += layouts.dense(source, targets.pop(0), kernel=layouts.conv)
            else:
                later.append(place)
            place += 2  # its ReLU
        place += 1  # the pooling
    count = sum(convolutions for _, convolutions in model.blocks)
    rules.append(
        Rule(
            rf"features\.({'|'.join(map(str, later))})\..+",
            None,
            reason=f"a layer after VGG-19's convolution {count}",
        )
    )
    return rules


def _vgg(model: VGGStem) -> list[Rule]:
    """Rules for the backbone under the names of OpenPose's Caffe models; images are BGR."""
    names = [
        f"conv{b}_{i}"
        for b, convolutions in enumerate(_VGG_19, start=1)
        for i in range(1, convolutions + 1)
    ]
    rules = []
    for b, (_, convolutions) in enumerate(model.blocks, start=1):
        for i in range(1, convolutions + 1):
            kernel = layouts.conv if (b, i) > (1, 1) else layouts.bgr_conv
            rules += layouts.dense(names.pop(0), f"backbone/conv_{b}_{i}", kernel=kernel)
    if model.last_slopes:
        rules += _slopes("prelu4_2", "backbone/last")
    return rules


def _slopes(source: str, target: str) -> list[Rule]:
    return [Rule(rf"{source}\.weight", f"params/{target}_slopes/slope")]


def _conv(source: str, target: str, kernel: Transform = layouts.conv) -> list[Rule]:
    return layouts.dense(source, f"head/{target}", kernel=kernel)


def _stages(head: OpenPoseHead) -> list[Rule]:
    """Rules for the stages; the branches of fields are L1, those of maps L2."""
    reductions = ("conv4_3_CPM", "conv4_4_CPM") if head.limbs else ("conv5_3_CPM",)
    rules = [rule for i, name in enumerate(reductions) for rule in _conv(name, f"reduce_{i}")]
    maps, features = head.num_keypoints + head.background, head.reduced[-1]
    branches = {"fields": "_L1", "maps": "_L2"} if head.limbs else {"maps": ""}
    # The source concatenates outputs and features, fields first.
    join = layouts.conv_of_parts(maps, features, order=(1, 0))
    if head.limbs:
        join = layouts.conv_of_parts(2 * head.limbs, maps, features, order=(2, 1, 0))
    for kind, suffix in branches.items():
        first = "conv5_{}_CPM" if head.limbs else "conv6_{}_CPM"
        for s in range(head.stages):
            name = "Mconv{}_stage" + str(s + 1) if s else first
            depth = 5 if s else head.first_depth
            for i in range(depth + 1):
                kernel = join if s and i == 0 else layouts.conv
                target = f"stage_{s}_{kind}_{i}"
                rules += _conv(name.format(i + 1) + suffix, target, kernel)
            rules += _conv(name.format(depth + 2) + suffix, f"stage_{s}_{kind}_final")
    return rules


def _dense_stages(head: DenseOpenPoseHead) -> list[Rule]:
    """Rules for the stages of BODY_25; the branches of maps are L1, those of fields L2."""
    rules = []
    for i, name in enumerate(("4_3_CPM", "4_4_CPM")):
        rules += _conv(f"conv{name}", f"reduce_{i}") + _slopes(f"prelu{name}", f"head/reduce_{i}")
    for kind, suffix, stages in (
        ("fields", "L2", head.field_stages),
        ("maps", "L1", head.map_stages),
    ):
        for s in range(stages):
            for i in range(5):
                for j in range(3):
                    source, target = f"{i + 1}_stage{s}_{suffix}_{j}", f"{kind}_{s}_{i}_{j}"
                    rules += _conv(f"Mconv{source}", target)
                    rules += _slopes(f"Mprelu{source}", f"head/{target}")
            source, target = f"stage{s}_{suffix}", f"{kind}_{s}"
            rules += _conv(f"Mconv6_{source}", f"{target}_wide")
            rules += _slopes(f"Mprelu6_{source}", f"head/{target}_wide")
            rules += _conv(f"Mconv7_{source}", f"{target}_final")
    return rules


_HEAD = r"(M?conv\d_(\d_CPM|stage).*|conv\d_\d_CPM.*|Mprelu.+|prelu4_[34]_CPM)\.(weight|bias)"
_FORMATS = (
    Format(
        name="torchvision VGG",
        marker=r"features\.0\.weight",
        head=r"classifier\..+",
        purpose="classification",
        tables={VGGStem: _torchvision},
    ),
    Format(
        name="OpenPose (its Caffe models, or their port to PyTorch)",
        marker=r"(model\d(_\d)?\.)?conv(4_3|5_3)_CPM\.weight",
        head=_HEAD,
        tables={VGGStem: _vgg, OpenPoseHead: _stages, DenseOpenPoseHead: _dense_stages},
        # The port has the layers in several sequences.
        renames=((r"^model\d(_\d)?\.", ""),),
    ),
)

# Model of the paper's first figures: 18 keypoints (one is the neck) and 19 fields.
_PLAIN = PublishedPose(
    name="openpose",
    make=any_size(openpose, limbs=19),
    codec=None,
    skeleton=None,
    input_hw=(368, 368),
    num_keypoints=18,
    normalisation=None,
    source="arXiv:1611.08050, without the background's map",
    trained_on=("COCO",),
)

_LICENCE = "OpenPose, non-commercial (CMU)"
_record = partial(PublishedPose, normalisation=HALF_BGR, licence=_LICENCE, padding=1.0)


def _part_codec(input_hw: tuple[int, int]) -> HeatmapWithBackground:
    return HeatmapWithBackground(input_hw, (input_hw[0] // 8, input_hw[1] // 8), sigma=7 / 8)


_PUBLISHED = (
    _PLAIN,
    _record(
        name="openpose-coco18",
        make=_coco18,
        codec=openpose18_fields,
        skeleton=OPENPOSE18,
        input_hw=(368, 432),
        num_keypoints=18,
        parameters=52.31,
        takes="images",
        source="arXiv:1611.08050; the port to PyTorch by Hzzone",
        trained_on=("COCO",),
        golden=("openpose_coco18_vgg",),
    ),
    _record(
        name="openpose-body25",
        make=_body25,
        codec=body25_fields,
        skeleton=BODY25,
        input_hw=(368, 432),
        num_keypoints=25,
        parameters=26.17,
        takes="images",
        source="arXiv:1812.08008",
        trained_on=("COCO", "COCO feet"),
        golden=("openpose_body25",),
    ),
    _record(
        name="openpose-hand21",
        make=_part,
        codec=_part_codec,
        skeleton=HAND21,
        input_hw=(368, 368),
        num_keypoints=21,
        parameters=36.83,
        source="arXiv:1704.07809",
        trained_on=("CMU hands",),
        golden=("openpose_hand_vgg",),
    ),
    _record(
        name="openpose-face70",
        make=_part,
        codec=_part_codec,
        skeleton=FACE70,
        input_hw=(368, 368),
        num_keypoints=70,
        parameters=38.43,
        source="arXiv:1812.08008",
        trained_on=("Multi-PIE", "FRGC", "i-bug"),
        golden=("openpose_face70",),
    ),
)

OPENPOSE = Family("openpose", formats=_FORMATS, published=_PUBLISHED)
