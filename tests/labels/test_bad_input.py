"""Bad labels end in a sentence with the file and the row, or are left out and counted."""

import csv
import json

import cv2
import h5py
import numpy as np
import pytest
import yaml
from tool_labels import write_frame

from jaxpose.errors import InputError
from jaxpose.file_limits import read_yaml
from jaxpose.hdf5 import array, members, open_hdf5
from jaxpose.labels.choose import read_labels
from jaxpose.labels.records import ALL_OUTSIDE, annotated_splits
from jaxpose.labels.skeleton import skeleton_of
from jaxpose.skeletons import Skeleton
from jaxpose.xml_text import parse_xml

CSV = """scorer,ann,ann,ann,ann
bodyparts,snout,snout,tail,tail
coords,x,y,x,y
labeled-data/v/a.png,1,2,3,4
labeled-data/v/b.png,5,6,,
labeled-data/v/c.png,,,,
"""
SEVERAL = """scorer,,,ann,ann,ann,ann
individuals,,,m1,m1,m2,m2
bodyparts,,,snout,snout,snout,snout
coords,,,x,y,x,y
labeled-data,v,a.png,1,2,3,4
labeled-data,v,b.png,,,7,8
"""


@pytest.fixture
def table(tmp_path):
    """Function that writes a CollectedData file with its frames, and returns its path."""

    def write(text, scorer="ann", frames="abc"):
        folder = tmp_path / "labeled-data" / "v"
        folder.mkdir(parents=True, exist_ok=True)
        for frame in frames:
            cv2.imwrite(str(folder / f"{frame}.png"), np.zeros((20, 30, 3), np.uint8))
        path = folder / f"CollectedData_{scorer}.csv"
        path.write_text(text)
        return path

    return write


def test_one_and_three_columns_of_paths(table):
    labels = read_labels(table(CSV))
    counts = [len(image.instances) for image in labels.images]
    assert counts == [1, 1, 0] and labels.keypoints == ("snout", "tail")
    assert labels.images[1].instances[0].visible.tolist() == [2, 0]
    labels = read_labels(table(SEVERAL))
    assert [[one.individual for one in i.instances] for i in labels.images] == [
        ["m1", "m2"],
        ["m2"],
    ]
    assert labels.images[1].instances[0].keypoints.tolist() == [[7, 8]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CSV.replace("coords,x,y,x,y\n", ""), "header rows scorer, bodyparts, and needs .* Row 3"),
        (CSV.replace("bodyparts", "individuals,,,,\nbodyparts"), "column 2: the individual has no"),
        (CSV.replace("coords", "coords,x,y,x,y\ncoords"), "row 4: a second header row 'coords'"),
        (CSV.replace("ann,ann\n", "ann,bob\n"), r"row 1, column 5: .* 'ann', 'bob'"),
        (CSV.replace("5,6,,", "5,six,,"), "row 5, snout y: 'six' is not a number"),
        (CSV.replace("5,6,,", "5,,,"), "row 5: snout has only x"),
        (CSV.replace("5,6,,", "5,6"), "row 5: 3 columns, and the header rows have 5"),
        (CSV.replace("5,6,,", "5,inf,,"), "row 5, snout y: 'inf' is not a number"),
        (CSV.replace("tail,tail", "snout,snout"), "snout x occurs twice"),
        (CSV.replace("x,y,x,y", "x,y,x,likelihood"), "column 5: likelihoods"),
        (CSV.replace("tail,tail", "tail,"), "column 5: the body part has no name"),
        (SEVERAL.replace("m2,m2", "m2,"), "column 7: the individual has no name"),
        (CSV.replace("x,y,x,y", "x,y,x,x"), "tail x occurs twice"),
        ("", "no row after its header rows"),
        ("scorer,a\n", "no row after its header rows scorer"),
    ],
)
def test_a_table_that_is_none(text, message, table):
    path = table(text)
    with pytest.raises(InputError, match=message) as error:
        read_labels(path)
    assert str(path) in str(error.value)


PARTS = [("ann", part, axis) for part in ("snout", "tail") for axis in "xy"]
TWO = [("ann", one, "snout", axis) for one in ("m1", "m2") for axis in "xy"]


