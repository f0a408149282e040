"""Writes that fail: the earlier file stays, nothing half-written is left, and a sentence is said.

A limit on the size of files stands for the full disk. `python -m tests.hostile.disks` does the same
with real file systems and whole commands.
"""

import contextlib
import errno
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose import paths
from jaxpose.cli.main import app
from jaxpose.convert.release import Card, save_release
from jaxpose.data.motion import motion_of, write_motion
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import pinhole, stack
from jaxpose.locks import only_writer
from jaxpose.metrics.annotated_results import write_results
from jaxpose.motion.bvh import read_bvh, write_bvh
from jaxpose.motion.markers import write_c3d, write_trc
from jaxpose.multiview.calibration import Rig, write_opencv, write_pose2sim
from jaxpose.results.drawing import Drawing
from jaxpose.results.entry_file import EntryFile
from jaxpose.results.people import People
from jaxpose.results.saving import save_results
from jaxpose.results.writers import writer
from jaxpose.skeletons import COCO17, HUMANEVA15
from jaxpose.train.event_files import EventFile
from jaxpose.train.log import Lines
from jaxpose.viz import VideoWriter, save_image
from jaxpose.viz.animation import save_animation
from tests.hostile.dataset_readers import clip
from tests.hostile.readers import READERS

ROOM = 200  # bytes of a file that fit on the disk


