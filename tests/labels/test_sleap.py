"""SLEAP's files: what sleap-io writes and reads, frames in videos and in the file, bad content."""

import json
from dataclasses import replace

import cv2
import h5py
import numpy as np
import pytest
from tool_labels import HW, MOUSE, same, without_boxes
from videos import number_of, numbered, write_video

from jaxpose.errors import InputError
from jaxpose.hdf5 import MOST_BYTES, open_hdf5, texts
from jaxpose.labels.choose import read_labels
from jaxpose.labels.frames import with_frames
from jaxpose.labels.labels import Instance, LabelledImage, Labels, VideoFrame
from jaxpose.labels.sleap import CORRECTED, PREDICTED
from jaxpose.labels.sleap_writing import FILE, write_sleap
from jaxpose.media.image import read_image
from jaxpose.skeletons import Skeleton


@pytest.fixture
def slp(tmp_path):
    """A file with a label and a prediction in frames 3 and 7 of a video that exists."""
    write_video(tmp_path / "walk.mp4", 10)
    rng = np.random.default_rng(0)
    images = []
    for index in (3, 7):
        points = [rng.uniform(2, 40, (4, 2)) for _ in range(2)]
        own = (
            Instance(points[0], np.array([2, 2, 0, 2]), "", "anna"),
            Instance(points[1], np.array([2] * 4), "", "", None, np.full(4, 0.5)),
        )
        frame = VideoFrame(tmp_path / "walk.mp4", index)
        name = f"walk/img{index:04d}.png"
        images.append(LabelledImage(tmp_path / name, name, own, (48, 64), frame=frame))
    write_sleap(Labels("code", tmp_path, MOUSE.keypoints, tuple(images)), MOUSE, tmp_path)
    return tmp_path / FILE


def test_labels_are_read_and_predictions_counted(slp):
    labels = read_labels(slp)
    assert [len(image.instances) for image in labels.images] == [1, 1]
    one = labels.images[0].instances[0]
    assert one.individual == "anna" and one.visible.tolist() == [2, 2, 0, 2] and one.scores is None
    assert [(skip.reason, skip.fault) for skip in labels.skips] == [(PREDICTED, False)] * 2
    both = read_labels(slp, predicted=True)
    assert both.instances == 4 and both.images[0].instances[1].scores.tolist() == [0.5] * 4
    with h5py.File(slp, "a") as file:
        rows = file["instances"][()]
        rows["from_predicted"][0] = 1
        file["instances"][()] = rows
    both = read_labels(slp, predicted=True)
    assert both.instances == 3 and [skip.reason for skip in both.skips] == [CORRECTED]
    with pytest.raises(InputError, match="only files of SLEAP"):
        (slp.parent / "a.xml").write_text("<annotations></annotations>")
        read_labels(slp.parent / "a.xml", predicted=True)


def test_a_frame_with_predictions_alone_is_not_empty(slp):
    with h5py.File(slp, "a") as file:
        rows = file["instances"][()]
        rows["instance_type"][0] = 1
        file["instances"][()] = rows
    assert [image.frame.index for image in read_labels(slp).images] == [7]


def test_the_origin_of_old_files_is_shifted(slp):
    new = read_labels(slp).images[0].instances[0].keypoints
    with h5py.File(slp, "a") as file:
        file["metadata"].attrs["format_id"] = 1.0
    old = read_labels(slp).images[0].instances[0].keypoints
    np.testing.assert_allclose(old, new - 0.5, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("names", "pair"),
    [(("ear_R", "ear_L"), ("ear_L", "ear_R")), (("rightear", "leftear"), ("leftear", "rightear"))],
)
def test_the_left_one_of_a_pair_comes_first(names, pair, tmp_path):
    skeleton = Skeleton("mouse", ("snout", *names), pairs=(names,))
    one = Instance(np.ones((3, 2)), np.full(3, 2), "")
    image = LabelledImage(tmp_path / "a.png", "a.png", (one,))
    write_sleap(Labels("code", tmp_path, skeleton.keypoints, (image,)), skeleton, tmp_path)
    assert read_labels(tmp_path).pairs == (pair,)


def test_frames_of_a_video_are_written_once(slp, tmp_path):
    labels = read_labels(slp)
    with pytest.raises(InputError, match=r"2 labelled frames are no image files.*--frames FOLDER"):
        with_frames(labels, None)
    found = with_frames(labels, tmp_path / "frames")
    assert found.notes == (f"2 frames were written into {tmp_path / 'frames'}",)
    assert [number_of(read_image(image.path)) for image in found.images] == [3, 7]
    again = with_frames(labels, tmp_path / "frames")
    assert "2 frames were in" in again.notes[0]
    assert with_frames(read_labels(slp, tmp_path / "frames"), None).images[1].path.is_file()


