"""Actions of the people in a video while it runs: sliding windows, stable labels, events."""

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.results.people import People
from jaxpose.tasks.actions.classifier import ActionClassifier

# Part of a window that a track must last before its first label.
_LEAST_PART = 0.9


@dataclass(frozen=True)
class ActionWindows:
    """Windows over the tracks of a video, and the rule for labels.

    Attributes:
      window: length of a window in seconds; that of the clips of the training.
      every: seconds from a window to the next.
      votes: number of the last windows whose probabilities are averaged.
      least: lowest mean probability of a label.

    Raises:
      InputError: a value that is not positive, or a probability above 1.
    """

    window: float = 2.0
    every: float = 0.25
    votes: int = 3
    least: float = 0.5

    def __post_init__(self) -> None:
        if not (self.window > 0 and self.every > 0 and self.votes >= 1 and 0 < self.least <= 1):
            raise InputError(
                f"Windows need a positive length, step and number of votes and a probability in "
                f"(0, 1], not {self.window:g} s, {self.every:g} s, {self.votes} and {self.least:g}."
            )

    @property
    def delay(self) -> float:
        """Longest time in seconds from the begin of an action to its label.

        An action that fills all windows of a vote is labelled by then, if the model is right about
        each of them.
        """
        return self.window + self.every * self.votes


@dataclass(frozen=True)
class ActionEvent:
    """Action of one person from one time to another.

    Attributes:
      source: the video.
      track_id: number of the person.
      action: name of the class.
      begin: begin of the first window with this label, seconds of the video; not before the end of
        this person's last event.
      end: end of the last window with this label, seconds.
      reported: time at which the label was first known, seconds.
      score: largest mean probability of the label.
    """

    source: str
    track_id: int
    action: str
    begin: float
    end: float
    reported: float
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Values as JSON types, with times and score rounded to milliseconds and 0.0001."""
        digits = {"begin": 3, "end": 3, "reported": 3, "score": 4}
        return {k: round(v, digits[k]) if k in digits else v for k, v in asdict(self).items()}


@dataclass
class _Person:
    frames: deque[tuple[float, np.ndarray, np.ndarray]] = field(default_factory=deque)
    votes: deque[np.ndarray] = field(default_factory=deque)
    event: ActionEvent | None = None
    free: float = -np.inf
    """End of the last event that ended, in seconds."""


class ActionWatcher:
    """Labels of the people of consecutive frames, each person alone.

    A person is labelled once the track is as long as a window. One who leaves keeps the label until
    a window without frames.
    """

    def __init__(
        self, classifier: ActionClassifier, options: ActionWindows = ActionWindows()
    ) -> None:
        """Creates a watcher for videos with keypoints of `classifier.source`."""
        self.classifier, self.options = classifier, options
        self._people: dict[int, _Person] = {}
        self._times: deque[float] = deque()
        self._source = ""
        self._next = -np.inf
        self._size = (0, 0)

    def __call__(self, people: People) -> list[ActionEvent]:
        """Adds a frame; returns the events that ended.

        Raises:
          InputError: a frame of no video, without track ids, or not after the frame before it.
        """
        if people.seconds is None or (people.track_ids is None and len(people)):
            raise InputError(
                f"{people.source}: actions need the frames of a video, with track ids."
            )
        ended = []
        if people.source != self._source:
            ended = self.end()
            self._source, self._next = people.source, -np.inf
        now = people.seconds
        if self._times and now <= self._times[-1]:
            raise InputError(
                f"{people.source}: frames are out of order: {now:.3f} s follows "
                f"{self._times[-1]:.3f} s."
            )
        self._size = people.image_hw
        self._times.append(now)
        while self._times[0] < now - self.options.window:
            self._times.popleft()
        for row, number in enumerate([] if people.track_ids is None else people.track_ids):
            person = self._people.setdefault(int(number), _Person())
            person.frames.append((now, people.keypoints[row], people.scores[row]))
        if now >= self._next:
            self._next = now + self.options.every - 1e-6
            for number in list(self._people):
                ended += self._look(number, now)
        return ended

    def end(self) -> list[ActionEvent]:
        """Ends the video; returns its last events.

        People of a video that is shorter than a window are labelled by what there is.
        """
        ended = []
        for number, person in self._people.items():
            if person.event is None and not person.votes and len(person.frames) > 1:
                ended += self._vote(number, person, self._times[-1])
            if person.event is not None:
                ended.append(person.event)
        self._people, self._times = {}, deque()
        return ended

    def _look(self, number: int, now: float) -> list[ActionEvent]:
        person, begin = self._people[number], now - self.options.window
        while person.frames and person.frames[0][0] < begin:
            person.frames.popleft()
        if not person.frames:
            del self._people[number]
            return [] if person.event is None else [person.event]
        length = now - person.frames[0][0]
        known = bool(person.votes) or length >= _LEAST_PART * self.options.window
        return self._vote(number, person, now) if known else []

    def _vote(self, number: int, person: _Person, now: float) -> list[ActionEvent]:
        """Classifies the window that ends now; returns an event that ended."""
        begin = max(person.frames[0][0], now - self.options.window)
        times = [time for time in self._times if time >= begin]
        rows = {time: row for row, time in enumerate(times)}
        shape = person.frames[0][1].shape
        keypoints = np.full((len(times), 1, *shape), np.nan)
        scores = np.zeros((len(times), 1, shape[0]))
        for time, points, certain in person.frames:
            keypoints[rows[time], 0], scores[rows[time], 0] = points, certain
        height, width = self._size
        person.votes.append(self.classifier(keypoints, scores, (width, height)))
        while len(person.votes) > self.options.votes:
            person.votes.popleft()
        mean = np.mean(person.votes, axis=0)
        best, score = int(mean.argmax()), float(mean.max())
        last = person.event
        if last is not None:
            person.free = last.end
        if score < self.options.least:
            person.event = None
            return [] if last is None else [last]
        name = self.classifier.classes[best]
        if last is not None and last.action == name:
            score = max(score, last.score)
            begin, reported = last.begin, last.reported
        else:
            begin, reported = max(begin, person.free), now
        person.event = ActionEvent(self._source, number, name, begin, now, reported, score)
        return [] if last is None or last.action == name else [last]
