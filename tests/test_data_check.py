"""Malformed files, bad records, and the command: what `data check` says of each."""

import copy
import json

import numpy as np
import pytest
import typer
from annotated import (
    HEIGHT,
    WIDTH,
    Canvases,
    codes,
    finding,
    good_canvases,
    good_document,
    photos_for,
)
from PIL import Image
from typer.testing import CliRunner

from jaxpose.cli.data_command import check
from jaxpose.data.lint.check import check_annotations, check_source
from jaxpose.skeletons import COCO17, LSP14


@pytest.fixture
def document() -> dict:
    return good_document()


@pytest.fixture
def canvases() -> Canvases:
    return good_canvases()


def test_good_data_has_only_statistics(document):
    findings = check_annotations(document, COCO17)
    assert codes(findings) == {"label-rate", "scale"}
    rates = finding(findings, "label-rate")
    assert "17.0 of 17" in rates.message
    assert rates.examples[0] == "nose 100%"
    assert rates.count == 40


@pytest.mark.parametrize(
    ("content", "code", "part"),
    [
        ([1, 2], "not-coco", "it holds a list"),
        ([{"image_id": 1, "score": 1}], "not-coco", "results file"),
        ("text", "not-coco", "it holds a str"),
        ({"images": [], "categories": []}, "not-coco", "no 'annotations'"),
        ({"images": [], "annotation": [], "categories": []}, "not-coco", "mean 'annotation'"),
        ({"images": {}, "annotations": [], "categories": []}, "not-coco", "'images' is not a list"),
        ({"images": [1], "annotations": [], "categories": []}, "not-coco", "list of objects"),
        ({"images": [], "annotations": [], "categories": []}, "empty", "'images' is empty"),
        ({"images": [{"id": 1}], "annotations": [], "categories": []}, "empty", "annotations"),
    ],
)
def test_what_is_not_coco(content, code, part):
    (only,) = check_annotations(content, COCO17)
    assert (only.severity, only.code) == ("error", code)
    assert part in only.message


def test_category_without_keypoints(document):
    del document["categories"][0]["keypoints"]
    findings = check_annotations(document, COCO17)
    assert finding(findings, "categories-without-keypoints").examples == ("person",)
    document["categories"] = [
        {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)},
        {"id": 2, "name": "bicycle"},
    ]
    document["annotations"][4]["category_id"] = 2
    findings = check_annotations(document, COCO17)
    assert finding(findings, "category-without-keypoints").count == 1
    document["annotations"][4]["keypoints"] = []
    document["annotations"][5]["category_id"] = 99
    findings = check_annotations(document, COCO17)
    assert finding(findings, "category-not-taken").severity == "info"
    assert finding(findings, "unknown-category").severity == "error"
    assert "category-without-keypoints" not in codes(findings, "error")


def test_another_skeleton(document):
    (only,) = check_annotations(document, LSP14)
    assert only.code == "other-skeleton"
    assert "17 keypoints, skeleton 'lsp14' has 14" in only.examples[0]
    names = document["categories"][0]["keypoints"]
    names[5], names[6] = names[6], names[5]
    order = finding(check_annotations(document, COCO17), "keypoint-order")
    assert order.examples[0] == "right_shoulder where left_shoulder is expected"
    names[5], names[6] = "shoulder_R", "Shoulder.L"
    order = finding(check_annotations(document, COCO17), "keypoint-order")
    assert order.examples[0] == "shoulder_R where left_shoulder is expected"
    names[5], names[6] = "Left Shoulder", "rs"
    other = finding(check_annotations(document, COCO17), "keypoint-names")
    assert other.severity == "warning"
    assert other.examples == ("rs where right_shoulder is expected",)


def break_entry(entry: dict, how: str) -> None:
    match how:
        case "keypoints-length":
            entry["keypoints"] = entry["keypoints"][:-3]
        case "no-keypoints-entry":
            del entry["keypoints"]
        case "not-numbers":
            entry["keypoints"][0] = "left"
        case "not-finite":
            entry["keypoints"][4] = float("nan")
        case "bad-flag":
            entry["keypoints"][2] = 0.9
        case "no-box":
            entry["bbox"] = entry["bbox"][:3]
        case "negative-box":
            entry["bbox"][3] = -entry["bbox"][3]
        case "annotation-id-twice":
            entry["id"] = 10
        case "id-not-a-number":
            entry["id"] = "twelve"
        case "unknown-photo":
            entry["image_id"] = 777
        case "zero-area":
            entry["area"] = 0
        case "hidden-from-score":
            entry["num_keypoints"] = 0
        case "labelled-at-origin":
            entry["keypoints"] = [0, 0, 1] * 17
        case "box-outside":
            entry["bbox"][0] = 2000
        case "num-keypoints":
            entry["num_keypoints"] = 3
        case "no-area":
            del entry["area"]
        case "area-disagrees":
            entry["area"] *= 100
        case "box-beyond-edge":
            entry["bbox"][0] = WIDTH - 30


