"""Writing datasets: the same bytes every time, whole or not at all, counts that add up."""

import filecmp
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from jaxpose.counts import Counts
from jaxpose.data import builder
from jaxpose.data.builder import write_dataset
from jaxpose.data.canvas import BOX_OUTSIDE, IMAGE_MISSING, Canvas, Skip
from jaxpose.data.coco_json import CROWD, read_people
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17


@pytest.fixture
def write(coco, tmp_path):
    """Writes the dataset of `coco`, or of changed content, to a folder of the given name."""

    def run(name="out", content=None, **options):
        file, images = coco(content)
        full_images, skipped, _ = read_people(file, images, COCO17)
        arguments = {
            "name": "coco",
            "splits": {"train": full_images},
            "skipped": {"train": skipped},
            "skeleton": COCO17,
            "canvas": Canvas(hw=(48, 36)),
            "sources": {"annotations": file},
            "processes": 1,
        }
        return write_dataset(tmp_path / name, **{**arguments, **options})

    return run


def _files(folder):
    return sorted(entry.name for entry in folder.iterdir())


def _assert_same(a, b):
    assert _files(a) == _files(b)
    for name in _files(a):
        assert filecmp.cmp(a / name, b / name, shallow=False), name


def test_the_folder_holds_tfds_files_and_the_summary(write, tmp_path):
    summary = write()
    assert _files(tmp_path / "out") == [
        "coco-train.array_record-00000-of-00001",
        "dataset_info.json",
        "features.json",
        "metadata.json",
        "summary.json",
    ]
    stored = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert stored["splits"]["train"]["written"] == summary.splits["train"].written == 6
    assert stored["fingerprint"] == summary.fingerprint
    metadata = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert metadata["canvas_hw"] == [48, 36] and metadata["margin"] == 1.5
    assert metadata["padding"] == 1.25 and len(metadata["sources"]["annotations"]) == 64
    assert str(tmp_path) not in "".join(
        (tmp_path / "out" / name).read_text() for name in _files(tmp_path / "out") if "json" in name
    )


def test_one_process_and_several_write_the_same_bytes(write, tmp_path):
    write("one")
    write("two", processes=2)
    _assert_same(tmp_path / "one", tmp_path / "two")


SCRIPT = """
import sys
from pathlib import Path
from jaxpose.data.builder import write_dataset
from jaxpose.data.canvas import Canvas
from jaxpose.data.coco_json import read_people
from jaxpose.skeletons import COCO17
file, images, out = map(Path, sys.argv[1:4])
photos, skipped, _ = read_people(file, images, COCO17)
if "slow" in sys.argv:
    import signal
    import time
    # A run started in the background of a script ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from jaxpose.data import builder
    draw = builder.draw
    def slowly(*args):
        print("drawing", file=sys.__stdout__, flush=True)
        time.sleep(60)
        return draw(*args)
    builder.draw = slowly
write_dataset(out, name="coco", splits={"train": photos}, skipped={}, skeleton=COCO17,
              canvas=Canvas(hw=(48, 36)), sources={"annotations": file}, processes=1)
"""


def _start(*arguments, **options):
    command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.slow
def test_two_runs_write_the_same_bytes(coco, tmp_path):
    # Other processes: hash seeds and addresses, which protobuf's maps depend on, differ.
    runs = [
        _start(*coco(), tmp_path / name, env={**os.environ, "PYTHONHASHSEED": str(seed)})
        for seed, name in enumerate(("a", "b"))
    ]
    for run in runs:
        _, complaints = run.communicate()
        assert run.returncode == 0, complaints
    _assert_same(tmp_path / "a", tmp_path / "b")


