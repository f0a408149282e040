"""RTMPose: CSPNeXt and a head of coordinate classifiers."""

from functools import partial

from jaxpose import skeletons
from jaxpose.codecs import simcc
from jaxpose.codecs.heatmap import msra
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Rule
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.heads import DeconvHead
from jaxpose.models.published.record import APACHE, OPENMMLAB, Family, PublishedPose, Weights
from jaxpose.models.rtmcc import RTMCCHead

__all__ = ["RTMPOSE", "RTMCCHead", "rtmpose"]

# Factors on the backbone's blocks and channels (arXiv:2212.07784, table 1, and its code).
RTMPOSE_SIZES = {
    "t": (0.167, 0.375),
    "s": (0.33, 0.5),
    "m": (0.67, 0.75),
    "l": (1.0, 1.0),
    "x": (1.33, 1.25),
}


def rtmpose(
    size: str,
    num_keypoints: int = 17,
    input_hw: tuple[int, int] = (256, 192),
    *,
    split_ratio: float = 2.0,
    dtype: str = "float32",
) -> PoseModel:
    """RTMPose (Jiang et al. 2023, arXiv:2303.07399) of `size` t, s, m, l or x.

    The outputs are logits over `split_ratio` bins per pixel of the image, for x and for y.
    """
    if size not in RTMPOSE_SIZES:
        raise InputError(
            f"Unknown RTMPose size {size!r}; known: {', '.join(RTMPOSE_SIZES)}."
            f"{nearest(size, RTMPOSE_SIZES)}"
        )
    deepen, widen = RTMPOSE_SIZES[size]
    head = RTMCCHead(num_keypoints, (input_hw[0], input_hw[1]), split_ratio, dtype=dtype)
    return PoseModel(CSPNeXt(deepen, widen, dtype=dtype), head)


def _mmpose(head: RTMCCHead) -> list[Rule]:
    """Rules for RTMCCHead."""
    del head  # the keys are the same for every configuration
    return [
        *layouts.dense(r"head\.final_layer", "head/maps", kernel=layouts.conv),
        *token_rules({"mlp": ("norm", "tokens")}, "xy"),
    ]


def token_rules(tokens: dict[str, tuple[str, str]], axes: str) -> list[Rule]:
    """Rules for the head's linear layers and its attention.

    Args:
      tokens: from the source's name of the layers that make tokens to those of norm and layer.
      axes: names of the classifiers.
    """
    linear = {
        r"gau\.uv": "attention/gate_value_key",
        r"gau\.o": "attention/out",
        **{f"cls_{axis}": axis for axis in axes},
    }
    arrays = {
        r"gau\.ln\.g": "attention/norm/scale",
        r"gau\.gamma": "attention/gain",
        r"gau\.beta": "attention/offset",
        r"gau\.res_scale\.scale": "attention/residual_scale",
    }
    for source, (norm, layer) in tokens.items():
        linear[rf"{source}\.1"] = layer
        arrays[rf"{source}\.0\.g"] = f"{norm}/scale"
    return [
        *(
            Rule(rf"head\.{source}\.weight", f"params/head/{target}/kernel", layouts.linear)
            for source, target in linear.items()
        ),
        *(Rule(rf"head\.{source}", f"params/head/{target}") for source, target in arrays.items()),
    ]


