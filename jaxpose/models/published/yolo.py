"""YOLOv8-, YOLO11- and YOLO26-pose: people and their keypoints in one stage.

The networks are written from their public descriptions. Ultralytics publishes the weights under
AGPL-3.0, which also applies to what is converted from them.
"""

from functools import partial

from jaxpose.codecs.one_stage import OneStage
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.normalisation import UNIT_RGB
from jaxpose.models.one_stage import OneStageModel
from jaxpose.models.published.record import Family, PublishedPose, any_size
from jaxpose.models.yolo import (
    BINS,
    STYLE,
    Version,
    YOLOBackbone,
    YOLONeck,
    YOLOPoseHead,
    YOLOSize,
)
from jaxpose.skeletons import COCO17

__all__ = ["YOLO", "YOLOBackbone", "YOLONeck", "YOLOPoseHead", "yolo_pose"]

LICENCE = "AGPL-3.0"

# Factors on depth and width, and most channels (Ultralytics' documentation).
_V11 = {
    "n": (0.5, 0.25, 1024),
    "s": (0.5, 0.5, 1024),
    "m": (0.5, 1.0, 512),
    "l": (1.0, 1.0, 512),
    "x": (1.0, 1.5, 512),
}
_SIZES: dict[Version, dict[str, tuple[float, float, int]]] = {
    "8": {
        "n": (0.33, 0.25, 1024),
        "s": (0.33, 0.5, 1024),
        "m": (0.67, 0.75, 768),
        "l": (1.0, 1.0, 512),
        "x": (1.0, 1.25, 512),
    },
    "11": _V11,
    "26": _V11,
}


def yolo_pose(version: Version, size: str, num_keypoints: int = 17) -> OneStageModel:
    """YOLO-pose of version "8", "11" or "26" and of size n, s, m, l or x.

    Keypoints have three numbers each in the published weights, of which the third is visibility.
    """
    if version not in _SIZES:
        raise InputError(f"Unknown YOLO version {version!r}; known: {', '.join(_SIZES)}.")
    sizes = _SIZES[version]
    if size not in sizes:
        raise InputError(
            f"Unknown YOLO size {size!r}; known: {', '.join(sizes)}.{nearest(size, sizes)}"
        )
    whole = YOLOSize(version, *sizes[size], nested=version != "8" and size in "mlx")
    head = YOLOPoseHead(num_keypoints, version, whole.channels(256))
    return OneStageModel(YOLOBackbone(whole), head, YOLONeck(whole), UNIT_RGB)


def _conv(source: str, target: str) -> list[Rule]:
    return layouts.conv_norm(rf"{source}\.conv", rf"{source}\.bn", target, STYLE.norm_epsilon)


def _convs(source: str, target: str, names: dict[str, str]) -> list[Rule]:
    return [
        rule
        for theirs, ours in names.items()
        for rule in _conv(rf"{source}\.{theirs}", f"{target}/{ours}")
    ]


def _attention(source: str, target: str) -> list[Rule]:
    """Rules for an `AttentionBlock`."""
    names = {
        r"attn\.qkv": "qkv",
        r"attn\.proj": "out",
        r"attn\.pe": "position",
        r"ffn\.0": "expand",
        r"ffn\.1": "reduce",
    }
    return _convs(source, target, names)


def _split(number: int, target: str) -> list[Rule]:
    """Rules for a `SplitLayer` with any blocks."""
    source = rf"{number}"
    block, ours = rf"{source}\.m\.(?P<k>\d+)", target + "/block_{k}"
    pair = {"cv1": "first", "cv2": "second"}
    rules = _convs(source, target, {"cv1": "split", "cv2": "merge"})
    # Nested blocks have a third convolution; the others have none with these names.
    rules += [*_convs(block, ours, {"cv3": "merge"})]
    rules += _convs(rf"{block}\.m\.(?P<j>\d+)", ours + "/block_{j}", pair)
    rules += _convs(rf"{block}\.0", ours, pair)
    return rules + _attention(rf"{block}\.1", f"{ours}_attention")


def _blocks(number: int, target: str, nested: bool) -> list[Rule]:
    block, ours = rf"{number}\.m\.(?P<k>\d+)", target + "/block_{k}"
    pair = ("main", "short") if nested else ("first", "second")
    names = dict(zip(("cv1", "cv2"), pair, strict=True))
    return _split(number, target) + _convs(block, ours, names)


def _backbone(model: YOLOBackbone) -> list[Rule]:
    """Rules for the layers before the neck."""
    size = model.size
    rules = _conv(r"0", "backbone/stem")
    for s in range(1, 5):
        rules += _conv(rf"{2 * s - 1}", f"backbone/stage_{s}_down")
        nested = size.version != "8" and (s > 2 or size.nested)
        rules += _blocks(2 * s, f"backbone/stage_{s}_csp", nested)
    pyramid = {"cv1": "reduce", "cv2": "merge"}
    rules += _convs(r"9", "backbone/stage_4_pyramid", pyramid)
    if size.version != "8":
        ours = "backbone/stage_4_attention"
        rules += _convs(r"10", ours, {"cv1": "split", "cv2": "merge"})
        rules += _attention(r"10\.m\.(?P<k>\d+)", ours + "/block_{k}")
    return rules


