"""Lifters: 2D keypoints over time to 3D joints."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from jaxpose.errors import InputError
from jaxpose.models.lifting.dstformer import DSTFormer
from jaxpose.models.lifting.lifter import CoordinateHead, JointHead, Lifter, PoseAndTrajectory
from jaxpose.models.lifting.poseformer import PoseFormer
from jaxpose.models.lifting.temporal import TemporalConvolutions

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

    `num_outputs` is one less than `num_keypoints` where the root is not predicted, as published.
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
    """Temporal convolutions that see 1, 27, 81 or 243 frames (Pavllo et al. 2019, 1811.11742).

    `strided` trains faster on windows of exactly `frames`; the parameters are the same.
    """
    if frames not in _WIDTHS:
        raise InputError(
            f"VideoPose3D sees {', '.join(map(str, _WIDTHS))} frames, not {frames}. For other "
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
    """VideoPose3D and its like for the root's place in front of the camera (section 4)."""
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


@dataclass(frozen=True)
class PublishedLifter:
    """One lifter as it was published.

    Attributes:
      name: what a user calls it.
      make: no arguments -> the model as published.
      frames: that it sees.
      score: mean joint position errors in mm on Human3.6M, subjects 9 and 11; empty where there is
        none.
      source: of the score.
      golden: reference outputs that the model is tested against, by name; empty for none.
    """

    name: str
    make: Callable[[], Lifter]
    frames: int
    score: str = ""
    source: str = ""
    golden: tuple[str, ...] = ()


_ZOO = "MMPose 1.x model zoo, ground-truth 2D"

LIFTERS: tuple[PublishedLifter, ...] = (
    PublishedLifter("martinez", martinez, 1, "MPJPE 43.4, P-MPJPE 34.3", _ZOO, ("martinez_h36m",)),
    PublishedLifter(
        "videopose3d-27",
        partial(videopose3d, 27),
        27,
        "MPJPE 40.1, P-MPJPE 30.1",
        _ZOO,
        ("videopose3d_27",),
    ),
    PublishedLifter(
        "videopose3d-81", partial(videopose3d, 81), 81, "MPJPE 39.1, P-MPJPE 29.3", _ZOO
    ),
    PublishedLifter(
        "videopose3d-243", partial(videopose3d, 243), 243, "MPJPE 37.6, P-MPJPE 28.3", _ZOO
    ),
    PublishedLifter(
        "poseformer-81",
        partial(poseformer, 81),
        81,
        "MPJPE 31.3",
        "PoseFormer's repository, ground-truth 2D",
    ),
    PublishedLifter(
        "motionbert-243",
        partial(motionbert, 243),
        243,
        "MPJPE 34.5, P-MPJPE 27.1",
        _ZOO,
        ("motionbert_243",),
    ),
)