def embed(path, numbers, *, order=None, pixels=False, variable=False, version=1.3):
    """Puts frames of a `.slp` into the file, as a `.pkg.slp` has them."""
    with h5py.File(path, "a") as file:
        file["metadata"].attrs["format_id"] = version
        del file["videos_json"]
        video = {"backend": {"filename": ".", "dataset": "video5/video"}}
        file["videos_json"] = np.array([json.dumps(video).encode()])
        rows = file["frames"][()]
        rows["video"] = 5  # the number in a project of which the package is a part
        file["frames"][()] = rows
        images = [
            np.stack([numbered(n)[..., 0]] + [np.full((48, 64), 9, np.uint8)] * 2, -1)
            for n in numbers
        ]
        file["video5/frame_numbers"] = np.array(numbers)
        if pixels:
            file["video5/video"] = np.stack(images)
        else:
            encoded = [cv2.imencode(".png", image)[1].ravel().astype(np.int8) for image in images]
            if variable:
                kind = h5py.vlen_dtype(np.int8)
                data = file.create_dataset("video5/video", (len(images),), kind)
                for place, one in enumerate(encoded):
                    data[place] = one
            else:
                length = max(map(len, encoded)) + 7
                padded = [np.pad(one, (0, length - len(one))) for one in encoded]
                file["video5/video"] = np.stack(padded)
        if order:
            file["video5/video"].attrs["channel_order"] = order


@pytest.mark.parametrize(
    ("options", "red_first"),
    [
        ({}, True),  # written by OpenCV without exchanging the colours
        ({"variable": True}, True),
        ({"pixels": True}, True),
        ({"order": "BGR", "version": 1.4}, True),
        ({"version": 1.4}, False),
        ({"order": "RGB"}, False),
    ],
)
def test_frames_inside_the_file(options, red_first, slp, tmp_path):
    embed(slp, [3, 7], **options)
    labels = with_frames(read_labels(slp), tmp_path / "frames")
    for image, number in zip(labels.images, (3, 7), strict=True):
        pixel = read_image(image.path)[5, 5].tolist()
        assert pixel == ([8 * number, 9, 9] if red_first else [9, 9, 8 * number])


def test_labels_of_a_package_become_records(slp, tmp_path, run):
    embed(slp, [3])  # the other frame is absent
    common = ("prepare", "labels", slp, "--skeleton", tmp_path / "s.toml", "--processes", 1)
    result = run(*common, "--out", tmp_path / "data")
    assert result.exit_code == 2 and "--frames FOLDER" in result.stderr
    result = run(*common, "--out", tmp_path / "data", "--frames", tmp_path / "frames")
    assert result.exit_code == 1, result.stderr
    assert "image missing: 1" in result.stdout and "without --predicted: 2" in result.stdout


def test_images_of_another_machine_are_found_by_their_last_parts(made, tmp_path):
    labels, folder = made()
    stated = tuple(replace(i, path=folder / f"C:/lab/{i.name}") for i in labels.images)
    write_sleap(replace(labels, images=stated), MOUSE, tmp_path)
    with h5py.File(tmp_path / FILE, "a") as file:
        videos = [json.loads(text) for text in file["videos_json"].asstr()]
        for video in videos:
            video["backend"]["filenames"] = [rf"C:\lab\{n}" for n in video["backend"]["filenames"]]
        del file["videos_json"]
        file["videos_json"] = [json.dumps(video) for video in videos]
    same(read_labels(tmp_path / FILE, folder), without_boxes(labels), flags=False)


