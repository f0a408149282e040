"""`jaxpose predict` from photos to files, with a model that finds dots instead of a trained one."""

import csv
import errno
import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from dots import SKELETON, Dots, codec, draw_dots
from typer.testing import CliRunner

from jaxpose.cli import predict as predict_module
from jaxpose.cli import predict_output
from jaxpose.cli.main import app
from jaxpose.cli.predict_output import Output
from jaxpose.errors import InputError
from jaxpose.hub import load as trained_module
from jaxpose.labels.choose import read_labels
from jaxpose.media.image import read_image
from jaxpose.media.sources import open_media
from jaxpose.results import writers
from jaxpose.results.readers import read_results
from jaxpose.tasks.topdown.estimator import TopDownEstimator
from jaxpose.train.run_dir import Run
from jaxpose.viz import person_colors

DOTS = [(76.8 + 40, 38.4 + 60), (25.6 + 40, 89.6 + 60)]
BOX = [40, 60, 96, 128]
PARTS = ["predictions.partial.json", "predictions.partial.csv", "coco_results.partial.json"]


@pytest.fixture(autouse=True)
def trained(monkeypatch):
    """A run whose model is known beforehand. Its loading is tested with the runs themselves."""
    estimator = TopDownEstimator(Dots(), codec(), SKELETON)
    task = SimpleNamespace(estimator=lambda variables: (estimator, variables))
    experiment = SimpleNamespace(task=lambda: task)

    def load_run(directory, which, **_):
        if directory.name != "run":
            raise InputError(f"{directory} is not a run directory")
        return Run(directory, experiment, {}, 7 if which == "best" else 9, {})

    monkeypatch.setattr(trained_module, "load_run", load_run)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three photos with a person each, in `images`."""
    (tmp_path / "photos").mkdir()
    image = draw_dots((240, 320), DOTS, 6)
    for name in ("a.png", "b.jpg", "c.png"):
        cv2.imwrite(str(tmp_path / "photos" / name), image)
    return tmp_path


def boxes_file(folder: Path, boxes) -> Path:
    path = folder / "boxes.json"
    path.write_text(json.dumps(boxes))
    return path


def run(folder: Path, *arguments, boxes="full", out="out", **others):
    options = ["--from", folder / "run", "--out", folder / out]
    options += ["--boxes", boxes] if boxes else []
    options += [part for name, value in others.items() for part in (f"--{name}", value)]
    result = CliRunner().invoke(app, ["predict", *map(str, [*arguments, *options])])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def predictions(folder: Path, part: str = ""):
    return json.loads((folder / "out" / f"predictions{part}.json").read_text())


def test_a_folder_with_boxes_gives_keypoints_and_pictures(folder):
    boxes = boxes_file(folder, {name: [BOX] for name in ("a.png", "b.jpg", "c.png")})
    result = run(folder, folder / "photos", boxes=boxes)
    assert result.exit_code == 0, result.output
    assert "3 images, 3 people" in result.output
    assert "json, 3 drawn images." in " ".join(result.output.split())
    content = predictions(folder)
    assert content["model"] == {"run": str(folder / "run"), "checkpoint": "best", "step": 7}
    assert content["skeleton"]["keypoints"] == ["left_dot", "right_dot"]
    assert content["skipped"] == []
    for entry in content["photos"]:
        assert (entry["width"], entry["height"]) == (320, 240)
        (person,) = entry["people"]
        assert person["box_xywh"] == BOX
        for name, (x, y) in zip(SKELETON.keypoints, DOTS, strict=True):
            keypoint = person["keypoints"][name]
            assert keypoint["x"] == pytest.approx(x, abs=0.7)
            assert keypoint["y"] == pytest.approx(y, abs=0.7)
            assert 0.5 < keypoint["score"] <= 1
        drawn = read_image(folder / "out" / entry["picture"])
        assert drawn.shape == (240, 320, 3)
        # The limb between the dots is in colour; the photo has none.
        middle = np.mean(DOTS, axis=0).astype(int)
        assert np.ptp(drawn[middle[1], middle[0]].astype(int)) > 50
    assert {path.name for path in (folder / "out").iterdir()} == {
        "a.png", "b.png", "c.png", "predictions.json",
    }  # fmt: skip


def test_labels_for_tools_leave_out_uncertain_keypoints(folder):
    boxes = boxes_file(folder, {name: [BOX] for name in ("a.png", "b.jpg", "c.png")})
    formats = ("--no-draw", "--format", "json,labelme,deeplabcut")
    result = run(folder, folder / "photos", *formats, boxes=boxes)
    assert result.exit_code == 0, result.output
    labels = read_labels(folder / "out" / "labelme", folder / "photos")
    table = read_labels(folder / "out" / "deeplabcut")
    assert [image.name for image in labels.images] == ["a.png", "b.jpg", "c.png"]
    for image, row, entry in zip(
        labels.images, table.images, predictions(folder)["photos"], strict=True
    ):
        (one,), (other,) = image.instances, row.instances
        named = entry["people"][0]["keypoints"]
        expected = [[named[name]["x"], named[name]["y"]] for name in labels.keypoints]
        # The JSON file has two decimals.
        np.testing.assert_allclose(one.keypoints, expected, atol=0.00501, rtol=0)
        np.testing.assert_allclose(other.keypoints, one.keypoints, atol=1e-5, rtol=0)
    result = run(folder, folder / "photos", *formats, "--min-score", "1", boxes=boxes)
    assert result.exit_code == 2 and "not an empty folder" in result.output
    assert len(predictions(folder)["photos"]) == 3
    result = run(folder, folder / "photos", *formats, "--min-score", 1, boxes=boxes, out="b")
    content = json.loads((folder / "b" / "labelme" / "a.json").read_text())
    assert [shape["shape_type"] for shape in content["shapes"]] == ["rectangle"]


def test_the_whole_photo_as_one_person_and_the_newest_checkpoint(folder):
    x, y, w, h = BOX
    whole = read_image(folder / "photos" / "a.png")[y : y + h, x : x + w]
    cv2.imwrite(str(folder / "one.png"), whole)
    result = run(folder, folder / "one.png", "--checkpoint", "last", "--no-flip-test")
    assert result.exit_code == 0, result.output
    assert "json, one.png." in " ".join(result.output.split())
    content = predictions(folder)
    assert (content["model"]["step"], content["flip_test"], content["boxes"]) == (9, False, "full")
    (person,) = content["photos"][0]["people"]
    assert person["keypoints"]["left_dot"]["x"] == pytest.approx(DOTS[0][0] - x, abs=0.7)


def test_min_score_decides_what_is_drawn_not_what_is_written(folder):
    boxes = boxes_file(folder, {"a.png": [BOX]})
    result = run(folder, folder / "photos" / "a.png", "--min-score", "1.0", boxes=boxes)
    assert "1 person not drawn: no keypoint scores 1.0" in result.output
    assert len(predictions(folder)["photos"][0]["people"][0]["keypoints"]) == 2
    np.testing.assert_array_equal(
        read_image(folder / "out" / "a.png"), read_image(folder / "photos" / "a.png")
    )


def test_broken_photos_are_counted_and_the_rest_is_done(folder):
    data = (folder / "photos" / "b.jpg").read_bytes()
    (folder / "photos" / "b.jpg").write_bytes(data[: len(data) // 2])
    (folder / "photos" / "text.jpg").write_text("<html>404")
    (folder / "empty").mkdir()
    result = run(folder, folder / "photos", folder / "d.png", folder / "empty")
    assert result.exit_code == 1
    assert "2 images, 2 people" in result.output
    assert "4 images left out:" in result.output
    skipped = {
        Path(entry["file"]).name: entry["reason"] for entry in predictions(folder)["skipped"]
    }
    assert "cut off" in skipped["b.jpg"]
    assert "text file" in skipped["text.jpg"]
    assert "does not exist" in skipped["d.png"]
    assert "no image" in skipped["empty"]
    assert [Path(entry["file"]).name for entry in predictions(folder)["photos"]] == [
        "a.png",
        "c.png",
    ]


def test_nothing_but_broken_photos(folder):
    (folder / "photos" / "a.png").write_bytes(b"")
    result = run(folder, folder / "photos" / "a.png")
    assert result.exit_code == 2
    assert "the file is empty" in result.output
    assert list((folder / "out").iterdir()) == []


def test_odd_boxes_are_counted(folder):
    boxes = boxes_file(folder, {"a.png": [BOX, [900, 900, 10, 10], [0, 0, 0, 0]], "b.jpg": []})
    result = run(folder, folder / "photos", boxes=boxes)
    assert result.exit_code == 1
    assert "2 boxes left out:" in result.output
    assert "outside the image" in result.output
    assert "2 without a box in" in result.output.replace("\n", "")
    first, second, _ = predictions(folder)["photos"]
    assert [box["box_index"] for box in first["skipped_boxes"]] == [1, 2]
    assert second["people"] == []


def test_photos_of_one_name_get_pictures_of_their_own(folder):
    (folder / "photos" / "sub").mkdir()
    (folder / "photos" / "sub" / "a.png").write_bytes((folder / "photos" / "a.png").read_bytes())
    result = run(folder, folder / "photos", folder / "photos" / "sub", folder / "photos" / "a.png")
    assert result.exit_code == 0
    pictures = [entry["picture"] for entry in predictions(folder)["photos"]]
    assert pictures == ["a.png", "b.png", "c.png", "sub/a.png"]
    assert (folder / "out" / "sub" / "a.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["nowhere.jpg"], {"boxes": "boxes.csv"}, "boxes.csv does not exist"),
        (["photos"], {"out": "photos"}, "would overwrite an image"),
        (["photos"], {"out": "photos/a.png"}, "cannot write into"),
        (["empty"], {}, "empty contains no image"),
        (["photos"], {"format": "json,cvs"}, "Did you mean 'csv'"),
        (["photos"], {"boxes": "boxes.json", "detector": "x"}, "give one"),
    ],
)
def test_what_cannot_work_says_so_before_anything_is_computed(
    folder, monkeypatch, arguments, options, message
):
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    before = sorted(folder.rglob("*"))
    result = run(folder, *arguments, **options)
    assert result.exit_code == 2
    assert message in result.output.replace("\n", "")
    assert "Traceback" not in result.output
    assert sorted(folder.rglob("*")) == before


def test_boxes_for_other_photos_and_a_folder_that_is_no_run(folder):
    result = run(folder, folder / "photos", boxes=boxes_file(folder, {"x.jpg": [BOX]}))
    assert result.exit_code == 2
    assert "none of the given images" in result.output
    (folder / "other").mkdir()
    options = ["--from", folder / "other", "--boxes", "full", "--out", folder / "out"]
    result = CliRunner().invoke(app, ["predict", *map(str, [folder / "photos", *options])])
    assert result.exit_code == 2
    assert "is not a run directory" in result.output


def test_a_full_disk_keeps_what_is_done(folder, monkeypatch):
    save, saved = predict_output.save_image, []

    def full(path, image):
        if len(saved) == 1:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        saved.append(path)
        save(path, image)

    monkeypatch.setattr(predict_output, "save_image", full)
    result = run(folder, folder / "photos", format="json,csv,coco")
    assert result.exit_code == 2
    assert "No space left on device; make room" in result.output
    out = folder / "out"
    named = ", ".join(f"{out}/{name}" for name in PARTS)
    assert f"The results so far are in {named}. Earlier files are unchanged." in result.output
    assert {path.name for path in out.iterdir()} == {"a.png", *PARTS}
    assert len(predictions(folder, ".partial")["photos"]) == 1


def test_a_run_that_breaks_off_leaves_the_earlier_results(folder, monkeypatch):
    forms = "json,jsonl,csv,coco"
    assert run(folder, folder / "photos", "--sheet", format=forms).exit_code == 0
    out = folder / "out"
    names = ["predictions.json", "predictions.jsonl", "predictions.csv", "coco_results.json"]
    earlier = {name: (out / name).read_bytes() for name in [*names, "overview.jpg"]}
    break_off(monkeypatch, 2)
    assert run(folder, folder / "photos", "--sheet", format=forms).exit_code == 130
    assert {name: (out / name).read_bytes() for name in earlier} == earlier
    assert len(read_results(out / "predictions.partial.json")) == 2
    assert len((out / "predictions.partial.csv").read_text().splitlines()) == 1 + 2 * 2
    whole = (out / "predictions.jsonl").read_text().splitlines()
    assert (out / "predictions.partial.jsonl").read_text().splitlines() == whole[:2]
    scored = json.loads((out / "coco_results.json").read_text())
    assert json.loads((out / "coco_results.partial.json").read_text()) == scored[:2]


def test_the_next_whole_run_removes_the_parts_of_one_that_broke_off(folder):
    forms = {"format": "json,jsonl,csv,coco"}
    with pytest.MonkeyPatch.context() as broken:
        break_off(broken, 1)
        assert run(folder, folder / "photos", "--sheet", **forms).exit_code == 130
    assert len(list((folder / "out").glob("*.partial.*"))) == 5
    assert run(folder, folder / "photos", "--sheet", **forms).exit_code == 0
    assert not list((folder / "out").glob("*.partial.*"))
    assert len(predictions(folder)["photos"]) == 3


def test_nothing_that_can_be_read_leaves_the_earlier_results(folder):
    assert run(folder, folder / "photos").exit_code == 0
    earlier = predictions(folder)
    for name in ("a.png", "b.jpg", "c.png"):
        (folder / "photos" / name).write_bytes(b"\xff\xd8\xff")
    assert run(folder, folder / "photos").exit_code == 2
    assert predictions(folder) == earlier


def break_off(monkeypatch, after: int) -> None:
    """Ctrl-C after so many drawn frames."""
    draw, drawn = Output.draw, []

    def interrupted(*arguments):
        if len(drawn) == after:
            raise KeyboardInterrupt
        drawn.append(1)
        return draw(*arguments)

    monkeypatch.setattr(Output, "draw", interrupted)


def test_ctrl_c_keeps_what_is_done(folder, monkeypatch):
    break_off(monkeypatch, 2)
    result = run(folder, folder / "photos")
    assert result.exit_code == 130
    assert "Stopped by Ctrl-C. The results so far are in" in result.output
    assert len(predictions(folder, ".partial")["photos"]) == 2


def test_ctrl_c_is_the_regular_end_of_a_stream(folder, monkeypatch):
    video = film(folder / "walk.avi")

    def stream(sources):
        media = open_media(video)
        media.live = True
        return media

    monkeypatch.setattr(predict_module, "open_media", stream)
    break_off(monkeypatch, 3)
    assert run(folder, video, format="json,jsonl").exit_code == 130
    assert len(predictions(folder)["frames"]) == 3
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "predictions.json", "predictions.jsonl", "walk.mp4",
    ]  # fmt: skip


def film(path: Path, count: int = 12) -> Path:
    """Someone who walks to the right, 3 pixels a frame, in a film of 10 frames a second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 240))
    for t in range(count):
        writer.write(draw_dots((240, 320), [(x + 3 * t, y) for x, y in DOTS], 6))
    writer.release()
    return path


