"""Predictions, records and labels as files of each tool: places, names, individuals and gaps."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tool_labels import HW, MOUSE, same, without_boxes
from videos import number_of, write_video

from jaxpose.errors import InputError
from jaxpose.labels.choose import read_labels
from jaxpose.labels.exporting import WRITERS, LabelsWriter, labels_of_records, write_labels
from jaxpose.labels.labelme import write_labelme
from jaxpose.labels.labels import Instance, LabelledImage, Labels
from jaxpose.media.image import read_image
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People
from jaxpose.results.writers import JsonWriter, head_of


def by_name(labels, folder):
    """The labels with names of images relative to a folder, which may be left out of them."""
    names = [image.name.removeprefix(f"{folder}/") for image in labels.images]
    pairs = zip(labels.images, names, strict=True)
    return replace(labels, images=tuple(replace(image, name=name) for image, name in pairs))


def test_one_tools_labels_become_anothers(made, tmp_path, run):
    labels, folder = made()
    write_labelme(labels, MOUSE, tmp_path / "labelme")
    before = tmp_path / "labelme"
    for tool in ("cvat", "label-studio", "labelme", "deeplabcut", "sleap", "labelme"):
        out = tmp_path / f"{before.name}-{tool}"
        result = run("labels", before, "--images", folder, "--to", tool, "--out", out)
        assert result.exit_code == 0, result.stderr
        assert "Given 3 people = done 3 + left out 0." in result.stdout
        before = out
        images = folder
        read = by_name(read_labels(out, images), "labeled-data")
        plain = "deeplabcut" in str(out)
        same(read, without_boxes(labels) if plain else labels, flags=not plain)
        folder = images if not plain else tmp_path / "moved"
        if plain and not folder.exists():  # DeepLabCut's names have one more folder
            shutil.copytree(images, folder / "labeled-data")
            shutil.copytree(images, folder, dirs_exist_ok=True)


def predicted(rng, source, index=None, tracks=(3, 8)):
    count = len(tracks)
    return People(
        MOUSE,
        HW,
        rng.uniform(2, 80, (count, 4, 2)).astype(np.float32),
        rng.permutation([0.1, 0.5, 0.7, 0.9] * count).reshape(count, 4).astype(np.float32),
        rng.uniform(10, 70, (count, 4)).astype(np.float32),
        np.arange(count),
        source=str(source),
        index=index,
        seconds=None if index is None else index / 10,
        track_ids=np.array(tracks),
    )


@pytest.mark.parametrize("tool", [tool for tool in WRITERS if tool != "nwb"])  # not read
def test_predictions_keep_places_tracks_and_gaps(tool, made, tmp_path):
    _, folder = made()
    rng = np.random.default_rng(0)
    paths = sorted(folder.rglob("*.png"))
    people = [predicted(rng, path, tracks=((3, 8), (), (8,))[n]) for n, path in enumerate(paths)]
    writer = LabelsWriter(tool, tmp_path / "out", MOUSE, ImageNames(paths), min_score=0.3)
    for one in people:
        writer.write(one)
    writer.close()
    target = {"deeplabcut": "labeled-data", "yolo-pose": "images/train"}.get(tool, "images")
    shutil.copytree(folder, tmp_path / "out" / target, dirs_exist_ok=True)
    images = {"yolo-pose": None, "deeplabcut": tmp_path / "out"}.get(tool, folder)
    read = by_name(read_labels(tmp_path / "out", images, predicted=tool == "sleap"), target)
    images = []
    for one, path in zip(people, paths, strict=True):
        instances = []
        for person in one:
            visible = np.where(person.scores >= 0.3, 2, 0)
            points = np.where(visible[:, None] > 0, person.keypoints, np.nan)
            name = f"individual{person.track_id}"
            instances.append(Instance(points, visible, "", name, person.box_xywh))
        name = path.relative_to(folder).as_posix()
        images.append(LabelledImage(path, name, tuple(instances)))
    expected = Labels("code", folder, MOUSE.keypoints, tuple(images))
    assert sum((one.visible == 0).sum() for i in images for one in i.instances) == 3
    same(read, expected, names=tool != "yolo-pose", boxes=tool not in ("deeplabcut", "sleap"))


def test_frames_of_a_video_have_a_name_each(tmp_path):
    rng = np.random.default_rng(0)
    writer = LabelsWriter("deeplabcut", tmp_path / "out", MOUSE)
    for index in (0, 12):
        writer.write(predicted(rng, "walk.mp4", index))
    writer.close()
    labels = read_labels(tmp_path / "out")
    assert [image.name for image in labels.images] == [
        "labeled-data/walk/img0000.png",
        "labeled-data/walk/img0012.png",
    ]


def test_labels_of_a_run_that_broke_off_have_a_folder_of_their_own(tmp_path):
    out, part = tmp_path / "out", tmp_path / "out.partial"
    writer = LabelsWriter("deeplabcut", out, MOUSE)
    writer.write(predicted(np.random.default_rng(0), "walk.mp4", 3))
    writer.close(complete=False)
    assert writer.part == part and not out.exists()
    (image,) = read_labels(part).images
    assert image.name == "labeled-data/walk/img0003.png"
    with pytest.raises(InputError, match=r"out\.partial exists and is not an empty folder"):
        LabelsWriter("deeplabcut", out, MOUSE)


def test_a_file_of_predictions(made, tmp_path, run):
    _, folder = made()
    paths = sorted(folder.rglob("*.png"))
    writer = JsonWriter(tmp_path / "predictions.json", head_of(MOUSE))
    people = [predicted(np.random.default_rng(0), path) for path in paths]
    for one in people:
        writer.write(one)
    writer.close()
    out = tmp_path / "out"
    result = run("labels", tmp_path / "predictions.json", "--to", "cvat", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "Given 6 people = done 6" in result.stdout
    found = read_labels(out, folder).images[2].instances[1]
    # The file has two decimals.
    np.testing.assert_allclose(found.keypoints, people[2].keypoints[1], atol=0.00501, rtol=0)
    assert found.individual == "individual8"
    result = run("labels", tmp_path / "predictions.json", "--to", "cvat", "--out", out)
    assert result.exit_code == 2 and "not an empty folder" in result.stderr


def test_frames_of_predictions_for_a_video_are_written_beside_their_labels(tmp_path, run):
    video = write_video(tmp_path / "walk.mp4", 12)
    writer = JsonWriter(tmp_path / "predictions.json", head_of(MOUSE))
    for index in (2, 9):
        writer.write(predicted(np.random.default_rng(0), video, index))
    writer.close()
    out = tmp_path / "out"
    result = run("labels", tmp_path / "predictions.json", "--to", "labelme", "--out", out)
    assert result.exit_code == 0 and not list(out.rglob("*.png"))
    shutil.rmtree(out)
    options = ("--to", "labelme", "--out", out, "--frames", out)
    result = run("labels", tmp_path / "predictions.json", *options)
    assert result.exit_code == 0, result.stderr
    assert "2 frames were written into" in result.stdout
    images = read_labels(out).images
    assert [image.name for image in images] == ["walk/img0002.png", "walk/img0009.png"]
    assert [number_of(read_image(image.path)) for image in images] == [2, 9]


def test_records_become_labels(made, tmp_path, run):
    labels, folder = made()
    write_labelme(labels, MOUSE, tmp_path / "labelme")
    data, out = tmp_path / "data", tmp_path / "out"
    result = run(
        *("prepare", "labels", tmp_path / "labelme", "--images", folder, "--processes", 1),
        *("--skeleton", tmp_path / "s.toml", "--out", data),
    )
    assert result.exit_code == 0, result.stderr
    result = run("labels", data, "--to", "label-studio", "--out", out)
    assert result.exit_code == 2 and "--images" in result.stderr
    result = run("labels", data, "--images", folder, "--to", "label-studio", "--out", out)
    assert result.exit_code == 0, result.stderr
    back = read_labels(out, folder)
    labelled = replace(labels, images=tuple(i for i in labels.images if i.instances))
    same(back, labelled, names=False, boxes=False)
    made_again, skeleton = labels_of_records(data, "train", folder)
    assert made_again.instances == 3 and set(skeleton.keypoints) == set(MOUSE.keypoints)


def test_names_that_lead_outside_are_refused(made, tmp_path):
    labels, _ = made()
    bad = replace(labels, images=(replace(labels.images[0], name="../../../../x.png"),))
    for tool in ("labelme", "yolo-pose"):
        with pytest.raises(InputError, match="leads outside"):
            write_labels(tool, bad, MOUSE, tmp_path / "a" / tool)
    write_labels("deeplabcut", bad, MOUSE, tmp_path / "a" / "deeplabcut")
    assert not list(tmp_path.glob("*.csv")) and not (tmp_path / "x.json").exists()


def test_an_individual_twice_in_an_image(made, tmp_path):
    labels, _ = made(("anna", "anna"))
    with pytest.raises(InputError, match=r"individual 'anna' occurs twice in film1/img001.png"):
        write_labels("deeplabcut", labels, MOUSE, tmp_path / "out")