def test_a_video_outside_the_folder(slp, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    slp = slp.rename(folder / "a.slp")
    with pytest.raises(InputError, match=r"has no labels to read: .*2 x image outside the folder"):
        read_labels(slp)
    assert read_labels(slp, outside=True).instances == 2
    assert read_labels(slp, tmp_path).instances == 2
    (tmp_path / "walk.mp4").unlink()
    assert "1 videos do not exist here" in read_labels(slp).notes[0]


def _metadata(change):
    def apply(file):
        content = json.loads(file["metadata"].attrs["json"])
        change(content)
        file["metadata"].attrs["json"] = json.dumps(content)

    return apply


def _rows(table, column, value):
    def apply(file):
        rows = file[table][()]
        rows[column][0] = value
        file[table][()] = rows

    return apply


def _texts(name, *values):
    def apply(file):
        del file[name]
        file[name] = list(values)

    return apply


def _two_skeletons(content):
    content["nodes"].append({"name": "wing"})
    graph = content["skeletons"][0]
    other = graph | {"nodes": [{"id": n} for n in (0, 1, 2, 4)], "links": []}
    content["skeletons"].append(other)


def _mixed(file):
    _metadata(_two_skeletons)(file)
    rows = file["instances"][()]
    rows["skeleton"][2] = 1
    file["instances"][()] = rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["metadata"].attrs.modify("format_id", 3.0), "has SLEAP's format 3.0"),
        (lambda f: f["metadata"].attrs.pop("json"), "no attribute `json` in `metadata`"),
        (lambda f: f["metadata"].attrs.modify("json", "{"), r"metadata is not valid JSON"),
        (_metadata(lambda m: m.pop("nodes")), r"no skeletons of SLEAP's form \(KeyError"),
        (_metadata(lambda m: m.update(skeletons=[])), "the metadata have no skeleton"),
        (_mixed, "mixed skeletons: .* snout, left_ear, right_ear, tail base, .* wing"),
        (_texts("tracks_json", "[0]"), r"track '\[0\]', which has no name"),
        (_texts("videos_json", "{}"), "without `backend`"),
        (_texts("videos_json", '{"backend": {}}'), "without a file name"),
        (_rows("frames", "video", 4), "frame row 0: video 4 is not in the file"),
        (_rows("frames", "instance_id_end", 9), "frame row 0: it has instances 0 to 9 of 4"),
        (_rows("instances", "track", 4), "instance row 0: its skeleton or track is absent"),
        (_rows("instances", "point_id_end", 3), "instance row 0: it has points 0 to 3 of 8"),
        (_rows("instances", "instance_type", 7), "instance row 0: it has the type 7"),
        (lambda f: f.pop("frames"), "/frames is absent"),
        (lambda f: f.move("points", "frames2"), r"instance row 0: it has points 0 to 4 of 0"),
    ],
)
def test_a_file_that_is_none(change, message, slp):
    with h5py.File(slp, "a") as file:
        change(file)
    with pytest.raises(InputError, match=message) as error:
        read_labels(slp)
    assert str(slp) in str(error.value)


def test_many_references_to_one_long_text_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["a"] = ["x" * 1000] * 100
    with open_hdf5(path) as file:
        assert len(texts(file, "a", path)) == 100
        monkeypatch.setattr("jaxpose.hdf5.MOST_BYTES", 50_000)
        with pytest.raises(InputError, match="texts above the limit of 50,000 bytes"):
            texts(file, "a", path)
    assert MOST_BYTES > 50_000


def test_a_heap_that_hdf5_reads_without_end_is_refused(slp):
    content = slp.read_bytes()
    heap = content.index(b"GCOL")
    assert content[heap + 16 : heap + 18] == b"\1\0"  # number of the first object
    slp.write_bytes(content[: heap + 16] + bytes(16) + content[heap + 32 :])
    with pytest.raises(
        InputError, match=r"labels.slp is a damaged HDF5 file \(an object of its heap"
    ):
        read_labels(slp)


def test_two_files_in_a_folder(slp, tmp_path):
    (tmp_path / "b.slp").write_bytes(slp.read_bytes())
    with pytest.raises(InputError, match=r"2 files of SLEAP; give one: .*b\.slp"):
        read_labels(tmp_path)


def test_sleap_io_reads_and_writes_the_same(made, slp, tmp_path):
    sio = pytest.importorskip("sleap_io", reason="sleap-io is not installed")
    labels, _ = made()
    write_sleap(labels, MOUSE, tmp_path / "out")
    read = sio.load_slp(str(tmp_path / "out" / FILE), open_videos=False)
    assert read.skeletons[0].node_names == list(MOUSE.keypoints)
    assert [tuple(edge) for edge in read.skeletons[0].edge_names] == list(MOUSE.limbs)
    assert [set(pair.nodes) for pair in read.skeletons[0].symmetries] == [
        {read.skeletons[0][name] for name in MOUSE.pairs[0]}
    ]
    assert len(read) == len(labels.images)
    for frame, image in zip(read, labels.images, strict=True):
        assert [one.track.name for one in frame.instances] == [
            o.individual for o in image.instances
        ]
        for one, other in zip(frame.instances, image.instances, strict=True):
            np.testing.assert_allclose(one.numpy(), other.keypoints, atol=1e-3, rtol=0)
    read.save(str(tmp_path / "again.slp"), embed=False, verbose=False)
    same(
        read_labels(tmp_path / "again.slp", tmp_path / "images"), without_boxes(labels), flags=False
    )
    read = sio.load_slp(str(slp))
    predicted = [type(one).__name__ for frame in read for one in frame.instances]
    assert predicted == ["Instance", "PredictedInstance"] * 2
    package = tmp_path / "all.pkg.slp"
    read.save(str(package), embed="all", verbose=False)
    found = with_frames(read_labels(package), tmp_path / "package")
    for image, before in zip(found.images, read_labels(slp).images, strict=True):
        assert number_of(read_image(image.path)) == before.frame.index
        points = image.instances[0].keypoints
        np.testing.assert_allclose(points, before.instances[0].keypoints, atol=1e-3, rtol=0)
    assert HW == (90, 120)
