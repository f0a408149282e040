"""Tracks of the people in a video, and their 3D joints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.cameras import pinhole
from jaxpose.motion.clean import Cleaning, clean
from jaxpose.motion.fill import check_order
from jaxpose.motion.root_position import before_camera, tilt_of
from jaxpose.motion.timing import DEFAULT_FPS, LONGEST_GAP, Clock, even_clock
from jaxpose.results.motion_files import LiftedTrack, quality
from jaxpose.results.people import People
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.lifting.track_lifter import TrackLifter


class NotLifted(InputError):
    """Error for one track, or the time stamps of one video, while others may be lifted."""


@dataclass(frozen=True)
class Track:
    """One person over consecutive frames of a video, or in one image, at a constant rate.

    The keypoints are those of the F frames where these are evenly spaced, as most are: then N = F.
    Otherwise, and where frames are missing, they are resampled to N rows by the time stamps of the
    frames, so that whatever needs a constant rate can use them with `fps` (`motion.timing`).

    Attributes:
      source: the video or image.
      number: id of the track; in an image, the index of the person.
      skeleton: the K keypoints.
      rows: `[F]` indices of the frames among the results.
      people: `[F]` index of the person in each frame, -1 in frames without the person.
      frames: `[F]` frame numbers in the video.
      keypoints: `[N, K, 2]` pixels; NaN in frames without the person and in long gaps.
      scores: `[N, K]`, 0 in frames without the person and in long gaps.
      image_wh: width and height of the frames in pixels.
      fps: rows per second.
      clock: times of the frames and of the rows.
      note: a sentence about resampling; empty for evenly spaced frames.
      joints: `[N, J, 3]` millimetres, if the results have joints; NaN where there are none.
      joint_skeleton: the names of the J joints.
    """

    source: str
    number: int
    skeleton: Skeleton
    rows: np.ndarray
    people: np.ndarray
    frames: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    image_wh: tuple[int, int]
    fps: float
    clock: Clock
    note: str = ""
    joints: np.ndarray | None = None
    joint_skeleton: Skeleton | None = None

    @property
    def seconds(self) -> np.ndarray:
        """Times of the keypoints, `[N]` seconds by the clock of the video."""
        return self.clock.rows


@dataclass(frozen=True)
class Lifting:
    """Options for lifting tracks to 3D.

    Attributes:
      flip_test, trained_fps: as in `TrackLifter.__init__`; used if a lifter is loaded by its path
        (`pipeline.lifting.open_lifter`).
      refit, min_score, longest_gap: as in `TrackLifter.__call__`. `refit=False` is for videos from
        the cameras of the training data.
      cleaning: smoothing of the joints and constant bone lengths.
      focal: focal length in pixels, to place people in the frame of the camera; None leaves the
        joints of each person relative to their root.
      tilt: degrees by which the camera points down, for files with people upright; None estimates
        it from the people (`motion.root_position.tilt_of`).
      fps: frames per second of evenly spaced frames, if their time stamps are wrong or unknown.
    """

    flip_test: bool = True
    trained_fps: float | None = None

    refit: bool = True
    min_score: float = 0.3
    longest_gap: float = LONGEST_GAP
    cleaning: Cleaning = field(default_factory=Cleaning)
    focal: float | None = None
    tilt: float | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        for name in ("fps", "trained_fps", "focal"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise InputError(f"lifting.{name} must be positive or None, not {value}")
        if not isinstance(self.cleaning, Cleaning):
            raise InputError(
                "lifting.cleaning must be a Cleaning, such as Cleaning(rigid=False), and "
                f"{self.cleaning!r} is not"
            )
        if not 0 <= self.min_score <= 1:
            raise InputError(f"lifting.min_score must be in [0, 1], not {self.min_score}")
        if not self.longest_gap >= 0:
            raise InputError(
                f"lifting.longest_gap must be at least 0 seconds, not {self.longest_gap}"
            )


def tracks_of(
    results: Sequence[People], fps: float | None = None, longest_gap: float = LONGEST_GAP
) -> list[Track]:
    """Tracks of the people in videos, and one for each person in an image; the longest first.

    Args:
      results: of the frames of videos, in order.
      fps: frames per second; None for the time stamps of the frames.
      longest_gap: seconds between two frames up to which keypoints are interpolated, where frames
        are not evenly spaced.

    Raises:
      InputError: the frames of a video are out of order or have different sizes; its time stamps
        run backwards; a frame has several people and no track ids.
    """
    videos: dict[str, list[int]] = {}
    for row, people in enumerate(results):
        still = people.index is None
        videos.setdefault(f"{row} {people.source}" if still else people.source, []).append(row)
    found = []
    for rows in videos.values():
        found += _tracks_of_video(results, rows, fps, longest_gap)
    return sorted(found, key=lambda track: -int((track.people >= 0).sum()))


def _tracks_of_video(
    results: Sequence[People], rows: list[int], fps: float | None, longest_gap: float
) -> list[Track]:
    frames = [results[row] for row in rows]
    source, numbers = frames[0].source, np.array([f.index or 0 for f in frames])
    check_order(numbers)
    sizes = {f.image_hw for f in frames}
    if len(sizes) > 1:
        raise InputError(f"{source}: the frames have different sizes, such as {sorted(sizes)[:2]}")
    ids = [_ids(f) for f in frames]
    height, width = frames[0].image_hw
    skeleton, found = frames[0].skeleton, []
    seconds, stated = _times(frames, numbers, fps)
    for number in sorted({int(i) for row in ids for i in row}):
        place = [np.flatnonzero(row == number) for row in ids]
        people = np.array([p[0] if len(p) else -1 for p in place])
        there = np.flatnonzero(people >= 0)
        span = np.arange(there[0], there[-1] + 1)
        shape = (len(span), skeleton.num_keypoints)
        keypoints, scores = np.full((*shape, 2), np.nan), np.zeros(shape)
        for i, at in enumerate(span):
            if people[at] >= 0:
                keypoints[i] = frames[at].keypoints[people[at]]
                scores[i] = frames[at].scores[people[at]]
        clock = _clock(source, seconds[span], stated)
        joints, of_joints = _joints_of([frames[at] for at in span], people[span])
        found.append(
            Track(
                source,
                number,
                skeleton,
                np.array(rows)[span],
                people[span],
                numbers[span],
                clock.to_rows(keypoints, longest_gap),
                np.clip(np.nan_to_num(clock.to_rows(scores, longest_gap)), 0, 1),
                (width, height),
                clock.fps,
                clock,
                clock.note(longest_gap),
                None if joints is None else clock.to_rows(joints, longest_gap),
                of_joints,
            )
        )
    return found


def _joints_of(
    frames: Sequence[People], people: np.ndarray
) -> tuple[np.ndarray | None, Skeleton | None]:
    """Joints `[F, J, 3]` of one person, NaN where there are none, and their skeleton."""
    known = {f.joint_skeleton for f in frames if f.joints is not None and f.joint_skeleton}
    if len(known) != 1:
        return None, None
    (skeleton,) = known
    joints = np.full((len(frames), skeleton.num_keypoints, 3), np.nan)
    for row, (frame, person) in enumerate(zip(frames, people.tolist(), strict=True)):
        if person >= 0 and frame.joints is not None:
            joints[row] = frame.joints[person]
    return (joints, skeleton) if np.isfinite(joints).any() else (None, None)


def _ids(people: People) -> np.ndarray:
    if people.track_ids is not None:
        return np.asarray(people.track_ids)
    if people.index is not None and len(people) > 1:
        raise InputError(
            f"{people.source}, frame {people.index}: {len(people)} people and no track ids, so "
            "people cannot be matched between frames; predict with tracking"
        )
    return np.arange(len(people))


def _times(
    frames: Sequence[People], numbers: np.ndarray, fps: float | None
) -> tuple[np.ndarray, float | None]:
    """Times of the frames, by `fps` if it is given or there are no time stamps; the stated rate."""
    stamps = [frame.seconds for frame in frames]
    if fps is None and None not in stamps:
        return np.array(stamps, np.float64), frames[0].fps
    rate = fps or frames[0].fps or DEFAULT_FPS
    # Every third frame of a video is one step, a frame that is missing is another.
    stride = int(np.gcd.reduce(np.diff(numbers))) if len(numbers) > 1 else 1
    return numbers / (stride * rate), rate


def _clock(source: str, seconds: np.ndarray, stated: float | None) -> Clock:
    try:
        return even_clock(seconds, stated)
    except InputError as error:
        raise NotLifted(f"{source}: {error}") from error


def lift_track(track: Track, lifter: TrackLifter, options: Lifting | None = None) -> LiftedTrack:
    """Lift a track to 3D.

    Raises:
      NotLifted: no frame has enough keypoints of the person, or the lifter gives an impossible
        body, whose bones cannot be made rigid.
      InputError: as for `TrackLifter.__call__`.
    """
    options = options or Lifting()
    if not (track.scores >= options.min_score).any():
        raise NotLifted(
            f"no keypoint scores {options.min_score:g} or more in any frame; lower --min-score "
            "of `lift` (lifting.min_score)"
        )
    joints = lifter(
        track.keypoints,
        track.scores,
        image_wh=track.image_wh,
        fps=track.fps,
        skeleton=track.skeleton,
        refit=options.refit,
        min_score=options.min_score,
        longest_gap=options.longest_gap,
    )
    if not np.isfinite(joints).all(axis=(1, 2)).any():
        raise NotLifted(
            f"in every frame, less than half of the keypoints score {options.min_score:g} or more; "
            "lower --min-score of `lift` (lifting.min_score)"
        )
    found = quality(joints, lifter.skeleton)
    try:
        joints = clean(joints, lifter.skeleton, track.fps, options.cleaning)
    except InputError as error:
        reason = str(error).partition("; ")[0]
        raise NotLifted(
            f"the lifter gives an impossible body: {reason}. Is the lifter trained, and for these "
            "keypoints? --no-rigid of `lift` (lifting.cleaning.rigid=false) leaves out the fit of "
            "rigid bones"
        ) from error
    if options.focal is not None:
        joints = _placed(joints, track, lifter, options)
    return LiftedTrack(
        lifter.skeleton,
        joints,
        track.frames,
        track.fps,
        track.number,
        placed=options.focal is not None,
        tilt=tilt_of(joints, lifter.skeleton) if options.tilt is None else options.tilt,
        quality=found,
        clock=track.clock,
        note=track.note,
    )


def _placed(joints: np.ndarray, track: Track, lifter: TrackLifter, options: Lifting) -> np.ndarray:
    """Place joints in the frame of a camera with the given focal length; smooths the positions."""
    width, height = track.image_wh
    K = [[options.focal, 0, (width - 1) / 2], [0, options.focal, (height - 1) / 2], [0, 0, 1]]
    camera = pinhole(K, np.eye(3), np.zeros(3))
    complete = lifter.complete(
        track.keypoints,
        track.scores,
        skeleton=track.skeleton,
        min_score=options.min_score,
        max_gap=max(1, round(options.longest_gap * track.fps)),
    )[0]
    shift = before_camera(camera, joints, complete)[:, :1] - joints[:, :1]
    steady = Cleaning(options.cleaning.smooth_seconds, rigid=False)
    return joints + clean(shift, lifter.skeleton, track.fps, steady)


def lift_people(
    results: Sequence[People],
    lifter: TrackLifter,
    options: Lifting | None = None,
    *,
    report: Callable[[str], None] | None = None,
) -> tuple[list[People], list[LiftedTrack]]:
    """Add `joints` to results; also return the lifted tracks, the longest first.

    With `report`, a track that cannot be lifted gets no joints, and `report` receives the reason.

    Raises:
      InputError: an error of `tracks_of` or, without `report`, of `lift_track`.
    """
    options = options or Lifting()
    count = lifter.skeleton.num_keypoints
    joints = [np.full((len(people), count, 3), np.nan, np.float32) for people in results]
    lifted: list[LiftedTrack] = []
    try:
        tracks = tracks_of(results, options.fps, options.longest_gap)
    except NotLifted as error:
        if report is None:
            raise
        report(str(error))
        tracks = []
    for track in tracks:
        try:
            lifted.append(lift_track(track, lifter, options))
        except InputError as error:
            if report is None:
                raise
            report(f"track {track.number}: {error}")
            continue
        for row, person, pose in zip(track.rows, track.people, lifted[-1].of_frames(), strict=True):
            if person >= 0:
                joints[row][person] = pose
    changed = [
        replace(people, joints=own, joint_skeleton=lifter.skeleton)
        for people, own in zip(results, joints, strict=True)
    ]
    return changed, lifted