def test_records_lie_in_order_over_several_shards(write, tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(num_shards=3)
    monkeypatch.setattr(builder, "_download_config", lambda options: config)
    write()
    source = RecordSource(tmp_path / "out", "train")
    assert len(source._shards) == 3
    ids = source.samples(np.array([5, 0, 3, 1, 2, 4]))["annotation_id"]
    np.testing.assert_array_equal(ids, [202, 1, 102, 2, 101, 201])
    assert source.samples([4])["annotation_id"] == [201]


def test_counts_add_up(write, tmp_path, make_content, capsys):
    content = make_content(images=4)  # only three of the photos exist
    content["annotations"][0]["iscrowd"] = 1
    content["annotations"][1]["bbox"] = [500, 5, 10, 10]
    summary = write(content=content)
    train = summary.splits["train"]
    assert train.written == 4
    assert train.skipped == {BOX_OUTSIDE: 1, CROWD: 1, IMAGE_MISSING: 2}
    assert train.written + sum(train.skipped.values()) == len(content["annotations"])
    assert train.examples[BOX_OUTSIDE] == ["annotation 2 in 0.jpg"]
    faults = {BOX_OUTSIDE: 1, IMAGE_MISSING: 2}
    assert summary.counts == [Counts("people", 4, faults, {CROWD: 1})]
    assert len(RecordSource(tmp_path / "out", "train")) == 4
    summary.print()
    printed = capsys.readouterr().out
    assert "written" in printed and f"skipped: {CROWD}" in printed


def test_nobody_left_is_an_error_with_reasons(write, tmp_path, make_content):
    content = make_content()
    for entry in content["annotations"]:
        entry["area"] = 0
    with pytest.raises(
        InputError, match=r"No person is left .*: 6 x zero area. The first one: ann"
    ):
        write(content=content)
    assert not (tmp_path / "out").exists()


def test_an_empty_split_is_an_error(write, tmp_path):
    with pytest.raises(InputError, match="the annotations contain no person"):
        write(splits={"train": []}, skipped={})
    with pytest.raises(InputError, match="1 x crowd"):
        write(splits={"train": []}, skipped={"train": [Skip(CROWD, "annotation 3")]})
    assert _files(tmp_path) == ["people.json", "photos"]


def test_an_existing_dataset_is_replaced_only_on_request(write, tmp_path, make_content):
    write()
    with pytest.raises(InputError, match=r"already contains a dataset.*--overwrite"):
        write()
    content = make_content()
    content["annotations"].pop()
    write(content=content, overwrite=True)
    assert len(RecordSource(tmp_path / "out", "train")) == 5
    assert _files(tmp_path) == ["out", "people.json", "photos"]


def test_a_folder_with_other_things_is_never_touched(write, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is not a prepared dataset"):
        write(overwrite=True)
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"


def test_a_failed_replacement_leaves_the_old_dataset(write, tmp_path, monkeypatch):
    write()
    before = RecordSource(tmp_path / "out", "train").fingerprint()

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(builder, "_summarise", fail)
    with pytest.raises(InputError, match="No space left on device"):
        write(overwrite=True)
    assert RecordSource(tmp_path / "out", "train").fingerprint() == before


def test_a_full_disk_is_an_error_that_leaves_nothing(write, tmp_path, monkeypatch):
    def fail(self, path, examples):
        next(iter(examples))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(builder._SortedExampleWriter, "write", fail)
    with pytest.raises(InputError, match=r"could not be written to .*out: .*No space left"):
        write()
    assert _files(tmp_path) == ["people.json", "photos"]


def test_the_system_refusing_to_write_is_an_error_that_leaves_nothing(coco, tmp_path):
    # A limit on the size of files is what the record writer of a full disk sees, in a real run.
    code = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
    command = [sys.executable, "-c", code + SCRIPT, *map(str, coco()), str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode != 0
    assert "InputError: The dataset could not be written" in run.stderr, run.stderr[-2000:]
    assert _files(tmp_path) == ["people.json", "photos"]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_an_interrupted_run_leaves_nothing_that_looks_whole(coco, tmp_path, sign):
    paths = coco()
    run = _start(*paths, tmp_path / "out", "slow")
    assert run.stdout.readline() == "drawing\n"
    run.send_signal(sign)
    run.wait(timeout=60)
    run.stdout.close(), run.stderr.close()
    assert run.returncode != 0
    assert not (tmp_path / "out").exists()
    again = _start(*paths, tmp_path / "out")
    _, complaints = again.communicate()
    assert again.returncode == 0, complaints
    assert _files(tmp_path) == ["out", "people.json", "photos"]


def test_workers_stay_only_a_little_ahead(coco, monkeypatch):
    images, _, _ = read_people(*coco(), COCO17)
    drawn = builder._draw_all(images * 40, Canvas(hw=(48, 36)), 2)
    first = next(drawn)
    assert len(first) == 2
    started = time.monotonic()
    drawn.close()  # as Ctrl-C does: what was not begun is dropped
    assert time.monotonic() - started < 20


def test_beam_writes_the_same_people(write, tmp_path, make_content):
    pytest.importorskip("apache_beam", reason="Apache Beam is not installed")
    content = make_content(images=4)
    content["annotations"][0]["area"] = 0
    plain = write("plain", content=content)
    beam = write("beam", content=content, beam_options=["--runner=DirectRunner"])
    assert beam.splits["train"].written == plain.splits["train"].written
    assert beam.splits["train"].skipped == plain.splits["train"].skipped
    a, b = (RecordSource(tmp_path / name, "train") for name in ("plain", "beam"))
    assert a.read(np.arange(len(a))) == b.read(np.arange(len(b)))


def test_an_empty_split_is_an_error_through_beam_too(write):
    with pytest.raises(InputError, match="the annotations contain no person"):
        write(splits={"train": []}, skipped={}, beam_options=[])


def test_beam_that_is_not_installed_is_named(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(InputError, match="pip install apache-beam"):
        write(beam_options=[])


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["people", "images"])
def test_images_that_exif_turns_are_counted_in_a_note(coco, tmp_path, layout):
    file, folder = coco()

    def notes(name, **options):
        splits = {"train": read_people(file, folder, COCO17)[0]}
        options |= {"name": "coco", "splits": splits, "skipped": {}, "skeleton": COCO17}
        options |= {"canvas": Canvas(hw=(64, 64)), "sources": {}, "processes": 2}
        return write_dataset(tmp_path / name, layout=layout, **options).notes

    assert notes("straight") == []
    for number, turn in enumerate((3, 2, 3)):
        exif = Image.Exif()
        exif[0x0112] = turn
        path = folder / f"{number}.jpg"
        Image.open(path).save(path, exif=exif)
    (note,) = notes("turned")
    assert note.startswith("3 images are mirrored, upside down or turned as stored")
    assert "(orientation 2: 1, orientation 3: 2), such as 0.jpg, 1.jpg, 2.jpg." in note
    assert json.loads((tmp_path / "turned" / "summary.json").read_text())["notes"] == [note]
    assert notes("own", upright=True) == []
