"""Files of a lifted track: for Blender, OpenSim, web pages and programs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import jaxpose
from jaxpose.errors import InputError, not_written
from jaxpose.geometry.axes import y_up
from jaxpose.motion.armature import bvh_from_points
from jaxpose.motion.bones import consistency
from jaxpose.motion.bvh import write_bvh
from jaxpose.motion.limits import beyond_limits
from jaxpose.motion.markers import write_c3d, write_trc
from jaxpose.motion.root_position import levelled, on_floor
from jaxpose.motion.timing import Clock, exact_rate
from jaxpose.paths import atomic_write
from jaxpose.skeletons import Skeleton
from jaxpose.viz import contact_sheet, draw_space, save_animation, save_image, turning
from jaxpose.viz.pose3d import fitted, stage_of

FORMATS = (".json", ".bvh", ".trc", ".c3d", ".gif", ".mp4", ".png")
_VIEWS, _VIEW_WH = 6, (240, 320)  # moments in one image


class Quality(NamedTuple):
    """Quality of 3D joints without ground truth; NaN where the person is never visible.

    Attributes:
      seen: share of the frames in which the person is visible.
      bone_spread: standard deviation of a bone's length over its median, mean of all bones; 0 for
        a rigid body.
      beyond_limits: share of elbows and knees that are bent further than possible.
    """

    seen: float
    bone_spread: float
    beyond_limits: float


def quality(joints_mm: np.ndarray, skeleton: Skeleton) -> Quality:
    """Computes the quality of joints `[T, K, 3]`; frames with NaN are ignored."""
    seen = np.isfinite(joints_mm).all(axis=(1, 2))
    points = joints_mm[seen]
    if not len(points):
        return Quality(0.0, np.nan, np.nan)
    spread = consistency(points, skeleton.limb_indices).spread
    beyond = [degrees > 0 for degrees in beyond_limits(points, skeleton).values()]
    share = float(np.mean(beyond)) if beyond else np.nan
    known = spread[np.isfinite(spread)]
    return Quality(float(seen.mean()), float(known.mean()) if known.size else np.nan, share)


@dataclass(frozen=True)
class LiftedTrack:
    """One person's track in 3D, at a constant rate.

    Attributes:
      skeleton: skeleton of the K joints.
      joints_mm: `[T, K, 3]`, x right, y down, z forward from the camera; NaN in frames with too few
        visible keypoints.
      frames: `[F]` int, frame numbers of the video; F = T for evenly spaced frames.
      fps: rows of `joints_mm` per second.
      track: name of the person.
      placed: True if the joints are at their position in the camera's frame, False if they are
        relative to their root.
      tilt: downward tilt of the camera in degrees.
      quality: quality of the lifter's output before cleaning.
      clock: times of the frames and of the rows; None for a row for each frame, from 0 on.
      note: a sentence about resampling; empty for evenly spaced frames.
    """

    skeleton: Skeleton
    joints_mm: np.ndarray
    frames: np.ndarray
    fps: float
    track: int = 0
    placed: bool = False
    tilt: float = 0.0
    quality: Quality | None = None
    clock: Clock | None = None
    note: str = ""

    @property
    def seconds(self) -> np.ndarray:
        """Times of the rows, `[T]` seconds by the clock of the video."""
        if self.clock is not None:
            return self.clock.rows
        return np.arange(len(self.joints_mm)) / self.fps

    @property
    def frame_at(self) -> np.ndarray:
        """Index of the frame that the video shows at each row, int64 `[T]` in [0, F)."""
        if self.clock is None:
            return np.arange(len(self.joints_mm))
        after = np.searchsorted(self.clock.seconds, self.seconds + 2e-3, side="right")
        return np.clip(after - 1, 0, None)

    def of_frames(self, values: np.ndarray | None = None) -> np.ndarray:
        """Joints (or other values `[T, ...]`) at the frames of the video, `[F, ...]`."""
        values = self.joints_mm if values is None else values
        return values if self.clock is None else self.clock.to_frames(values)

    @property
    def seen(self) -> np.ndarray:
        """Frames with every joint, bool `[T]`."""
        return np.isfinite(self.joints_mm).all(axis=(1, 2))

    def standing(self) -> np.ndarray:
        """Upright joints `[T, K, 3]` mm, y down; unless placed, each frame's lowest is at 0."""
        upright = levelled(self.joints_mm, self.tilt)
        return upright if self.placed else on_floor(upright)

    def without_gaps(self) -> np.ndarray:
        """`standing` from the first visible frame to the last, interpolated: `[T', K, 3]`.

        Raises:
          InputError: the person is visible in no frame.
        """
        seen = np.flatnonzero(self.seen)
        if not len(seen):
            raise InputError(
                f"track {self.track}: too few keypoints of the person are visible in every frame"
            )
        flat = self.standing().reshape(len(self.joints_mm), -1)
        wanted = np.arange(seen[0], seen[-1] + 1)
        filled = [np.interp(wanted, seen, column[seen]) for column in flat.T]
        return np.stack(filled, axis=-1).reshape(len(wanted), *self.joints_mm.shape[1:])

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: `track`, `tilt`, and for each frame of the video its joints and time.

        `frames`, `seconds` and `joints_mm` have an entry for each, null where the person is not
        visible.
        """
        joints = self.of_frames()
        seconds = self.seconds if self.clock is None else self.clock.seconds
        return {
            "track": self.track,
            "tilt": round(self.tilt, 2),
            "frames": self.frames.tolist(),
            "seconds": [round(second, 9) for second in seconds.tolist()],
            "joints_mm": [
                pose.round(2).tolist() if np.isfinite(pose).all() else None for pose in joints
            ],
        }


def save_lifted(
    path: str | Path, track: LiftedTrack, *, images: Sequence[np.ndarray] | None = None
) -> None:
    """Writes a track in the format of the path's suffix.

    - `.bvh` (Blender): rigid bones in centimetres, y up; `.trc` (OpenSim) and `.c3d`: markers in
      mm, y up, people on the floor, the camera levelled by `LiftedTrack.tilt`.
    - `.json`: mm along the camera's axes relative to the root, see `LiftedTrack.to_dict`.
    - `.gif`, `.mp4`: a camera that moves once around the person; `.png`: moments from two sides.

    Args:
      path: path with a suffix of `FORMATS`.
      track: the track to write. Gaps are blank in markers and JSON, elsewhere interpolated.
      images: F images, uint8 RGB `[H, W, 3]`, of the video's frames, to show beside an animation
        and above moments.

    Raises:
      InputError: another suffix, a track without a frame, a file that cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"{path}: lifted joints can be written as {', '.join(FORMATS)}")
    whole = track.without_gaps()
    first = int(np.flatnonzero(track.seen)[0])
    shown = None
    if images is not None:
        shown = [images[at] for at in track.frame_at[first : first + len(whole)]]
    skeleton, names = track.skeleton, track.skeleton.keypoints
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".json":
            atomic_write(path, json.dumps(document([track]), allow_nan=False) + "\n")
        elif suffix == ".bvh":
            write_bvh(path, bvh_from_points(whole, skeleton, track.fps, up="-y"))
        elif suffix in (".trc", ".c3d"):
            points = y_up(track.standing(), "-y")
            if suffix == ".trc":
                write_trc(path, points, names, track.fps, begin=float(track.seconds[0]))
            else:
                write_c3d(path, points, names, track.fps)
        elif suffix == ".png":
            save_image(path, moments(whole, skeleton, images=shown))
        else:
            save_animation(path, turning(whole, skeleton, images=shown), track.fps)
    except OSError as error:
        raise not_written(path, error) from error