@pytest.mark.parametrize(
    ("text", "columns"), [(CSV, PARTS), (SEVERAL, TWO)], ids=["one animal", "several"]
)
@pytest.mark.parametrize("split", [False, True], ids=["one column", "three columns"])
def test_hdf5_is_the_table_of_csv(text, columns, split, table, tmp_path):
    path = table(text)
    labels = read_labels(path)
    lines = [row for row in csv.reader(text.splitlines()) if row[0].startswith("labeled-data")]
    rows = ["/".join(row[:-4]) for row in lines]
    values = [[float(value or "nan") for value in row[-4:]] for row in lines]
    other = path.with_suffix(".h5")
    write_frame(other, columns, [tuple(row.split("/")) for row in rows] if split else rows, values)
    path.unlink()
    for source in (other, tmp_path):
        read = read_labels(source)
        assert read.keypoints == labels.keypoints
        assert [i.path for i in read.images] == [i.path for i in labels.images]
        for image, before in zip(read.images, labels.images, strict=True):
            for one, same in zip(image.instances, before.instances, strict=True):
                assert one.individual == same.individual
                np.testing.assert_array_equal(one.keypoints, same.keypoints)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.pop("block0_values"), "the columns are not all numbers"),
        (lambda frame: frame["axis1"].resize((1,)), "the values have the shape"),
        (lambda frame: frame.attrs.pop("axis0_variety"), "in pandas' form `table`"),
        (lambda frame: frame.attrs.modify("block0_items_nlevels", 9), "9 levels"),
        (lambda frame: frame["block0_items_label1"].__setitem__(0, 7), "outside its names"),
    ],
)
def test_hdf5_that_is_none(change, message, tmp_path):
    path = tmp_path / "CollectedData_ann.h5"
    write_frame(path, PARTS, ["a.png", "b.png"], np.ones((2, 4)))
    with h5py.File(path, "a") as file:
        frame = file["df_with_missing"]
        names = frame["axis1"][()]
        del frame["axis1"]
        frame.create_dataset("axis1", data=names, maxshape=(None,))
        change(frame)
    with pytest.raises(InputError, match=message) as error:
        read_labels(path)
    assert str(path) in str(error.value)


def test_hdf5_reads_no_objects_no_other_files_and_no_gigabytes(tmp_path):
    path = tmp_path / "a.h5"
    (tmp_path / "secret").write_bytes(bytes(64))
    with h5py.File(path, "w") as file:
        file["link"] = h5py.ExternalLink(str(tmp_path / "b.h5"), "/x")
        file["texts"] = ["a", "bc"]
        file.create_dataset("large", (2**30,), "f8", chunks=True, compression="gzip")
        file.create_dataset("other", (8,), "f8", external=str(tmp_path / "secret"))
        file["fine"] = np.arange(3)
    with open_hdf5(path) as file:
        assert members(file) == ["fine", "large", "other", "texts"]
        assert array(file, "fine", path).tolist() == [0, 1, 2]
        for name, message in {
            "link": "absent",
            "texts": "texts of any length",
            "large": "the limit is",
            "other": "lies in another file",
        }.items():
            with pytest.raises(InputError, match=message):
                array(file, name, path)


def test_scorers_of_two_files(table, tmp_path):
    table(CSV)
    table(CSV.replace("ann", "bob"), "bob")
    with pytest.raises(InputError, match=r"scorer 'bob'.*'ann'"):
        read_labels(tmp_path)
    (tmp_path / "config.yaml").write_text("scorer: bob\nbodyparts: [tail, snout]\n")
    labels = read_labels(tmp_path)
    assert labels.keypoints == ("tail", "snout") and "1 files of other scorers" in labels.notes[0]


def test_frames_that_are_absent_are_counted(table, tmp_path, run):
    table(CSV, frames="a")
    skeleton = tmp_path / "s.toml"
    result = run(
        *("prepare", "labels", tmp_path, "--skeleton", skeleton),
        *("--out", tmp_path / "data", "--processes", 1),
    )
    assert result.exit_code == 1
    assert "Given 2 people = done 1 + left out 1 (image missing: 1)." in result.stdout
    assert "1 images have no labels" in result.stdout


