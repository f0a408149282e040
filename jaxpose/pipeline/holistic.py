"""Holistic pipeline: body, face and hands of each person, followed from frame to frame.

A detector finds people; the body's landmarks give the regions of the face and of the hands. In a
video, the landmarks of a frame give the regions of the next one, so the detector only runs to find
new people. After MediaPipe Holistic (Grishchenko & Bazarevsky 2020), without its network that
corrects the region of a hand: where a body, a face or a hand is new, its region is taken again from
its own landmarks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxpose.detect.anchored import AnchoredDetector
from jaxpose.detect.regions import (
    face_of_body,
    hand_of_body,
    next_body,
    next_face,
    next_hand,
)
from jaxpose.errors import InputError
from jaxpose.geometry.regions import Region
from jaxpose.hub.load import Trained, load_detector, load_pose
from jaxpose.media.frames import Frame
from jaxpose.media.prefetch import StageTimer, ahead
from jaxpose.media.sources import Media, open_media
from jaxpose.pipeline.options import check_names
from jaxpose.pipeline.results import Results
from jaxpose.results.holistic import HolisticPeople
from jaxpose.results.people import People
from jaxpose.skeletons import BLAZEPOSE33, HOLISTIC543, Skeleton
from jaxpose.skeletons.holistic543 import PARTS
from jaxpose.tasks.topdown.landmarks import FoundLandmarks, LandmarkPredictor
from jaxpose.tracking.smoothing import Smoothing, smooth_people

_SIDES = ("left", "right")
_NOSE = 0
_WRISTS = {"left": 15, "right": 16}
_AHEAD = 4
MODELS = {
    "body": "blazepose-full",
    "hands": "hand-landmark-full",
    "face": "face-mesh",
    "detector": "blazepose-detector",
}
"""Names of the published models of the default pipeline, by their part."""
# Regions of detections that overlap a followed one by more are the same person.
_SAME = 0.6
# Searches of a new face or hand before the one that counts.
_CORRECTIONS = 2


@dataclass(frozen=True)
class HolisticOptions:
    """Options of a `Holistic` pipeline.

    Attributes:
      max_people: largest number of people in a frame, the best detections; None is all.
      detect_every: in videos, the detector runs in every n-th frame to find new people, and in
        every frame while there is none.
      min_presence: a body, face or hand with a lower probability is not there.
      smooth: smoothing of videos, `one-euro` or `savitzky-golay`, a `Smoothing`, or None.
    """

    max_people: int | None = None
    detect_every: int = 30
    min_presence: float = 0.5
    smooth: Literal["one-euro", "savitzky-golay"] | Smoothing | None = "one-euro"

    def __post_init__(self) -> None:
        if self.max_people is not None and self.max_people < 1:
            raise InputError(f"max_people must be at least 1 or None, not {self.max_people}")
        if self.detect_every < 1:
            raise InputError(f"detect_every must be at least 1, not {self.detect_every}")
        if not 0 <= self.min_presence <= 1:
            raise InputError(f"min_presence is in [0, 1], not {self.min_presence}")

    @property
    def smoothing(self) -> Smoothing | None:
        """`smooth` as a `Smoothing`, or None."""
        return Smoothing(self.smooth) if isinstance(self.smooth, str) else self.smooth


@dataclass
class _Followed:
    """Person with the regions in which the next frame is searched."""

    number: int
    body: Region
    new: bool = True
    face: Region | None = None
    hands: dict[str, Region] = field(default_factory=dict)


class Holistic:
    """From images and videos to 543 landmarks of each person: body, face and hands.

        holistic = jaxpose.Holistic.load()
        people = holistic("image.jpg")
        people[0]["left_forefinger4"], people.part("face").keypoints
        for people in holistic("video.mp4"):
            show(people.draw())

    Attributes:
      skeleton: `skeletons.HOLISTIC543`.
      takes_whole_images_as_people: False, as of a `Pipeline` with a detector.
      lifter: None: bodies have positions in 3D without one.
    """

    skeleton: Skeleton = HOLISTIC543
    takes_whole_images_as_people = False
    lifter = None

    def __init__(
        self,
        body: Trained,
        hands: Trained,
        face: Trained,
        detector: AnchoredDetector,
        options: HolisticOptions | None = None,
    ) -> None:
        """Prepares the pipeline.

        Args:
          body: BlazePose.
          hands: a model of hand landmarks.
          face: a face mesh.
          detector: BlazePose's detector of people.
          options: its options.

        Raises:
          InputError: a model has other keypoints, or the detector finds no regions of people.
        """
        for trained, part in ((body, "body"), (hands, "left_hand"), (face, "face")):
            if trained.skeleton.keypoints != PARTS[part][1].keypoints:
                raise InputError(
                    f"a holistic pipeline needs a model for {PARTS[part][1].name}, and "
                    f"{trained.directory} is one for {trained.skeleton.name}"
                )
        if not isinstance(detector, AnchoredDetector) or detector.finds != "people":
            raise InputError(
                "a holistic pipeline needs a detector that gives the regions of people, such as "
                "blazepose-detector"
            )
        self.options = options or HolisticOptions()
        self.detector = detector
        self._body, self._hands, self._face = (
            LandmarkPredictor(
                trained.model, trained.variables, trained.codec, trained.skeleton.num_keypoints, n
            )
            for trained, n in ((body, 1), (hands, 2), (face, 1))
        )

    @classmethod
    def load(
        cls,
        body: str | Path = MODELS["body"],
        hands: str | Path = MODELS["hands"],
        face: str | Path = MODELS["face"],
        detector: str | Path = MODELS["detector"],
        **options: Any,
    ) -> "Holistic":
        """The pipeline of published names, files or folders of models.

        Args:
          body: `blazepose-lite`, `-full` or `-heavy`, or the path of such a model.
          hands: `hand-landmark-lite` or `-full`, or the path of such a model.
          face: `face-mesh`, or its path.
          detector: `blazepose-detector`, or its path.
          options: fields of `HolisticOptions`.

        Raises:
          InputError: as for `hub.load.load`; a model of another kind; an unknown option, or one out
            of range.
        """
        check_names(options, HolisticOptions)
        chosen = HolisticOptions(**options)
        found: Any = load_detector(detector)
        return cls(load_pose(body), load_pose(hands), load_pose(face), found, chosen)

    def __call__(self, what: Any, *, fps: float | None = None) -> Any:
        """The people in images and videos; arguments and results are those of `Pipeline`.

        Raises:
          InputError: a single image that cannot be read, or nothing to read at all.
        """
        media = open_media(what, fps=fps)
        results = self.results(media)
        if not media.single:
            return results
        with results:
            for people in results._frames:
                return people
        raise InputError("; ".join(f"{s.source}: {s.reason}" for s in results.skipped))

    def results(self, media: Media, *, boxes: Any = None, lift: bool = False) -> Results:
        """`Results` of opened media, without boxes and without a lifter.

        Raises:
          InputError: boxes are given.
        """
        del lift
        if boxes is not None:
            raise InputError("a holistic pipeline finds the people itself: leave the boxes out")
        stages = StageTimer()
        return Results(self._run(media, stages), media, stages)

    def warm_up(self) -> None:
        """Compiles the models, so that no frame waits for it."""
        image = np.zeros((64, 64, 3), np.uint8)
        self.detector([image])
        for model, n in ((self._body, 1), (self._hands, 2), (self._face, 1)):
            model(image, [Region(32.0, 32.0, 64.0)] * n)

    @property
    def compilations(self) -> int:
        """Number of compilations of the models."""
        models = self._body, self._hands, self._face, self.detector
        return sum(int(model.compilations) for model in models)

    def _run(self, media: Media, stages: StageTimer) -> Iterator[People]:
        before = self.compilations
        frames = ahead(stages.timed("decode", media), _AHEAD)
        try:
            results: Iterator[People] = self._followed(frames, stages)
            if self.options.smoothing is not None:
                results = smooth_people(results, self.options.smoothing)
            yield from results
        finally:
            frames.close()  # type: ignore[attr-defined]
            stages.compilations = self.compilations - before
            stages.end()

    def _followed(self, frames: Iterable[Frame], stages: StageTimer) -> Iterator[HolisticPeople]:
        tracks: list[_Followed] = []
        source, count, number = "", 0, 0
        for frame in frames:
            if frame.seconds is None or frame.source != source:
                tracks, source, count, number = [], frame.source, 0, 0
            if not tracks or count % self.options.detect_every == 0:
                with stages("detect"):
                    for region in self._new(frame.image, [track.body for track in tracks]):
                        tracks.append(_Followed(number, region))
                        number += 1
            count += 1
            with stages("keypoints"):
                people, tracks = self._people(frame, tracks)
            yield people

    def _new(self, image: np.ndarray, followed: Sequence[Region]) -> list[Region]:
        """Regions of detected people that are not followed yet."""
        found: Any = self.detector([image])[0]
        most = self.options.max_people
        new: list[Region] = []
        for region in found.regions:
            known = [*followed, *new]
            if most is not None and len(known) >= most:
                break
            if all(_overlap(region, other) < _SAME for other in known):
                new.append(region)
        return new

    def _people(
        self, frame: Frame, tracks: Sequence[_Followed]
    ) -> tuple[HolisticPeople, list[_Followed]]:
        """People of a frame, and the same tracks for the next frame without those that are lost."""
        kept: list[_Followed] = []
        rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for track in tracks:
            body = self._body(frame.image, [track.body])
            if track.new and body.presence[0] >= self.options.min_presence:
                body = self._body(frame.image, [_next_body(body)])
            if body.presence[0] < self.options.min_presence:
                continue
            follows = _next_body(body)
            if any(_overlap(follows, other.body) > _SAME for other in kept):
                continue  # two tracks have met on one person
            rows.append(self._whole(frame.image, track, body))
            track.body, track.new = follows, False
            kept.append(track)
        return _as_people(frame, rows, kept), kept

    def _whole(
        self, image: np.ndarray, track: _Followed, body: FoundLandmarks
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keypoints `[543, 2]`, scores `[543]` and positions in mm `[33, 3]` of a person."""
        keypoints = np.repeat(body.keypoints[0][[_NOSE]], HOLISTIC543.num_keypoints, axis=0)
        scores = np.zeros(len(keypoints), np.float32)
        keypoints[PARTS["body"][0]], scores[PARTS["body"][0]] = body.keypoints[0], body.scores[0]
        points = _edges(body.keypoints[0])

        def place(part: str, found: tuple[np.ndarray, np.ndarray] | None) -> None:
            if found is not None:
                keypoints[PARTS[part][0]], scores[PARTS[part][0]] = found

        starts = {"face": face_of_body(points, body.scores[0])}
        regions, found = self._search(image, self._face, {"face": track.face}, starts, next_face)
        track.face = regions.get("face")
        place("face", found.get("face"))
        starts = {side: hand_of_body(points, body.scores[0], side) for side in _SIDES}
        for side in _SIDES:
            keypoints[PARTS[f"{side}_hand"][0]] = body.keypoints[0][_WRISTS[side]]
        followed = {side: track.hands.get(side) for side in _SIDES}
        for side, start in starts.items():
            region = followed[side]
            if region is not None and (start is None or _far(region, start)):
                followed[side] = None  # the hand was lost to something else
        regions, found = self._search(image, self._hands, followed, starts, next_hand)
        track.hands = regions
        for side in _SIDES:
            place(f"{side}_hand", found.get(side))
        assert body.world is not None
        return keypoints, scores, 1000 * body.world[0]

    def _search(
        self,
        image: np.ndarray,
        model: LandmarkPredictor,
        followed: dict[str, Region | None],
        starts: dict[str, Region | None],
        following: Callable[[np.ndarray], Region],
    ) -> tuple[dict[str, Region], dict[str, tuple[np.ndarray, np.ndarray]]]:
        """Search the parts in the followed regions, or from new ones, which are corrected first.

        Returns:
          Regions of the next frame, and keypoints and scores, of the parts that were found.
        """
        least = self.options.min_presence
        regions = {name: region for name, region in followed.items() if region is not None}
        new = {n: start for n, start in starts.items() if n not in regions and start is not None}
        for _ in range(_CORRECTIONS if new else 0):
            first = model(image, list(new.values()))
            new = {
                name: following(_edges(first.keypoints[row]))
                for row, name in enumerate(new)
                if first.presence[row] >= least
            }
            if not new:
                break
        regions |= new
        if not regions:
            return {}, {}
        result = model(image, list(regions.values()))
        found = {}
        for row, name in enumerate(list(regions)):
            if result.presence[row] < least:
                del regions[name]
                continue
            regions[name] = following(_edges(result.keypoints[row]))
            found[name] = result.keypoints[row], result.scores[row]
        return regions, found


