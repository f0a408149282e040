"""RTMPose: CSPNeXt under a head of coordinate classifiers."""

from functools import partial

from jaxpose.errors import InputError, nearest
from jaxpose.models.build import PoseModel
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.published.entry import Published
from jaxpose.models.rtmcc import RTMCCHead

# Factors on the backbone's blocks and channels (arXiv:2212.07784, table 1, and its code).
_RTMPOSE_SIZES = {
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

    Logits over `split_ratio` bins to a pixel of the image, for x and for y.
    """
    if size not in _RTMPOSE_SIZES:
        raise InputError(
            f"Unknown RTMPose size {size!r}; known: {', '.join(_RTMPOSE_SIZES)}."
            f"{nearest(size, _RTMPOSE_SIZES)}"
        )
    deepen, widen = _RTMPOSE_SIZES[size]
    head = RTMCCHead(num_keypoints, (input_hw[0], input_hw[1]), split_ratio, dtype=dtype)
    return PoseModel(CSPNeXt(deepen, widen, dtype=dtype), head)


_BODY = "MMPose projects/rtmpose, AIC+COCO: COCO val2017 AP, flip test"
_BODY8 = "MMPose projects/rtmpose, Body8: COCO val2017 AP, flip test"
_HALPE = "MMPose projects/rtmpose, Body8-Halpe26"
_WHOLEBODY = "MMPose projects/rtmpose, COCO-WholeBody val AP, flip test"
_UBODY = "MMPose projects/rtmpose, COCO+UBody: COCO-WholeBody val AP"
_FACE = "MMPose projects/rtmpose, Face6: NME on LaPa"
_HAND = "MMPose projects/rtmpose, Hand5"
_ANIMAL = "MMPose projects/rtmpose, AP-10K"
_GOLDEN = {
    ("s", ""): ("rtmpose_s_256x192_calibrated",),
    ("m", "-hand"): ("rtmpose_m_hand5_256x256",),
    ("m", "-face"): ("rtmpose_m_face106_256x256",),
}

# Size, what the name ends in, keypoints, image, parameters (M), multiply-adds (G), score, source.
_TABLE = (
    ("t", "", 17, (256, 192), 3.34, 0.36, "AP 68.5", _BODY),
    ("s", "", 17, (256, 192), 5.47, 0.68, "AP 72.2", _BODY),
    ("m", "", 17, (256, 192), 13.59, 1.93, "AP 75.8", _BODY),
    ("l", "", 17, (256, 192), 27.66, 4.16, "AP 76.5", _BODY),
    ("m", "-384x288", 17, (384, 288), 13.72, 4.33, "AP 77.0", _BODY),
    ("l", "-384x288", 17, (384, 288), 27.79, 9.35, "AP 77.3", _BODY),
    ("x", "-384x288", 17, (384, 288), 49.43, 17.22, "AP 78.8", _BODY8),
    ("t", "-halpe26", 26, (256, 192), 3.51, 0.37, "PCK@0.1 91.89", _HALPE),
    ("s", "-halpe26", 26, (256, 192), 5.70, 0.70, "PCK@0.1 93.01", _HALPE),
    ("m", "-halpe26", 26, (256, 192), 13.93, 1.95, "PCK@0.1 94.75", _HALPE),
    ("l", "-halpe26", 26, (256, 192), 28.11, 4.19, "PCK@0.1 95.37", _HALPE),
    ("m", "-halpe26-384x288", 26, (384, 288), 14.06, 4.37, "PCK@0.1 95.15", _HALPE),
    ("l", "-halpe26-384x288", 26, (384, 288), 28.24, 9.40, "PCK@0.1 95.56", _HALPE),
    ("x", "-halpe26-384x288", 26, (384, 288), 50.00, 17.29, "PCK@0.1 95.74", _HALPE),
    ("t", "-wholebody", 133, (256, 192), None, 0.5, "AP 48.5", _UBODY),
    ("s", "-wholebody", 133, (256, 192), None, 0.9, "AP 53.8", _UBODY),
    ("m", "-wholebody", 133, (256, 192), None, 2.22, "AP 58.2", _WHOLEBODY),
    ("l", "-wholebody", 133, (256, 192), None, 4.52, "AP 61.1", _WHOLEBODY),
    ("l", "-wholebody-384x288", 133, (384, 288), None, 10.07, "AP 64.8", _WHOLEBODY),
    ("x", "-wholebody-384x288", 133, (384, 288), None, 18.1, "AP 65.3", _WHOLEBODY),
    ("m", "-hand", 21, (256, 256), None, 2.581, "AUC 83.9", _HAND),
    ("t", "-face", 106, (256, 256), None, 0.652, "NME 1.67", _FACE),
    ("s", "-face", 106, (256, 256), None, 1.119, "NME 1.59", _FACE),
    ("m", "-face", 106, (256, 256), None, 2.852, "NME 1.44", _FACE),
    ("m", "-ap10k", 17, (256, 256), None, 2.57, "AP 72.2", _ANIMAL),
)

PUBLISHED = tuple(
    Published(
        f"rtmpose-{size}{suffix}",
        partial(rtmpose, size),
        input_hw,
        num_keypoints,
        parameters,
        gflops,
        score,
        source,
        _GOLDEN.get((size, suffix), ()),
    )
    for size, suffix, num_keypoints, input_hw, parameters, gflops, score, source in _TABLE
)