def test_labels_outside_the_image(table):
    text = CSV.replace("1,2,3,4", "1,2,31,4").replace("5,6,,", "5,-6,,")
    labels = read_labels(table(text))
    splits, skips, notes = annotated_splits(labels, skeleton_of(labels, "v"))
    assert [image.people[0].visible.tolist() for image in splits["train"]] == [[2, 0]]
    assert [skip.reason for skip in skips["train"]] == [ALL_OUTSIDE]
    assert "row 5" in skips["train"][0].who
    assert any("2 people have keypoints outside" in n and "row 4: tail" in n for n in notes)


def test_unique_body_parts_are_left_out(table):
    text = SEVERAL.replace("m2,m2", "single,single").replace("snout,snout\n", "box,box\n")
    labels = read_labels(table(text))
    assert labels.keypoints == ("snout",) and "2 x unique body parts" in labels.notes[0]


def test_an_image_listed_twice(table):
    labels = read_labels(table(CSV.replace("b.png", "a.png")))
    assert [(skip.reason, "row 5" in skip.who) for skip in labels.skips] == [
        ("image listed twice", True)
    ]


def test_nothing_outside_the_folder_is_read(tmp_path):
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "secret.png"), np.zeros((9, 9, 3), np.uint8))
    point = {"label": "snout", "points": [[1, 2]], "shape_type": "point"}
    content = {"shapes": [point], "imagePath": "../secret.png"}
    path = tmp_path / "in" / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="1 x image outside the folder"):
        read_labels(path)
    assert read_labels(path, outside=True).images[0].path.resolve() == tmp_path / "secret.png"


@pytest.fixture
def labelme(tmp_path):
    """Function that writes a labelme file of points (label, group) and returns its path."""

    def write(*points, **changes):
        shapes = [
            {"label": name, "points": [[1, 2]], "group_id": group, "shape_type": "point"}
            for name, group in points
        ]
        content = {"shapes": shapes, "imagePath": "a.png", "imageHeight": 9, "imageWidth": 9}
        path = tmp_path / "a.json"
        path.write_text(json.dumps(content | changes))
        return path

    return write


def test_individuals_without_groups_are_left_out(labelme):
    labels = read_labels(labelme(("snout", 1), ("snout", 2), ("tail", None), ("tail", None)))
    assert len(labels.images[0].instances) == 2
    assert [skip.reason for skip in labels.skips] == [
        "point twice in one group (individuals without group_id)"
    ]
    assert str(labels.source) in labels.skips[0].who


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shapes": [{"label": "a", "shape_type": "point"}]}, "shape 1: it has no list of points"),
        (
            {"shapes": [{"label": "", "points": [[1, 2]], "shape_type": "point"}]},
            "shape 1: it has no label",
        ),
        (
            {"shapes": [{"label": "a", "points": [[1, "x"]], "shape_type": "point"}]},
            "shape 1: 'x' is not a number",
        ),
        ({"imagePath": None}, "`imagePath`"),
    ],
)
def test_a_labelme_file_that_is_none(changes, message, labelme):
    with pytest.raises(InputError, match=message):
        read_labels(labelme(("snout", 1), **changes))


def test_other_keypoints_than_the_skeletons(labelme):
    labels = read_labels(labelme(("snout", 1), ("tial", 1)))
    with pytest.raises(InputError, match=r"a.json: .*no keypoint 'tial'. Did you mean 'tail'"):
        annotated_splits(labels, Skeleton("v", ("snout", "tail")))
    _, _, notes = annotated_splits(labels, Skeleton("v", ("snout", "tial", "paw")))
    assert "no image has labels of paw" in notes


