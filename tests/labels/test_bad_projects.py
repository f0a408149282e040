"""Bad labels through `jaxpose init`, as a user gives them: messages name the file and the row."""

import json

import cv2
import h5py
import numpy as np
import pytest
import yaml
from tool_labels import MOUSE

from jaxpose.errors import InputError
from jaxpose.labels.deeplabcut import write_deeplabcut
from jaxpose.labels.labels import Instance, LabelledImage, Labels
from jaxpose.labels.sleap_writing import FILE, write_sleap

FRAMES = "abcdef"
CSV = "scorer,ann,ann,ann,ann\nbodyparts,snout,snout,tail,tail\ncoords,x,y,x,y\n" + "".join(
    f"labeled-data/v/{frame}.png,10,20,30,40\n" for frame in FRAMES
)
SEVERAL = (
    "scorer,,,ann,ann,ann,ann\nindividuals,,,m1,m1,m2,m2\n"
    "bodyparts,,,snout,snout,snout,snout\ncoords,,,x,y,x,y\n"
) + "".join(f"labeled-data,v,{frame}.png,10,20,30,40\n" for frame in FRAMES)
TABLE = "CollectedData_ann.csv"


@pytest.fixture
def init(run, tmp_path):
    """Runs `jaxpose init SOURCE`; returns the exit status and everything said, on one line."""

    def start(source):
        out = ("--out", tmp_path / "project", "--processes", 1, "--held-out", 0.4)
        done = run("init", source, *out)
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return done.exit_code, " ".join((done.stdout + done.stderr).split())

    return start