def _heatmaps(size: str, num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    """CSPNeXt with SimpleBaseline's head (arXiv:1804.06208, section 2)."""
    del input_hw  # fully convolutional
    deepen, widen = RTMPOSE_SIZES[size]
    return PoseModel(CSPNeXt(deepen, widen), DeconvHead(num_keypoints, (256, 256, 256)))


_BODY = "MMPose projects/rtmpose, AIC+COCO: COCO val2017 AP, flip test"
_BODY7 = "MMPose projects/rtmpose, Body7: COCO val2017 AP, flip test"
_BODY8 = "MMPose projects/rtmpose, Body8: COCO val2017 AP, flip test"
_HALPE = "MMPose projects/rtmpose, Body8-Halpe26"
_WHOLEBODY = "MMPose projects/rtmpose, COCO-WholeBody val AP, flip test"
_UBODY = "MMPose projects/rtmpose (DWPose), COCO+UBody: COCO-WholeBody val AP"
_FACE = "MMPose projects/rtmpose, Face6: NME on LaPa"
_HAND = "MMPose projects/rtmpose, Hand5"
_ANIMAL = "MMPose projects/rtmpose, AP-10K"

_TRAINED_ON = {
    _BODY: ("AIC", "COCO"),
    _BODY7: ("Body7",),
    _BODY8: ("Body8",),
    _HALPE: ("Body8", "Halpe26"),
    _WHOLEBODY: ("COCO-WholeBody",),
    _UBODY: ("COCO-WholeBody", "UBody"),
    _FACE: ("Face6",),
    _HAND: ("Hand5",),
    _ANIMAL: ("AP-10K",),
}
_SKELETONS = {
    _BODY: skeletons.COCO17,
    _BODY7: skeletons.COCO17,
    _BODY8: skeletons.COCO17,
    _HALPE: skeletons.HALPE26,
    _WHOLEBODY: skeletons.COCO_WHOLEBODY133,
    _UBODY: skeletons.COCO_WHOLEBODY133,
    _FACE: skeletons.FACE106,
    _HAND: skeletons.HAND21,
    _ANIMAL: skeletons.AP10K17,
}
_BODY7_BODY = "simcc-body7_pt-body7_420e"
_BODY7_HALPE = "simcc-body7_pt-body7-halpe26_700e"
_UCOCO = "simcc-ucoco_dw-ucoco_270e"
# The file's name from the size on, by the end of the model's name.
_FILES = {
    "t": "tiny_simcc-aic-coco_pt-aic-coco_420e-256x192-cfc8f33d_20230126",
    "s": "s_simcc-aic-coco_pt-aic-coco_420e-256x192-fcb2599b_20230126",
    "m": "m_simcc-aic-coco_pt-aic-coco_420e-256x192-63eb25f7_20230126",
    "l": "l_simcc-aic-coco_pt-aic-coco_420e-256x192-f016ffe0_20230126",
    "m-384x288": "m_simcc-aic-coco_pt-aic-coco_420e-384x288-a62a0b32_20230228",
    "l-384x288": "l_simcc-aic-coco_pt-aic-coco_420e-384x288-97d6cb0f_20230228",
    "t-body7": f"t_{_BODY7_BODY}-256x192-026a1439_20230504",
    "s-body7": f"s_{_BODY7_BODY}-256x192-acd4a1ef_20230504",
    "m-body7": f"m_{_BODY7_BODY}-256x192-e48f03d0_20230504",
    "l-body7": f"l_{_BODY7_BODY}-256x192-4dba18fc_20230504",
    "m-body7-384x288": f"m_{_BODY7_BODY}-384x288-65e718c4_20230504",
    "l-body7-384x288": f"l_{_BODY7_BODY}-384x288-3f5a1437_20230504",
    "t-halpe26": f"t_{_BODY7_HALPE}-256x192-6020f8a6_20230605",
    "s-halpe26": f"s_{_BODY7_HALPE}-256x192-7f134165_20230605",
    "m-halpe26": f"m_{_BODY7_HALPE}-256x192-4d3e73dd_20230605",
    "l-halpe26": f"l_{_BODY7_HALPE}-256x192-2abb7558_20230605",
    "m-halpe26-384x288": f"m_{_BODY7_HALPE}-384x288-89e6428b_20230605",
    "l-halpe26-384x288": f"l_{_BODY7_HALPE}-384x288-734182ce_20230605",
    "x-halpe26-384x288": f"x_{_BODY7_HALPE}-384x288-7fb6e239_20230606",
    "dwpose-t": f"t_{_UCOCO}-256x192-dcf277bf_20230728",
    "dwpose-s": f"s_{_UCOCO}-256x192-3fd922c8_20230728",
    "dwpose-m": f"m_{_UCOCO}-256x192-c8b76419_20230728",
    "dwpose-l": f"l_{_UCOCO}-256x192-4d6dfc62_20230728",
    "dwpose-l-384x288": f"l_{_UCOCO}-384x288-2438fd99_20230728",
    "m-wholebody": "m_simcc-coco-wholebody_pt-aic-coco_270e-256x192-cd5e845c_20230123",
    "l-wholebody": "l_simcc-coco-wholebody_pt-aic-coco_270e-256x192-6f206314_20230124",
    "l-wholebody-384x288": "l_simcc-coco-wholebody_pt-aic-coco_270e-384x288-eaeb96c8_20230125",
    "x-wholebody-384x288": "x_simcc-coco-wholebody_pt-body7_270e-384x288-401dfc90_20230629",
    "m-hand": "m_simcc-hand5_pt-aic-coco_210e-256x256-74fb594_20230320",
    "t-face": "t_simcc-face6_pt-in1k_120e-256x256-df79d9a5_20230529",
    "s-face": "s_simcc-face6_pt-in1k_120e-256x256-d779fdef_20230529",
    "m-face": "m_simcc-face6_pt-in1k_120e-256x256-72a37400_20230529",
    "m-ap10k": "m_simcc-ap10k_pt-aic-coco_210e-256x256-7a041aa1_20230206",
}


def _weights(name: str) -> Weights | None:
    if name not in _FILES:
        return None
    file = _FILES[name]
    digits = file.rpartition("_")[0].rpartition("-")[2]
    return Weights(f"{OPENMMLAB}/v1/projects/rtmposev1/rtmpose-{file}.pth", digits)


def _first_word(source: str) -> str:
    return "dwpose" if source == _UBODY else "rtmpose"


# Size, end of the name, keypoints, image, parameters (M), multiply-adds (G), score, source.
_TABLE = (
    ("t", "", 17, (256, 192), 3.34, 0.36, "AP 68.5", _BODY),
    ("s", "", 17, (256, 192), 5.47, 0.68, "AP 72.2", _BODY),
    ("m", "", 17, (256, 192), 13.59, 1.93, "AP 75.8", _BODY),
    ("l", "", 17, (256, 192), 27.66, 4.16, "AP 76.5", _BODY),
    ("m", "-384x288", 17, (384, 288), 13.72, 4.33, "AP 77.0", _BODY),
    ("l", "-384x288", 17, (384, 288), 27.79, 9.35, "AP 77.3", _BODY),
    ("x", "-384x288", 17, (384, 288), 49.43, 17.22, "AP 78.8", _BODY8),
    ("t", "-body7", 17, (256, 192), 3.34, 0.36, "AP 65.9", _BODY7),
    ("s", "-body7", 17, (256, 192), 5.47, 0.68, "AP 69.7", _BODY7),
    ("m", "-body7", 17, (256, 192), 13.59, 1.93, "AP 74.9", _BODY7),
    ("l", "-body7", 17, (256, 192), 27.66, 4.16, "AP 76.7", _BODY7),
    ("m", "-body7-384x288", 17, (384, 288), 13.72, 4.33, "AP 76.6", _BODY7),
    ("l", "-body7-384x288", 17, (384, 288), 27.79, 9.35, "AP 78.3", _BODY7),
    ("t", "-halpe26", 26, (256, 192), 3.51, 0.37, "PCK@0.1 91.89", _HALPE),
    ("s", "-halpe26", 26, (256, 192), 5.70, 0.70, "PCK@0.1 93.01", _HALPE),
    ("m", "-halpe26", 26, (256, 192), 13.93, 1.95, "PCK@0.1 94.75", _HALPE),
    ("l", "-halpe26", 26, (256, 192), 28.11, 4.19, "PCK@0.1 95.37", _HALPE),
    ("m", "-halpe26-384x288", 26, (384, 288), 14.06, 4.37, "PCK@0.1 95.15", _HALPE),
    ("l", "-halpe26-384x288", 26, (384, 288), 28.24, 9.40, "PCK@0.1 95.56", _HALPE),
    ("x", "-halpe26-384x288", 26, (384, 288), 50.00, 17.29, "PCK@0.1 95.74", _HALPE),
    ("m", "-wholebody", 133, (256, 192), None, 2.22, "AP 58.2", _WHOLEBODY),
    ("l", "-wholebody", 133, (256, 192), None, 4.52, "AP 61.1", _WHOLEBODY),
    ("l", "-wholebody-384x288", 133, (384, 288), None, 10.07, "AP 64.8", _WHOLEBODY),
    ("x", "-wholebody-384x288", 133, (384, 288), None, 18.1, "AP 65.3", _WHOLEBODY),
    ("t", "", 133, (256, 192), None, 0.5, "AP 48.5", _UBODY),
    ("s", "", 133, (256, 192), None, 0.9, "AP 53.8", _UBODY),
    ("m", "", 133, (256, 192), None, 2.22, "AP 60.6", _UBODY),
    ("l", "", 133, (256, 192), None, 4.52, "AP 63.1", _UBODY),
    ("l", "-384x288", 133, (384, 288), None, 10.07, "AP 66.5", _UBODY),
    ("m", "-hand", 21, (256, 256), None, 2.581, "AUC 83.9", _HAND),
    ("t", "-face", 106, (256, 256), None, 0.652, "NME 1.67", _FACE),
    ("s", "-face", 106, (256, 256), None, 1.119, "NME 1.59", _FACE),
    ("m", "-face", 106, (256, 256), None, 2.852, "NME 1.44", _FACE),
    ("m", "-ap10k", 17, (256, 256), None, 2.57, "AP 72.2", _ANIMAL),
)
_GOLDEN = {
    "s": ("rtmpose_s_256x192_calibrated",),
    "m-hand": ("rtmpose_m_hand5_256x256",),
    "m-face": ("rtmpose_m_face106_256x256",),
}

RTMPOSE = Family(
    "rtmpose",
    mmpose={RTMCCHead: _mmpose},
    published=tuple(
        PublishedPose(
            name=f"{_first_word(source)}-{size}{suffix}",
            make=partial(rtmpose, size),
            codec=simcc.rtmpose,
            skeleton=_SKELETONS[source],
            input_hw=input_hw,
            num_keypoints=num_keypoints,
            parameters=parameters,
            gflops=gflops,
            score=score,
            source=source,
            licence=APACHE,
            trained_on=_TRAINED_ON[source],
            weights=_weights(f"dwpose-{size}{suffix}" if source == _UBODY else f"{size}{suffix}"),
            golden=_GOLDEN.get(f"{size}{suffix}", ()),
        )
        for size, suffix, num_keypoints, input_hw, parameters, gflops, score, source in _TABLE
    ),
    # Millions of parameters at 17 keypoints, counted.
    unpublished=tuple(
        PublishedPose(
            name=f"cspnext-{size}-heatmap",
            make=partial(_heatmaps, size),
            codec=msra,
            skeleton=None,
            parameters=millions,
        )
        for size, millions in (("t", 6.02), ("s", 8.58), ("m", 17.53), ("l", 32.44), ("x", 54.92))
    ),
)
