"""From an upload to a picture, a table and files, with a model that finds dots."""

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import cv2
import drawn
import numpy as np
import pytest
from dots import SKELETON, draw_dots, trained

from jaxpose.codecs.lifting import LiftingCodec, Statistics
from jaxpose.demo.limits import Limits
from jaxpose.demo.session import DemoSession
from jaxpose.demo.temp_files import without_folders
from jaxpose.errors import InputError
from jaxpose.media.image import read_image
from jaxpose.models import martinez
from jaxpose.pipeline import Options, Pipeline, dataframe
from jaxpose.results.people import People
from jaxpose.skeletons import COCO17, H36M17
from jaxpose.tasks.lifting.track_lifter import TrackLifter

HW = (128, 96)
DOTS = [(76.8, 38.4), (25.6, 89.6)]
TRAINED = trained()


class Boxes:
    """A detector that says what it is told to."""

    xywh: list[list[float]] = []

    def __call__(self, images):
        boxes = np.array(self.xywh, np.float32).reshape(-1, 4)
        return [SimpleNamespace(boxes_xywh=boxes, scores=np.ones(len(boxes)))] * len(images)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(TRAINED, Boxes(), options=Options(batch_size=4))


@pytest.fixture
def session(pipeline, tmp_path) -> DemoSession:
    (tmp_path / "results").mkdir()
    pipeline.detector.xywh = [[0, 0, 96, 128]]
    limits = Limits(max_upload_mb=1, max_video_seconds=0.85)
    return DemoSession(pipeline, limits, tmp_path / "results", {"models": {"pose": "dots"}})


def upload(tmp_path: Path) -> Path:
    (tmp_path / "uploads").mkdir()
    path = tmp_path / "uploads" / "my [1] *.txt"
    path.write_bytes(cv2.imencode(".png", draw_dots(HW, DOTS, 6))[1].tobytes())
    return path


def film(path: Path, count: int) -> Path:
    writer = cv2.VideoWriter(
        str(path.with_suffix(".avi")), cv2.VideoWriter.fourcc(*"MJPG"), 10, HW[::-1]
    )
    for _ in range(count):
        writer.write(draw_dots(HW, DOTS, 6))
    writer.release()
    return path.with_suffix(".avi").rename(path)


def test_a_photo(session, tmp_path):
    path = upload(tmp_path)
    found = session.image(path)
    expected = session.pipeline(read_image(path))
    table = found.table(0.0)
    assert [row[:2] for row in table] == [[0, "left_dot"], [0, "right_dot"]]
    np.testing.assert_allclose([row[2:4] for row in table], expected.keypoints[0], atol=0.006)
    np.testing.assert_allclose([row[2:4] for row in table], DOTS, atol=0.7)
    assert found.summary(0.0).startswith("1 person, 2 of 2 keypoints score 0.00 or more; ")
    picture = read_image(found.draw(0.3))
    middle = np.mean(DOTS, axis=0).astype(int)
    assert picture.shape == (*HW, 3) and np.ptp(picture[middle[1], middle[0]].astype(int)) > 50
    # The score decides what is shown, not what is in the files.
    assert found.table(1.0) == [] and "0 of 2 keypoints score 1.00" in found.summary(1.0)
    np.testing.assert_allclose(read_image(found.draw(1.0)), read_image(path), atol=8)
    document = (found.folder / "predictions.json").read_text()
    assert str(tmp_path) not in document and "my [1]" not in document
    (entry,) = json.loads(document)["photos"]
    assert entry == {"file": "photo", **expected.to_dict()}
    lines = (found.folder / "predictions.csv").read_text().splitlines()
    assert len(lines) == 3 and lines[1].startswith("photo,,,0,,left_dot,")


def test_nobody_and_several(session, tmp_path):
    path = upload(tmp_path)
    session.pipeline.detector.xywh = []
    nobody = session.image(path)
    assert nobody.summary(0.3).startswith("No person was found in this image; ")
    np.testing.assert_allclose(read_image(nobody.draw(0.3)), read_image(path), atol=8)
    session.pipeline.detector.xywh = [[0, 0, 96, 128], [40, 40, 20, 20], [500, 0, 9, 9]]
    several = session.image(path)
    assert several.summary(0.0).startswith("2 people, 4 of 4")
    assert "is outside" in several.summary(0)
    assert [row[0] for row in several.table(0.0)] == [0, 0, 1, 1]


