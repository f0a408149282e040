"""`jaxpose.Pipeline` with a model and a detector that find white dots: photos, films, arrays."""

import threading
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from dots import SKELETON, draw_dots, trained

import jaxpose
from jaxpose.cli.predict_summary import PredictSummary, summarise
from jaxpose.errors import InputError
from jaxpose.media.prefetch import StageTimer
from jaxpose.media.sources import Media
from jaxpose.pipeline import Options, Pipeline, dataframe
from jaxpose.viz import save_image

HW = (120, 320)


def person(x: float, y: float = 20) -> list[tuple[float, float]]:
    """The dots (left, right) of someone 64 pixels tall whose box begins at (x, y)."""
    return [(x + 38.4, y + 19.2), (x + 12.8, y + 44.8)]


def frame(*places: float) -> np.ndarray:
    return draw_dots(HW, [dot for x in places for dot in person(x)], 3)


@dataclass(frozen=True)
class Found:
    boxes_xywh: np.ndarray
    scores: np.ndarray


class DotDetector:
    """Boxes of the pairs of dots in a photo, and a false one of a low score."""

    batch_size = 2

    def __init__(self):
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        return [self._find(image) for image in images]

    def _find(self, image):
        light = (image[:, :, 0] > 200).astype(np.uint8)
        _, _, _, centres = cv2.connectedComponentsWithStats(light)
        rows = sorted(centres[1:].tolist())
        boxes = [[x - 12.8, y - 44.8, 48, 64] for x, y in rows[::2]]
        scores = [0.9] * len(boxes) + [0.1, np.nan]
        boxes += [[0, 0, 30, 30], [5, 5, 9, 9]]
        return Found(np.array(boxes, np.float32), np.array(scores, np.float32))


TRAINED = trained()


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(TRAINED, DotDetector(), options=Options(batch_size=4))


@pytest.fixture(scope="module")
def follower() -> Pipeline:
    return Pipeline(TRAINED, DotDetector(), options=Options(batch_size=4, detect_every=5))


def film(tmp_path: Path, frames, name="film.avi", fps=10) -> Path:
    path = tmp_path / name
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, HW[::-1])
    for image in frames:
        writer.write(image)
    writer.release()
    return path


