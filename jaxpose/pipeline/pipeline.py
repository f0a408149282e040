"""From images to people: decode, detect, estimate keypoints, track, smooth, lift."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from jaxpose.errors import InputError
from jaxpose.hub.catalogue import HOLISTIC, is_holistic
from jaxpose.hub.load import Trained, load_detector, load_pose
from jaxpose.hub.quality import Quality, load_default_detector, load_default_pose
from jaxpose.media.frames import Frame, Skipped
from jaxpose.media.prefetch import StageTimer, ahead
from jaxpose.media.sources import Media, open_media
from jaxpose.metrics.oks import person_score
from jaxpose.pipeline.holistic import Holistic
from jaxpose.pipeline.lifting import LiftedVideo, lift_videos, open_lifter
from jaxpose.pipeline.neighbours import beside
from jaxpose.pipeline.options import Options, named_options
from jaxpose.pipeline.person_boxes import (
    Locate,
    Located,
    PersonDetector,
    by_boxes,
    by_detector,
    by_whole_image,
    following,
    locate_all,
)
from jaxpose.pipeline.refining import checked, open_refiner, refine_people
from jaxpose.pipeline.results import Results
from jaxpose.results.box_files import read_boxes
from jaxpose.results.people import People
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.lifting.track_lifter import TrackLifter
from jaxpose.tasks.refining.track_refiner import TrackRefiner
from jaxpose.tracking.camera_motion import CameraMotion
from jaxpose.tracking.pose_nms import (
    crop_similarity,
    parametric_similarity,
    pose_nms,
    pose_similarity,
)
from jaxpose.tracking.smoothing import smooth_people
from jaxpose.tracking.tracker import Tracker


class Pipeline:
    """People and their keypoints in images and videos.

    ```python
    pipeline = jaxpose.Pipeline()  # the default models, fetched at the first use
    pipeline = jaxpose.Pipeline(quality="accurate")
    pipeline = jaxpose.Pipeline.load("runs/vitpose_b", detector="rtmdet-nano.npz")
    people = pipeline("image.jpg")
    people[0]["left_knee"]  # Keypoint(x=.., y=.., score=..)
    for people in pipeline("video.mp4"):
        people.track_ids, people.keypoints
    ```

    A model whose estimator takes whole "images" (bottom-up and one-stage models) finds the people
    itself and needs no detector. Boxes that are given keep the people in them.

    Attributes:
      options: the options; see `Options`.
      predictor: from crops or images to keypoints; `predictor.compilations` counts compilations.
      detector: the person detector, or None.
      lifter: the lifter to 3D, or None.
      refiner: the refiner of tracks, or None.
      whole_images: True for a model that finds the people of whole images itself.
    """

    def __init__(
        self,
        pose: Trained | None = None,
        detector: PersonDetector | None = None,
        lifter: TrackLifter | None = None,
        options: Options | None = None,
        *,
        quality: Quality | None = None,
        refiner: TrackRefiner | None = None,
    ) -> None:
        """Binds a trained model, or loads the default ones; `load` reads one from its folder.

        Args:
          pose: the model, its variables, codec and skeleton; None loads the pose model of the
            options' quality and, without a `detector`, its person detector.
          detector: finds people; None with a `pose` takes each whole image as one person.
          lifter: adds joints in 3D; None does not.
          options: None is `Options()`.
          quality: `quality` of the options.
          refiner: refines tracked keypoints, in place of `smooth` (`open_refiner`).

        Raises:
          InputError: a name or path as `pose`; a quality together with `pose`; options or a
            detector that do not fit a model of whole images; or as for `load_default_pose`.
        """
        options = options or Options()
        if isinstance(pose, str | Path):
            raise InputError(
                f"Pipeline takes a loaded model; Pipeline.load({str(pose)!r}) loads one by its "
                "name or path."
            )
        if quality is not None:
            options = replace(options, quality=quality)
        if pose is None:
            _, pose = load_default_pose(options.quality)
            if detector is None:
                _, detector = load_default_detector(options.quality)
        elif options.quality is not None:
            raise InputError(
                f"quality={options.quality!r} chooses the default models, and a pose model is "
                "given, too: leave one of them out."
            )
        self.options = options
        self.detector = detector
        self.lifter = lifter
        self.refiner = checked(refiner, pose.skeleton, options)
        self.whole_images = pose.estimator.takes == "images"
        if self.whole_images:
            _check_whole_images(detector, options)
        self.predictor = pose.predictor(
            flip_test=options.flip_test,
            padding=options.padding,
            batch_size=options.batch_size,
            sizes=[4**n for n in range(4) if 4**n < options.batch_size],
            scales=options.scales,
        )

    @overload
    @classmethod
    def load(cls, pose: Literal["holistic"], **options: Any) -> Holistic: ...

    @overload
    @classmethod
    def load(
        cls,
        pose: str | Path | None = None,
        detector: str | Path | PersonDetector | None = None,
        lifter: str | Path | TrackLifter | None = None,
        *,
        refiner: str | Path | TrackRefiner | None = None,
        checkpoint: Literal["best", "last"] = "best",
        trust_recipe: bool = False,
        **options: Any,
    ) -> "Pipeline": ...

    @classmethod
    def load(
        cls,
        pose: str | Path | None = None,
        detector: str | Path | PersonDetector | None = None,
        lifter: str | Path | TrackLifter | None = None,
        *,
        refiner: str | Path | TrackRefiner | None = None,
        checkpoint: Literal["best", "last"] = "best",
        trust_recipe: bool = False,
        **options: Any,
    ) -> "Pipeline | Holistic":
        """The pipeline of models in folders or files, or at `https://` addresses of such.

        An address is downloaded once, checked and kept (`jaxpose.download`).

        Args:
          pose: the name of a model (`jaxpose.list_models`), `hf:ORG/REPO`, a run directory, a
            folder that `jaxpose convert` wrote, or a checkpoint that it recognises; None takes the
            default models (see `Options.quality`). "holistic" loads `Holistic`, which has its own
            detector and finds body, face and hands.
          detector: the name of a published one, weights of YOLOX or RTMDet (`Detector.load`), or
            any `PersonDetector`.
          lifter: as `pose`, of a lifter; or a `TrackLifter`.
          refiner: as `pose`, of a refiner of tracks; or a `TrackRefiner`.
          checkpoint: of runs: the one with the best held-out score, or the newest.
          trust_recipe: run code that came with the models, as in `jaxpose.hub.load.load`.
          options: fields of `Options`, or of `HolisticOptions`.

        Raises:
          InputError: a path or address without such a model, or as for `Options`.
        """
        if is_holistic(pose):
            parts = {"detector": detector, "lifter": lifter, "refiner": refiner}
            for name, value in parts.items():
                if value is not None:
                    raise InputError(f"{HOLISTIC} has its own models: leave the {name} out")
            return Holistic.load(**options)
        chosen = named_options(options)
        if isinstance(detector, str | Path):
            detector = load_detector(detector)
        if isinstance(lifter, str | Path):
            lifter = open_lifter(lifter, checkpoint, chosen.lifting, trust_recipe=trust_recipe)
        trained = None
        if pose is not None:
            trained = load_pose(pose, checkpoint, trust_recipe=trust_recipe)
        if not isinstance(refiner, str | Path):
            return cls(trained, detector, lifter, chosen, refiner=refiner)
        pipeline = cls(trained, detector, lifter, chosen)
        pipeline.refiner = open_refiner(
            refiner, pipeline.skeleton, chosen, checkpoint, trust_recipe=trust_recipe
        )
        return pipeline

    def __call__(self, what: Any, *, boxes: Any = None, fps: float | None = None) -> Any:
        """The people in images and videos.

        Args:
          what: an image (path or uint8 array), or a folder, video, webcam number, pattern, list or
            iterator of these: everything that `media.sources.open_media` takes.
          boxes: boxes of the people, instead of a detector: `[P, 4]` (x, y, w, h) pixels for every
            image, a function of the `Frame`, or the path of a file of boxes.
          fps: frames per second of arrays that are consecutive frames of a video.

        Returns:
          `People` for a single image, else `Results`, an iterator over `People`.

        Raises:
          InputError: a single image that cannot be read, or nothing to read at all. Of several
            images those that cannot be read are left out and listed in `Results.skipped`.
        """
        media = open_media(what, fps=fps)
        results = self.results(media, boxes=boxes)
        if not media.single:
            return results
        with results:
            for people in results._frames:
                return people
        raise InputError("; ".join(f"{s.source}: {s.reason}" for s in results.skipped))

    def results(self, media: Media, *, boxes: Any = None, lift: bool = True) -> Results:
        """`Results` of opened media; see `__call__`.

        Args:
          media: as `open_media` returns it.
          boxes: as in `__call__`.
          lift: False leaves the lifter out: frames then come one by one, with their images, and
            `lift` can be applied to them afterwards.
        """
        stages = StageTimer()
        lift = lift and self.lifter is not None
        return Results(self._run(media, boxes, stages, lift), media, stages)

    def lift(
        self, frames: Iterable[People], stages: StageTimer | None = None
    ) -> Iterator[LiftedVideo]:
        """Adds joints in 3D to results, video by video: each is lifted after its last frame.

        Args:
          frames: of one or several videos or images, one after the other.
          stages: counts the time of the stage "lift".

        Raises:
          InputError: the pipeline has no lifter; several people in a frame without track ids.
        """
        if self.lifter is None:
            raise InputError("the pipeline has no lifter: give one to `Pipeline.load(lifter=...)`")
        return lift_videos(frames, self.lifter, self.options.lifting, stages)

    def warm_up(self, *, every_size: bool = True) -> None:
        """Compiles the models for videos, so that no frame waits for it.

        Args:
          every_size: compile the smaller batches too, which `detect_every` above 1 and webcams use.
        """
        self.predictor.warm_up(every_size=every_size)
        if self.detector is not None and hasattr(self.detector, "compilations"):
            self.detector([np.zeros((64, 64, 3), np.uint8)])

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the keypoints."""
        skeleton: Skeleton = self.predictor.skeleton
        return skeleton

    @property
    def compilations(self) -> int:
        """Number of compilations of the models; constant once `warm_up` is done."""
        return int(self.predictor.compilations) + int(getattr(self.detector, "compilations", 0))

    def _run(self, media: Media, boxes: Any, stages: StageTimer, lift: bool) -> Iterator[People]:
        """The people of each frame: tracked, smoothed and, with `lift`, lifted."""
        options, before = self.options, self.compilations
        one_by_one = media.live or (options.detect_every > 1 and not media.still)
        opened: list[Any] = []
        try:
            locate = self._locate(boxes, stages)
            if not media.still:
                with stages.compiling():
                    self.warm_up(every_size=one_by_one)
            frames = ahead(
                stages.timed("decode", media), options.ahead, weigh=lambda one: one.image.nbytes
            )
            opened.append(frames)
            if one_by_one:
                results = self._frame_by_frame(frames, locate, stages)
            else:
                group = min(int(getattr(self.detector, "batch_size", 1)), options.ahead)
                located = ahead(
                    locate_all(frames, locate, group),
                    options.ahead,
                    weigh=lambda one: one.frame.image.nbytes,
                )
                opened.append(located)
                results = self._batched(located, stages, full=not media.still)
            results = self._tracked(results, stages)
            if options.smoothing is not None:
                results = smooth_people(results, options.smoothing)
            if self.refiner is not None:
                results = refine_people(results, self.refiner, stages)
            if lift:
                results = self._lifted(results, stages, media.skipped)
            yield from results
        finally:
            for one in reversed(opened):
                one.close()
            stages.compilations = self.compilations - before
            stages.end()

    @property
    def takes_whole_images_as_people(self) -> bool:
        """True if without given boxes each whole image is taken as one person."""
        return self.detector is None and not self.whole_images

    def _locate(self, boxes: Any, stages: StageTimer) -> Locate:
        options = self.options
        if isinstance(boxes, str | Path):
            boxes = read_boxes(boxes, options.min_box_score)
        if boxes is not None:
            return by_boxes(boxes, options.max_people)
        if self.detector is None:
            return by_whole_image
        return by_detector(self.detector, stages, options.min_box_score, options.max_people)

    def _batched(
        self, located: Iterable[Located], stages: StageTimer, full: bool
    ) -> Iterator[People]:
        """Keypoints in all boxes, in batches filled across frames."""
        under_way: deque[Located] = deque()
        waited = 0.0

        def items() -> Iterator[tuple[Any, ...]]:
            nonlocal waited
            begun = time.perf_counter()
            for one, others in beside(located, getattr(self.predictor, "times", ())):
                waited += time.perf_counter() - begun
                under_way.append(one)
                more = [[other.frame.image for other in others]] if others else []
                yield one.frame.image, self._boxes(one), *more
                begun = time.perf_counter()
            waited += time.perf_counter() - begun

        stream = self.predictor.stream(items(), full=full)
        while True:
            begun, before = time.perf_counter(), waited
            people = next(stream, None)
            if people is None:
                return
            busy = time.perf_counter() - begun - (waited - before)
            stages.add("pose", len(people), busy)
            yield self._without_duplicates(people, under_way.popleft())

    def _frame_by_frame(
        self, frames: Iterable[Frame], locate: Locate, stages: StageTimer
    ) -> Iterator[People]:
        """Keypoints in the detector's boxes of every n-th frame, and around themselves between."""
        options = self.options
        last: People | None = None
        since = 0
        for frame in frames:
            people = None
            moves = frame.seconds is not None
            same_video = moves and last is not None and last.source == frame.source
            if same_video and since < options.detect_every:
                people = self._followed(frame, last, stages)
            if people is None:
                (located,), since = locate([frame]), 0
                people = self._keypoints(located, stages)
            last, since = people, since + 1
            yield people

    def _followed(self, frame: Frame, last: People | None, stages: StageTimer) -> People | None:
        """The people of the frame before in this frame; None if no person is left."""
        options = self.options
        if last is None:
            return None
        boxes = following(last, options.min_score, options.keypoint_margin)
        if not len(boxes):
            return None
        people = self._keypoints(Located(frame, boxes), stages)
        there = np.flatnonzero(people.scores.mean(axis=1) >= options.lost_score)
        return people.keep(there) if len(there) else None

    def _keypoints(self, located: Located, stages: StageTimer) -> People:
        """Keypoints in the boxes of one frame."""
        with stages("pose", len(located.boxes_xywh)):
            people = self.predictor(located.frame.image, self._boxes(located))
        return self._without_duplicates(people, located)

    def _boxes(self, located: Located) -> np.ndarray | None:
        """Boxes for the predictor; None for all people of a whole image."""
        return None if self.whole_images and not located.user_boxes else located.boxes_xywh

    def _tracked(self, results: Iterable[People], stages: StageTimer) -> Iterator[People]:
        """Adds track ids to the people of videos; leaves out, and counts, those without one."""
        options, tracker, source = self.options, None, None
        moving: CameraMotion | None = None
        for people in results:
            if options.track and people.seconds is not None:
                if tracker is None or people.source != source:
                    tracker, source = Tracker(people.skeleton, options.tracking), people.source
                    moving = CameraMotion() if options.tracking.follow_camera else None
                with stages("track"):
                    boxes = people.boxes_xywh
                    camera = None if moving is None else moving(people.image, boxes)
                    ids = tracker(people.keypoints, people.scores, boxes, people.seconds, camera)
                people = replace(people, track_ids=ids, untracked=int(np.sum(ids == 0)))
                people = people.keep(np.flatnonzero(ids)) if people.untracked else people
            yield people

    def _without_duplicates(self, people: People, located: Located) -> People:
        """Labels people; removes those with low scores and, unless boxes were given, duplicates."""
        options, people = self.options, _labelled(people, located)
        scores = people.scores.mean(axis=1)
        kept = np.flatnonzero(scores >= options.min_person_score)
        people = people.keep(kept) if len(kept) < len(people) else people
        if options.nms is not None and not located.user_boxes and len(people) > 1:
            best = pose_nms(self._similarity(people), self._scores(people), options.nms)
            people = people if len(best) == len(people) else people.keep(np.sort(best))
        if self.whole_images and options.max_people is not None:
            best = np.argsort(-self._scores(people), kind="stable")[: options.max_people]
            people = people if len(best) == len(people) else people.keep(np.sort(best))
        return people

    def _scores(self, people: People) -> np.ndarray:
        """Scores `[P]` by which people are ranked."""
        boxed = 1.0 if people.box_scores is None else people.box_scores
        return person_score(people.scores, boxed, whole_images=self.whole_images)

    def _similarity(self, people: People) -> np.ndarray:
        """Similarity `[P, P]` of the people of one image."""
        if self.options.nms_by == "parametric":
            return parametric_similarity(people.keypoints, people.scores, people.boxes_xywh)
        if not self.whole_images:
            predictor = self.predictor
            input_hw = predictor.codec.input_hw
            return crop_similarity(
                people.keypoints, people.boxes_xywh, people.skeleton, predictor.padding, input_hw
            )
        return pose_similarity(
            people.keypoints,
            people.keypoints,
            people.skeleton,
            people.scores,
            people.scores,
            self.options.min_score,
        )

    def _lifted(
        self, frames: Iterable[People], stages: StageTimer, skipped: list[Skipped]
    ) -> Iterator[People]:
        """Adds joints; tracks that cannot be lifted are entered in `skipped`."""
        for video in self.lift(frames, stages):
            skipped += video.skipped
            yield from video.frames


def _check_whole_images(detector: PersonDetector | None, options: Options) -> None:
    """Refuses a detector, and options of one; the predictor refuses the options of crops.

    Raises:
      InputError: names what is to be left out.
    """
    if detector is not None:
        raise InputError("a model of whole images finds the people itself: leave the detector out")
    if options.detect_every != 1:
        raise InputError("a model of whole images finds the people itself: leave detect_every at 1")


def _labelled(people: People, located: Located) -> People:
    """Adds the frame's source and time, the detector's scores, and positions among all boxes."""
    frame, scores, rows = located.frame, located.scores, located.rows
    if rows is not None:
        people = replace(
            people,
            box_indices=rows[people.box_indices],
            skipped=tuple(
                one._replace(box_index=int(rows[one.box_index])) for one in people.skipped
            ),
        )
    return replace(
        people,
        source=frame.source,
        index=None if frame.seconds is None else frame.index,
        seconds=frame.seconds,
        fps=frame.fps,
        box_scores=None if scores is None else scores[people.box_indices],
        _image=frame.image,
    )
