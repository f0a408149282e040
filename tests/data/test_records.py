"""Reading prepared datasets: content, agreement of both decoders, damage, wrong paths."""

import itertools
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from jaxpose.data.index import sample_indices
from jaxpose.data.pipeline import sequential, stream
from jaxpose.data.records import (
    RecordSource,
    numeric_features,
    skeleton_from_json,
    skeleton_to_json,
)
from jaxpose.data.source import Records, Source
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, LSP14

RECORDS = "coco-train.array_record-00000-of-00001"


def test_a_source_knows_its_dataset(prepared):
    source = Records(str(prepared), "train").open()
    assert isinstance(source, Source)
    assert len(source) == 6 and source.canvas_hw == (48, 36) and source.skeleton == COCO17
    assert source.fingerprint().endswith("-train")
    assert source.image_names([0, 5]) == ["0.jpg", "2.jpg"]
    np.testing.assert_array_equal(source.head_boxes([1]), np.zeros((1, 4)))


def test_samples_are_batched_in_the_order_asked_for(prepared):
    source = RecordSource(prepared, "train", threads=2)
    batch = source.samples([4, 0, 4])
    assert {key: (value.shape, value.dtype.name) for key, value in batch.items()} == {
        "image": ((3, 48, 36, 3), "uint8"),
        "keypoints": ((3, 17, 2), "float32"),
        "visible": ((3, 17), "uint8"),
        "box_xywh": ((3, 4), "float32"),
        "photo_from_canvas": ((3, 2, 3), "float32"),
        "area": ((3,), "float32"),
        "image_id": ((3,), "int64"),
        "annotation_id": ((3,), "int64"),
        "index": ((3,), "int64"),
        "mask": ((3,), "bool"),
    }
    np.testing.assert_array_equal(batch["index"], [4, 0, 4])
    np.testing.assert_array_equal(batch["annotation_id"], [201, 1, 201])
    np.testing.assert_array_equal(batch["image_id"], [12, 10, 12])
    np.testing.assert_array_equal(batch["image"][0], batch["image"][2])
    np.testing.assert_array_equal(batch["visible"][0], [2] * 8 + [1] * 8 + [0])
    assert batch["mask"].all()
    one = RecordSource(prepared, "train", threads=1).samples([0])
    for key, value in one.items():
        np.testing.assert_array_equal(value[0], batch[key][1])


@pytest.mark.parametrize("threads", [1, 8])
def test_tensorflow_and_opencv_give_the_same_batches(prepared, threads):
    source = RecordSource(prepared, "train")
    batches = stream(source, seed=3, start_step=0, batch_size=4, threads=threads)
    for step, batch in itertools.islice(batches, 5):
        np.testing.assert_array_equal(batch["index"], sample_indices(3, step, 4, 6))
        expected = source.samples(batch["index"])
        assert batch.keys() == expected.keys(), step
        for key, value in expected.items():
            assert batch[key].dtype == value.dtype
            np.testing.assert_array_equal(batch[key], value, err_msg=key)


def test_sequential_fills_up_the_last_batch(prepared):
    batches = list(sequential(RecordSource(prepared, "train"), 4))
    assert [b["image"].shape[0] for b in batches] == [4, 4]
    np.testing.assert_array_equal(batches[1]["mask"], [True, True, False, False])
    np.testing.assert_array_equal(batches[1]["index"][:2], [4, 5])