def test_a_film_up_to_its_limit(session, tmp_path):
    progress = []
    path = film(tmp_path / "upload.txt", 14)
    found = session.video(path, lambda *now: progress.append(now))
    assert progress == [(n, 14) for n in range(1, 10)]
    told = found.summary(0.0)
    assert told.startswith("1 person, 18 of 18") and "9 frames in" in told
    assert told.endswith("The video is longer: this is it up to 0.9 s.")
    assert [row[:3] for row in found.table(0.0)][-1] == [8, 1, "right_dot"]
    path.unlink()  # what is shown later needs nothing of the upload
    shown = found.draw(0.3)
    capture = cv2.VideoCapture(str(shown))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 9 and found.draw(0.3) == shown
    assert capture.read()[1].shape == (*HW, 3)
    frames = json.loads((found.folder / "predictions.json").read_text())["frames"]
    assert [(one["file"], one["frame"]) for one in frames] == [("film", n) for n in range(9)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#EXTM3U\nfile:///etc/passwd", "not a video in MP4"),
        (b"\0\0\0\x18ftypmp42" + bytes(99), "not a readable video"),
        (bytes(1_000_001), "at most 1 MB"),
    ],
)
def test_a_film_that_is_none(session, tmp_path, content, message):
    path = session.folder / "some" / "upload"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        session.video(path)
    told = without_folders(str(caught.value), session.folder)
    assert str(tmp_path) not in told and message in told


def test_a_full_disk(session, tmp_path, monkeypatch):
    found = session.image(upload(tmp_path))

    def full(path, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError) as caught:
        found.draw(0.3)
    told = without_folders(str(caught.value), session.folder)
    assert told == (
        "drawn_0.30.jpg cannot be written: No space left on device; make room and run it again."
    )


def test_uploads_that_are_gone(session, tmp_path):
    with pytest.raises(InputError, match="not kept any longer"):
        session.video(tmp_path / "none")
    path = upload(tmp_path)
    found = session.image(path)
    path.unlink()
    with pytest.raises(InputError, match="not kept any longer"):
        found.draw(0.5)


def test_people_in_space(tmp_path):
    rng = np.random.default_rng(0)
    statistics = Statistics.of(rng.normal(size=(50, 17, 2)))
    joints = Statistics.of(0.3 * rng.normal(size=(50, 17, 3)))
    model = martinez(17, 17, channels=8)
    start = np.zeros(model.input_shape(), np.float32)
    variables = drawn.init(model, start)
    lifter = TrackLifter(
        model,
        variables,
        LiftingCodec(input_statistics=statistics, target_statistics=joints),
        H36M17,
    )

    class OneBody:
        """A predictor that finds one body in any image."""

        skeleton = COCO17
        compilations = 0

        def stream(self, items, *, full=False):
            for _ in items:
                points = rng.uniform(0, 90, (1, 17, 2)).astype(np.float32)
                scores, box = np.ones((1, 17), np.float32), np.ones((1, 4), np.float32)
                yield People(COCO17, HW, points, scores, box, np.arange(1))

        def warm_up(self, *, every_size=True):
            self.warm = True

    pose = SimpleNamespace(
        estimator=SimpleNamespace(takes="crops"),
        skeleton=COCO17,
        predictor=lambda **options: OneBody(),
    )
    pipeline = Pipeline(pose, lifter=lifter)
    session = DemoSession(pipeline, Limits(), tmp_path, {})
    session.warm_up()
    assert pipeline.predictor.warm
    found = session.image(upload(tmp_path))
    assert read_image(found.view_3d).std() > 5
    (entry,) = json.loads((found.folder / "predictions.json").read_text())["photos"]
    assert list(entry["people"][0]["joints_mm"]) == list(H36M17.keypoints)
    assert len(dataframe(found.people)) == 17
    # A model of which the lifter can make nothing is known before the page is served.
    pipeline.predictor.skeleton = SKELETON
    with pytest.raises(InputError, match="hip"):
        session.warm_up()
