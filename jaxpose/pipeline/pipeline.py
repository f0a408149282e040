"""From pictures to people: decode, detect, look, track, smooth, lift."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxpose.errors import InputError
from jaxpose.hub.load import Trained, load_detector, load_lifter, load_pose
from jaxpose.media.prefetch import StageTimer, ahead
from jaxpose.media.sources import Media, open_media
from jaxpose.media.video import Frame, Skipped
from jaxpose.pipeline.options import Options
from jaxpose.pipeline.person_boxes import (
    Locate,
    Located,
    PersonDetector,
    by_boxes,
    by_detector,
    by_whole_photo,
    following,
    locate_all,
)
from jaxpose.pipeline.results import Results
from jaxpose.results.box_files import read_boxes
from jaxpose.results.people import People
from jaxpose.tasks.lifting.track_lifter import TrackLifter
from jaxpose.tasks.lifting.tracks import lift_people
from jaxpose.tracking.pose_nms import pose_nms, pose_similarity
from jaxpose.tracking.smoothing import smooth_people
from jaxpose.tracking.tracker import Tracker


class Pipeline:
    """People in whatever holds pictures.

    ```python
    pipeline = jaxpose.Pipeline.load("runs/vitpose_b", detector="rtmdet-nano.npz")
    people = pipeline("photo.jpg")
    people[0]["left_knee"]  # Keypoint(x=.., y=.., score=..)
    for people in pipeline("film.mp4"):
        people.track_ids, people.keypoints
    ```

    Attributes:
      options: how it works.
      predictor: crops to keypoints; `predictor.compilations` counts compilations.
    """

    def __init__(
        self,
        pose: Trained,
        detector: PersonDetector | None = None,
        lifter: TrackLifter | None = None,
        options: Options | None = None,
    ) -> None:
        """Binds a trained model; `load` reads one from its folder.

        Args:
          pose: the model, its variables, codec and skeleton.
          detector: finds people; None takes each whole photo as one person.
          lifter: gives films joints in space; None leaves them in the picture.
          options: how to work.
        """
        self.options = options = options or Options()
        self.detector = detector
        self.lifter = lifter
        small = [4**n for n in range(4) if 4**n < options.batch_size]
        self.predictor = pose.predictor(
            flip_test=options.flip_test,
            padding=options.padding,
            batch_size=options.batch_size,
            sizes=small,
            scales=options.scales,
        )

    @classmethod
    def load(
        cls,
        pose: str | Path,
        detector: str | Path | PersonDetector | None = None,
        lifter: str | Path | TrackLifter | None = None,
        *,
        checkpoint: Literal["best", "last"] = "best",
        trust_recipe: bool = False,
        **options: Any,
    ) -> "Pipeline":
        """The pipeline of models in folders or files, or at `https://` addresses of such.

        What an address names is fetched once, checked and kept (`jaxpose.download`).

        Args:
          pose: the name of a published model (`jaxpose.list_models`), a run directory, a folder
            that `jaxpose convert` wrote, or a checkpoint that it recognises.
          detector: the name of a published one, weights of YOLOX or RTMDet (`Detector.load`), or
            anything that is called as one.
          lifter: as `pose`, of a lifter.
          checkpoint: of a run, the one with the best held-out score, or the newest.
          trust_recipe: run code that came with the models, as of `jaxpose.hub.load.load`.
          options: as in `Options`.

        Raises:
          InputError: a path or address that does not hold what it should, or an option that does
            not exist.
        """
        if isinstance(detector, str | Path):
            detector = load_detector(detector)
        lifts: TrackLifter | None = (
            load_lifter(lifter, checkpoint, trust_recipe=trust_recipe).predictor()
            if isinstance(lifter, str | Path)
            else lifter
        )
        try:
            chosen = Options(**options)
        except TypeError as error:
            raise InputError(f"{error}; see jaxpose.pipeline.Options") from None
        trained = load_pose(pose, checkpoint, trust_recipe=trust_recipe)
        return cls(trained, detector, lifts, chosen)

    def __call__(self, what: Any, *, boxes: Any = None, fps: float | None = None) -> Any:
        """The people in pictures.

        Args:
          what: a photo (path or uint8 array), or a folder, film, webcam number, pattern, list or
            iterator of these: all that `infer.media.open_media` takes.
          boxes: where people are, instead of the detector: `[P, 4]` (x, y, w, h) pixels for every
            picture, a function of the `Frame`, or the path of a file of boxes.
          fps: says that arrays are consecutive frames of a film at this rate.

        Returns:
          `People` of a single photo, else `Results`, an iterator over `People`.

        Raises:
          InputError: a single photo that cannot be read, or nothing to read at all. Of several,
            what cannot be read is left out and listed in `Results.skipped`.
        """
        media = open_media(what, fps=fps)
        results = self.results(media, boxes=boxes)
        if not media.single:
            return results
        with results:
            for people in results._made:
                return people
        raise InputError("; ".join(f"{s.source}: {s.reason}" for s in results.skipped))

    def results(self, media: Media, *, boxes: Any = None) -> Results:
        """`Results` of opened media; see `__call__`."""
        stages = StageTimer()
        return Results(self._run(media, boxes, stages), media, stages)

    def warm_up(self, *, every_size: bool = True) -> None:
        """Compiles what a film needs, so that no frame waits for it.

        Args:
          every_size: the smaller batches too, which `detect_every` above 1 and webcams use.
        """
        self.predictor.warm_up(every_size=every_size)
        if self.detector is not None and hasattr(self.detector, "compilations"):
            self.detector([np.zeros((64, 64, 3), np.uint8)])

    @property
    def compilations(self) -> int:
        """How often the models have been compiled; it must not grow once `warm_up` is done."""
        return self.predictor.compilations + int(getattr(self.detector, "compilations", 0))

    def _run(self, media: Media, boxes: Any, stages: StageTimer) -> Iterator[People]:
        options, before = self.options, self.compilations
        one_by_one = media.live or (options.detect_every > 1 and not media.still)
        opened: list[Any] = []
        try:
            locate = self._locate(boxes, stages)
            if not media.still:
                with stages("compile"):
                    self.warm_up(every_size=one_by_one)
            frames = ahead(stages.timed("decode", media), options.ahead)
            opened.append(frames)
            if one_by_one:
                made = self._followed(frames, locate, stages)
            else:
                group = min(int(getattr(self.detector, "batch_size", 1)), options.ahead)
                located = ahead(locate_all(frames, locate, group), options.ahead)
                opened.append(located)
                made = self._looked(located, stages, full=not media.still)
            made = self._tracked(made, stages)
            if options.smoothing is not None:
                made = smooth_people(made, options.smoothing)
            if self.lifter is not None:
                made = self._lifted(made, stages, media.skipped)
            yield from made
        finally:
            for one in reversed(opened):
                one.close()
            stages.compilations = self.compilations - before
            stages.end()

    def _locate(self, boxes: Any, stages: StageTimer) -> Locate:
        options = self.options
        if isinstance(boxes, str | Path):
            boxes = read_boxes(boxes, options.min_box_score)
        if boxes is not None:
            return by_boxes(boxes, options.max_people)
        if self.detector is None:
            return by_whole_photo
        return by_detector(self.detector, stages, options.min_box_score, options.max_people)

    def _looked(
        self, located: Iterable[Located], stages: StageTimer, full: bool
    ) -> Iterator[People]:
        """Keypoints in all boxes, in batches filled across frames."""
        under_way: deque[Located] = deque()
        waited = 0.0

        def items() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            nonlocal waited
            begun = time.perf_counter()
            for one in located:
                waited += time.perf_counter() - begun
                under_way.append(one)
                yield one.frame.image, one.boxes_xywh
                begun = time.perf_counter()
            waited += time.perf_counter() - begun

        looked = self.predictor.stream(items(), full=full)
        while True:
            begun, before = time.perf_counter(), waited
            people = next(looked, None)
            if people is None:
                return
            busy = time.perf_counter() - begun - (waited - before)
            stages.add("pose", len(people), busy)
            yield self._distinct(people, under_way.popleft())

    def _followed(
        self, frames: Iterable[Frame], locate: Locate, stages: StageTimer
    ) -> Iterator[People]:
        """Keypoints in the detector's boxes of every n-th frame, and around themselves between."""
        options, last, since = self.options, None, 0
        for frame in frames:
            found = None
            film = frame.fps is not None and last is not None and last.source == frame.source
            if film and since < options.detect_every:
                found = self._continued(frame, last, stages)
            if found is None:
                (located,), since = locate([frame]), 0
                found = self._look(located, stages)
            last, since = found, since + 1
            yield found

    def _continued(self, frame: Frame, last: People | None, stages: StageTimer) -> People | None:
        """The people of the frame before, where they are now; None if nobody is left."""
        options = self.options
        if last is None:
            return None
        boxes = following(last, options.min_score, options.keypoint_margin)
        if not len(boxes):
            return None
        people = self._look(Located(frame, boxes), stages)
        there = np.flatnonzero(people.scores.mean(axis=1) >= options.lost_score)
        return people.keep(there) if len(there) else None

    def _look(self, located: Located, stages: StageTimer) -> People:
        """Keypoints in the boxes of one frame."""
        with stages("pose", len(located.boxes_xywh)):
            people = self.predictor(located.frame.image, located.boxes_xywh)
        return self._distinct(people, located)

    def _tracked(self, made: Iterable[People], stages: StageTimer) -> Iterator[People]:
        """With ids in films."""
        options, tracker, source = self.options, None, None
        for people in made:
            if options.track and people.seconds is not None:
                if tracker is None or people.source != source:
                    tracker, source = Tracker(people.skeleton, options.tracking), people.source
                with stages("track"):
                    ids = tracker(
                        people.keypoints, people.scores, people.boxes_xywh, people.seconds
                    )
                people = replace(people, track_ids=ids)
            yield people

    def _distinct(self, people: People, located: Located) -> People:
        """Labelled, without doubtful people and, of those that were found, without duplicates."""
        options, people = self.options, _labelled(people, located)
        kept = np.flatnonzero(people.scores.mean(axis=1) >= options.min_person_score)
        people = people.keep(kept) if len(kept) < len(people) else people
        if options.nms is None or located.user_boxes or len(people) < 2:
            return people
        alike = pose_similarity(
            people.keypoints,
            people.keypoints,
            people.skeleton,
            people.scores,
            people.scores,
            options.min_score,
        )
        best = pose_nms(alike, people.scores.mean(axis=1), options.nms)
        return people if len(best) == len(people) else people.keep(np.sort(best))

    def _lifted(
        self, made: Iterable[People], stages: StageTimer, skipped: list[Skipped]
    ) -> Iterator[People]:
        """Whole films at a time, without their pictures: a lifter wants the whole track."""
        lifter, film = self.lifter, list[People]()

        def lifted() -> Iterator[People]:
            with stages("lift", len(film)):
                done = film
                if lifter is not None and any(map(len, film)):
                    source = film[0].source
                    done = lift_people(
                        film,
                        lifter,
                        report=lambda why: skipped.append(Skipped(source, f"not lifted: {why}")),
                    )[0]
            yield from done
            film.clear()

        for people in made:
            if film and people.source != film[0].source:
                yield from lifted()
            film.append(replace(people, _photo=None) if people.seconds is not None else people)
        if film:
            yield from lifted()


def _labelled(people: People, located: Located) -> People:
    """With where the frame came from, the detector's scores, and positions among all the boxes."""
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
        _photo=frame.image,
    )
