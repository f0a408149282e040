"""Holistic pipeline: body, face and hands of each person, followed from frame to frame.

A detector finds people; the body's landmarks give rough regions of the face and of the hands, and
two small networks the exact ones: a detector of faces, and a network for regions of hands. In a
video, the landmarks of a frame give the regions of the next one, so detectors and small networks
run only for what is new, lost, or moves fast. After MediaPipe Holistic (Grishchenko & Bazarevsky
2020), which runs the small networks in every frame.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxpose.detect.anchored import AnchoredDetector
from jaxpose.detect.regions import (
    face_in_region,
    face_of_body,
    hand_in_region,
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
from jaxpose.skeletons import (
    BLAZEPOSE33,
    FACEMESH468,
    HAND21,
    HAND_REGION2,
    HOLISTIC543,
    Skeleton,
)
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
    "hand_region": "hand-region",
    "face_detector": "blazeface-short",
}
"""Names of the published models of the default pipeline, by their part."""
# Regions of detections that overlap a followed one by more are the same person.
_SAME = 0.6
# A part is followed while its rough region changes less from frame to frame: in radians, in sides
# of the part's region, and in shares of its own side. The numbers are MediaPipe's, which compares a
# followed region with that of the small network.
_FACE_MOVES = math.radians(15), 0.1, 0.3
_HAND_MOVES = math.radians(40), 0.2, 0.4


@dataclass(frozen=True)
class HolisticOptions:
    """Options of a `Holistic` pipeline.

    Attributes:
      max_people: largest number of people in a frame, the best detections; None is all.
      detect_every: in videos, the detector runs in every n-th frame to find new people, and in
        every frame while there is none. Faces and hands are searched anew in these frames.
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


class _Part(NamedTuple):
    """Region in which a face or hand is searched in the next frame, and the body's rough one."""

    region: Region
    rough: Region