ERRORS = (
    "keypoints-length", "no-keypoints-entry", "not-numbers", "not-finite", "bad-flag", "no-box",
    "negative-box", "annotation-id-twice", "id-not-a-number", "unknown-photo", "zero-area",
    "hidden-from-score", "box-outside",
)  # fmt: skip
WARNINGS = ("labelled-at-origin", "num-keypoints", "no-area", "area-disagrees", "box-beyond-edge")


@pytest.mark.parametrize("how", ERRORS + WARNINGS)
def test_one_bad_entry_among_forty(document, how):
    entry = document["annotations"][11]
    break_entry(entry, how)
    found = finding(check_annotations(document, COCO17), how)
    assert found.severity == ("error" if how in ERRORS else "warning")
    assert found.count == 1
    assert found.examples in (
        (f"annotation {entry['id']} in 5.jpg",),
        (f"annotation {entry['id']} in image 777",),
    )


def test_a_box_of_the_whole_image_is_as_good_as_the_area_of_a_small_animal(document):
    for entry in document["annotations"]:
        entry["bbox"] = [0, 0, WIDTH, HEIGHT]
        x, y = np.array(entry["keypoints"]).reshape(-1, 3)[:, :2].T
        entry["keypoints"][0::3] = (WIDTH / 2 + x / 20).tolist()
        entry["keypoints"][1::3] = (HEIGHT / 2 + y / 20).tolist()
        entry["area"] = float(0.5 * np.ptp(x) * np.ptp(y) / 400)
    assert not codes(check_annotations(document, COCO17), "error", "warning")
    for entry in document["annotations"]:
        entry["area"] /= 100
    assert finding(check_annotations(document, COCO17), "area-disagrees").severity == "error"


def test_whatever_an_unlabelled_keypoint_holds_is_fine(document):
    document["annotations"][0]["keypoints"][:3] = [float("nan"), None, 0]
    document["annotations"][0]["num_keypoints"] = 16
    assert not codes(check_annotations(document, COCO17), "error", "warning")


def test_photo_id_twice(document):
    document["images"].append(document["images"][3] | {"file_name": "other.jpg"})
    document["images"].append({"id": "x", "file_name": "y.jpg"})
    findings = check_annotations(document, COCO17)
    assert finding(findings, "photo-id-twice").examples == ("image id 3",)
    assert finding(findings, "photo-id-not-a-number").examples == ("y.jpg",)


def test_photos(document, tmp_path):
    photos_for(document, tmp_path)
    findings = check_annotations(document, COCO17, tmp_path)
    assert not codes(findings, "error", "warning")
    (tmp_path / "3.jpg").unlink()
    (tmp_path / "4.jpg").write_bytes((tmp_path / "5.jpg").read_bytes()[:2000])
    document["images"][6]["width"] = WIDTH + 10
    findings = check_annotations(document, COCO17, tmp_path)
    assert finding(findings, "photo-missing").examples == (f"there is no {tmp_path / '3.jpg'}",)
    assert "4.jpg" in finding(findings, "photo-unreadable").examples[0]
    size = "6.jpg: the image has 640x480 pixels, the annotation says 650x480"
    assert finding(findings, "photo-size").examples == (size,)
    absent = finding(check_annotations(document, COCO17, tmp_path / "no"), "photo-missing")
    assert absent.count == 20


@pytest.mark.parametrize("turn", [2, 3, 4, 6])
def test_images_turned_by_exif(document, tmp_path, turn):
    photos_for(document, tmp_path)
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.open(tmp_path / "3.jpg").save(tmp_path / "3.jpg", exif=exif)
    findings = check_annotations(document, COCO17, tmp_path)
    if turn == 6:
        assert "turned by EXIF (orientation 6)" in finding(findings, "photo-size").examples[0]
    else:
        only = finding(findings, "photo-turned")
        assert only.severity == "warning" and only.examples == (f"3.jpg (orientation {turn})",)


@pytest.mark.parametrize(("turn", "shows"), [(3, False), (6, True)])
def test_labels_of_the_upright_size_fit_a_quarter_turn(document, tmp_path, turn, shows):
    photos_for(document, tmp_path)
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.open(tmp_path / "3.jpg").transpose(Image.Transpose.ROTATE_90).save(
        tmp_path / "3.jpg", exif=exif
    )
    image = document["images"][3]
    assert image["file_name"] == "3.jpg"
    if turn == 3:
        image["width"], image["height"] = image["height"], image["width"]
    found = codes(check_annotations(document, COCO17, tmp_path), "error", "warning")
    assert ("photo-turned" in found) != shows and "photo-size" not in found


def test_a_second_category_and_shared_file_names(document, tmp_path):
    document["categories"].append({"id": 7, "name": "dog", "keypoints": ["a", "b"]})
    document["annotations"][0]["category_id"] = 7
    document["images"][1]["file_name"] = document["images"][0]["file_name"]
    findings = check_annotations(document, COCO17)
    assert finding(findings, "other-skeleton").severity == "info"
    assert finding(findings, "other-category").count == 1
    assert finding(findings, "photo-file-twice").count == 1