def test_reading_loads_no_tensorflow(prepared):
    code = (
        "import sys\nfrom jaxpose.data.source import Records\n"
        f"batch = Records({str(prepared)!r}, 'train').open().samples([0, 1])\n"
        "assert batch['image'].any()\n"
        "assert not {'tensorflow', 'tensorflow_datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tfds_reads_it_too(prepared):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(prepared)
    rows = builder.as_data_source(split="train")
    ours = RecordSource(prepared, "train").samples([3])
    np.testing.assert_array_equal(rows[3]["image"], ours["image"][0])
    np.testing.assert_array_equal(rows[3]["keypoints"], ours["keypoints"][0])
    assert builder.info.metadata["skeleton"]["name"] == "coco17"
    assert set(numeric_features(17)) < set(rows[3])


def test_wrong_indices_are_named(prepared):
    source = RecordSource(prepared, "train")
    for indices in ([6], [-1], [0, 100]):
        with pytest.raises(InputError, match=r"There is no sample .* has 6"):
            source.samples(indices)
    with pytest.raises(InputError, match="empty"):
        source.samples([])


def test_a_missing_folder_names_the_nearest(prepared):
    with pytest.raises(InputError, match=r"does not exist.*did you mean 'prepared'.*prepare"):
        RecordSource(prepared.with_name("preparde"), "train")


def test_a_missing_split_names_the_nearest(prepared):
    with pytest.raises(InputError, match=r"no split 'trian'. Did you mean 'train'.* Splits: train"):
        RecordSource(prepared, "trian")


def test_a_folder_above_the_dataset_names_it(prepared):
    with pytest.raises(
        InputError, match=r"not a prepared dataset.*These folders have one: .*prepared"
    ):
        RecordSource(prepared.parent, "train")


def test_an_empty_folder_is_no_dataset(tmp_path):
    with pytest.raises(InputError, match=r"not a prepared dataset: it has no dataset_info.json\.$"):
        RecordSource(tmp_path, "train")


def test_a_missing_file_is_named(prepared):
    (prepared / RECORDS).unlink()
    with pytest.raises(InputError, match=f"has no file {RECORDS}"):
        RecordSource(prepared, "train")


def test_a_cut_file_is_named(prepared):
    file = prepared / RECORDS
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"bytes, but .* were written"):
        RecordSource(prepared, "train")


def test_a_broken_description_is_named(prepared):
    (prepared / "metadata.json").write_text('{"format": ')
    with pytest.raises(InputError, match=r"metadata.json cannot be read.*prepare. again"):
        RecordSource(prepared, "train")


def test_another_record_format_is_refused(prepared):
    file = prepared / "metadata.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99}))
    with pytest.raises(InputError, match="record format 99, but single people need format 1"):
        RecordSource(prepared, "train")


def test_a_damaged_record_is_named_by_both_readers(prepared, monkeypatch):
    whole = RecordSource(prepared, "train")
    third = whole.read(np.array([2]))[0]
    broken = whole.read(np.array([3]))[0].replace(b"\xff\xd8", b"\x00\x00", 1)

    class Damaged(RecordSource):
        def read(self, indices):
            return [broken if i == 3 else third for i in indices]

    source = Damaged(prepared, "train")
    said = r"Record 3 of split 'train' cannot be read: its JPEG is damaged \(file .*position 3\)"
    with pytest.raises(InputError, match=said):
        source.samples([1, 3])
    with pytest.raises(InputError, match=said):
        list(sequential(source, 4))


def test_damaged_bytes_on_disk_are_found(prepared):
    record = RecordSource(prepared, "train").read(np.array([2]))[0]
    picture = record[record.index(b"\xff\xda") :]  # entropy-coded: stored as it is
    file = prepared / RECORDS
    data = file.read_bytes()
    assert data.count(picture[200:232]) == 2  # both people of that photo have the same box
    file.write_bytes(data.replace(picture[200:232], bytes(32)))
    source = RecordSource(prepared, "train")
    with pytest.raises(InputError, match=r"Record 2 of split 'train' cannot be read"):
        source.samples([1, 2])
    with pytest.raises(InputError, match=r"Record 2 of split 'train' cannot be read"):
        list(sequential(source, 3))
    source.samples([0, 1, 4, 5])


def test_a_record_of_another_shape_is_named(prepared):
    class OtherSkeleton(RecordSource):
        def __init__(self, *args):
            super().__init__(*args)
            self._layout = numeric_features(14)

    with pytest.raises(InputError, match="'keypoints' has 34 numbers, but 28 are expected"):
        OtherSkeleton(prepared, "train").samples([0])


def test_the_fingerprint_is_of_the_content(prepared, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    assert (
        RecordSource(copy, "train").fingerprint() == RecordSource(prepared, "train").fingerprint()
    )


@pytest.mark.parametrize("skeleton", [COCO17, LSP14], ids=lambda s: s.name)
def test_skeletons_survive_json(skeleton):
    assert skeleton_from_json(json.loads(json.dumps(skeleton_to_json(skeleton)))) == skeleton
    with pytest.raises(InputError, match="skeleton cannot be read"):
        skeleton_from_json({**skeleton_to_json(skeleton), "toes": 10})
