"""Actions while a video runs: windows, stable labels, events, people who come and go."""

import dataclasses
import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from jaxpose.cli.predict_actions import ActionEvents, open_actions
from jaxpose.cli.predict_command import Predict
from jaxpose.errors import InputError
from jaxpose.pipeline.options import Options
from jaxpose.results.people import People
from jaxpose.skeletons import COCO17
from jaxpose.tasks.actions.online import ActionWatcher, ActionWindows
from jaxpose.tasks.actions.people_clips import clip_of

OPTIONS = ActionWindows(window=1.0, every=0.2, votes=3, least=0.5)


class ByPlace:
    """Classifier that names what half of the image the mean keypoint of a window is in."""

    classes = ("left", "right")

    def __init__(self):
        self.frames = []

    def __call__(self, keypoints, scores, image_wh):
        self.frames.append((len(keypoints), int((scores.max(axis=(1, 2)) > 0).sum())))
        share = np.nanmean(np.where(np.isnan(keypoints[..., 0]), np.nan, keypoints[..., 0] > 50))
        return np.array([1 - share, share])


def frame(t, places, source="v.mp4", fps=20.0):
    """Frame t with a person of each id at an x."""
    count = len(places)
    keypoints = np.tile(np.array(list(places.values()), np.float32)[:, None, None], (1, 17, 2))
    return People(
        COCO17,
        (100, 100),
        keypoints.reshape(count, 17, 2),
        np.full((count, 17), 0.9, np.float32),
        np.zeros((count, 4), np.float32),
        np.arange(count),
        source=source,
        index=t,
        seconds=t / fps,
        track_ids=np.array(list(places), np.int64),
    )


def watched(frames, options=OPTIONS):
    watcher = ActionWatcher(ByPlace(), options)
    events = [event for people in frames for event in watcher(people)]
    return [*events, *watcher.end()], watcher


def test_an_action_is_labelled_within_the_stated_delay():
    events, _ = watched(frame(t, {3: 10 if t < 60 else 90}) for t in range(120))
    assert [(e.track_id, e.action) for e in events] == [(3, "left"), (3, "right")]
    left, right = events
    assert left.begin == 0 and left.reported <= OPTIONS.delay
    assert 3.0 <= right.reported <= 3.0 + OPTIONS.delay and right.end == pytest.approx(5.8, abs=0.2)
    assert OPTIONS.delay == pytest.approx(1.6) and right.score == 1.0
    assert set(right.to_dict()) == {
        *("source", "track_id", "action", "begin", "end", "reported", "score")
    }


@pytest.mark.parametrize("least", [0.5, 0.9])
def test_events_of_a_person_follow_each_other(least):
    options = dataclasses.replace(OPTIONS, least=least)
    places = (10 if t // 60 % 2 == 0 else 90 for t in range(240))
    events, _ = watched((frame(t, {1: x}) for t, x in enumerate(places)), options)
    assert [e.action for e in events] == ["left", "right", "left", "right"]
    assert all(a.end <= b.begin < b.end for a, b in itertools.pairwise(events))


def test_a_short_slip_changes_no_label():
    events, _ = watched(frame(t, {1: 90 if t in (30, 31, 32) else 10}) for t in range(100))
    assert [e.action for e in events] == ["left"]


def test_people_come_and_go():
    def places(t):
        return {n: 10 * n for n, (a, b) in {1: (0, 100), 8: (40, 90)}.items() if a <= t < b}

    events, watcher = watched(frame(t, places(t)) for t in range(140))
    assert sorted((e.track_id, e.action) for e in events) == [(1, "left"), (8, "right")]
    (second,) = [e for e in events if e.track_id == 8]
    assert second.begin >= 40 / 20 and second.reported >= 40 / 20 + 0.9
    # Windows hold frames without the person too.
    assert any(seen < frames for frames, seen in watcher.classifier.frames)


def test_a_video_shorter_than_a_window_gets_one_label():
    events, watcher = watched(frame(t, {1: 90}) for t in range(6))
    (event,) = events
    assert event.action == "right" and event.end == pytest.approx(0.25)
    assert watcher.classifier.frames == [(6, 6)]


def test_each_video_has_people_of_its_own():
    films = [*(frame(t, {1: 10}) for t in range(40)), *(frame(t, {1: 90}, "w") for t in range(40))]
    events, _ = watched(films)
    assert [(e.source, e.action) for e in events] == [("v.mp4", "left"), ("w", "right")]


def test_what_cannot_be_watched_is_refused():
    with pytest.raises(InputError, match="out of order"):
        watched([frame(4, {1: 10}), frame(3, {1: 10})])
    still = People(*(getattr(frame(0, {1: 1}), n) for n in _SIX))
    with pytest.raises(InputError, match="frames of a video, with track ids"):
        watched([still])
    with pytest.raises(InputError, match="positive length"):
        ActionWindows(window=0)


_SIX = ("skeleton", "image_hw", "keypoints", "scores", "boxes_xywh", "box_indices")


def test_a_clip_has_the_longest_tracks():
    frames = [frame(t, {1: 10, 5: 60} if t < 8 else {5: 60, 9: 80}) for t in range(10)]
    keypoints, scores = clip_of(frames, 2)
    assert keypoints.shape == (10, 2, 17, 2) and keypoints[0, 0, 0, 0] == 60
    assert np.isnan(keypoints[8:, 1]).all() and scores[8:, 1].max() == 0
    with pytest.raises(InputError, match="at least one frame"):
        clip_of([])
    empty, _ = clip_of([frame(0, {})])
    assert empty.shape == (1, 0, 17, 2)


def test_the_option_is_for_followed_people_in_videos():
    def opened(still=False, **options):
        media = SimpleNamespace(still=still)
        return open_actions(Predict(["x"], **options), Options(track=not still), media, COCO17)

    assert opened() is None
    with pytest.raises(InputError, match="--actions is for videos"):
        opened(still=True, actions="runs/a")
    media = SimpleNamespace(still=False)
    with pytest.raises(InputError, match="leave --no-track out"):
        open_actions(Predict(["x"], actions="runs/a"), Options(track=False), media, COCO17)


def test_events_are_written_as_json_and_csv(tmp_path):
    events = ActionEvents(ActionWatcher(ByPlace(), OPTIONS))
    frames = [frame(t, {3: 10 if t < 60 else 90}) for t in range(120)]
    assert list(events.watched(frames)) == frames
    note = events.write(tmp_path)
    assert "2 actions" in note and "1.6 s" in note
    content = json.loads((tmp_path / "actions.json").read_text())
    assert content["delay_s"] == pytest.approx(1.6) and len(content["events"]) == 2
    lines = (tmp_path / "actions.csv").read_text().splitlines()
    assert lines[0] == "source,track_id,action,begin,end,reported,score"
    assert lines[1].startswith("v.mp4,3,left,0.0,") and len(lines) == 3
