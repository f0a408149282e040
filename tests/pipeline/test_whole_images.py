"""`Pipeline` with a model of whole images, which finds the people itself."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from dots import SKELETON, draw_dots
from typer.testing import CliRunner

from jaxpose.cli import predict as predict_module
from jaxpose.cli.main import app
from jaxpose.errors import InputError
from jaxpose.hub.load import Trained
from jaxpose.pipeline import Options, Pipeline
from jaxpose.results.people import People
from jaxpose.viz import save_image

HW = (120, 320)


def frame(*lefts: float) -> np.ndarray:
    """People 64 pixels tall whose right dots are at these x."""
    return draw_dots(HW, [dot for x in lefts for dot in ((x + 25.6, 40.0), (x, 64.0))], 3)


@dataclass
class FindsAll:
    """Pairs of dots in whole images, from left to right, the first one of each twice."""

    batch_size: int
    boxes: list = field(default_factory=list)
    skeleton = SKELETON
    compilations = 0

    def __call__(self, image, boxes_xywh):
        return next(self.stream([(image, boxes_xywh)]))

    def stream(self, items, *, full=False):
        for image, boxes in items:
            self.boxes.append(boxes)
            rows = np.flatnonzero(image[64, :, 0] > 250)
            lefts = [x for x in rows if x - 1 not in rows]
            points = np.float32([[(x + 25.6, 40), (x, 64)] for x in [*lefts[:1], *lefts]])
            points = points.reshape(-1, 2, 2)
            scores = np.linspace(0.9, 0.6, 2 * len(points), dtype=np.float32).reshape(-1, 2)
            count = len(points)
            around = np.concatenate([points.min(1), np.ptp(points, axis=1)], axis=-1)
            yield People(SKELETON, HW, points, scores, around, np.zeros(count, np.int64))

    def warm_up(self, *, every_size=True):
        pass


@dataclass(frozen=True)
class Estimator:
    """Content of a bottom-up task's release that prediction needs."""

    takes: ClassVar[str] = "images"
    model = codec = None
    skeleton = SKELETON

    def predictor(self, variables, *, flip_test, batch_size, sizes, scales, padding):
        assert padding is None and scales == (1.0,)
        return FindsAll(batch_size)


TRAINED = Trained(Path("all"), Estimator(), {}, None)


def test_an_image_is_given_whole():
    pipeline = Pipeline(TRAINED, options=Options(batch_size=3))
    people = pipeline(frame(40, 150, 260))
    assert pipeline.predictor.boxes == [None] and pipeline.predictor.batch_size == 3
    # Three people: the one found twice is one.
    np.testing.assert_allclose(people.keypoints[:, 1, 0], [40, 150, 260], atol=2)
    assert people.box_scores is None and people[1]["right_dot"].y == 64
    assert len(pipeline(frame())) == 0


def test_a_video_has_ids():
    pipeline = Pipeline(TRAINED)
    video = np.stack([frame(40 + 2 * t, 200 - 2 * t) for t in range(6)])
    results = list(pipeline(video, fps=10))
    assert [people.track_ids.tolist() for people in results] == [[1, 2]] * 6
    assert [people.index for people in results] == list(range(6))
    assert pipeline.predictor.boxes == [None] * 6


def test_the_best_people_are_kept():
    people = Pipeline(TRAINED, options=Options(max_people=2))(frame(40, 150, 260))
    np.testing.assert_allclose(people.keypoints[:, 1, 0], [40, 150], atol=2)


@pytest.mark.parametrize(
    ("detector", "options", "message"),
    [
        (lambda images: [], {}, "leave the detector out"),
        (None, {"detect_every": 3}, "leave detect_every at 1"),
    ],
)
def test_what_only_crops_use_is_refused(detector, options, message):
    with pytest.raises(InputError, match=message):
        Pipeline(TRAINED, detector, options=Options(**options))


def test_given_boxes_are_passed_on():
    pipeline = Pipeline(TRAINED)
    pipeline(frame(40), boxes=[[0, 0, 9, 9]])
    assert pipeline.predictor.boxes[0].tolist() == [[0, 0, 9, 9]]


def test_predict_names_neither_boxes_nor_a_detector(tmp_path, monkeypatch):
    monkeypatch.setattr(predict_module, "load_pose", lambda run, checkpoint, **_: TRAINED)
    save_image(tmp_path / "a.png", frame(40, 150))
    arguments = ["predict", tmp_path / "a.png", "--from", "all", "--out", tmp_path / "out"]
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0 and "1 image, 2 people" in result.output
    content = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert not {"boxes", "detector"} & set(content)
    result = CliRunner().invoke(app, [*map(str, arguments), "--heatmaps"])
    assert result.exit_code == 2 and "leave --heatmaps out" in " ".join(result.output.split())
