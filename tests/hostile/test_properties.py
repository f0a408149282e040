"""Properties of readers and writers, for inputs that hypothesis makes up.

A reader returns a result or raises an `InputError`. What is written is read as it was. Counts add
up, names have one normal form, and no header chooses the memory.
"""

import contextlib
import csv
import itertools
import json
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxpose.codecs.heatmap import udp
from jaxpose.config import override
from jaxpose.data.coco_json import read_people
from jaxpose.geometry.cameras import pinhole, stack
from jaxpose.json_text import parse_json
from jaxpose.motion.bvh import Bvh, read_bvh, write_bvh
from jaxpose.motion.markers import write_trc
from jaxpose.multiview.calibration import (
    Rig,
    read_opencv,
    read_pose2sim,
    write_opencv,
    write_pose2sim,
)
from jaxpose.results.box_files import read_boxes
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People
from jaxpose.results.readers import read_results
from jaxpose.results.writers import writer
from jaxpose.skeletons import COCO17, Skeleton, load
from jaxpose.skeletons.names import normal_name
from tests.hostile.properties import few, read_or_refused
from tests.hostile.score_readers import coco_document

numbers = st.floats(-1e4, 1e4).map(lambda value: round(value, 2))
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
file_names = st.text(string.ascii_letters + "0159é ._-[]#", min_size=1, max_size=8).map(
    lambda name: f"{name.strip() or 'a'}.jpg"
)


@few
@given(st.text() | st.binary() | st.integers(4000, 9000).map(lambda digits: "1" * digits))
def test_json_is_parsed_or_refused(text):
    with contextlib.suppress(json.JSONDecodeError, UnicodeDecodeError):
        parse_json(text)


