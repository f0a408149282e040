"""Labels written in each tool's form and read back are the same, as are records made of them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tool_labels import MOUSE, same, without_boxes

from jaxpose import geometry
from jaxpose.data.records import RecordSource
from jaxpose.labels.choose import read_labels
from jaxpose.labels.cvat import write_cvat
from jaxpose.labels.deeplabcut import write_deeplabcut
from jaxpose.labels.label_studio import write_label_studio
from jaxpose.labels.labelme import write_labelme
from jaxpose.labels.sleap_writing import write_sleap
from jaxpose.labels.yolo_pose import write_yolo_pose

WRITERS = {
    "deeplabcut": write_deeplabcut,
    "sleap": write_sleap,
    "labelme": write_labelme,
    "label-studio": write_label_studio,
    "cvat": write_cvat,
    "yolo-pose": write_yolo_pose,
}

PLAIN = ("deeplabcut", "sleap")  # without boxes and flags of occlusion


def write(tool, labels, folder, out):
    """Writes labels, and puts the images where the tool has them."""
    WRITERS[tool](labels, MOUSE, out)
    target = {"deeplabcut": "labeled-data", "yolo-pose": "images/train", "cvat": "images"}
    shutil.copytree(folder, out / target.get(tool, "."), dirs_exist_ok=True)


@pytest.mark.parametrize("boxed", [True, False])
@pytest.mark.parametrize("individuals", [("anna", "bert"), ("",)], ids=["two", "one"])
@pytest.mark.parametrize("tool", WRITERS)
def test_labels_come_back(tool, individuals, boxed, made, tmp_path):
    labels, folder = made(individuals, boxed)
    out = tmp_path / "out"
    write(tool, labels, folder, out)
    read = read_labels(out)
    assert read.tool == tool and not read.skips
    prefix = {"deeplabcut": "labeled-data/", "yolo-pose": "images/train/"}.get(tool, "")
    assert all(image.name.startswith(prefix) and image.path.is_file() for image in read.images)
    renamed = {image.name.removeprefix(prefix): image for image in read.images}
    read = replace(read, images=tuple(replace(i, name=n) for n, i in renamed.items()))
    same(
        read,
        without_boxes(labels) if tool in PLAIN else labels,
        flags=tool not in PLAIN,
        names=tool != "yolo-pose",
    )
    if tool in ("deeplabcut", "sleap", "cvat", "yolo-pose"):
        assert set(read.limbs) == set(MOUSE.limbs)
    if tool in ("yolo-pose", "sleap"):
        assert read.pairs == MOUSE.pairs


@pytest.mark.parametrize("tool", WRITERS)
def test_records_have_the_labels(tool, made, tmp_path, run):
    labels, folder = made()
    out = tmp_path / "out"
    write(tool, labels, folder, out)
    skeleton = tmp_path / "mouse.toml"
    result = run(
        *("prepare", "labels", out, "--skeleton", skeleton),
        *("--out", tmp_path / "data", "--processes", 1),
    )
    assert result.exit_code == 0, result.stderr
    assert "given 3 people = done 3 + left out 0" in result.stdout.lower()
    source = RecordSource(tmp_path / "data", "train")
    assert set(source.skeleton.keypoints) == set(MOUSE.keypoints)
    assert source.skeleton.pairs == MOUSE.pairs
    batch = source.samples(np.arange(3))
    image = geometry.apply_affine(batch["photo_from_canvas"], batch["keypoints"])
    places = [source.skeleton.index(name) for name in MOUSE.keypoints]
    truth = [one for image in labels.images for one in image.instances]
    for row, one in enumerate(truth):
        labelled = one.visible > 0
        assert (batch["visible"][row][places] > 0).tolist() == labelled.tolist()
        points = image[row][places][labelled]
        np.testing.assert_allclose(points, one.keypoints[labelled], atol=1e-3, rtol=0)
