"""Lifters from 2D keypoints over time to 3D joints."""

from functools import partial

from jaxpose.codecs.lifting import LiftingCodec, Statistics
from jaxpose.errors import InputError
from jaxpose.models.lifting.dstformer import DSTFormer
from jaxpose.models.lifting.lifter import CoordinateHead, JointHead, Lifter, PoseAndTrajectory
from jaxpose.models.lifting.poseformer import PoseFormer
from jaxpose.models.lifting.temporal import TemporalConvolutions
from jaxpose.models.published import lift_tables
from jaxpose.models.published.record import APACHE, OPENMMLAB, Family, PublishedLifter, Weights
from jaxpose.skeletons import H36M17

__all__ = [
    "LIFTING",
    "martinez",
    "motionbert",
    "poseformer",
    "videopose3d",
    "videopose3d_with_trajectory",
]

# Filter widths by receptive field (arXiv:1811.11742, section 3 and table 1).
_WIDTHS = {1: (1, 1, 1), 27: (3, 3, 3), 81: (3, 3, 3, 3), 243: (3, 3, 3, 3, 3)}


def martinez(
    num_keypoints: int = 17,
    num_outputs: int = 16,
    *,
    in_features: int = 2,
    channels: int = 1024,
    dropout: float = 0.5,
    dtype: str = "float32",
) -> Lifter:
    """Residual MLP on single frames (Martinez et al. 2017, arXiv:1705.03098).

    As published, the root is not predicted, and `num_outputs` is one less than `num_keypoints`.
    """
    backbone = TemporalConvolutions(
        num_keypoints, in_features, _WIDTHS[1], channels, dropout=dropout, dtype=dtype
    )
    return Lifter(backbone, CoordinateHead(num_outputs, dtype=dtype))


def videopose3d(
    frames: int = 243,
    num_keypoints: int = 17,
    num_outputs: int = 17,
    *,
    in_features: int = 2,
    channels: int = 1024,
    causal: bool = False,
    strided: bool = False,
    dropout: float = 0.25,
    norm_momentum: float = 0.9,
    dtype: str = "float32",
) -> Lifter:
    """VideoPose3D on 1, 27, 81 or 243 frames (Pavllo et al. 2019, arXiv:1811.11742).

    `strided` trains faster on windows of exactly `frames`; the parameters are the same.
    """
    if frames not in _WIDTHS:
        raise InputError(
            f"VideoPose3D takes {', '.join(map(str, _WIDTHS))} frames, not {frames}. For other "
            "numbers build TemporalConvolutions with your own filter widths."
        )
    backbone = TemporalConvolutions(
        num_keypoints,
        in_features,
        _WIDTHS[frames],
        channels,
        causal,
        strided,
        dropout,
        norm_momentum,
        dtype,
    )
    return Lifter(backbone, CoordinateHead(num_outputs, dtype=dtype))


def videopose3d_with_trajectory(
    frames: int = 27,
    num_keypoints: int = 17,
    num_outputs: int = 17,
    *,
    channels: int = 1024,
    causal: bool = False,
    strided: bool = False,
    dropout: float = 0.25,
    dtype: str = "float32",
) -> PoseAndTrajectory:
    """VideoPose3D and a second one for the root's position in the camera frame (section 4)."""
    make = partial(
        videopose3d,
        frames,
        num_keypoints,
        channels=channels,
        causal=causal,
        strided=strided,
        dropout=dropout,
        dtype=dtype,
    )
    return PoseAndTrajectory(make(num_outputs), make(1))


def poseformer(
    frames: int = 81,
    num_keypoints: int = 17,
    num_outputs: int = 17,
    *,
    in_features: int = 2,
    dim: int = 32,
    depth: int = 4,
    drop_path: float = 0.1,
    dtype: str = "float32",
) -> Lifter:
    """PoseFormer for the middle one of `frames` (Zheng et al. 2021, arXiv:2103.10455)."""
    backbone = PoseFormer(
        num_keypoints, in_features, frames, dim, depth, drop_path=drop_path, dtype=dtype
    )
    return Lifter(backbone, CoordinateHead(num_outputs, norm=True, dtype=dtype))


