"""TensorFlow.js models: arrays of every type, and files that are not whole, or not theirs."""

import json

import numpy as np
import pytest

from jaxpose.convert import load_state_dict
from jaxpose.download.shards import shard_names
from jaxpose.errors import InputError

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(3, 2)).astype(np.float32)


def write(folder, entries, data, paths=("a.bin",), **more):
    """A model of one group, whose bytes are in equal parts in its files."""
    size = -(-len(data) // len(paths))
    for i, name in enumerate(paths):
        (folder / name).write_bytes(data[i * size : (i + 1) * size])
    manifest = [{"paths": list(paths), "weights": entries}]
    content = {"format": "layers-model", "modelTopology": {}, "weightsManifest": manifest}
    path = folder / "model.json"
    path.write_text(json.dumps({**content, **more}))
    return path


def entry(name="kernel", shape=(3, 2), dtype="float32", **more):
    return {"name": name, "shape": list(shape), "dtype": dtype, **more}


def test_arrays_of_all_types_lie_behind_one_another_in_several_files(tmp_path):
    number, flags = np.array(-7, np.int32), np.array([True, False, True])
    data = KERNEL.tobytes() + number.tobytes() + flags.tobytes()
    entries = [entry(), entry("n", (), "int32"), entry("flags", (3,), "bool")]
    path = write(tmp_path, entries, data, ("a.bin", "b.bin"))
    arrays = load_state_dict(path)
    np.testing.assert_array_equal(arrays["kernel"], KERNEL)
    np.testing.assert_array_equal(arrays["n"], number)
    np.testing.assert_array_equal(arrays["flags"], flags)
    assert [a.dtype.name for a in arrays.values()] == ["float32", "int32", "bool"]
    assert shard_names(path) == ["a.bin", "b.bin"]


def test_float16_becomes_float32(tmp_path):
    half = KERNEL.astype(np.float16)
    stored = entry(quantization={"dtype": "float16"})
    arrays = load_state_dict(write(tmp_path, [stored], half.tobytes()))
    assert arrays["kernel"].dtype == np.float32
    np.testing.assert_array_equal(arrays["kernel"], half.astype(np.float32))


@pytest.mark.parametrize("stored", ["uint8", "uint16"])
def test_whole_numbers_are_dequantised_with_a_warning(stored, tmp_path):
    low, top = float(KERNEL.min()), np.iinfo(stored).max
    scale = (float(KERNEL.max()) - low) / top
    codes = np.round((KERNEL - low) / scale).astype(stored)
    quantization = {"dtype": stored, "scale": scale, "min": low}
    path = write(tmp_path, [entry(quantization=quantization)], codes.tobytes())
    with pytest.warns(UserWarning, match="1 of the 1 arrays of model.json are stored in 8 or 16"):
        arrays = load_state_dict(path)
    assert arrays["kernel"].dtype == np.float32
    # Half a step of the scale, and float32's rounding.
    np.testing.assert_allclose(arrays["kernel"], KERNEL, atol=0.5 * scale + 1e-6)
    np.testing.assert_array_equal(
        arrays["kernel"], (codes.astype(np.float64) * scale + low).astype(np.float32)
    )


def test_constants_without_names_are_called_by_the_node_that_uses_them(tmp_path):
    nodes = [
        {"name": "Const_3", "op": "Const"},
        {"name": "net/conv", "op": "Conv2D", "input": ["image", "Const_3"]},
        {"name": "net/other", "op": "Conv2D", "input": ["net/conv", "kernel"]},
    ]
    entries = [entry("Const_3"), entry("kernel"), entry("Const")]
    path = write(tmp_path, entries, 3 * KERNEL.tobytes(), modelTopology={"node": nodes})
    assert list(load_state_dict(path)) == ["net/conv:1", "kernel", "Const"]


@pytest.mark.parametrize("content", ["{}", "[1, 2]", '{"schema": 4, "estimator": null}', "{", "x"])
def test_other_json_is_refused(content, tmp_path):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"is not a TensorFlow\.js model.*weightsManifest"):
        load_state_dict(tmp_path / "config.json")
    assert shard_names(tmp_path / "config.json") == []


@pytest.mark.parametrize(
    "name", ["../a.bin", "/etc/a.bin", "b/../../a.bin", "..\\a.bin", "C:\\a.bin", "https://x/a.bin"]
)
def test_weight_files_outside_the_folder_are_refused(name, tmp_path):
    path = write(tmp_path, [entry()], KERNEL.tobytes())
    path.write_text(path.read_text().replace('"a.bin"', json.dumps(name)))
    for read in (load_state_dict, shard_names):
        with pytest.raises(
            InputError, match=r"which is not in its folder\. Put the file beside it"
        ):
            read(path)


def test_an_absent_weight_file_is_named(tmp_path):
    path = write(tmp_path, [entry()], KERNEL.tobytes())
    (tmp_path / "a.bin").unlink()
    with pytest.raises(InputError, match=r"The weight file a\.bin of .*cannot be read"):
        load_state_dict(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [(-1, "is incomplete: it has 23 bytes, and the array kernel ends at 24"), (1, "another model")],
)
def test_a_weight_file_of_another_size_is_refused(change, message, tmp_path):
    path = write(tmp_path, [entry()], (KERNEL.tobytes() + b"x")[: 24 + change])
    with pytest.raises(InputError, match=message):
        load_state_dict(path)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry(dtype="string")], "the array kernel has the type 'string', which is not read here"),
        ([entry(dtype="float64")], "has the type 'float64'"),
        ([entry(quantization={"scale": 1.0})], "has the type None"),
        ([entry(quantization={"dtype": "int8"})], "has the type 'int8'"),
        ([entry(quantization={"dtype": "uint8"})], "is uint8 without a scale and a min"),
        ([{"name": "kernel"}], "an array without a name or a shape"),
        ([entry(shape=(-1, 2))], "an array without a name or a shape"),
        (["kernel"], "an array without a name or a shape"),
        ([entry(shape=(3,)), entry(shape=(3,))], "lists the array kernel twice"),
    ],
)
def test_arrays_that_cannot_be_read_are_named(entries, message, tmp_path):
    path = write(tmp_path, entries, KERNEL.tobytes())
    with pytest.raises(InputError, match=message) as error:
        load_state_dict(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("group", [{}, {"paths": "a.bin"}, {"paths": [1]}, 3])
def test_a_group_without_files_is_refused(group, tmp_path):
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"weightsManifest": [group]}))
    with pytest.raises(InputError, match="does not name the files of its weights"):
        load_state_dict(path)