@pytest.fixture
def yolo(tmp_path):
    """Function that writes a data set of one image with these rows, and returns the folder."""

    def write(rows, **changes):
        for name in ("images", "labels"):
            (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "set" / "images" / "a.png"), np.zeros((20, 40, 3), np.uint8))
        (tmp_path / "set" / "labels" / "a.txt").write_text(rows)
        content = {"train": "images", "kpt_shape": [2, 2], "names": {0: "mouse"}} | changes
        (tmp_path / "set" / "data.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "set"

    return write


def test_two_numbers_for_each_keypoint(yolo):
    labels = read_labels(yolo("# class ...\n0 .5 .5 .5 .5 .25 .5 0 0\n", flip_idx=[1, 0]))
    one = labels.images[0].instances[0]
    assert one.visible.tolist() == [2, 0] and one.keypoints[0].tolist() == [10, 10]
    assert one.box_xywh.tolist() == [10, 5, 20, 10]
    assert labels.pairs == (("point_1", "point_2"),) and labels.images[0].split == "train"


def test_rows_with_another_number_of_keypoints(yolo):
    good, bad = "0 .5 .5 .5 .5 .2 .5 .3 .3\n", "0 .5 .5 .5 .5 .2 .5\n"
    labels = read_labels(yolo(good + bad))
    assert len(labels.images[0].instances) == 1
    assert [skip.reason for skip in labels.skips] == ["row with another number of keypoints"]
    assert "a.txt, line 2" in labels.skips[0].who
    with pytest.raises(InputError, match=r"data.yaml: rows have another number.*a.txt, line 1"):
        read_labels(yolo(bad))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kpt_shape": [2, 4]}, "`kpt_shape` must be"),
        ({"kpt_shape": [10**9, 2]}, "`kpt_shape` must be"),
        ({"flip_idx": [1, 1]}, "`flip_idx` must exchange"),
        ({"train": "nowhere"}, "nowhere does not exist"),
        ({"train": "../other"}, "outside the folder"),
        ({"kpt_names": {0: ["a", "b"], 1: ["a", "c"]}}, "mixed skeletons"),
        ({"kpt_names": {0: ["a", "a"]}}, "has 1 names"),
    ],
)
def test_a_data_yaml_that_is_none(changes, message, yolo):
    with pytest.raises(InputError, match=message):
        read_labels(yolo("0 .5 .5 .5 .5 .2 .5 .3 .3\n", **changes))