def motionbert(
    frames: int = 243,
    num_keypoints: int = 17,
    *,
    dim: int = 512,
    depth: int = 5,
    mlp_ratio: float = 2.0,
    drop_path: float = 0.0,
    dtype: str = "float32",
) -> Lifter:
    """MotionBERT's DSTFormer, every frame to 3D (Zhu et al. 2023, arXiv:2210.06551).

    The lite variant is `dim=256, mlp_ratio=4`.
    """
    backbone = DSTFormer(
        num_keypoints,
        frames=frames,
        dim=dim,
        depth=depth,
        mlp_ratio=mlp_ratio,
        drop_path=drop_path,
        dtype=dtype,
    )
    return Lifter(backbone, JointHead(num_keypoints, dtype=dtype))


# Statistics of Human3.6M's training set in MMPose's recipe for Martinez's lifter: keypoints in
# pixels of its images, and all joints except the root, in metres relative to it.
_PIXELS_MEAN = (
    (532.08352, 419.74138),
    (531.80953, 418.26071),
    (530.68457, 493.54259),
    (529.36969, 575.96449),
    (532.29768, 421.28483),
    (531.93947, 494.72187),
    (529.71984, 578.9611),
    (532.93699, 370.65225),
    (534.11019, 317.90342),
    (534.55417, 304.24144),
    (534.86955, 282.31031),
    (534.11309, 330.11297),
    (533.53638, 376.27425),
    (533.4938, 391.72325),
    (533.52579, 330.09495),
    (532.50805, 374.19048),
    (532.72787, 380.61616),
)
_PIXELS_STD = (
    (107.7364, 63.359087),
    (119.00836, 64.121544),
    (119.12412, 50.538062),
    (120.61688, 56.384449),
    (101.95735, 62.896365),
    (106.24833, 48.411781),
    (108.46735, 54.581771),
    (109.0737, 68.704437),
    (111.2013, 74.872879),
    (111.63204, 77.805425),
    (113.22331, 79.906706),
    (105.71458, 73.270494),
    (107.05804, 73.931758),
    (107.97449, 83.303918),
    (121.60675, 74.256915),
    (134.34379, 77.481251),
    (131.79991, 89.867211),
)
_METRES_MEAN = (
    (-0.00025565259, -0.0071196057, -0.00098143305),
    (-0.0056546305, 0.31963601, 0.071932927),
    (-0.010170584, 0.69114789, 0.15535299),
    (0.00025565132, 0.0071195461, 0.00098142387),
    (-0.0050972978, 0.32704041, 0.07222581),
    (-0.0099965661, 0.70827738, 0.15801641),
    (0.0029058368, -0.21136331, -0.047421091),
    (0.005675378, -0.43508891, -0.097697402),
    (0.0059388496, -0.49189197, -0.11066662),
    (0.0073735208, -0.58394862, -0.1311714),
    (0.0054192065, -0.3839317, -0.086814542),
    (0.0029596466, -0.18756749, -0.043453693),
    (0.0012658582, -0.12017058, -0.028252605),
    (0.0046718664, -0.38364409, -0.085512578),
    (0.0016764857, -0.19700718, -0.043136836),
    (0.00087056902, -0.16866457, -0.03739025),
)
_METRES_STD = (
    (0.11072244, 0.02238818, 0.07246294),
    (0.15856311, 0.18933832, 0.20880479),
    (0.19179935, 0.24320062, 0.24756193),
    (0.11072181, 0.02238805, 0.07246253),
    (0.15880454, 0.19977188, 0.2147063),
    (0.18001944, 0.25052739, 0.24853247),
    (0.05210694, 0.05211406, 0.06908241),
    (0.09515367, 0.10133032, 0.12899733),
    (0.11742458, 0.12648469, 0.16465091),
    (0.12360297, 0.13085539, 0.16433336),
    (0.14602232, 0.09707956, 0.13952731),
    (0.24347532, 0.12982249, 0.20230181),
    (0.2446877, 0.21501816, 0.23938235),
    (0.13876084, 0.1008926, 0.1424411),
    (0.23687529, 0.14491219, 0.20980829),
    (0.24400695, 0.23975028, 0.25520584),
)