@dataclass
class _Followed:
    """Person with the regions in which the next frame is searched."""

    number: int
    body: Region
    new: bool = True
    faces: dict[str, _Part] = field(default_factory=dict)
    hands: dict[str, _Part] = field(default_factory=dict)


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
        hand_region: Trained,
        face_detector: AnchoredDetector,
        options: HolisticOptions | None = None,
    ) -> None:
        """Prepares the pipeline.

        Args:
          body: BlazePose.
          hands: a model of hand landmarks.
          face: a face mesh.
          detector: BlazePose's detector of people.
          hand_region: the model for the region of a hand.
          face_detector: BlazeFace.
          options: its options.

        Raises:
          InputError: a model has other keypoints, or a detector finds other objects.
        """
        models = (
            (body, BLAZEPOSE33, 1),
            (hands, HAND21, 2),
            (face, FACEMESH468, 1),
            (hand_region, HAND_REGION2, 2),
        )
        for trained, skeleton, _ in models:
            if trained.skeleton.keypoints != skeleton.keypoints:
                raise InputError(
                    f"a holistic pipeline needs a model for {skeleton.name}, and "
                    f"{trained.directory} is one for {trained.skeleton.name}"
                )
        for found, finds, name in (
            (detector, "people", "blazepose-detector"),
            (face_detector, "faces", "blazeface-short"),
        ):
            if not isinstance(found, AnchoredDetector) or found.finds != finds:
                raise InputError(
                    f"a holistic pipeline needs a detector that gives the regions of {finds}, such "
                    f"as {name}"
                )
        self.options = options or HolisticOptions()
        self.detector, self._face_detector = detector, face_detector
        self._body, self._hands, self._face, self._hand_region = (
            LandmarkPredictor(
                trained.model, trained.variables, trained.codec, trained.skeleton.num_keypoints, n
            )
            for trained, _, n in models
        )

    @classmethod
    def load(
        cls,
        body: str | Path = MODELS["body"],
        hands: str | Path = MODELS["hands"],
        face: str | Path = MODELS["face"],
        detector: str | Path = MODELS["detector"],
        hand_region: str | Path = MODELS["hand_region"],
        face_detector: str | Path = MODELS["face_detector"],
        **options: Any,
    ) -> "Holistic":
        """The pipeline of published names, files or folders of models.

        Args:
          body: `blazepose-lite`, `-full` or `-heavy`, or the path of such a model.
          hands: `hand-landmark-lite` or `-full`, or the path of such a model.
          face: `face-mesh`, or its path.
          detector: `blazepose-detector`, or its path.
          hand_region: `hand-region`, or its path.
          face_detector: `blazeface-short`, or its path.
          options: fields of `HolisticOptions`.

        Raises:
          InputError: as for `hub.load.load`; a model of another kind; an unknown option, or one out
            of range.
        """
        check_names(options, HolisticOptions)
        chosen = HolisticOptions(**options)
        people: Any = load_detector(detector)
        faces: Any = load_detector(face_detector)
        models = load_pose(body), load_pose(hands), load_pose(face)
        return cls(*models, people, load_pose(hand_region), faces, chosen)

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
        models = (
            *(self._body, self._hands, self._face, self._hand_region),
            *(self.detector, self._face_detector),
        )
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
                for track in tracks:  # parts, too, are searched anew
                    track.faces, track.hands = {}, {}
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

        rough = {"face": face_of_body(points)}
        track.faces, found = self._search(
            image,
            self._face,
            _near(track.faces, rough, _FACE_MOVES),
            rough,
            self._new_faces,
            next_face,
        )
        place("face", found.get("face"))
        hands = {side: hand_of_body(points, body.scores[0], side) for side in _SIDES}
        rough = {side: region for side, region in hands.items() if region is not None}
        track.hands, found = self._search(
            image,
            self._hands,
            _near(track.hands, rough, _HAND_MOVES),
            rough,
            self._new_hands,
            next_hand,
        )
        for side in _SIDES:
            keypoints[PARTS[f"{side}_hand"][0]] = body.keypoints[0][_WRISTS[side]]
            place(f"{side}_hand", found.get(side))
        assert body.world is not None
        return keypoints, scores, 1000 * body.world[0]

    def _search(
        self,
        image: np.ndarray,
        model: LandmarkPredictor,
        followed: dict[str, Region],
        rough: Mapping[str, Region],
        new: Callable[[np.ndarray, dict[str, Region]], dict[str, Region]],
        following: Callable[[np.ndarray], Region],
    ) -> tuple[dict[str, _Part], dict[str, tuple[np.ndarray, np.ndarray]]]:
        """Search the parts in the followed regions, and those that are new or lost in new ones.

        Args:
          image: the image.
          model: model of the landmarks.
          followed: regions of the parts that are followed from the last frame.
          rough: rough regions from the body, of all parts that are not hidden.
          new: function from the rough regions of parts to exact ones, of those that it finds.
          following: function from landmarks to the region of the next frame.

        Returns:
          For the parts that were found, what the next frame needs, and keypoints and scores.
        """
        parts: dict[str, _Part] = {}
        found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        absent = {name: region for name, region in rough.items() if name not in followed}
        trying = dict(followed)
        while trying or absent:
            fresh = set(absent)
            trying |= new(image, absent) if absent else {}
            if trying:
                result = model(image, list(trying.values()))
                for row, name in enumerate(trying):
                    if result.presence[row] >= self.options.min_presence:
                        region = following(_edges(result.keypoints[row]))
                        parts[name] = _Part(region, rough[name])
                        found[name] = result.keypoints[row], result.scores[row]
            lost = [name for name in trying if name not in found and name not in fresh]
            trying, absent = {}, {name: rough[name] for name in lost}
        return parts, found

    def _new_faces(self, image: np.ndarray, rough: dict[str, Region]) -> dict[str, Region]:
        detections: Any = self._face_detector.in_regions(image, list(rough.values()))
        return {
            name: face_in_region(faces.keypoints[0])
            for name, faces in zip(rough, detections, strict=True)
            if len(faces)
        }

    def _new_hands(self, image: np.ndarray, rough: dict[str, Region]) -> dict[str, Region]:
        points = _edges(self._hand_region(image, list(rough.values())).keypoints)
        regions = map(hand_in_region, points)
        return {n: region for n, region in zip(rough, regions, strict=True) if region is not None}


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


def _near(
    parts: Mapping[str, _Part], rough: Mapping[str, Region], limits: tuple[float, float, float]
) -> dict[str, Region]:
    """Regions of the parts that can be followed: the body has them nearly where they were."""
    rotation, shift, scale = limits
    followed = {}
    for name, (region, before) in parts.items():
        now = rough.get(name)
        if now is None:
            continue
        turned = abs(math.remainder(now.rotation - before.rotation, 2 * math.pi))
        moved = max(abs(now.x - before.x), abs(now.y - before.y))
        grown = abs(now.side - before.side)
        if turned <= rotation and moved <= shift * region.side and grown <= scale * before.side:
            followed[name] = region
    return followed


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
