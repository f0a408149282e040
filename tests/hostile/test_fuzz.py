"""Changed and hostile files: each reader returns a result or a sentence, and nothing else."""

import io
import json
import pickle
import struct

import numpy as np
import pytest
from scipy.io import savemat

from jaxpose.convert.pickles import check_opcodes
from jaxpose.data.matlab import read_mat
from jaxpose.data.pickles import read_pickle
from jaxpose.errors import InputError
from tests.hostile.fuzz import changed_samples, outcome, replaced_samples, write
from tests.hostile.reader import Reader
from tests.hostile.readers import READERS

JSON = [reader for reader in READERS if next(iter(reader.samples()[0])).endswith(".json")]


def name_of(reader: Reader) -> str:
    return reader.name


@pytest.fixture(params=READERS, ids=name_of)
def reader(request) -> Reader:
    return request.param


def test_samples_are_read(reader, tmp_path):
    for sample in reader.samples():
        write(sample, tmp_path)
        assert reader.comes_out(reader.read(tmp_path)), list(sample)


def test_changed_files_end_in_a_result_or_a_sentence(reader, tmp_path):
    kinds = set()
    for sample in changed_samples(reader, 16, seed=7):
        write(sample, tmp_path)
        kind, message = outcome(reader, tmp_path)
        assert kind != "find", message
        kinds.add(kind)
    # The changes are strong enough to be noticed; of metrics only damaged lines are left out.
    assert "refused" in kinds or reader.name == "metrics"


def test_the_same_seed_changes_the_same_bytes(reader):
    assert changed_samples(reader, 3, 5) == changed_samples(reader, 3, 5)
    assert changed_samples(reader, 3, 5) != changed_samples(reader, 3, 6)


@pytest.mark.parametrize("reader", JSON, ids=name_of)
def test_json_with_a_value_of_another_kind(reader, tmp_path):
    """About a hundred of the replacements that `fuzz --every` makes."""
    samples = replaced_samples(reader)
    assert len(samples) > 50
    for sample in samples[:: max(1, len(samples) // 100)]:
        write(sample, tmp_path)
        kind, message = outcome(reader, tmp_path)
        assert kind != "find", message


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 400 + b"]" * 400])
@pytest.mark.parametrize("reader", JSON, ids=name_of)
def test_json_that_is_nested_deeply(reader, text, tmp_path):
    sample = dict(reader.samples()[0])
    first = next(iter(sample))
    write(sample | {first: text}, tmp_path)
    kind, message = outcome(reader, tmp_path)
    assert kind == "refused" or (kind, reader.name) == ("read", "data check"), message


def test_a_pickle_cannot_choose_the_memory(tmp_path):
    high = pickle.PROTO + b"\x02" + b"N" + pickle.LONG_BINPUT + struct.pack("<I", 2**31) + b"."
    with pytest.raises(pickle.UnpicklingError, match="impossible index 2147483648"):
        check_opcodes(io.BytesIO(high))
    (tmp_path / "a.pkl").write_bytes(high)
    with pytest.raises(InputError, match="impossible index"):
        read_pickle(tmp_path / "a.pkl")
    file = io.BytesIO(pickle.dumps([1, {"a": (2, 3)}] * 3, 2))
    check_opcodes(file)
    assert file.tell() == 0


def test_a_matlab_element_of_an_unknown_type(tmp_path):
    """SciPy 1.17 ends the process on such a file."""
    path = tmp_path / "joints.mat"
    savemat(path, {"joints": np.ones((3, 14, 2))})
    data = bytearray(path.read_bytes())
    place = data.index(struct.pack("<II", 9, 3 * 14 * 2 * 8))
    data[place] = 11
    path.write_bytes(data)
    with pytest.raises(InputError, match="an element of type 11 and 672 bytes"):
        read_mat(path, "joints")


def test_a_matlab_file_that_unpacks_to_much(tmp_path, monkeypatch):
    from jaxpose.data import matlab

    monkeypatch.setattr(matlab, "MAX_BYTES", 2**16)
    path = tmp_path / "joints.mat"
    savemat(path, {"joints": np.zeros((100, 100))}, do_compression=True)
    with pytest.raises(InputError, match="more than 65,536 bytes unpacked"):
        read_mat(path, "joints")


def test_opencv_matrices_whose_sizes_do_not_fit(tmp_path):
    """OpenCV 5.0 writes outside its memory for such a file."""
    reader = next(reader for reader in READERS if reader.name == "OpenCV rig")
    text = reader.samples()[0]["rig.yml"]
    for old, new in ((b"cols: 3", b"coLs: 2"), (b"rows: 3", b"rows: 9"), (b"rows: 3", b"rows: -3")):
        (tmp_path / "rig.yml").write_bytes(text.replace(old, new, 1))
        with pytest.raises(InputError, match=r"a matrix of .* has 9 numbers"):
            reader.read(tmp_path)


def test_a_file_name_that_no_file_system_takes(tmp_path):
    reader = next(reader for reader in READERS if reader.name == "data check")
    sample = dict(reader.samples()[0])
    for name in ("a" * 5000, "b/" + "d" * 300, r"e\u0000.jpg", r"f\\g.jpg"):
        changed = sample["people.json"].replace(b"1.png", name.encode())
        write(sample | {"people.json": changed}, tmp_path)
        kind, message = outcome(reader, tmp_path)
        assert kind == "read", message


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("categories", [1.5], "'categories' must be a list of objects"),
        ("categories", 5, "'categories' must be a list of objects"),
        ("categories", [{"id": 1, "keypoints": 1.5}], ""),
        ("images", [[1]], "has no 'id'"),
        ("images", [{"file_name": "a.png"}, {"id": [1], "file_name": "b.png"}], "has no 'id'"),
    ],
)
def test_annotations_to_score_with_odd_lists(tmp_path, key, value, message):
    reader = next(reader for reader in READERS if reader.name == "results to score")
    sample = dict(reader.samples()[0])
    truth = json.loads(sample["truth.json"]) | {key: value}
    write(sample | {"truth.json": json.dumps(truth).encode()}, tmp_path)
    kind, said = outcome(reader, tmp_path)
    assert (kind, message in said) == ("refused", True), said


def test_a_bvh_that_is_no_text(tmp_path):
    reader = next(reader for reader in READERS if reader.name == "BVH")
    write({"a.bvh": reader.samples()[0]["a.bvh"].replace(b"hips", b"h\xffps")}, tmp_path)
    kind, said = outcome(reader, tmp_path)
    assert kind == "refused" and "a.bvh is not a BVH file: 'utf-8' codec" in said