# Human3.6M was recorded at 50 frames per second.
_FPS = 50.0
_PIXELS = LiftingCodec(
    frame="pixels",
    drop_root=True,
    input_statistics=Statistics(_PIXELS_MEAN, _PIXELS_STD),
    target_statistics=Statistics(_METRES_MEAN, _METRES_STD),
    fps=_FPS,
)
# Targets in metres relative to the root, keypoints in screen coordinates, neither standardised.
_SCREEN = LiftingCodec(frame="screen", fps=_FPS)
_IMAGE_UNITS = (
    "It predicts joints in units of the image, depth too, and no codec here converts these to "
    "millimetres: load the weights with jaxpose.convert.load_pretrained."
)


def _martinez(num_keypoints: int) -> Lifter:
    return martinez(num_keypoints, num_keypoints - 1)


def _videopose3d(frames: int, causal: bool, num_keypoints: int) -> Lifter:
    return videopose3d(frames, num_keypoints, num_keypoints, causal=causal)


def _videopose3d_of_one_frame(num_keypoints: int) -> Lifter:
    """MMPose's network for single frames: four blocks of filters of one frame."""
    backbone = TemporalConvolutions(num_keypoints, 2, (1,) * 5, 1024, dropout=0.25)
    return Lifter(backbone, CoordinateHead(num_keypoints))


def _poseformer(frames: int, num_keypoints: int) -> Lifter:
    return poseformer(frames, num_keypoints, num_keypoints)


def _motionbert(dim: int, mlp_ratio: float, num_keypoints: int) -> Lifter:
    return motionbert(243, num_keypoints, dim=dim, mlp_ratio=mlp_ratio)


_ZOO = "MMPose 1.x model zoo, ground-truth 2D"
_CPN = "MMPose 1.x model zoo, 2D keypoints of a fine-tuned CPN"
_COCO_INPUT = (
    "It takes the 17 keypoints of COCO and gives the 17 joints of Human3.6M, and a lifter here has "
    "one skeleton for both: load the weights with jaxpose.convert.load_pretrained."
)
_BODY_3D = f"{OPENMMLAB}/body3d"

# Frames, parameters (M), score, reference outputs, file.
_TEMPORAL = (
    (
        27,
        8.56,
        "MPJPE 40.1, P-MPJPE 30.1",
        ("videopose3d_27",),
        "27frames_fullconv_supervised-fe8fbba9",
    ),
    (81, 12.75, "MPJPE 39.1, P-MPJPE 29.3", (), "81frames_fullconv_supervised-1f2d1104"),
    (243, 16.95, "MPJPE 37.6, P-MPJPE 28.3", (), "243frames_fullconv_supervised-880bea25"),
)

# End of the name, constructor, frames, score, source, file.
_MORE_TEMPORAL = (
    ("1-cpn", _videopose3d_of_one_frame, 1, "MPJPE 53.0", _CPN,
     "1frame_fullconv_supervised_cpn_ft-5c3afaed"),
    ("243-cpn", partial(_videopose3d, 243, False), 243, "MPJPE 47.9", _CPN,
     "243frames_fullconv_supervised_cpn_ft-88f5abbb"),
    ("27-semi", partial(_videopose3d, 27, False), 27, "MPJPE 57.2", _ZOO,
     "27frames_fullconv_semi-supervised-54aef83b"),
    ("27-semi-cpn", partial(_videopose3d, 27, False), 27, "MPJPE 67.3", _CPN,
     "27frames_fullconv_semi-supervised_cpn_ft-71be9cde"),
)  # fmt: skip

