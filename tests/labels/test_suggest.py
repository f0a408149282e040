"""Frames worth labelling: one of each scene, doubtful ones first, none twice."""

import numpy as np
import pytest
from videos import write_video

from jaxpose.errors import InputError
from jaxpose.labels import suggest
from jaxpose.labels.suggest import doubts_of, suggest_frames
from jaxpose.media.image import read_image
from jaxpose.results.people import People
from jaxpose.results.writers import JsonLinesWriter
from jaxpose.skeletons import Skeleton

SPOT = Skeleton("spot", ("a", "b"))
SCENES = (slice(0, 12), slice(12, 14), slice(14, 30))
"""Scenes of the video, of very different lengths."""


@pytest.fixture
def video(tmp_path):
    """30 frames of three scenes, each with other bars, and in each frame a number."""
    rng = np.random.default_rng(0)
    images = []
    for scene in SCENES:
        image = rng.integers(0, 256, (6, 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
        images += [
            np.clip(image + n, 0, 255).astype(np.uint8) for n in range(scene.stop - scene.start)
        ]
    return write_video(tmp_path / "walk.mp4", images)


def predicted(index, score=0.9, place=20.0, count=1):
    points = np.full((count, 2, 2), place, np.float32)
    boxes = np.tile(np.float32([place - 5, place - 5, 30, 40]), (count, 1))
    scores = np.full((count, 2), score, np.float32)
    return People(
        *(SPOT, (48, 64), points, scores, boxes, np.arange(count)),
        source="walk.mp4",
        index=index,
        seconds=index / 10,
    )


def test_every_scene_gives_a_frame(video):
    chosen = suggest_frames(video, 3)
    assert [sum(s.start <= n < s.stop for n in chosen) for s in SCENES] == [1, 1, 1]
    assert suggest_frames(video, 3) == chosen == sorted(chosen)


def test_frames_that_are_labelled_are_not_chosen(video):
    first = suggest_frames(video, 5, seed=1)
    second = suggest_frames(video, 5, seed=1, labelled=first)
    assert len(first) == len(second) == 5 and not set(first) & set(second)
    assert suggest_frames(video, 40) == list(range(30))
    with pytest.raises(InputError, match="no frame that is not labelled"):
        suggest_frames(video, 3, labelled=range(30))


def test_equal_frames_are_filled_up(tmp_path):
    path = write_video(tmp_path / "still.mp4", [np.full((48, 64, 3), 99, np.uint8)] * 12)
    chosen = suggest_frames(path, 6)
    assert len(set(chosen)) == 6 and max(np.diff(chosen)) <= 4  # spread over the time


def test_long_videos_are_thinned(video, monkeypatch):
    monkeypatch.setattr(suggest, "MOST_FRAMES", 8)
    numbers, _ = suggest._small_copies(video)
    assert numbers.tolist() == list(range(0, 30, 4))


def test_low_scores_and_jumps_are_doubtful():
    frames = [predicted(n) for n in range(10)]
    frames[3] = predicted(3, score=0.2)
    frames[6] = predicted(6, place=45.0)  # jumps there and back
    frames[8] = predicted(8, count=0)
    doubts = doubts_of(frames)
    assert set(sorted(doubts, key=doubts.get)[-4:]) == {3, 6, 7, 8}
    assert doubts[0] == 0 and doubts_of([]) == {}


def test_doubtful_frames_come_first(video):
    doubts = {n: float(n in (5, 6, 20, 21)) for n in range(30)}
    chosen = suggest_frames(video, 2, doubts=doubts)
    assert set(chosen) <= {5, 6, 20, 21} and len(chosen) == 2


def test_the_command_writes_images_where_tools_open_them(video, tmp_path, run):
    out = tmp_path / "labeled-data"
    result = run("suggest-frames", video, "--count", 4, "--out", out)
    assert result.exit_code == 0, result.stderr
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert len(files) == 4 and all(name.startswith("walk/img00") for name in files)
    assert read_image(out / files[0]).shape == (48, 64, 3)
    writer = JsonLinesWriter(tmp_path / "p.jsonl")
    free = [n for n in range(30) if f"walk/img{n:04d}.png" not in files]
    for index in range(30):
        writer.write(predicted(index, score=0.1 if index in free[:2] else 0.9))
    writer.close()
    result = run(
        "suggest-frames", video, "--count", 1, "--predictions", tmp_path / "p.jsonl", "--out", out
    )
    assert result.exit_code == 0, result.stderr
    assert f"frames {free[0]}\n" in result.stdout or f"frames {free[1]}\n" in result.stdout
    other = video.rename(tmp_path / "other.mp4")
    result = run("suggest-frames", other, "--predictions", tmp_path / "p.jsonl", "--out", out)
    assert result.exit_code == 2 and "has no frames of" in result.stderr
    result = run("suggest-frames", tmp_path / "absent.mp4", "--out", out)
    assert result.exit_code == 2 and "absent.mp4" in result.stderr
