"""Labels of Lightning Pose, of VIA, and of CVAT's videos."""

import csv
import json

import cv2
import numpy as np
import pytest
from videos import number_of, write_video

from jaxpose.errors import InputError
from jaxpose.labels.choose import read_labels
from jaxpose.labels.cvat_video import BETWEEN
from jaxpose.labels.frames import with_frames
from jaxpose.media.image import read_image

TABLE = """scorer,ann,ann,ann,ann
bodyparts,snout,snout,tail,tail
coords,x,y,x,y
labeled-data/day1_top/img1.png,1,2,3,4
labeled-data/day2_top/img1.png,5,6,,
"""


def images(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.zeros((20, 30, 3), np.uint8))


def test_a_table_beside_the_folders_of_frames(tmp_path):
    (tmp_path / "CollectedData.csv").write_text(TABLE)
    images(tmp_path / "labeled-data", "day1_top/img1.png")
    labels = read_labels(tmp_path)
    names = ["labeled-data/day1_top/img1.png", "labeled-data/day2_top/img1.png"]
    assert [image.name for image in labels.images] == names  # also of the one that is absent
    assert [image.path for image in labels.images] == [tmp_path / name for name in names]
    assert labels.keypoints == ("snout", "tail") and not labels.skips


def test_frames_in_folders_of_their_videos(tmp_path):
    (tmp_path / "CollectedData_ann.csv").write_text(TABLE)
    images(tmp_path, "day1_top/img1.png", "day2_top/img1.png")
    paths = [image.path for image in read_labels(tmp_path / "CollectedData_ann.csv").images]
    assert paths == [tmp_path / "day1_top" / "img1.png", tmp_path / "day2_top" / "img1.png"]


def test_a_table_for_each_view(tmp_path):
    (tmp_path / "top.csv").write_text(TABLE)
    (tmp_path / "side.csv").write_text(TABLE.replace("_top", "_side").replace("5,6,,", "5,6,7,8"))
    likelihoods = TABLE.replace("x,y,x,y", "x,y,likelihood,x")
    (tmp_path / "predictions.csv").write_text(likelihoods)
    (tmp_path / "labeled-data").mkdir()
    labels = read_labels(tmp_path)
    assert [image.name.split("/")[1] for image in labels.images] == [
        *("day1_side", "day2_side", "day1_top", "day2_top")
    ]
    assert labels.images[1].instances[0].keypoints.tolist() == [[5, 6], [7, 8]]