def images(folder, names=FRAMES):
    """Empty images of 80 x 60 pixels with these names; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / f"{name}.png"), np.zeros((60, 80, 3), np.uint8))
    return folder


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            CSV.replace("coords,x,y,x,y\n", ""),
            f"{TABLE} has the header rows scorer, bodyparts, and",
        ),
        (CSV.replace("coords,x,y,x,y\n", ""), "Row 3 begins with 'labeled-data/v/a.png'"),
        (
            CSV.replace("bodyparts", "individuals,,,,\nbodyparts"),
            f"{TABLE}, row individuals, column",
        ),
        (CSV.replace("coords", "coords,x,y,x,y\ncoords"), f"{TABLE}, row 4: a second header row"),
        (
            CSV.replace("coords,x,y,x,y", "coords,x,y,x,y\nunits,p,p,p,p"),
            f"{TABLE}, row 4, snout x",
        ),
        (CSV.replace("ann,ann\n", "ann,bob\n"), f"{TABLE}, row 1, column 5: the columns have the"),
        (
            SEVERAL.replace("m2,m2", "m2,"),
            f"{TABLE}, row individuals, column 7: the individual has",
        ),
        # A blank row counts as a row of the file.
        (
            CSV.replace("labeled-data/v/b.png,10", "\nlabeled-data/v/b.png,ten"),
            "row 6, snout x: 'ten'",
        ),
    ],
)
def test_a_table_that_is_refused(text, said, init, tmp_path):
    folder = images(tmp_path / "mice" / "labeled-data" / "v")
    (folder / TABLE).write_text(text)
    status, message = init(tmp_path / "mice")
    assert status == 2 and said in message and str(folder) in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (CSV.replace(",", ";").encode(), f"{TABLE} has columns separated by semicolons"),
        (CSV.encode("utf-16"), f"{TABLE} is not a text file in UTF-8: save it as CSV in UTF-8"),
        (
            CSV.replace("10,20,30,40", ",,,").encode(),
            "6 images are listed, and none has a labelled",
        ),
        (None, "has labeled-data as a project of DeepLabCut, but no CollectedData file in it"),
    ],
)
def test_tables_as_other_programs_save_them_or_none(content, said, init, tmp_path):
    folder = images(tmp_path / "mice" / "labeled-data" / "v")
    (tmp_path / "mice" / "config.yaml").write_text("scorer: ann\nbodyparts:\n- snout\n- tail\n")
    if content is not None:
        (folder / TABLE).write_bytes(content)
    status, message = init(tmp_path / "mice")
    assert status == 2 and said in message and str(tmp_path / "mice") in message


def test_folders_of_one_name_are_not_written_into_one_table(tmp_path):
    one = Instance(np.array([[1.0, 2], [3, 4]]), np.array([2, 2]), "")
    names = ("a/cam/1.png", "b/cam/1.png")
    listed = tuple(LabelledImage(tmp_path / name, name, (one,)) for name in names)
    labels = Labels("x", tmp_path, ("snout", "tail"), listed)
    with pytest.raises(InputError, match=r"b/cam/1\.png would be a second row cam/1\.png"):
        write_deeplabcut(labels, MOUSE, tmp_path / "out")


def test_two_scorers(init, tmp_path):
    folder = images(tmp_path / "mice" / "labeled-data" / "v")
    (folder / TABLE).write_text(CSV)
    (folder / "CollectedData_bob.csv").write_text(CSV.replace("ann", "bob"))
    status, said = init(tmp_path / "mice")
    assert status == 2 and "CollectedData_bob.csv has the scorer 'bob' in row 1" in said


@pytest.mark.parametrize(
    ("text", "people", "row"), [(CSV, "6 people = done 4", 8), (SEVERAL, "12 people = done 8", 9)]
)
def test_listed_frames_that_are_absent(text, people, row, init, tmp_path):
    folder = images(tmp_path / "mice" / "labeled-data" / "v", "abcd")
    (folder / TABLE).write_text(text)
    status, said = init(tmp_path / "mice")
    assert status == 1 and f"given {people}" in said.lower()
    assert f"2 listed images are absent; the first: {folder / TABLE}, row {row}: " in said


def test_labels_outside_the_image(init, tmp_path):
    folder = images(tmp_path / "mice" / "labeled-data" / "v")
    (folder / TABLE).write_text(SEVERAL.replace("c.png,10,20,30,40", "c.png,10,20,300,40"))
    status, said = init(tmp_path / "mice")
    assert status == 1 and "12 people = done 11 + left out 1 (all keypoints outside" in said
    assert f"the first: {folder / TABLE}, row 7: snout" in said


@pytest.mark.parametrize(
    ("row", "status", "said"),
    [
        ("0 .5 .5 .5 .5 .3 .4", 1, "row with another number of keypoints: 1"),
        ("0 .5 .5 .5 .5 .3 .4 .6 .7 .8 .9", 1, "row with another number of keypoints: 1"),
        ("0 .5 .5 .5 .5 .3 .4 .6 abc", 2, "b.txt, line 1: 'abc' is not a number"),
    ],
)
def test_rows_of_yolo_pose(row, status, said, init, tmp_path):
    """A set with `train` alone is split, too."""
    images(tmp_path / "set" / "images")
    (tmp_path / "set" / "labels").mkdir()
    for name in FRAMES:
        text = row if name == "b" else "0 .5 .5 .5 .5 .3 .4 .6 .7"
        (tmp_path / "set" / "labels" / f"{name}.txt").write_text(text + "\n")
    content = {"path": ".", "train": "images", "kpt_shape": [2, 2], "names": {0: "mouse"}}
    (tmp_path / "set" / "data.yaml").write_text(yaml.safe_dump(content))
    found, message = init(tmp_path / "set")
    assert found == status and said in message
    assert status == 2 or "given 6 people = done 5" in message.lower()


@pytest.fixture
def slp(tmp_path):
    """A file of SLEAP with two animals in each of six images."""
    folder = images(tmp_path / "sleap")
    points = np.random.default_rng(0).uniform(5, 50, (2, 4, 2))
    pair = tuple(
        Instance(own, np.full(4, 2), "", name) for own, name in zip(points, "xy", strict=True)
    )
    made = [LabelledImage(folder / f"{n}.png", f"{n}.png", pair, (60, 80)) for n in FRAMES]
    write_sleap(Labels("code", folder, MOUSE.keypoints, tuple(made)), MOUSE, folder)
    return folder / FILE


@pytest.mark.parametrize("version", [9.5, "new"])
def test_another_format_of_sleap(version, slp, init):
    with h5py.File(slp, "a") as file:
        file["metadata"].attrs["format_id"] = version
    status, said = init(slp)
    assert status == 2 and f"{slp} has SLEAP's format {version}, and formats 1 to below 3" in said


def test_mixed_skeletons_of_sleap(slp, init):
    with h5py.File(slp, "a") as file:
        content = json.loads(file["metadata"].attrs["json"])
        one = content["skeletons"][0]
        content["skeletons"].append(one | {"nodes": one["nodes"][:3], "links": []})
        file["metadata"].attrs["json"] = json.dumps(content)
        rows = file["instances"][()]
        rows["skeleton"][1], rows["point_id_end"][1] = 1, rows["point_id_start"][1] + 3
        file["instances"][()] = rows
    status, said = init(slp)
    assert status == 2 and f"{slp}: mixed skeletons: one has the keypoints snout" in said


def test_individuals_of_labelme_without_groups(init, tmp_path):
    folder = images(tmp_path / "labelme")
    point = {"group_id": None, "shape_type": "point"}
    shapes = [point | {"label": "snout", "points": [[x, 20]]} for x in (10, 50)]
    for name in FRAMES:
        size = {"imagePath": f"{name}.png", "imageHeight": 60, "imageWidth": 80}
        (folder / f"{name}.json").write_text(json.dumps({"shapes": shapes} | size))
    status, said = init(folder)
    assert status == 2 and "individuals without group_id" in said
    assert f"The first one: {folder / 'a.json'}, shape 2" in said


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"keypoints": [1, 2, 2]}, 1, "keypoints of the wrong length: 1"),
        ({"keypoints": [500, 20, 2, 30, 40, 2]}, 0, "c.json, annotation 21: snout"),
        ({"category_id": 2}, 2, "c.json: mixed skeletons: the categories 'mouse' and 'rat'"),
    ],
)
def test_annotations_of_coco(change, status, said, init, tmp_path):
    folder = images(tmp_path / "coco")
    box = {"category_id": 1, "bbox": [5, 5, 40, 40], "area": 900, "iscrowd": 0, "num_keypoints": 2}
    content = {
        "images": [
            {"id": n, "file_name": f"{name}.png", "height": 60, "width": 80}
            for n, name in enumerate(FRAMES, 1)
        ],
        "annotations": [
            box
            | {"id": 10 * n + i, "image_id": n, "keypoints": [10, 20, 2, 30 + 5 * i, 40, 2]}
            | (change if (n, i) == (2, 1) else {})
            for n in range(1, 7)
            for i in range(2)
        ],
        "categories": [{"id": 1, "name": "mouse", "keypoints": ["snout", "tail"], "skeleton": []}],
    }
    if "category_id" in change:
        content["categories"].append({"id": 2, "name": "rat", "keypoints": ["nose"]})
    (folder / "c.json").write_text(json.dumps(content))
    found, message = init(folder / "c.json")
    assert found == status and said in message