def _next_body(body: FoundLandmarks) -> Region:
    return next_body(_edges(np.concatenate([body.keypoints[0], body.auxiliary[0]])))


def _edges(keypoints: np.ndarray) -> np.ndarray:
    """Points `[N, 2]` with pixel centres at integers -> from the image's outer edge."""
    return keypoints.astype(np.float64) + 0.5


def _overlap(a: Region, b: Region) -> float:
    """Intersection over union of two regions, as if both were upright."""
    shared = 1.0
    for p, q in ((a.x, b.x), (a.y, b.y)):
        shared *= max(
            0.0, min(p + a.side / 2, q + b.side / 2) - max(p - a.side / 2, q - b.side / 2)
        )
    return shared / (a.side**2 + b.side**2 - shared)


def _far(region: Region, start: Region) -> bool:
    """True if a followed hand is not where the body has it."""
    return bool(
        np.hypot(region.x - start.x, region.y - start.y) > 0.6 * max(region.side, start.side)
    )


def _as_people(
    frame: Frame,
    rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    tracks: Sequence[_Followed],
) -> HolisticPeople:
    count = len(rows)
    keypoints, scores, joints = (
        np.array([row[i] for row in rows], np.float32).reshape(count, *shape)
        for i, shape in enumerate(((543, 2), (543,), (33, 3)))
    )
    sides = np.array([[track.body.x, track.body.y, track.body.side] for track in tracks])
    sides = sides.reshape(count, 3).astype(np.float32)
    corners = sides[:, :2] - sides[:, 2:] / 2
    moving = frame.seconds is not None
    return HolisticPeople(
        HOLISTIC543,
        (frame.image.shape[0], frame.image.shape[1]),
        keypoints,
        scores,
        np.concatenate([corners, np.repeat(sides[:, 2:], 2, axis=1)], axis=1),
        np.arange(count),
        source=frame.source,
        index=frame.index if moving else None,
        seconds=frame.seconds,
        track_ids=np.array([t.number for t in tracks], np.int64) if moving else None,
        joints=joints,
        joint_skeleton=BLAZEPOSE33,
        fps=frame.fps,
        _image=frame.image,
    )