def walk(count: int = 24):
    """Two people who come towards each other, and a third after half of the time."""
    for t in range(count):
        places = [10 + 2.5 * t, 130 - 1.0 * t] + ([220.0] if t >= count // 2 else [])
        yield frame(*places)


def test_a_photo_gives_people(pipeline, tmp_path):
    save_image(tmp_path / "a.png", frame(30, 150))
    for what in (
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        frame(30, 150),
        frame(30, 150)[..., 0],
    ):
        people = pipeline(what)
        assert len(people) == 2 and people.track_ids is None and people.index is None
        np.testing.assert_allclose(people.keypoints, [person(30), person(150)], atol=0.6)
        np.testing.assert_allclose(people.box_scores, [0.9, 0.9])
        assert people[1]["left_dot"].x == pytest.approx(188.4, abs=0.6)
        assert people.draw().shape == (*HW, 3)
        assert people.to_dict()["people"][0]["box_score"] == 0.9
    assert people.source.startswith("array")
    assert len(pipeline(np.zeros((*HW, 3), np.uint8))) == 0
    with pytest.raises(InputError, match="does not exist"):
        pipeline(tmp_path / "none.png")


def test_a_film_has_ids_times_and_flat_memory(pipeline, tmp_path):
    path = film(tmp_path, walk())
    results = pipeline(path)
    assert results.count == 24
    seen = []
    for people in results:
        assert people.draw().shape == (*HW, 3)
        seen.append(people)
    assert [people.index for people in seen] == list(range(24))
    np.testing.assert_allclose([people.seconds for people in seen], np.arange(24) / 10, atol=1e-6)
    assert [sorted(p.track_ids.tolist()) for p in seen] == [[1, 2]] * 12 + [[1, 2, 3]] * 12
    for t, people in enumerate(seen):
        first = people.keypoints[people.track_ids.tolist().index(1)]
        np.testing.assert_allclose(first, person(10 + 2.5 * t), atol=1.0)
    with pytest.raises(InputError, match="inside the loop"):
        seen[0].draw()
    assert seen[0].draw(frame(10)).shape == (*HW, 3)
    stages = results.stages
    assert stages.by_name["pose"].items == sum(len(people) for people in seen) == 60
    assert stages.by_name["decode"].items == stages.by_name["detect"].items == 24
    again = pipeline(path)
    assert len(list(again)) == 24 and again.stages.compilations == 0


def test_people_without_an_id_are_counted(pipeline, tmp_path, capsys):
    one = Pipeline(TRAINED, pipeline.detector, options=Options(tracking={"individuals": 1}))
    results = one(film(tmp_path, walk(8)))
    outcome = PredictSummary(0.0)
    for people in results:
        assert people.track_ids.tolist() == [1]
        assert people.to_dict()["people_untracked"] == people.untracked
        outcome.add(people)
    summarise(outcome, Media([]), tmp_path, None, StageTimer(), [])
    said = " ".join(capsys.readouterr().out.split())
    assert "12 people left out: they continue no track, are more than --individuals" in said
    assert "given 20 people = done 8 + left out 12 (no track: 12)" in said


def test_the_detector_rests_between_every_nth_frame(follower, tmp_path):
    follower.detector.seen = 0
    results = follower(film(tmp_path, walk(25)))
    seen = list(results)
    assert follower.detector.seen == 5  # the third person is found when it looks again
    ids = [people.track_ids.tolist() for people in seen]
    assert all(found[:2] == [1, 2] for found in ids) and ids[15][2:] == [3]
    for t, people in enumerate(seen):
        np.testing.assert_allclose(people.keypoints[0], person(10 + 2.5 * t), atol=1.2)
    assert seen[1].box_scores is None and seen[0].box_scores is not None
    assert follower.compilations == follower.predictor.compilations == 2  # sizes 1 and 4


def test_a_frame_without_anybody_is_looked_at_again(follower, tmp_path):
    frames = [frame(30), frame(), frame(), frame(200), frame(202)]
    seen = list(follower(film(tmp_path, frames)))
    assert [len(people) for people in seen] == [1, 0, 0, 1, 1]
    assert seen[4].box_scores is None


def test_one_dominant_person_and_given_boxes(tmp_path):
    alone = Pipeline(TRAINED, options=Options(batch_size=4))
    crop = frame(30)[20:84, 30:78]
    people = alone(crop)
    np.testing.assert_allclose(people.keypoints[0], person(0, 0), atol=0.6)
    given = [[30, 20, 48, 64], [np.nan, 0, 4, 4]]
    people = alone(frame(30), boxes=given)
    assert people.box_indices.tolist() == [0] and people.skipped[0].box_index == 1
    (tmp_path / "boxes.csv").write_text("file,x,y,w,h\na.png,30,20,48,64\n")
    save_image(tmp_path / "a.png", frame(30))
    assert len(alone(tmp_path / "a.png", boxes=tmp_path / "boxes.csv")) == 1
    moving = alone(
        np.stack(list(walk(6))), fps=10, boxes=lambda f: [[10 + 2.5 * f.index, 20, 48, 64]]
    )
    assert [people.track_ids.tolist() for people in moving] == [[1]] * 6
    with pytest.raises(InputError, match="boxes are"):
        alone(frame(30), boxes=[[1, 2, 3]])


def test_what_cannot_be_read_is_left_out_and_listed(pipeline, tmp_path):
    save_image(tmp_path / "2.png", frame(30))
    (tmp_path / "10.png").write_bytes(b"")
    film(tmp_path, walk(3), "11.avi")
    (tmp_path / "12.mp4").write_text("no film")
    results = pipeline(tmp_path)
    seen = list(results)
    assert [Path(p.source).name for p in seen] == ["2.png"] + ["11.avi"] * 3
    assert [Path(s.source).name for s in results.skipped] == ["10.png", "12.mp4"]
    assert [p.track_ids is None for p in seen] == [True, False, False, False]
    # What is left of a folder still has its pictures: they are read again.
    assert seen[0].draw().shape == (*HW, 3)


def test_iterators_arrays_and_many_people(pipeline):
    results = pipeline(iter([frame(30), np.zeros((1, 1), np.uint8), frame(60, 200)]))
    assert [len(people) for people in results] == [1, 0, 2]
    boxes = np.tile([[30.0, 20, 48, 64]], (500, 1))
    crowd = Pipeline(TRAINED, options=Options(batch_size=64))
    assert len(crowd(frame(30), boxes=boxes)) == 500
    crowd.options = replace(crowd.options, max_people=3)
    larger = boxes + 2 * np.isin(np.arange(500), [7, 9, 400])[:, None] * [0, 0, 1, 1]
    assert crowd(frame(30), boxes=larger).box_indices.tolist() == [7, 9, 400]


def test_whoever_is_found_twice_is_one(pipeline):
    class Twice(DotDetector):
        def _find(self, image):
            found = super()._find(image)
            return Found(*(np.repeat(values, 2, axis=0) for values in vars(found).values()))

    twice = Pipeline(TRAINED, Twice(), options=Options(batch_size=4))
    assert len(twice(frame(30, 150))) == 2
    twice.options = Options(batch_size=4, nms=None)
    assert len(twice(frame(30, 150))) == 4


def test_leaving_the_loop_stops_the_threads(pipeline, tmp_path):
    path = film(tmp_path, walk())
    with pipeline(path) as results:
        for _ in results:
            break
    assert not [t for t in threading.enumerate() if t.name == "jaxpose-ahead"]

    def broken(frame):
        raise ValueError("my own fault")

    with pytest.raises(ValueError, match="my own fault"):
        list(pipeline(path, boxes=broken))
    assert not [t for t in threading.enumerate() if t.name == "jaxpose-ahead"]


def test_smoothed_films_keep_their_pictures_as_long_as_needed(tmp_path):
    smooth = Pipeline(
        TRAINED, DotDetector(), options=Options(batch_size=4, smooth="savitzky-golay")
    )
    shapes = [people.draw().shape for people in smooth(film(tmp_path, walk(12)))]
    assert shapes == [(*HW, 3)] * 12
    with pytest.raises(InputError, match="track=True"):
        Options(smooth="one-euro", track=False)
    for wrong in ({"detect_every": 0}, {"min_score": 2}, {"max_people": 0}, {"keypoint_margin": 0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Options(**wrong)


def test_scales_are_averaged():
    several = Pipeline(TRAINED, DotDetector(), options=Options(batch_size=4, scales=(0.9, 1, 1.2)))
    people = several(frame(30, 150))
    np.testing.assert_allclose(people.keypoints, [person(30), person(150)], atol=0.6)
    assert (people.scores <= 1).all() and (people.scores > 0.4).all()


def test_tables(pipeline, tmp_path):
    pytest.importorskip("pandas")
    table = pipeline(film(tmp_path, walk(3))).to_dataframe()
    assert len(table) == (2 + 3 + 3) * 2  # the third person is there from the second frame on
    assert list(table.columns)[:3] == ["source", "frame", "seconds"]
    left = table[(table.track_id == 1) & (table.keypoint == "left_dot")]
    assert left.frame.tolist() == [0, 1, 2]
    assert np.allclose(left.x, [person(10 + 2.5 * t)[0][0] for t in range(3)], atol=1)
    assert len(dataframe([])) == 0


def test_it_is_found_where_it_should_be(tmp_path):
    assert jaxpose.Pipeline is Pipeline
    with pytest.raises(AttributeError, match="Pipelin"):
        jaxpose.Pipelin  # noqa: B018
    with pytest.raises(InputError, match="detect_evry"):
        Pipeline.load(tmp_path, detect_evry=3)
    with pytest.raises(InputError, match="run directory"):
        Pipeline.load(tmp_path)


class Depth:
    """Lifts by putting everything at a depth of one metre; refuses short tracks."""

    skeleton = SKELETON

    def __call__(self, keypoints, scores, **_):
        if len(keypoints) < 8:
            raise InputError("too short")
        depth = np.full((*keypoints.shape[:2], 1), 1000.0)
        return np.concatenate([10 * keypoints, depth], axis=-1)


def test_films_are_lifted_a_whole_track_at_a_time(tmp_path):
    lifting = Pipeline(TRAINED, DotDetector(), Depth(), Options(batch_size=4, smooth="one-euro"))
    results = lifting([film(tmp_path, walk(12)), film(tmp_path, walk(9), "b.avi")])
    seen = list(results)
    assert [people.index for people in seen] == [*range(12), *range(9)]
    for people in seen:
        assert people.joints.shape == (len(people), 2, 3)
        np.testing.assert_allclose(people.joints[:2, :, 2], 1000, atol=1e-3)
    assert np.isnan(seen[-1].joints[2]).all()
    assert [s.reason for s in results.skipped] == ["not lifted: track 3: too short"] * 2
    people = seen[0]
    assert people[0].to_dict()["joints_mm"]["left_dot"][2] == 1000.0
    assert np.isnan(lifting(frame(30)).joints).all()  # a photo is a track of one frame
    assert [len(p) for p in lifting(film(tmp_path, [frame()] * 3))] == [0, 0, 0]


def test_an_option_that_does_not_exist_is_named_with_the_nearest():
    with pytest.raises(InputError, match=r"no option batchsize\. Did you mean 'batch_size'"):
        Pipeline.load("nowhere", batchsize=4)
