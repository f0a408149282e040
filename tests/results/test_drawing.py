"""Results that one can hold: drawing choices, saved files, notebooks, short texts."""

import json
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.media.prefetch import StageTimer
from jaxpose.media.sources import open_media
from jaxpose.pipeline.results import Results
from jaxpose.results.people import People
from jaxpose.results.readers import read_results
from jaxpose.skeletons import COCO17
from jaxpose.viz import draw_people, person_colors
from jaxpose.viz import show as show_module

HW = (120, 160)
IMAGE = np.full((*HW, 3), 90, np.uint8)


def people(count=2, **changes) -> People:
    """Two people side by side on a grey image."""
    rng = np.random.default_rng(0)
    boxes = np.array([[10, 10, 60, 100], [80, 10, 60, 100]], np.float32)[:count]
    points = boxes[:, None, :2] + rng.uniform(0.2, 0.8, (count, 17, 2)) * boxes[:, None, 2:]
    fields = {
        "skeleton": COCO17,
        "image_hw": HW,
        "keypoints": points.astype(np.float32),
        "scores": np.full((count, 17), 0.9, np.float32),
        "boxes_xywh": boxes,
        "box_indices": np.arange(count),
        "source": "array 0",
        "_image": IMAGE,
    }
    return People(**fields | changes)


def painted(drawn, color) -> int:
    return int((drawn == np.array(color, np.uint8)).all(axis=-1).sum())


def test_each_person_has_a_colour_of_its_own():
    drawn = people().draw(colors="people")
    first, second = person_colors([0, 1])
    assert painted(drawn[:, :80], first) > 50 and painted(drawn[:, 80:], second) > 50
    assert painted(drawn[:, 80:], first) == 0
    # A track keeps its colour, whatever its place among the people.
    swapped = people(track_ids=np.array([1, 0])).draw(colors="people")
    assert painted(swapped[:, :80], second) > 50
    assert (person_colors([3, 13]) == person_colors([13, 3])).all()


def test_line_width_boxes_and_labels_change_the_drawing():
    plain, wide = people().draw(), people().draw(line_width=8)
    changed = [(drawn != IMAGE).any(axis=-1).sum() for drawn in (plain, wide)]
    assert changed[1] > 1.5 * changed[0]
    boxed = people().draw(boxes=True)
    corner = boxed[10, 20:60]
    assert (corner == 255).all()
    colored = people().draw(boxes=True, colors="people")[10, 20:60]
    assert (colored == person_colors([0])[0]).all()
    assert (people().draw(labels="ids") != plain).any()
    assert (people().draw(labels="none") == plain).all()
    tracked = people(track_ids=np.array([4, 7]))
    assert (tracked.draw() == tracked.draw(labels="ids")).all()
    assert (tracked.draw(labels="none") == plain).all()
    assert (tracked.draw(labels="scores") != tracked.draw(labels="both")).any()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"labels": "score"}, r"choose one of tracks, ids, scores.*Did you mean 'scores'\?"),
        ({"colors": "person"}, "choose one of sides, people"),
        ({"line_width": 0.0}, "line_width must be above 0"),
        ({"min_score": 2}, r"min_score is in \[0, 1\]"),
    ],
)
def test_choices_that_do_not_exist(choice, words):
    with pytest.raises(InputError, match=words):
        people().draw(**choice)


def test_colours_of_another_number_of_people():
    with pytest.raises(InputError, match="`colors` has shape"):
        draw_people(IMAGE, people().keypoints, COCO17, colors=np.zeros((3, 3), np.uint8))


def test_the_suffix_chooses_the_file(tmp_path):
    found = people()
    assert found.save(tmp_path / "a.png", boxes=True) == tmp_path / "a.png"
    written = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(written, found.draw(boxes=True))
    found.save(tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["skeleton"]["name"] == "coco17" and len(content["photos"][0]["people"]) == 2
    (again,) = read_results(tmp_path / "a.json")
    np.testing.assert_allclose(again.keypoints, found.keypoints, atol=0.01)
    found.save(tmp_path / "a.csv")
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + 2 * 17
    with pytest.raises(InputError, match=r"must end in one of \.png"):
        found.save(tmp_path / "a.gif")
    with pytest.raises(InputError, match="is a video, and the results are of images"):
        found.save(tmp_path / "a.mp4")


def results(frames) -> Results:
    media = open_media([IMAGE] * max(1, len(frames)))
    return Results(iter(frames), media, StageTimer())


def test_results_are_saved_as_a_video_or_a_table(tmp_path):
    frames = [people(index=i, seconds=i / 10, fps=10.0) for i in range(3)]
    results(frames).save(tmp_path / "v.mp4", colors="people")
    assert (tmp_path / "v.mp4").stat().st_size > 1000
    results(frames).save(tmp_path / "v.json")
    assert len(json.loads((tmp_path / "v.json").read_text())["frames"]) == 3
    results(frames).save(tmp_path / "v.jsonl")
    assert len((tmp_path / "v.jsonl").read_text().splitlines()) == 3
    with pytest.raises(InputError, match="save each of them in a loop"):
        results(frames).save(tmp_path / "v.png")
    with pytest.raises(InputError, match="no result to write"):
        results([]).save(tmp_path / "v.csv")


def test_texts_are_short():
    assert repr(people()) == "<2 people, coco17, 'array 0', 160 x 120>"
    frame = people(1, index=7, seconds=0.7, source="v.mp4", track_ids=np.array([3]))
    assert repr(frame) == "<1 person, coco17, 'v.mp4' frame 7, 160 x 120>"
    assert repr(frame[0]) == "<track 3, coco17, score 0.90, box 10 10 60 100>"
    whole = people(1, boxes_xywh=np.array([[0, 0, 160, 120]], np.float32))
    assert "1 person (the whole image)" in repr(whole)
    assert repr(results([people()])) == "<results of images: up to 1 frames, to be iterated once>"


def test_a_notebook_gets_a_png_of_limited_size():
    data = people()._repr_png_()
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(decoded, people().draw())
    large = people(_image=np.zeros((1300, 2600, 3), np.uint8))
    data = large._repr_png_()
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded.shape == (600, 1200, 3)
    assert people(_image=None)._repr_png_() is None


def test_show_writes_a_file_or_displays_it(monkeypatch, capsys):
    opened = []
    monkeypatch.setattr(show_module.webbrowser, "open", opened.append)
    monkeypatch.setattr(show_module, "_has_screen", lambda: True)
    monkeypatch.setattr(show_module, "_in_notebook", lambda: False)
    people().show(boxes=True)
    path = capsys.readouterr().out.strip()
    written = cv2.imread(path, cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(written, people().draw(boxes=True))
    assert opened == [f"file://{path}"]

    shown = []
    display = SimpleNamespace(Image=lambda data: data, display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(show_module, "_in_notebook", lambda: True)
    people().show()
    assert shown == [people()._repr_png_()]