class Detector:
    """The box of whoever walks, from the place of the right dot."""

    batch_size = 1

    def __call__(self, images):
        return [self._find(image) for image in images]

    def _find(self, image):
        x = float(np.argmax(image[round(DOTS[1][1])].mean(axis=-1))) - DOTS[1][0] + BOX[0]
        return SimpleNamespace(boxes_xywh=[[x, *BOX[1:]]], scores=[0.9])


def test_a_film_in_every_format(folder, monkeypatch):
    monkeypatch.setattr(predict_module, "load_detector", lambda path: Detector())
    monkeypatch.setattr(writers, "_BODY_25", (*(("left_dot", "right_dot"),) * 8, ("nose",)))
    source = film(folder / "walk.avi")
    others = {"format": "json,jsonl,csv,coco,openpose", "detector": "x.npz", "every": 4}
    smooth = ("--smooth", "savitzky-golay")
    result = run(folder, source, *smooth, "--sheet", boxes=None, **others)
    assert result.exit_code == 0, result.output
    assert "1 video of 12 frames, 12 people on 1 track." in result.output
    assert "pose" in result.output and "compilations" in result.output
    content = predictions(folder)
    assert (content["detector"], content["detect_every"], content["skipped"]) == ("x.npz", 4, [])
    entries = content["frames"]
    assert [(e["frame"], e["seconds"]) for e in entries] == [(t, t / 10) for t in range(12)]
    for t, entry in enumerate(entries):
        (someone,) = entry["people"]
        assert someone["track_id"] == 1
        assert someone["keypoints"]["left_dot"]["x"] == pytest.approx(DOTS[0][0] + 3 * t, abs=1)
    lines = (folder / "out" / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == entries
    table = list(csv.DictReader((folder / "out" / "predictions.csv").open()))
    assert len(table) == 24 and table[-1]["frame"] == "11" and table[-1]["keypoint"] == "right_dot"
    coco = json.loads((folder / "out" / "coco_results.json").read_text())
    assert [(r["image_id"], r["frame"], r["track_id"]) for r in coco[:2]] == [(1, 0, 1), (2, 1, 1)]
    assert len(coco[0]["keypoints"]) == 6 and 0 < coco[0]["score"] <= 0.9
    openpose = sorted((folder / "out" / "openpose").iterdir())
    assert openpose[3].name == "walk_000000000003_keypoints.json" and len(openpose) == 12
    body = json.loads(openpose[3].read_text())["people"][0]
    assert body["person_id"] == [1] and body["pose_keypoints_2d"][-3:] == [0, 0, 0]
    frames = [f.image for f in open_media(folder / "out" / "walk.mp4")]
    assert len(frames) == 12
    assert read_image(folder / "out" / "overview.jpg").shape[1] > 3 * 320
    middle = (np.mean(DOTS, axis=0) + np.array([15, 0])).astype(int)
    assert np.ptp(frames[5][middle[1], middle[0]].astype(int)) > 40
    assert read_results(folder / "out" / "predictions.json")[3].track_ids.tolist() == [1]


def test_heatmaps_lie_over_the_crops(folder):
    boxes = boxes_file(folder, {"a.png": [BOX, BOX], "b.jpg": []})
    result = run(folder, folder / "photos", "--heatmaps", boxes=boxes)
    assert result.exit_code == 0, result.output
    (picture,) = (folder / "out" / "heatmaps").iterdir()
    sheet = read_image(picture).astype(int)
    assert picture.name == "a.png"
    # Where the dots are it is coloured, which the photo is not; elsewhere it is black.
    coloured = np.ptp(sheet, axis=-1) > 40
    assert 0.002 < coloured.mean() < 0.1
    result = run(folder, film(folder / "walk.avi", 2), "--heatmaps", out="other")
    assert result.exit_code == 2 and "is for images" in " ".join(result.output.split())


def test_boxes_of_each_frame_of_a_film(folder):
    lines = [f"walk.avi,{t},{BOX[0] + 3 * t},60,96,128" for t in (0, 1, 3)]
    (folder / "boxes.csv").write_text("\n".join(["file,frame,x,y,w,h", *lines]))
    result = run(folder, film(folder / "walk.avi", 4), "--no-draw", boxes=folder / "boxes.csv")
    assert result.exit_code == 0, result.output
    frames = [entry["people"] for entry in predictions(folder)["frames"]]
    assert [len(people) for people in frames] == [1, 1, 0, 1]
    assert frames[3][0]["keypoints"]["left_dot"]["x"] == pytest.approx(DOTS[0][0] + 9, abs=1)


def test_photos_and_films_together_and_without_pictures(folder):
    film(folder / "photos" / "walk.avi", 5)
    (folder / "photos" / "broken.mp4").write_text("no film")
    result = run(folder, folder / "photos", "--no-draw", "--no-track")
    assert result.exit_code == 1
    assert "3 images, 1 video of 5 frames, 8 people." in result.output
    assert "1 image, video or part of one left out" in result.output
    assert [path.name for path in (folder / "out").iterdir()] == ["predictions.json"]
    content = predictions(folder)
    assert ["picture" in entry for entry in content["frames"]] == [False] * 8
    assert "not a readable video" in content["skipped"][0]["reason"]
    assert "track_id" not in content["frames"][-1]["people"][0]


def test_ctrl_c_in_a_film_keeps_the_frames_that_are_done(folder, monkeypatch):
    break_off(monkeypatch, 3)
    result = run(folder, film(folder / "walk.avi"), format="json,jsonl,csv")
    assert result.exit_code == 130
    out = folder / "out"
    assert len(predictions(folder, ".partial")["frames"]) == 3
    assert len((out / "predictions.partial.jsonl").read_text().splitlines()) == 3
    assert len(list(open_media(out / "walk.partial.mp4"))) == 3
    assert sorted(path.name for path in out.iterdir()) == [
        "predictions.partial.csv", "predictions.partial.json", "predictions.partial.jsonl",
        "walk.partial.mp4",
    ]  # fmt: skip


def test_a_webcam_that_is_not_there_and_keypoints_that_are_no_body(folder):
    result = run(folder, "93")
    assert result.exit_code == 2
    assert "there is no webcam 93" in result.output.replace("\n", "")
    result = run(folder, folder / "photos", format="json,openpose", out="other")
    assert list((folder / "other").iterdir()) == []
    assert result.exit_code == 2
    assert "hardly a keypoint" in result.output.replace("\n", " ")


def test_boxes_in_the_command(folder):
    box = ",".join(map(str, BOX))
    result = run(
        folder, folder / "photos/a.png", "--boxes", box, "--boxes", "0,0,320,240", boxes=None
    )
    assert result.exit_code == 0, result.output
    (image,) = predictions(folder)["photos"]
    assert [person["box_xywh"] for person in image["people"]] == [BOX, [0, 0, 320, 240]]
    assert predictions(folder)["boxes"] == f"{box} 0,0,320,240"
    for wrong in ("1,2,3", "1,2,3,4,5", "1,2,x,4"):
        options = ["--boxes", wrong, "--boxes", box]
        result = run(folder, folder / "photos/a.png", *options, boxes=None)
        assert result.exit_code == 2 and "is not a box" in " ".join(result.output.split())


def test_a_whole_image_as_one_person_is_noted_unless_it_is_meant(folder):
    words = "The whole image is taken as one person; give --detector or --boxes"
    assert words in run(folder, folder / "photos/a.png", boxes=None).output
    assert words not in run(folder, folder / "photos/a.png").output
    box = ",".join(map(str, BOX))
    assert words not in run(folder, folder / "photos/a.png", boxes=box).output


def test_choices_of_the_drawing(folder):
    box = ",".join(map(str, BOX))
    plain = run(folder, folder / "photos/a.png", boxes=box, out="plain")
    choices = ["--draw-boxes", "--labels", "both", "--colors", "people", "--line-width", "5"]
    chosen = run(folder, folder / "photos/a.png", *choices, boxes=box, out="chosen")
    assert plain.exit_code == chosen.exit_code == 0, chosen.output
    images = [read_image(folder / name / "a.png") for name in ("plain", "chosen")]
    color = person_colors([0])[0]
    counts = [int((image == color).all(axis=-1).sum()) for image in images]
    assert counts[1] > counts[0] + 300