_PUBLISHED = (
    PublishedLifter(
        name="martinez",
        make=_martinez,
        frames=1,
        codec=_PIXELS,
        skeleton=H36M17,
        parameters=4.29,
        score="MPJPE 43.4, P-MPJPE 34.3",
        source=_ZOO,
        licence=APACHE,
        trained_on=("Human3.6M",),
        weights=Weights(
            f"{_BODY_3D}/simple_baseline/simple3Dbaseline_h36m-f0ad73a4_20210419.pth", "f0ad73a4"
        ),
        golden=("martinez_h36m",),
    ),
    *(
        PublishedLifter(
            name=f"videopose3d-{frames}",
            make=partial(_videopose3d, frames, False),
            frames=frames,
            codec=_SCREEN,
            skeleton=H36M17,
            parameters=parameters,
            score=score,
            source=_ZOO,
            licence=APACHE,
            trained_on=("Human3.6M",),
            weights=Weights(
                f"{_BODY_3D}/videopose/videopose_h36m_{file}_20210527.pth", file.rpartition("-")[2]
            ),
            golden=golden,
        )
        for frames, parameters, score, golden, file in _TEMPORAL
    ),
    *(
        PublishedLifter(
            name=f"videopose3d-{end}",
            make=make,
            frames=frames,
            codec=_SCREEN,
            skeleton=H36M17,
            score=score,
            source=source,
            licence=APACHE,
            trained_on=("Human3.6M",),
            weights=Weights(
                f"{_BODY_3D}/videopose/videopose_h36m_{file}_20210527.pth", file.rpartition("-")[2]
            ),
        )
        for end, make, frames, score, source, file in _MORE_TEMPORAL
    ),
    PublishedLifter(
        name="videopose3d-243-coco",
        make=partial(_videopose3d, 243, False),
        frames=243,
        codec=None,
        skeleton=H36M17,
        limit=_COCO_INPUT,
        source="VideoPose3D's repository",
        licence="CC BY-NC 4.0",
        trained_on=("Human3.6M",),
        weights=Weights(
            "https://dl.fbaipublicfiles.com/video-pose-3d/pretrained_h36m_detectron_coco.bin"
        ),
    ),
    *(
        PublishedLifter(
            name=f"poseformer-{frames}",
            make=partial(_poseformer, frames),
            frames=frames,
            codec=_SCREEN,
            skeleton=H36M17,
            parameters=parameters,
            score=score,
            source="PoseFormer's repository, ground-truth 2D",
            trained_on=("Human3.6M",),
            golden=golden,
        )
        for frames, parameters, score, golden in (
            (9, 9.56, "", ("poseformer_9",)),
            (27, 9.57, "", ()),
            (81, 9.60, "MPJPE 31.3", ()),
        )
    ),
    PublishedLifter(
        name="motionbert-243",
        make=partial(_motionbert, 512, 2.0),
        frames=243,
        codec=None,
        skeleton=H36M17,
        limit=_IMAGE_UNITS,
        parameters=42.5,
        score="MPJPE 35.3",
        source=_ZOO,
        licence=APACHE,
        trained_on=("Human3.6M",),
        weights=Weights(
            f"{OPENMMLAB}/v1/body_3d_keypoint/pose_lift/h36m/motionbert_h36m-f554954f_20230531.pth",
            "f554954f",
        ),
        golden=("motionbert_243",),
    ),
    PublishedLifter(
        name="motionbert-243-finetuned",
        make=partial(_motionbert, 512, 2.0),
        frames=243,
        codec=None,
        skeleton=H36M17,
        limit=_IMAGE_UNITS,
        score="MPJPE 27.5",
        source=_ZOO,
        licence=APACHE,
        trained_on=("Human3.6M",),
        weights=Weights(
            f"{OPENMMLAB}/v1/body_3d_keypoint/pose_lift/h36m/"
            "motionbert_ft_h36m-d80af323_20230531.pth",
            "d80af323",
        ),
    ),
    PublishedLifter(
        name="motionbert-lite-243",
        make=partial(_motionbert, 256, 4.0),
        frames=243,
        codec=None,
        skeleton=H36M17,
        limit=_IMAGE_UNITS,
        parameters=16.0,
        source="MotionBERT's repository",
        trained_on=("Human3.6M",),
        golden=("official_motionbert_lite",),
    ),
)

LIFTING = Family(
    "lifting",
    mmpose=lift_tables.MMPOSE,
    formats=lift_tables.FORMATS,
    published=_PUBLISHED,
    # No weights of these are published, and their checkpoints have the same arrays as the others.
    unpublished=tuple(
        PublishedLifter(
            name=f"videopose3d-{frames}-causal",
            make=partial(_videopose3d, frames, True),
            frames=frames,
            codec=_SCREEN,
            skeleton=H36M17,
            parameters=parameters,
            source="arXiv:1811.11742, section 5",
            same_arrays_as=f"videopose3d-{frames}",
        )
        for frames, parameters, *_ in _TEMPORAL
    ),
)