@few
@given(data=st.data())
def test_coco_counts_add_up(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("coco")
    document = coco_document()
    for kind in ("images", "annotations", "categories"):
        for entry in document[kind]:
            if data.draw(st.booleans()):
                entry[data.draw(st.sampled_from(sorted(entry)))] = data.draw(junk)
    (folder / "a.json").write_text(json.dumps(document))
    read = read_or_refused(lambda: read_people(folder / "a.json", folder, COCO17))
    if read is None:
        return
    images, skips, _ = read
    people = [person.annotation_id for image in images for person in image.people]
    assert len(people) + len(skips) == len(document["annotations"])
    assert len(set(people)) == len(people)
    assert len({image.path for image in images}) == len(images)


boxes = st.lists(st.lists(numbers, min_size=4, max_size=4), max_size=3)


@few
@given(named=st.dictionaries(file_names, boxes, min_size=1, max_size=4))
def test_boxes_are_the_same_as_map_list_and_table(tmp_path_factory, named):
    folder = tmp_path_factory.mktemp("boxes")
    (folder / "map.json").write_text(json.dumps(named))
    found = read_boxes(folder / "map.json")
    assert {name: value.tolist() for name, value in found.by_name.items()} == {
        name: np.array(rows, np.float32).reshape(-1, 4).tolist() for name, rows in named.items()
    }
    rows = [(name, *box) for name, listed in named.items() for box in listed]
    if not rows:
        return
    records = [{"file_name": name, "bbox": box} for name, *box in rows]
    (folder / "list.json").write_text(json.dumps(records))
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", *"xywh"], *rows])
    for other in ("list.json", "table.csv"):
        again = read_boxes(folder / other).by_name
        assert all(
            (again[name] == value).all() for name, value in found.by_name.items() if len(value)
        )
        assert sum(map(len, again.values())) == len(rows)


@few
@given(
    content=junk
    | st.text()
    | st.lists(
        st.dictionaries(st.sampled_from(["bbox", "image_id", "file_name", "score", "frame"]), junk)
    )
)
def test_any_other_content_is_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("junk") / "a.json"
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    read_or_refused(lambda: read_boxes(path))
    read_or_refused(lambda: read_results(path))
    read_or_refused(lambda: read_people(path, path.parent, COCO17))


@few
@given(
    counts=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    tracked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_results_are_read_as_they_were_written(tmp_path_factory, counts, tracked, seed):
    folder, rng = tmp_path_factory.mktemp("results"), np.random.default_rng(seed)
    frames = [
        People(
            COCO17,
            (72, 96),
            rng.uniform(-50, 150, (count, 17, 2)).astype(np.float32),
            rng.uniform(0, 1, (count, 17)).astype(np.float32),
            rng.uniform(1, 90, (count, 4)).astype(np.float32),
            np.arange(count),
            source="v.mp4",
            index=index,
            seconds=index / 29.97,
            track_ids=rng.permutation(9)[:count] if tracked else None,
            fps=30000 / 1001,
        )
        for index, count in enumerate(counts)
    ]
    for kind, name in (("json", "predictions.json"), ("jsonl", "predictions.jsonl")):
        one = writer(kind, folder, COCO17, {})
        for people in frames:
            one.write(people)
        one.close()
        again = read_or_refused(lambda name=name: read_results(folder / name))
        assert (again is None) == (not any(counts))  # a file without a person is refused
        for before, after in zip(frames, again or (), strict=bool(again)):
            np.testing.assert_allclose(after.keypoints, before.keypoints, atol=0.006)
            np.testing.assert_allclose(after.scores, before.scores, atol=6e-5)
            assert (after.index, after.fps) == (before.index, before.fps)
            assert after.seconds == pytest.approx(before.seconds, abs=1e-3)
            if tracked and len(before):
                assert after.track_ids.tolist() == before.track_ids.tolist()
    table = writer("csv", folder, COCO17, {})
    for people in frames:
        table.write(people)
    table.close()
    with (folder / "predictions.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 17 * sum(counts)


words = st.text(string.ascii_lowercase, min_size=1, max_size=5)


@few
@given(names=st.lists(words, min_size=1, max_size=6, unique=True), paired=st.booleans())
def test_a_skeleton_file_is_read_as_it_was_written(tmp_path_factory, names, paired):
    keypoints = (
        [f"{side}_{name}" for name in names for side in ("left", "right")] if paired else names
    )
    skeleton = Skeleton(
        "own",
        tuple(keypoints),
        tuple((f"left_{name}", f"right_{name}") for name in names) if paired else (),
        tuple(itertools.pairwise(keypoints)),
    )
    lines = [
        f"{key} = {json.dumps(getattr(skeleton, key))}" for key in ("name", "keypoints", "limbs")
    ]
    path = tmp_path_factory.mktemp("skeleton") / "own.toml"
    path.write_text("\n".join(lines))
    found = read_or_refused(lambda: load(path))
    if found is not None:  # a drawn name may be `left` or similar, which is refused with a reason
        assert (found.keypoints, found.pairs, found.limbs) == (
            skeleton.keypoints,
            skeleton.pairs,
            skeleton.limbs,
        )


@few
@given(
    st.text(max_size=60)
    | st.dictionaries(st.sampled_from(["name", "keypoints", "pairs", "limbs", "sigmas"]), junk).map(
        lambda table: "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
    )
    | st.sampled_from(["a=" + "[" * 5000, "a=" + "{a=" * 5000, "a=" + "1" * 5000])
)
def test_a_damaged_skeleton_file_is_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("skeleton") / "own.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    read_or_refused(lambda: load(path))


CODEC = udp(input_hw=(64, 48), heatmap_hw=(16, 12), sigma=1.0)
literals = st.text(max_size=20) | st.sampled_from(
    ["{[1]: 2}", "-" * 5000 + "1", "(" * 5000, "1" * 5000, "codecs.X()", "a(**b)", "'\\x'", "9**9"]
)


@few
@given(key=st.sampled_from(["sigma", "input_hw", "x", "", "sigma.y", "."]), text=literals)
def test_any_set_is_done_or_refused(key, text):
    read_or_refused(lambda: override(CODEC, [f"{key}={text}"]))


@few
@given(sigma=st.floats(0.5, 10), sides=st.tuples(st.integers(8, 512), st.integers(8, 512)))
def test_a_set_value_is_the_value(sigma, sides):
    changed = override(CODEC, [f"sigma={sigma!r}", f"heatmap_hw={sides!r}"])
    assert changed.sigma == sigma and changed.heatmap_hw == sides


@few
@given(count=st.integers(1, 4), seed=st.integers(0, 999))
def test_a_calibration_is_read_as_it_was_written(tmp_path_factory, count, seed):
    import cv2

    folder, rng = tmp_path_factory.mktemp("rig"), np.random.default_rng(seed)
    cameras = []
    for _ in range(count):
        K = [[rng.uniform(500, 2000), 0, 512], [0, rng.uniform(500, 2000), 384], [0, 0, 1]]
        R = cv2.Rodrigues(rng.uniform(-1.5, 1.5, 3))[0]
        cameras.append(pinhole(K, R, rng.uniform(-3e3, 3e3, 3), rng.uniform(-0.1, 0.1, 5)))
    names = tuple(f"cam {index}" if seed % 2 else f"c{index}" for index in range(count))
    rig = Rig(names, stack(cameras), np.tile([1024, 768], (count, 1)))
    write_pose2sim(folder / "a.toml", rig)
    found = [read_pose2sim(folder / "a.toml")]
    if not seed % 2:  # OpenCV's keys have no spaces
        write_opencv(folder / "a.yml", rig)
        found.append(read_opencv(folder / "a.yml"))
    for other in found:
        assert other.names == rig.names
        for name in rig.names:
            for ours, theirs in zip(rig.camera(name), other.camera(name), strict=True):
                np.testing.assert_allclose(theirs, ours, rtol=1e-9, atol=1e-6)


@few
@given(
    parents=st.lists(st.integers(0, 5), max_size=5),
    frames=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_a_bvh_file_is_read_as_it_was_written(tmp_path_factory, parents, frames, seed):
    rng = np.random.default_rng(seed)
    tree = (-1, *(min(parent, index) for index, parent in enumerate(parents)))
    order = _depth_first(tree)
    place = {old: new for new, old in enumerate(order)}
    parents_of = tuple(-1 if tree[old] < 0 else place[tree[old]] for old in order)
    turns = ("Zrotation", "Xrotation", "Yrotation")
    moves = ("Xposition", "Yposition", "Zposition")
    bvh = Bvh(
        tuple(f"joint{index}" for index in range(len(tree))),
        parents_of,
        rng.uniform(-9, 9, (len(tree), 3)),
        tuple((*moves, *turns) if parent < 0 else turns for parent in parents_of),
        rng.uniform(-180, 180, (frames, 3 * len(tree) + 3)),
        1 / 30,
    )
    path = tmp_path_factory.mktemp("bvh") / "a.bvh"
    write_bvh(path, bvh)
    again = read_bvh(path)
    assert (again.names, again.parents, again.channels) == (bvh.names, bvh.parents, bvh.channels)
    np.testing.assert_allclose(again.motion, bvh.motion, atol=1e-6)
    np.testing.assert_allclose(again.offsets, bvh.offsets, atol=1e-6)
    cut = path.read_text().split()
    path.write_text(" ".join(cut[: seed % len(cut)]))
    read_or_refused(lambda: read_bvh(path))


def _depth_first(tree: tuple[int, ...]) -> list[int]:
    order: list[int] = []
    open_joints = [0]
    while open_joints:
        joint = open_joints.pop()
        order.append(joint)
        open_joints += [child for child, parent in enumerate(tree) if parent == joint][::-1]
    return order


@few
@given(
    frames=st.integers(1, 5),
    count=st.integers(1, 4),
    fps=st.floats(1, 240),
    begin=st.floats(0, 100),
    seed=st.integers(0, 99),
)
def test_a_trc_file_has_the_times_and_the_points(tmp_path_factory, frames, count, fps, begin, seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-2e3, 2e3, (frames, count, 3))
    points[rng.random((frames, count)) < 0.3] = np.nan
    path = tmp_path_factory.mktemp("trc") / "a.trc"
    write_trc(path, points, [f"p{index}" for index in range(count)], fps, begin=begin)
    rows = [line.split("\t") for line in path.read_text().splitlines()[6:]]
    assert [int(row[0]) for row in rows] == list(range(1, frames + 1))
    times = [float(row[1]) for row in rows]
    np.testing.assert_allclose(times, begin + np.arange(frames) / fps, atol=1e-6)
    found = np.array([[float(cell or "nan") for cell in row[2:]] for row in rows])
    np.testing.assert_allclose(found.reshape(points.shape), points, atol=1e-5)


paths = st.lists(
    st.builds(
        lambda folders, name: Path(*folders, name),
        st.lists(st.sampled_from(["a", "A", "b", "..", "a.b", "-1"]), max_size=3),
        st.sampled_from(
            ["1.jpg", "1.png", "1.JPG", "01.jpg", "1", "1-2.jpg", "x.mp4", "0.jpg", "é.jpg"]
        ),
    ),
    max_size=8,
)


@few
@given(
    paths,
    st.booleans(),
    st.dictionaries(st.sampled_from(["1.jpg", "a/1.jpg", "x.mp4"]), st.integers(1, 9), max_size=3),
)
def test_names_and_ids_are_unique_for_any_paths(given_paths, absolute, annotated):
    listed = [Path("/r") / path if absolute else path for path in given_paths]
    names = ImageNames(listed)
    sources = list(dict.fromkeys(map(str, listed)))
    stems = [names.stem(source) for source in sources]
    assert len({stem.lower() for stem in stems}) == len(sources)
    assert not any(Path(stem).is_absolute() or ".." in Path(stem).parts for stem in stems)
    ids = [names.image_id(source) for source in sources]
    ids += [names.image_id(source, frame) for source in sources for frame in (0, 1)]
    assert len(set(ids)) == len(ids) and all(number > 0 for number in ids)
    assert ids[: len(sources)] == [names.image_id(source) for source in sources]
    with_ids = ImageNames(listed, annotated)
    free = {with_ids.image_id(source, 0) for source in sources}
    assert len(free) == len(sources) and not free & set(annotated.values())


@few
@given(
    st.text(max_size=20)
    | st.lists(st.sampled_from(["l", "R", "Left", "eye", "HIP", "2"]), max_size=4).map("_".join)
)
def test_the_normal_form_of_a_name_is_its_own(name):
    normal = normal_name(name)
    assert normal_name(normal) == normal
    assert (
        normal_name(name.replace("_", " ")) == normal
        or "_" in normal_name(name.strip("_"))
        or not normal.strip("_ ")
    )