def region(shape, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def point(x, y, **attributes):
    return region({"name": "point", "cx": x, "cy": y}, **attributes)


RECT = {"name": "rect", "x": 1, "y": 2, "width": 8, "height": 9}
TWO = [
    point(1, 2, part="snout", individual="a"),
    point(3, 4.5, part="tail", individual="a", occluded="yes"),
    region(RECT, individual="a"),
    point(5, 6, part={"snout": True, "tail": False}, individual="b"),
]


@pytest.fixture
def via(tmp_path):
    """Function that writes VIA's annotations of one image, and returns the file."""

    def write(regions, form="json"):
        images(tmp_path, "a.png")
        entry = {"filename": "a.png", "size": 9, "regions": regions, "file_attributes": {}}
        content = {"a.png9": entry}
        if form == "project":
            content = {"_via_settings": {}, "_via_img_metadata": content, "_via_attributes": {}}
        path = tmp_path / f"via.{'csv' if form == 'csv' else 'json'}"
        if form != "csv":
            path.write_text(json.dumps(content))
            return path
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            heads = "filename,file_size,file_attributes,region_count,region_id"
            table.writerow([*heads.split(","), "region_shape_attributes", "region_attributes"])
            for place, one in enumerate(regions):
                texts = [json.dumps(one[f"{k}_attributes"]) for k in ("shape", "region")]
                table.writerow(["a.png", 9, "{}", len(regions), place, *texts])
        return path

    return write


@pytest.mark.parametrize("form", ["json", "project", "csv"])
def test_points_of_via(form, via):
    labels = read_labels(via(TWO, form))
    assert labels.tool == "via" and labels.keypoints == ("snout", "tail") and not labels.skips
    one, other = labels.images[0].instances
    assert (one.individual, other.individual) == ("a", "b")
    assert one.keypoints.tolist() == [[1, 2], [3, 4.5]] and one.visible.tolist() == [2, 1]
    assert one.box_xywh.tolist() == [1, 2, 8, 9] and other.visible.tolist() == [2, 0]


def test_the_only_attribute_of_via_is_the_name(via):
    labels = read_labels(via([point(1, 2, mouse="snout"), point(3, 4, mouse="tail")]))
    assert labels.keypoints == ("snout", "tail") and labels.images[0].instances[0].individual == ""


@pytest.mark.parametrize(
    ("regions", "reason"),
    [
        ([point(1, 2, part="snout")] * 2, "point twice in one image"),
        ([point(1, 2, part="")], "1 x point without a name.*region 1"),
        ([region({"name": "polygon"}, part="snout")], "1 x shape that is no point or rectangle"),
        ([region(RECT, individual="a")], "1 x box without keypoints"),
        ([point(1, None, part="snout")], r"region 1, cy: 'None' is not a number"),
        ([{"shape_attributes": []}], "region 1: it has no `shape_attributes`"),
    ],
)
def test_regions_that_are_no_keypoints(regions, reason, via):
    path = via(regions)
    with pytest.raises(InputError, match=reason) as error:
        read_labels(path)
    assert str(path) in str(error.value)


def test_a_cell_of_via_that_is_no_json(via):
    path = via(TWO, "csv")
    path.write_text(path.read_text().replace('{""name"": ""point""', "{name: point", 1))
    with pytest.raises(InputError, match="row 2: `region_shape_attributes` is not valid JSON"):
        read_labels(path)


def tracked(*frames):
    points = "".join(
        f'<skeleton frame="{frame}" keyframe="{key}" outside="{outside}">'
        f'<points label="snout" keyframe="{key}" outside="0" occluded="1" points="{frame},2"/>'
        f'<points label="tail" keyframe="{key}" outside="1" occluded="0" points="0,0"/></skeleton>'
        for frame, key, outside in frames
    )
    return f'<track id="4" label="mouse">{points}</track>'


def lone(label, *frames, kind="points", group=""):
    place = 'points="3,4"' if kind == "points" else 'xtl="1" ytl="2" xbr="9" ybr="8"'
    shapes = "".join(
        f'<{kind} frame="{frame}" keyframe="{key}" outside="0" occluded="0" {place}/>'
        for frame, key in frames
    )
    return f'<track id="1" label="{label}" group_id="{group}">{shapes}</track>'


@pytest.fixture
def cvat(tmp_path):
    """Function that writes CVAT's XML of a video with these tracks, and returns the file."""

    def write(*tracks):
        write_video(tmp_path / "walk.mp4", 12)
        parts = "".join(
            f"<label><name>{part}</name><type>points</type><parent>mouse</parent></label>"
            for part in ("snout", "tail")
        )
        path = tmp_path / "annotations.xml"
        path.write_text(
            "<annotations><version>1.1</version><meta><task><labels><label><name>mouse</name>"
            f"<type>skeleton</type></label>{parts}</labels><original_size><width>64</width><height>"
            f"48</height></original_size></task><source>walk.mp4</source></meta>{''.join(tracks)}"
            "</annotations>"
        )
        return path

    return write


def test_keyframes_of_a_skeleton(cvat, tmp_path):
    frames = [(2, 1, 0), (3, 0, 0), (4, 0, 0), (9, 1, 0), (10, 1, 1)]
    labels = read_labels(cvat(tracked(*frames)))
    assert [image.name for image in labels.images] == [
        f"walk/img{index:04d}.png" for index in (2, 9)
    ]  # not 10, where the track ends
    assert [len(image.instances) for image in labels.images] == [1, 1]
    one = labels.images[1].instances[0]
    assert one.individual == "track4" and one.visible.tolist() == [1, 0]
    assert one.keypoints[0].tolist() == [9, 2] and labels.images[0].image_hw == (48, 64)
    assert [(skip.reason, skip.fault) for skip in labels.skips] == [(BETWEEN, False)] * 2
    found = with_frames(labels, tmp_path / "frames")
    assert [number_of(read_image(image.path)) for image in found.images] == [2, 9]


def test_tracks_of_lone_points(cvat):
    points = [
        lone("nose", (0, 1), (5, 0)),
        lone("rump", (0, 0), (5, 1)),
        lone("mouse", (0, 1), kind="box"),
    ]
    labels = read_labels(cvat(*points))
    assert labels.keypoints == ("nose", "rump")
    assert [image.instances[0].visible.tolist() for image in labels.images] == [[2, 2], [2, 2]]
    boxes = [image.instances[0].box_xywh for image in labels.images]
    assert boxes[0].tolist() == [1, 2, 8, 6] and boxes[1] is None
    grouped = [lone("nose", (0, 1), group="7"), lone("mouse", (0, 1), kind="box", group="7")]
    (one,) = read_labels(cvat(*grouped)).images[0].instances
    assert one.individual == "group7" and one.box_xywh.tolist() == [1, 2, 8, 6]
    with pytest.raises(InputError, match="the number of its frame is 'x'"):
        read_labels(cvat(lone("nose", ("x", 1))))
    with pytest.raises(InputError, match="point twice in one group"):
        read_labels(cvat(lone("nose", (0, 1)), lone("nose", (0, 1))))


def test_frames_that_cvat_exports_need_no_video(cvat, tmp_path):
    path = cvat(tracked((2, 1, 0)))
    (tmp_path / "walk.mp4").unlink()
    images(tmp_path, "images/frame_000002.PNG")
    labels = read_labels(path)
    assert with_frames(labels, None).images[0].path == tmp_path / "images" / "frame_000002.PNG"
    assert "walk.mp4 does not exist" in labels.notes[0]