def document(tracks: Sequence[LiftedTrack]) -> dict[str, Any]:
    """JSON-able: tracks of one video with their units and axes."""
    skeleton = tracks[0].skeleton
    return {
        "jaxpose": jaxpose.__version__,
        "units": "mm; x right, y down, z forward from the camera",
        "skeleton": {
            "name": skeleton.name,
            "keypoints": list(skeleton.keypoints),
            "limbs": [list(limb) for limb in skeleton.limbs],
        },
        "fps": tracks[0].fps,
        "frame_rate": str(exact_rate(tracks[0].fps)),
        "tracks": [track.to_dict() for track in tracks],
    }


def moments(
    joints_mm: np.ndarray,
    skeleton: Skeleton,
    *,
    count: int = _VIEWS,
    images: Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """Draws `count` moments of `[T, K, 3]` at equal intervals, from the front and a side.

    The images of these frames, if given, are drawn above.
    """
    at = np.unique(np.linspace(0, len(joints_mm) - 1, count).round().astype(int))
    stage = stage_of(joints_mm[at])
    above = [] if images is None else [fitted(images[i], _VIEW_WH) for i in at]
    views = [
        draw_space(joints_mm[i], skeleton, stage=stage, azimuth=azimuth, size_wh=_VIEW_WH)
        for azimuth in (0.0, 75.0)
        for i in at
    ]
    return contact_sheet([*above, *views], columns=len(at))