def _neck(model: YOLONeck) -> list[Rule]:
    """Rules for the layers between backbone and head."""
    size = model.size
    first = 12 if size.version == "8" else 13
    rules = []
    for offset, name in ((0, "down_0"), (3, "down_1"), (6, "up_0"), (9, "up_1")):
        last = name == "up_1"
        nested = size.version == "26" or (size.version == "11" and (last or size.nested))
        rules += _blocks(
            first + offset, f"neck/{name}", nested and not (last and size.version == "26")
        )
    for offset, name in ((4, "shrink_0"), (7, "shrink_1")):
        rules += _conv(rf"{first + offset}", f"neck/{name}")
    return rules


def _head(model: YOLOPoseHead) -> list[Rule]:
    """Rules for the head; what only supports training is dropped or a second branch."""
    source = r"22" if model.version == "8" else r"23"
    if model.version != "26":
        dfl = Rule(
            rf"{source}\.dfl\.conv\.weight",
            None,
            reason="whole distances, which the codec has",
            numbers=tuple(range(BINS)),
        )
        return [dfl, *_branch(source, "", "", model.version)]
    flow = Rule(rf"{source}\.flow_model\..+", None, reason="a flow of the loss, which only trains")
    return [
        flow,
        *_branch(source, "one2one_", "", model.version),
        *_branch(source, "", "many_", model.version),
    ]


def _branch(source: str, theirs: str, ours: str, version: Version) -> list[Rule]:
    place, tower = r"\.(?P<i>\d+)", r"\.(?P<i>\d+)\.(?P<j>[01])"
    rules = []
    for number, name in (("cv2", "box"), ("cv3", "person"), ("cv4", "pose")):
        part = rf"{source}\.{theirs}{number}"
        target = f"head/{ours}{name}_tower_{{i}}_{{j}}"
        if name == "person" and version != "8":
            rules += _conv(rf"{part}{tower}\.0", f"{target}_depthwise")
            rules += _conv(rf"{part}{tower}\.1", target)
        else:
            rules += _conv(rf"{part}{tower}", target)
        if name != "pose" or version != "26":
            last = "keypoints" if name == "pose" else name
            rules += layouts.dense(
                rf"{part}{place}\.2", f"head/{ours}{last}_{{i}}", kernel=layouts.conv
            )
    if version == "26":
        for number, name in (("cv4_kpts", "keypoints"), ("cv4_sigma", "spread")):
            rules += layouts.dense(
                rf"{source}\.{theirs}{number}{place}",
                f"head/{ours}{name}_{{i}}",
                kernel=layouts.conv,
            )
    return rules


def yolo_codec(input_hw: tuple[int, int], version: Version = "8") -> OneStage:
    """Codec of a version: YOLO26 proposes everybody once, so nothing is suppressed."""
    if version == "26":
        return OneStage(input_hw, boxes="distances", origin="middle", threshold=0.25, iou=1.0)
    return OneStage(input_hw, boxes="distances", keypoint_gain=2.0, threshold=0.25, iou=0.7)


_TITLES: dict[Version, str] = {"8": "yolov8", "11": "yolo11", "26": "yolo26"}
# Size, parameters (M, counted) and AP. Those of YOLO26 are with the branch that only trains, but
# without the flow of its loss.
_TABLE: dict[Version, tuple[tuple[str, float, float], ...]] = {
    "8": (
        ("n", 3.30, 50.4),
        ("s", 11.63, 60.0),
        ("m", 26.46, 65.0),
        ("l", 44.49, 67.6),
        ("x", 69.49, 69.2),
    ),
    "11": (
        ("n", 2.87, 50.0),
        ("s", 9.92, 58.9),
        ("m", 20.91, 64.9),
        ("l", 26.17, 66.1),
        ("x", 58.80, 69.5),
    ),
    "26": (
        ("n", 3.63, 57.2),
        ("s", 11.76, 63.0),
        ("m", 24.17, 68.8),
        ("l", 28.57, 70.4),
        ("x", 62.68, 71.6),
    ),
}

_FORMAT = Format(
    name="Ultralytics' YOLO-pose",
    marker=r"(model\.)?2[23]\.cv4\.\d\.\d\.conv\.weight",
    head=r"(1[1-9]|2\d)\..+",
    renames=((r"^model\.", ""),),
    tables={YOLOBackbone: _backbone, YOLONeck: _neck, YOLOPoseHead: _head},
    licence=LICENCE,
)

YOLO = Family(
    "yolo",
    formats=(_FORMAT,),
    published=tuple(
        PublishedPose(
            name=f"{_TITLES[version]}{size}-pose",
            make=any_size(yolo_pose, version, size),
            codec=partial(yolo_codec, version=version),
            skeleton=COCO17,
            input_hw=(640, 640),
            normalisation=UNIT_RGB,
            takes="images",
            parameters=parameters,
            score=f"AP {ap}",
            source="Ultralytics' documentation (COCO val2017, single scale)",
            licence=LICENCE,
            trained_on=("COCO",),
            golden=(f"{_TITLES[version]}n_pose_256x192",) if size == "n" else (),
        )
        for version, table in _TABLE.items()
        for size, parameters, ap in table
    ),
)