def test_a_path_outside_is_read_if_asked(yolo, tmp_path):
    folder = yolo("0 .5 .5 .5 .5 .2 .5 .3 .3\n")
    other = tmp_path / "other"
    other.mkdir()
    content = yaml.safe_load((folder / "data.yaml").read_text()) | {"path": "../set"}
    (other / "data.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="Add --outside"):
        read_labels(other)
    assert read_labels(other, outside=True).instances == 1
    assert read_labels(other, folder).instances == 1


XML = """<annotations><version>1.1</version><meta><task><labels>
<label><name>mouse</name><type>skeleton</type></label>
<label><name>snout</name><type>points</type><parent>mouse</parent></label>
<label><name>rat</name><type>skeleton</type></label>
<label><name>tail</name><type>points</type><parent>rat</parent></label>
</labels></task></meta><image id="0" name="a.png" width="9" height="9">
<skeleton label="mouse"><points label="snout" points="1,2"/></skeleton>
</image></annotations>"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            XML.replace("</skeleton>", '</skeleton><skeleton label="rat"></skeleton>'),
            "mixed skeletons: 'mouse' has the keypoints snout, and 'rat' tail",
        ),
        (XML.replace("1,2", "1"), "line 7: the place of a point is '1'"),
        (XML.replace("1,2", "1,b"), "line 7: 'b' is not a number"),
        (XML.replace("<image", "<track/><image"), "has images and tracks"),
        (XML.replace('name="a.png"', ""), "an image has no name"),
        (XML.replace("</annotations>", ""), "not an intact XML file"),
        ("<svg></svg>", "begins with <svg>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + XML, "declares a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd">' + XML, "declares a document type"),
    ],
)
def test_an_xml_file_that_is_none(text, message, tmp_path):
    path = tmp_path / "annotations.xml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_labels(path)


def test_unused_labels_do_not_mix_skeletons(tmp_path):
    (tmp_path / "annotations.xml").write_text(XML)
    assert read_labels(tmp_path).keypoints == ("snout",)


def test_deep_and_large_xml_is_refused(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<a>" * 1000 + "</a>" * 1000)
    with pytest.raises(InputError, match="nested too deeply"):
        parse_xml(path, lambda *_: None, lambda *_: None)
    with pytest.raises(InputError, match="7,000 bytes"):
        parse_xml(path, lambda *_: None, lambda *_: None, limit=100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: &b {c: 1}\nd:\n  <<: *b", "merge key"),
        ("[" * 5000, "nested too deeply"),
        ("a: [1", "not valid YAML"),
        ("a: 2020-13-40", "a value has a wrong form"),
    ],
)
def test_yaml_of_plain_values_only(text, message, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_yaml(path)


@pytest.fixture
def studio(tmp_path):
    """Function that writes a Label Studio export of one image, and returns its path."""

    def write(*regions, **task):
        size = {"original_width": 40, "original_height": 20}
        content = {"id": 7, "data": {"img": "/data/upload/1/0123abcd-a.png"}} | {
            "annotations": [{"result": [size | region for region in regions]}]
        }
        path = tmp_path / "export.json"
        path.write_text(json.dumps([content | task]))
        return path

    return write


def point(name, parent=None, **changes):
    value = {"x": 50, "y": 50, "keypointlabels": [name]}
    region = {"id": f"p{name}{parent}", "type": "keypointlabels", "value": value}
    return region | ({"parentID": parent} if parent else {}) | changes


def box(key, label="mouse"):
    value = {"x": 0, "y": 0, "width": 100, "height": 50, "rectanglelabels": [label]}
    return {"id": key, "type": "rectanglelabels", "value": value}


def test_an_upload_is_found_by_its_name(studio, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 40, 3), np.uint8))
    labels = read_labels(studio(point("snout"), box("r")))
    assert labels.images[0].path == tmp_path / "a.png"
    assert labels.images[0].image_hw == (20, 40)
    one = labels.images[0].instances[0]
    assert one.keypoints.tolist() == [[20, 10]] and one.box_xywh.tolist() == [0, 0, 40, 10]


def test_a_relation_is_a_parent(studio):
    """As in an export with body parts of one animal only, which belong to no rectangle."""
    ends = [("psnoutNone", "r"), ("ptailNone", "s"), ("s", "pearNone")]
    relations = [{"type": "relation", "from_id": a, "to_id": b} for a, b in ends]
    points = [point(name) for name in ("nest", "snout", "tail", "ear")]
    labels = read_labels(studio(*points, box("r", "m1"), box("s", "m2"), *relations))
    assert labels.keypoints == ("snout", "tail", "ear")
    found = {
        one.individual: np.flatnonzero(one.visible).tolist() for one in labels.images[0].instances
    }
    assert found == {"m1": [0], "m2": [1, 2]}
    assert [skip.who.endswith("task 7, nest") for skip in labels.skips] == [True]


def test_a_label_of_two_boxes_is_no_individual(studio):
    boxes = [box(key, "mouse") for key in "rs"]
    labels = read_labels(studio(*boxes, point("snout", "r"), point("snout", "s")))
    assert [one.individual for one in labels.images[0].instances] == ["", ""]


def test_one_box_and_keypoints_without_a_parent(studio):
    labels = read_labels(studio(box("r"), point("snout", "r"), point("nest")))
    assert labels.keypoints == ("snout",) and len(labels.skips) == 1


def test_points_that_belong_to_no_box_are_left_out(studio):
    labels = read_labels(studio(point("snout"), point("tail", "r"), box("r"), box("s")))
    assert sorted(skip.reason for skip in labels.skips) == [
        "box without keypoints",
        "keypoints without a rectangle as parent",
    ]
    assert all("task 7" in skip.who for skip in labels.skips)


@pytest.mark.parametrize(
    ("regions", "task", "message"),
    [
        ([point("a", original_width=0)], {}, "task 7: `original_width`"),
        ([point("a", value={"keypointlabels": ["a"], "x": 1})], {}, "task 7, y: 'None' is not a"),
        ([point("a", value={"x": 1, "y": 1})], {}, "task 7: a keypointlabels has no label"),
        ([point("a")], {"data": {"text": "no image"}}, "task 7: its `data` has no path"),
        ([], {"annotations": None}, "task 7: it has no list `annotations`"),
        ([point("a", image_rotation=90)], {}, "1 x rectangle or image that is turned"),
        ([], {"annotations": [{"result": [point("a")], "was_cancelled": True}]}, "skipped in the"),
    ],
)
def test_an_export_that_is_none(regions, task, message, studio):
    with pytest.raises(InputError, match=message):
        read_labels(studio(*regions, **task))


def test_what_has_no_labels_is_named(tmp_path):
    with pytest.raises(InputError, match="has no labels of DeepLabCut"):
        read_labels(tmp_path)
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(InputError, match="jaxpose prepare coco"):
        read_labels(tmp_path / "coco.json")
    with pytest.raises(InputError, match="does not exist"):
        read_labels(tmp_path / "nowhere")