@contextlib.contextmanager
def full_disk(room: int = ROOM) -> Iterator[None]:
    """Files of this process cannot be larger than `room` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (32, 48, 3), np.uint8)


def _people(index: int, seed: int) -> People:
    keypoints = np.random.default_rng(seed).uniform(0, 30, (1, 17, 2)).astype(np.float32)
    ones = np.ones((1, 17), np.float32)
    box = np.array([[1, 2, 3, 4]], np.float32)
    return People(COCO17, (32, 48), keypoints, ones, box, np.arange(1), source="v", index=index)


def _results(kind: str) -> Callable[[Path, int], None]:
    def write(path: Path, seed: int) -> None:
        one = writer(kind, path.parent, COCO17, {})
        try:
            for index in range(3):
                one.write(_people(index, seed))
        finally:
            one.close()

    return write


def _video(path: Path, seed: int) -> None:
    with VideoWriter(path, 10) as video:
        for number in range(5):
            video.write(_noise(seed + number))


def _rig(seed: int) -> Rig:
    view = pinhole([[100.0 + seed, 0, 12], [0, 100, 9], [0, 0, 1]], np.eye(3), np.ones(3))
    return Rig(("a", "b"), stack([view, view]), np.array([[24, 18]] * 2))


def _bvh(path: Path, seed: int) -> None:
    reader = next(reader for reader in READERS if reader.name == "BVH")
    sample = path.with_name("sample")
    sample.write_bytes(reader.samples()[0]["a.bvh"])
    bvh = read_bvh(sample)
    sample.unlink()
    bvh.motion[:] += seed
    write_bvh(path, bvh)


def _points(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(4, 3, 3))


WRITERS: dict[str, Callable[[Path, int], object]] = {
    "predictions.json": _results("json"),
    "predictions.csv": _results("csv"),
    "coco_results.json": _results("coco"),
    "a.mp4": _video,
    "a.gif": lambda path, seed: save_animation(path, [_noise(seed), _noise(seed + 1)], 5),
    "a.png": lambda path, seed: save_image(path, _noise(seed)),
    "a.trc": lambda path, seed: write_trc(path, _points(seed), "abc", 30),
    "a.c3d": lambda path, seed: write_c3d(path, _points(seed), "abc", 30),
    "a.bvh": _bvh,
    "a.toml": lambda path, seed: write_pose2sim(path, _rig(seed)),
    "a.yml": lambda path, seed: write_opencv(path, _rig(seed)),
    "a.npz": lambda path, seed: write_motion(path, motion_of(HUMANEVA15, [clip(4 + seed)])),
    "results.json": lambda path, seed: write_results(path, [{"image_id": seed}] * 30),
    "text": lambda path, seed: paths.atomic_write(path, f"{seed}" * 500),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_does_not_fit_leaves_the_earlier_one(name, tmp_path):
    path = tmp_path / name
    WRITERS[name](path, 1)
    earlier = path.read_bytes()
    assert len(earlier) > ROOM
    with full_disk(), pytest.raises((InputError, OSError)) as raised:
        WRITERS[name](path, 2)
    assert name in str(raised.value) and "File too large" in str(raised.value)
    assert path.read_bytes() == earlier
    part = ["predictions.partial.csv"] if name == "predictions.csv" else []  # a line fits
    assert sorted(os.listdir(tmp_path)) == [name, *part]
    WRITERS[name](path, 2)
    assert path.read_bytes() != earlier and os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
def test_a_video_that_almost_fits_is_not_taken_for_whole(share, tmp_path):
    _video(tmp_path / "a.mp4", 1)
    earlier = (tmp_path / "a.mp4").read_bytes()
    with full_disk(int(share * len(earlier))), pytest.raises(InputError, match=r"a\.mp4"):
        _video(tmp_path / "a.mp4", 1)
    assert (tmp_path / "a.mp4").read_bytes() == earlier and os.listdir(tmp_path) == ["a.mp4"]


def _entries(path: Path) -> list[object]:
    """Frames, people or lines of a file of results; fails unless the file is whole."""
    text = path.read_bytes().decode()
    if path.suffix == ".csv":
        head, *lines = text.split("\r\n")
        assert head.startswith("source,frame,") and lines.pop() == ""
        return lines
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    document = json.loads(text)
    return document["frames"] if isinstance(document, dict) else document


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "coco"])
def test_the_results_that_fit_on_the_disk_are_kept_beside_the_earlier_ones(kind, tmp_path):
    tail = {"skipped": ["a video"] * 20}

    def write(seed: int, folder: Path, room: int | None = None) -> Path | None:
        with contextlib.nullcontext() if room is None else full_disk(room):
            one = writer(kind, folder, COCO17, {"a": [1, 2]}, tail=lambda: tail)
            try:
                for index in range(60):
                    one.write(_people(index, seed + index))
            except InputError as error:
                one.close(complete=False)
                assert "File too large" in str(error)
            else:
                with contextlib.nullcontext() if room is None else pytest.raises(InputError):
                    one.close()
        return one.part

    write(2, tmp_path)
    (file,) = tmp_path.iterdir()
    whole, size = _entries(file), file.stat().st_size
    file.unlink()
    write(1, tmp_path)
    earlier = file.read_bytes()
    kept = []
    for room in [*range(0, size, size // 30), *range(size - 20, size)]:
        part = write(2, tmp_path, room)
        if part is not None:
            assert part == paths.part_of(file) and part.stat().st_size <= room
            found = _entries(part)
            kept.append(len(found))
            assert 0 < len(found) <= len(whole) and found == whole[: len(found)]
            part.unlink()
        assert os.listdir(tmp_path) == [file.name] and file.read_bytes() == earlier
    assert kept == sorted(kept) and len(kept) > 40 and kept[-1] >= len(whole) - 1


def test_a_long_entry_that_is_cut_is_dropped(tmp_path):
    """Longer than the blocks in which the last whole entry is searched."""
    texts = ["\n 1", "\n 2", f'\n "{"x" * 2**18}"']
    for room in range(2, 2**18, 2**14):
        with full_disk(room):
            file = EntryFile(tmp_path / "a.json", "[", between=",")
            with contextlib.suppress(InputError):
                for text in texts:
                    file.write(text)
            file.close("\n]", complete=False)
        assert (file.part is None) == (room == 2)
        if file.part is not None:
            assert json.loads(file.part.read_text()) == [1, 2]


def test_saved_results_that_break_off_leave_the_earlier_ones(tmp_path):
    def frames(count: int, fails: bool) -> Iterator[People]:
        yield from (replace(_people(index, 1), seconds=index / 10) for index in range(count))
        if fails:
            raise RuntimeError("the model")

    for name in ("a.json", "a.csv", "a.jsonl"):
        path = tmp_path / name
        save_results(frames(3, False), path, Drawing())
        earlier = path.read_bytes()
        with pytest.raises(RuntimeError, match="the model") as raised:
            save_results(frames(2, True), path, Drawing())
        part = paths.part_of(path)
        assert raised.value.__notes__ == [
            f"The results so far are in {part}. Earlier files are unchanged."
        ]
        assert path.read_bytes() == earlier
        assert len(_entries(part)) * 3 == len(_entries(path)) * 2


def test_one_frame_per_file(tmp_path):
    one = writer("openpose", tmp_path, COCO17, {})
    one.write(_people(0, 1))
    with full_disk(), pytest.raises(InputError, match="File too large"):
        one.write(_people(1, 1))
    assert len(os.listdir(tmp_path / "openpose")) == 1


def test_a_release_that_does_not_fit_leaves_the_earlier_one(tmp_path):
    card = Card("x", "random", "an image", ("a",))

    def save(value: float) -> None:
        weights = {"params": {"a": np.full(500, value, np.float32)}}
        save_release(tmp_path / "release", weights, {"name": "x"}, card, overwrite=True)

    save(1)
    earlier = {path.name: path.read_bytes() for path in (tmp_path / "release").iterdir()}
    with full_disk(1000), pytest.raises(InputError, match="release cannot be written"):
        save(2)
    assert {p.name: p.read_bytes() for p in (tmp_path / "release").iterdir()} == earlier
    assert os.listdir(tmp_path) == ["release"]


def test_a_network_drive_that_reports_the_loss_at_the_end(tmp_path, monkeypatch):
    """Network drives accept a write and report its failure when the file is synced."""
    path = tmp_path / "a.txt"
    paths.atomic_write(path, "earlier")

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output error") as raised:
        paths.atomic_write(path, "later")
    assert raised.value.filename == str(path)
    assert path.read_text() == "earlier" and os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_that_cannot_take_its_name_leaves_the_earlier_one(tmp_path, monkeypatch):
    folder, new = tmp_path / "a", tmp_path / ".new"
    for place in (folder, new):
        place.mkdir()
        (place / "name").write_text(place.name)
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self == new:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="No space left"):
        paths.put_folder_in_place(new, folder)
    assert (folder / "name").read_text() == "a"
    monkeypatch.undo()
    paths.put_folder_in_place(new, folder)
    assert (folder / "name").read_text() == ".new" and os.listdir(tmp_path) == ["a"]


def test_metrics_and_events_report_a_full_disk(tmp_path):
    lines, events = Lines(tmp_path / "metrics.jsonl"), EventFile(tmp_path, 0)
    lines.add("a")
    with full_disk(4), pytest.raises(OSError, match="File too large"):
        lines.add("b" * 100)
    with full_disk(), pytest.raises(OSError, match="File too large"):
        events.image(1, "noise", _noise(0))
    with contextlib.suppress(OSError):
        events.close()


def test_event_files_are_in_order_after_the_clock_was_set_back(tmp_path, monkeypatch):
    for seconds in (2_000_000_000, 1_000_000_000, 1_000_000_000):
        monkeypatch.setattr(time, "time", lambda seconds=seconds: float(seconds))
        EventFile(tmp_path, 0).close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"events.out.tfevents.200000000{number}" for number in (0, 1, 2)]


def test_one_process_writes_into_a_folder(tmp_path):
    (tmp_path / ".jaxpose-lock").write_text("1 on a machine that is off")  # nothing holds it
    with only_writer(tmp_path):
        with (
            pytest.raises(InputError, match=rf"Another process \({os.getpid()} on .* is writing"),
            only_writer(tmp_path),
        ):
            pass
        with only_writer(tmp_path, tmp_path / "another lock"):
            pass
    assert not os.listdir(tmp_path)
    with only_writer(tmp_path):
        pass


def test_the_second_prediction_into_a_folder_is_refused(tmp_path):
    image = tmp_path / "a.png"
    cv2.imwrite(str(image), _noise(0))
    out = tmp_path / "out"
    out.mkdir()
    with only_writer(out):
        options = ["--from", "jaxpose-small", "--boxes", "full", "--out", str(out)]
        result = CliRunner().invoke(app, ["predict", str(image), *options])
    assert result.exit_code == 2 and "Another process" in result.output
    assert not os.listdir(out)
