"""MediaPipe: BlazePose, hands and faces, with the detectors that find their regions.

The tables have the names that `jaxpose.convert.tflite` gives the layers of Google's files: Keras
numbers convolutions, depthwise convolutions and PReLUs separately, in the order of creation.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from jaxpose.codecs import Landmarks
from jaxpose.models.blaze import AnchoredHead, BlazeNet, FaceMeshHead, TopDownNeck
from jaxpose.models.blazepose import BlazePoseHead, BlazePoseTrunk, HandHead
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule, Tables, Transform
from jaxpose.models.detection import DetectionModel
from jaxpose.models.hand_region import HandRegionHead, HandRegionNet
from jaxpose.models.normalisation import SIGNED_RGB, UNIT_RGB, Normalisation
from jaxpose.models.published.record import (
    APACHE,
    Family,
    PublishedDetector,
    PublishedPose,
    Weights,
)
from jaxpose.skeletons import BLAZEPOSE33, FACEMESH468, HAND21, HAND_REGION2

__all__ = [
    "MEDIAPIPE",
    "AnchoredHead",
    "BlazeNet",
    "BlazePoseHead",
    "BlazePoseTrunk",
    "FaceMeshHead",
    "HandHead",
    "HandRegionHead",
    "HandRegionNet",
    "TopDownNeck",
    "blaze_detector",
    "blazepose",
    "face_mesh",
    "hand_landmark",
    "hand_region",
]

_Stages = tuple[tuple[int, int, int, int, int], ...]


def _stages(channels: Sequence[int], blocks: Sequence[int], deep: bool = False) -> _Stages:
    """Stages of a trunk from the channels and the number of blocks of each."""
    # Expansion, side of the depthwise kernels and stride of BlazePose's six stages.
    first = ((4, 3, 2), (4, 3, 1), (6, 3, 1)) if deep else ((4, 3, 2), (6, 3, 1))
    rows = (*first, (6, 5, 2), (6, 3, 2), (6, 5, 1), (6, 5, 2))
    return tuple((*row, c, n) for row, c, n in zip(rows, channels, blocks, strict=True))


_BLOCKS = (1, 1, 2, 3, 3, 4)
# Channels of the first two convolutions, and stages.
_TRUNKS: dict[str, tuple[tuple[int, int], _Stages]] = {
    "pose-lite": ((24, 8), _stages((16, 16, 24, 40, 56, 96), _BLOCKS)),
    "pose-full": ((24, 16), _stages((24, 24, 32, 64, 88, 144), _BLOCKS)),
    "pose-heavy": ((24, 24), _stages((32, 32, 32, 56, 112, 160, 272), (1, 1, 2, 4, 6, 6, 8), True)),
    "detector": ((24, 16), _stages((24, 24, 40, 80, 112, 192), _BLOCKS)),
    "hand-lite": ((24, 16), _stages((16, 16, 24, 48, 64, 112), _BLOCKS)),
    "hand-full": ((24, 16), _stages((24, 24, 40, 80, 112, 192), _BLOCKS)),
}
_HEADS = {
    "lite": (32, ((32, 192, 0), (64, 192, 2), (128, 192, 3))),
    "full": (48, ((32, 288, 0), (64, 288, 4), (128, 288, 5))),
    "heavy": (48, ((8, 96, 6), (16, 192, 7), (32, 288, 7), (64, 288, 7), (128, 288, 7))),
}


def blazepose(num_keypoints: int = 33, *, size: str = "full", dtype: str = "float32") -> PoseModel:
    """BlazePose GHUM (Bazarevsky et al. 2020, arXiv:2006.10204); `size` lite, full or heavy.

    Images are 256x256. There are six more points than `num_keypoints`; see `BlazePoseHead`.
    """
    channels, stages = _TRUNKS[f"pose-{size}"]
    pyramid, tower = _HEADS[size]
    head = BlazePoseHead(num_keypoints, pyramid=pyramid, tower=tower, dtype=dtype)
    return PoseModel(BlazePoseTrunk(channels, stages, dtype=dtype), head)


def hand_landmark(
    num_keypoints: int = 21, *, size: str = "full", dtype: str = "float32"
) -> PoseModel:
    """MediaPipe Hands (Zhang et al. 2020, arXiv:2006.10214); `size` lite or full.

    Images are 224x224.
    """
    channels, stages = _TRUNKS[f"hand-{size}"]
    trunk = BlazePoseTrunk(channels, stages, "tensorflow", pooled=size == "lite", dtype=dtype)
    return PoseModel(trunk, HandHead(num_keypoints))


def hand_region(num_keypoints: int = 2, *, dtype: str = "float32") -> PoseModel:
    """Region of a hand within a rough one (MediaPipe Holistic); images 256x256."""
    return PoseModel(HandRegionNet(dtype=dtype), HandRegionHead(num_keypoints, dtype=dtype))


def face_mesh(num_keypoints: int = 468, *, dtype: str = "float32") -> PoseModel:
    """Face mesh (Kartynnik et al. 2019, arXiv:1907.06724), without attention; images 192x192."""
    stages = ((16,) * 2, (32,) * 3, (64,) * 3, (128,) * 3, (128,) * 3, (128,) * 2)
    net = BlazeNet((16, 3), stages, activation="prelu", dtype=dtype)
    return PoseModel(net, FaceMeshHead(num_keypoints, dtype=dtype))


def blaze_detector(
    num_classes: int = 1, *, finds: str = "people", dtype: str = "float32"
) -> DetectionModel:
    """Detector of "people" (BlazePose), "hands" or "faces" (BlazeFace, short range).

    Images are letterboxed to 224x224, 192x192 and 128x128 pixels.
    """
    del num_classes  # always one
    if finds == "people":
        channels, stages = _TRUNKS["detector"]
        trunk = BlazePoseTrunk(channels, stages, normalisation=SIGNED_RGB, dtype=dtype)
        neck = TopDownNeck((192, 96), 3, activation="relu6", laterals=True, dtype=dtype)
        head = AnchoredHead(((8, 2), (16, 2), (32, 6)), 4, spread=True, dtype=dtype)
        return DetectionModel(trunk, head, neck)
    if finds == "hands":
        palm = ((32,) * 4, (64,) * 5, (128,) * 5, (256,) * 5, (256,) * 5)
        net = BlazeNet((32, 5), palm, 5, "prelu", dtype=dtype)
        neck = TopDownNeck((256, 128), 2, 5, "prelu", dtype=dtype)
        return DetectionModel(net, AnchoredHead(((8, 2), (16, 6)), 7, dtype=dtype), neck)
    face = ((24, 28), (32, 36, 42), (48, 56, 64, 72, 80, 88), (96,) * 5)
    net = BlazeNet((24, 5), face, normalisation=SIGNED_RGB, dtype=dtype)
    return DetectionModel(net, AnchoredHead(((8, 2), (16, 6)), 6, dtype=dtype), TopDownNeck())


def _conv(kernel: np.ndarray) -> np.ndarray:
    """`[out, h, w, in]` -> `[h, w, in, out]`."""
    return kernel.transpose(1, 2, 3, 0)


def _depthwise(kernel: np.ndarray) -> np.ndarray:
    """`[1, h, w, C]` -> `[h, w, 1, C]`."""
    return kernel.transpose(1, 2, 0, 3)


def _numbered(
    kind: str, paths: Sequence[str], first: int, transform: Transform, part: str = "kernel"
) -> list[Rule]:
    """Rules for layers that Keras numbers from `first` on, in this order; number 0 is left out."""
    rules = []
    for number, path in enumerate(paths, start=first):
        layer = f"{kind}_{number}" if number else kind
        if part == "alpha":
            rules.append(Rule(f"{layer}/alpha", f"params/{path}/alpha", transform))
            continue
        rules.append(Rule(f"{layer}/kernel", f"params/{path}/conv/kernel", transform))
        rules.append(Rule(f"{layer}/bias", f"params/{path}/bias"))
    return rules


def _layers(
    convs: Sequence[str], depthwise: Sequence[str], first: tuple[int, int] = (0, 0)
) -> list[Rule]:
    """Rules for convolutions and depthwise convolutions, numbered from `first` on."""
    return _numbered("conv2d", convs, first[0], _conv) + _numbered(
        "depthwise_conv2d", depthwise, first[1], _depthwise
    )


def _activations(paths: Sequence[str], first: int = 0) -> list[Rule]:
    return _numbered("p_re_lu", paths, first, np.ravel, "alpha")


def _last(source: str, target: str, transform: Transform = _conv) -> list[Rule]:
    """Rules for a layer with a name."""
    return [
        Rule(f"{source}/kernel", f"params/head/{target}/kernel", transform),
        Rule(f"{source}/bias", f"params/head/{target}/bias"),
    ]


def _trunk(trunk: BlazePoseTrunk) -> list[Rule]:
    blocks = [
        f"backbone/stage_{s}_block_{k}"
        for s, (*_, count) in enumerate(trunk.stages)
        for k in range(count)
    ]
    convs = ["backbone/stem", "backbone/first_project"]
    convs += [f"{block}_{part}" for block in blocks for part in ("expand", "project")]
    depthwise = ["backbone/first_depthwise", *(f"{block}_depthwise" for block in blocks)]
    return _layers([*convs, "backbone/last_expand"], [*depthwise, "backbone/last_depthwise"])


def _separable(head: BlazePoseHead) -> Iterator[str]:
    """Paths of the modules of a depthwise and a 1x1 convolution, in the order of creation."""
    yield from (f"pyramid_{stride}" for stride in (32, 16, 8, 4))
    from_pyramid = head.tower[0][0] != 32
    for s, (stride, _, blocks) in enumerate(head.tower):
        if s or from_pyramid:
            yield from (f"tower_{stride}_block_{k}" for k in range(blocks + 1))
        if stride <= 32:
            yield f"tower_{stride}"
    yield from ("segment_2", "segment_4")
    yield from (f"segment_{stride}_block_{k}" for stride in (2, 1) for k in range(2))


def _pose_head(head: BlazePoseHead) -> list[Rule]:
    # Layers of the backbone come first: 31 and 16, or those of the heavy model.
    first = (59, 30) if head.tower[0][0] == 8 else (31, 16)
    paths = [f"head/{path}" for path in _separable(head)]
    return [
        *_layers([f"{p}/pointwise" for p in paths], [f"{p}/depthwise" for p in paths], first),
        *_last("convld_3d", "landmarks"),
        *_last("convworld_3d", "world"),
        *_last("conv_poseflag", "presence"),
        *_last("output_heatmap", "heatmaps"),
        *_last("output_segmentation", "segmentation"),
    ]


def _hand_head(head: HandHead) -> list[Rule]:
    del head
    return [
        *_last("conv_landmarks", "landmarks", np.transpose),
        *_last("conv_world_landmarks", "world", np.transpose),
        *_last("conv_handflag", "presence", np.transpose),
        *_last("conv_handedness", "handedness", np.transpose),
    ]


def _blaze_net(net: BlazeNet) -> list[Rule]:
    first = 1 if net.stem == (16, 3) else 0  # the numbers in the face mesh begin with 1
    blocks = [
        f"backbone/stage_{s}_block_{k}"
        for s, channels in enumerate(net.stages)
        for k in range(len(channels))
    ]
    rules = _layers(
        ["backbone/stem", *(f"{block}/pointwise" for block in blocks)],
        [f"{block}/depthwise" for block in blocks],
        (first, first),
    )
    if net.activation == "prelu":
        activations = [f"{block}/activation" for block in blocks]
        rules += _activations(["backbone/stem_activation", *activations], first)
    return rules


def _neck(neck: TopDownNeck) -> list[Rule]:
    convs, depthwise, activations = [], [], []
    for i in range(len(neck.features)):
        convs.append(f"neck/down_{i}")
        activations.append(f"neck/down_{i}_activation")
        if neck.laterals:
            convs.append(f"neck/lateral_{i}_pointwise")
            depthwise.append(f"neck/lateral_{i}_depthwise")
        for k in range(2):
            convs.append(f"neck/level_{i}_block_{k}/pointwise")
            depthwise.append(f"neck/level_{i}_block_{k}/depthwise")
            activations.append(f"neck/level_{i}_block_{k}/activation")
    rules = _layers(convs, depthwise, (31, 16) if neck.laterals else (25, 24))
    return rules + (_activations(activations, 25) if neck.activation == "prelu" else [])


def _anchored_head(head: AnchoredHead) -> list[Rule]:
    rules = []
    for i, (stride, _) in enumerate(head.anchors):
        rules += _last(rf"classif\w+_{stride}(_NO_PRUNING)?", f"class_{i}")
        rules += _last(rf"regressor\w*_{stride}(_NO_PRUNING)?", f"box_{i}")
    if head.spread:
        names = [f"head/{kind}_{i}_depthwise" for i in range(3) for kind in ("class", "box")]
        rules += _layers([], names, (0, 22))
    return rules


def _mesh_head(head: FaceMeshHead) -> list[Rule]:
    del head
    rules = [*_last("conv2d_21", "landmarks"), *_last("conv2d_31", "presence")]
    for branch, convs, depthwise, slopes in (
        ("landmarks", (18, 19, 20), (17, 18), (18, 19, 20)),
        ("presence", (28, 29, 30), (23, 24), (26, 27, 28)),
    ):
        path = f"head/{branch}"
        parts = ("block_0/pointwise", "reduce", "block_1/pointwise")
        for number, part in zip(convs, parts, strict=True):
            rules += _layers([f"{path}_{part}"], [], (number, 0))
        for number, k in zip(depthwise, (0, 1), strict=True):
            rules += _layers([], [f"{path}_block_{k}/depthwise"], (0, number))
        names = ("block_0/activation", "activation", "block_1/activation")
        for number, part in zip(slopes, names, strict=True):
            rules += _activations([f"{path}_{part}"], number)
    return rules


def _region_net(net: HandRegionNet) -> list[Rule]:
    blocks = [f"backbone/block_{k}" for k in range(len(net.blocks))]
    each = [f"{block}_{{}}_{half}" for block in blocks for half in (0, 1)]
    norms = ["backbone/stem_norm", *(path.format("norm") for path in each)]
    shrinks = [f"{block}_shrink" for block in blocks]
    rules = _layers(["backbone/stem"], [f"{block}_depthwise" for block in blocks])
    rules += _numbered("batch_normalization", norms, 0, _depthwise)
    rules += _activations(
        ["backbone/stem_activation", *(path.format("activation") for path in each)]
    )
    for k, (block, shrink) in enumerate(zip(blocks, shrinks, strict=True)):
        layer = f"conv2d_{2 * k + 1}"
        rules.append(Rule(f"{layer}/kernel", f"params/{shrink}/kernel", _conv))
        rules.append(Rule(f"{layer}/bias", f"params/{shrink}/bias"))
        rules += _layers([f"{block}_pointwise"], [], (2 * k + 2, 0))
    return rules


def _region_head(head: HandRegionHead) -> list[Rule]:
    del head
    return _last("output_crop", "points")


_BACKBONES: Tables = {
    BlazePoseTrunk: _trunk,
    BlazeNet: _blaze_net,
    HandRegionNet: _region_net,
}
_FORMATS = (
    Format(
        name="MediaPipe's detectors",
        marker=r"classif(?:ier|icator)_.+/kernel",
        head=r"(?:classif|regressor).+",
        purpose="detection",
        tables={**_BACKBONES, TopDownNeck: _neck, AnchoredHead: _anchored_head},
        head_is_rest=True,
    ),
    Format(
        name="MediaPipe",
        marker=r"conv2d(?:_1)?/kernel",
        head=r"(?:conv_(?:landmarks|world_landmarks|handflag|handedness)|output_crop)/.+",
        tables={
            **_BACKBONES,
            BlazePoseHead: _pose_head,
            HandHead: _hand_head,
            FaceMeshHead: _mesh_head,
            HandRegionHead: _region_head,
        },
        head_is_rest=True,
    ),
)

_ASSETS = "https://storage.googleapis.com/mediapipe-assets"


def _pose(num_keypoints: int, input_hw: tuple[int, int], size: str) -> PoseModel:
    del input_hw
    return blazepose(num_keypoints, size=size)


def _hand(num_keypoints: int, input_hw: tuple[int, int], size: str) -> PoseModel:
    del input_hw
    return hand_landmark(num_keypoints, size=size)


def _mesh(num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw
    return face_mesh(num_keypoints)


def _region(num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw
    return hand_region(num_keypoints)


def _weights(file: str, generation: int, digits: str) -> Weights:
    return Weights(f"{_ASSETS}/{file}.tflite?generation={generation}", digits)


# Size, generation of the file, first digits of its SHA-256, parameters (M).
_POSES = (
    ("lite", 1661875901231143, "f17bfbec", 1.36),
    ("full", 1661875894245786, "e9a5c5cb", 3.17),
    ("heavy", 1661875897944151, "59e42d71", 13.75),
)
_HANDS = (
    ("lite", 1661875766398729, "048edd36", 1.01),
    ("full", 1661875760968579, "11c272b8", 2.72),
)
# Name, objects, side of the images, normalisation, parameters (M), and of the file the name,
# generation and first digits.
_DETECTORS: tuple[tuple[str, str, int, Normalisation, float, str, int, str], ...] = (
    (
        *("blazepose-detector", "people", 224, SIGNED_RGB, 2.97),
        *("pose_detection", 1661875889147923, "a63c614b"),
    ),
    (
        *("palm-detection-full", "hands", 192, UNIT_RGB, 1.14),
        *("palm_detection_full", 1661875883244842, "2f25e740"),
    ),
    (
        *("blazeface-short", "faces", 128, SIGNED_RGB, 0.10),
        *("face_detection_short_range", 1661875748538815, "3bc182eb"),
    ),
)
_TRAINED = ("images of Google",)

MEDIAPIPE = Family(
    "mediapipe",
    formats=_FORMATS,
    published=(
        *(
            PublishedPose(
                name=f"blazepose-{size}",
                make=partial(_pose, size=size),
                parameters=parameters,
                codec=partial(Landmarks, "body"),
                skeleton=BLAZEPOSE33,
                num_keypoints=33,
                input_hw=(256, 256),
                normalisation=UNIT_RGB,
                source="BlazePose, arXiv:2006.10204; MediaPipe's model card",
                licence=APACHE,
                trained_on=_TRAINED,
                weights=_weights(f"pose_landmark_{size}", generation, digits),
            )
            for size, generation, digits, parameters in _POSES
        ),
        *(
            PublishedPose(
                name=f"hand-landmark-{size}",
                make=partial(_hand, size=size),
                parameters=parameters,
                codec=partial(Landmarks, "hand"),
                skeleton=HAND21,
                num_keypoints=21,
                input_hw=(224, 224),
                normalisation=UNIT_RGB,
                source="MediaPipe Hands, arXiv:2006.10214",
                licence=APACHE,
                trained_on=_TRAINED,
                weights=_weights(f"hand_landmark_{size}", generation, digits),
            )
            for size, generation, digits, parameters in _HANDS
        ),
        PublishedPose(
            name="face-mesh",
            make=_mesh,
            parameters=0.60,
            codec=partial(Landmarks, "face"),
            skeleton=FACEMESH468,
            num_keypoints=468,
            input_hw=(192, 192),
            padding=1.5,
            normalisation=UNIT_RGB,
            source="Face mesh, arXiv:1907.06724",
            licence=APACHE,
            trained_on=_TRAINED,
            weights=_weights("face_landmark", 1662063817995673, "c603fa61"),
        ),
        PublishedPose(
            name="hand-region",
            make=_region,
            parameters=0.027,
            codec=partial(Landmarks, "region"),
            skeleton=HAND_REGION2,
            num_keypoints=2,
            input_hw=(256, 256),
            normalisation=UNIT_RGB,
            source="MediaPipe Holistic's file hand_recrop.tflite",
            licence=APACHE,
            trained_on=_TRAINED,
            weights=_weights("hand_recrop", 1661875770633070, "67d996ce"),
        ),
        *(
            PublishedDetector(
                name=name,
                make=partial(blaze_detector, finds=finds),
                input_hw=(side, side),
                normalisation=normalisation,
                num_classes=1,
                parameters=parameters,
                finds=finds,
                source="BlazeFace, arXiv:1907.05047; MediaPipe's model card",
                licence=APACHE,
                trained_on=_TRAINED,
                weights=_weights(file, generation, digits),
            )
            for name, finds, side, normalisation, parameters, file, generation, digits in _DETECTORS
        ),
    ),
)