def test_file_names_that_leave_the_folder(document, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    photos_for(document, folder)
    (tmp_path / "0.jpg").write_bytes((folder / "0.jpg").read_bytes())
    document["images"][0]["file_name"] = "../0.jpg"
    only = finding(check_annotations(document, COCO17, folder), "photo-outside")
    assert only.severity == "error" and only.examples == ("../0.jpg",)


JUNK = (None, True, -1, 0, 1.5, 1e300, 10**400, float("nan"), "", "text", [], [[1, 2], 3], {}, [{}])


def test_no_document_makes_it_raise(document):
    """Junk at random places of the JSON, a few at a time."""
    rng = np.random.default_rng(0)

    def spoil(value):
        if rng.random() < 0.15 or not isinstance(value, dict | list) or not value:
            return JUNK[rng.integers(len(JUNK))]
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = keys[rng.integers(len(keys))]
        changed = copy.copy(value)
        changed[key] = spoil(value[key])
        return changed

    for _ in range(400):
        spoilt = document
        for _ in range(rng.integers(1, 6)):
            spoilt = spoil(spoilt)
        for found in check_annotations(spoilt, COCO17):
            assert found.message and found.count >= 0


def test_good_records_have_only_statistics(canvases):
    assert codes(check_source(canvases)) == {"label-rate", "scale"}
    seen = []
    assert finding(check_source(canvases, 70, seen.append), "scale").count == 70
    assert seen == [64, 70]


def test_bad_records(canvases):
    columns = canvases.columns
    columns["annotation_id"][7] = 503
    columns["keypoints"][8, 2] = np.nan
    columns["box_xywh"][9, 2] = 0
    columns["area"][10] = 0
    columns["keypoints"][11:60] += 90
    findings = check_source(canvases)
    assert finding(findings, "annotation-id-twice").examples == ("record 7 (annotation 503)",)
    assert finding(findings, "not-finite").count == 1
    assert finding(findings, "negative-box").count == 1
    assert finding(findings, "zero-area").examples == ("record 10 (annotation 510)",)
    assert finding(findings, "keypoints-outside-canvas").severity == "error"
    assert findings[0].severity == "error"
    assert findings[-1].severity == "info"


def test_no_records():
    (only,) = check_source(Canvases({"area": np.zeros(0)}))
    assert (only.severity, only.code) == ("error", "empty")


app = typer.Typer(pretty_exceptions_enable=False)
app.command()(check)


def run(*arguments):
    result = CliRunner(env={"COLUMNS": "160"}).invoke(app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_command_draws_samples_and_ends_well(document, tmp_path):
    import cv2

    photos_for(document, tmp_path)
    (tmp_path / "people.json").write_text(json.dumps(document))
    out = tmp_path / "sheets" / "samples.png"
    result = run(tmp_path / "people.json", "--images", tmp_path, "--out", out)
    assert result.exit_code == 0, result.output
    assert "8 samples with their targets" in result.output
    assert "No errors." in result.output
    sheet = cv2.imread(str(out))
    assert sheet.std() > 10


def test_the_command_ends_with_status_one_on_errors(document, tmp_path):
    document["annotations"][3]["area"] = 0
    (tmp_path / "people.json").write_text(json.dumps(document))
    result = run(tmp_path / "people.json", "--out", tmp_path / "x.png")
    assert result.exit_code == 1
    assert "zero-area" in result.output
    assert "annotation 3 in 1.jpg" in result.output
    assert "give --images" in result.output
    assert not (tmp_path / "x.png").exists()


def test_the_command_says_what_is_not_coco(tmp_path):
    (tmp_path / "people.json").write_text("[]")
    result = run(tmp_path / "people.json", "--images", tmp_path)
    assert result.exit_code == 1
    assert "not-coco" in result.output


def test_the_command_refuses_what_it_cannot_read(tmp_path):
    (tmp_path / "cut.json").write_text('{"images": [')
    (tmp_path / "people.json").write_text("{}")
    for arguments, message in (
        (["cut.json"], "not valid JSON"),
        (["absent"], "does not exist"),
        (["people.json", "--skeleton", "coco71"], "skeleton"),
    ):
        result = run(tmp_path / arguments[0], *arguments[1:])
        assert result.exit_code == 2 and message in " ".join(result.output.split())


def test_the_command_on_prepared_records(document, tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from jaxpose.data.builder import write_dataset
    from jaxpose.data.canvas import Canvas
    from jaxpose.data.coco_json import read_people

    photos_for(document, tmp_path)
    (tmp_path / "people.json").write_text(json.dumps(document))
    images, skipped, notes = read_people(tmp_path / "people.json", tmp_path, COCO17)
    write_dataset(
        tmp_path / "records",
        name="coco",
        splits={"train": images},
        skipped={"train": skipped},
        skeleton=COCO17,
        canvas=Canvas(hw=(96, 72)),
        sources={},
        processes=1,
        overwrite=False,
        notes=notes,
        beam_options=None,
    )
    out = tmp_path / "samples.png"
    result = run(tmp_path / "records", "--split", "train", "--out", out)
    assert result.exit_code == 0, result.output
    assert out.is_file()
