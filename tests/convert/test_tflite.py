"""Reading weights from TFLite files: names, float16, int8, sparse arrays, and damaged files."""

import tracemalloc

import numpy as np
import pytest
from tflite_file import Table, model

from jaxpose.convert import load_state_dict
from jaxpose.convert.tflite import read_graph
from jaxpose.errors import InputError

CONV, DEPTHWISE, DEQUANTIZE, DENSIFY, PRELU = 3, 4, 6, 124, 54
KERNEL = np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3)


def tensor(name, array=None, **more):
    return {"name": name, "array": array, **more}


def convolution(kernel=KERNEL, code=CONV, **more):
    """A convolution whose bias has the name of a folded norm."""
    return [
        tensor("image"),
        tensor("out"),
        tensor("model/conv2d_3/Conv2D", kernel, **more),
        tensor("model/re_lu/Relu6;model/conv2d_3/Conv2D", np.ones(2, np.float32)),
    ], [(code, [0, 2, 3], [1])]


def write(tmp_path, tensors, operators):
    path = tmp_path / "x.tflite"
    path.write_bytes(model(tensors, operators))
    return path


def test_layers_are_named_after_their_kernels(tmp_path):
    read = load_state_dict(write(tmp_path, *convolution()))
    assert list(read) == ["conv2d_3/kernel", "conv2d_3/bias"]
    np.testing.assert_array_equal(read["conv2d_3/kernel"], KERNEL)


def test_fused_names_and_shared_biases(tmp_path):
    zeros = np.zeros(3, np.float16)
    kernel = np.ones((1, 3, 3, 3), np.float16)
    tensors = [
        *(tensor(name) for name in ("image", "out", "a", "b")),
        tensor("m/norm/Fused;m/depthwise_conv2d/depthwise;m/depthwise_conv2d_1/depthwise", kernel),
        tensor("m/depthwise_conv2d_1/depthwise1", 2 * kernel),
        tensor("m/depthwise_conv2d_1/depthwise", zeros),
        tensor("m/p_re_lu/add;m/p_re_lu/Relu", np.full((1, 1, 3), 0.5, np.float16)),
    ]
    operators = [(DEPTHWISE, [0, 4, 6], [2]), (PRELU, [2, 7], [3]), (DEPTHWISE, [3, 5, 6], [1])]
    read = load_state_dict(write(tmp_path, tensors, operators))
    layers = ("depthwise_conv2d", "depthwise_conv2d_1")
    assert set(read) == {f"{layer}/{part}" for layer in layers for part in ("kernel", "bias")} | {
        "p_re_lu/alpha"
    }
    assert read["depthwise_conv2d_1/kernel"].max() == 2 and read["p_re_lu/alpha"].dtype == "f4"


def test_float16_behind_a_dequantize_is_found(tmp_path):
    tensors, _ = convolution(KERNEL.astype(np.float16))
    tensors.append(tensor("wide"))
    read = load_state_dict(
        write(tmp_path, tensors, [(DEQUANTIZE, [2], [4]), (CONV, [0, 4, -1], [1])])
    )
    assert list(read) == ["conv2d_3/kernel"] and read["conv2d_3/kernel"].dtype == np.float32
    np.testing.assert_array_equal(read["conv2d_3/kernel"], KERNEL)


@pytest.mark.parametrize(
    ("scales", "zeros", "axis"),
    [([0.5], [3], 0), ([0.5, 2.0], [], 0), ([1.0, 2.0, 4.0], [1, 2, 3], 3)],
)
def test_int8_is_dequantised(tmp_path, scales, zeros, axis):
    quantised = np.random.default_rng(0).integers(-128, 128, KERNEL.shape).astype(np.int8)
    read = load_state_dict(
        write(tmp_path, *convolution(quantised, quantisation=(scales, zeros, axis)))
    )
    shape = [1] * 4
    shape[axis] = len(scales)
    shift = np.reshape(zeros, shape) if zeros else 0
    expected = (quantised.astype(float) - shift) * np.reshape(scales, shape)
    np.testing.assert_allclose(read["conv2d_3/kernel"], expected)


def test_int8_without_a_scale_is_refused(tmp_path):
    with pytest.raises(InputError, match="integers of 8 bits without a scale"):
        load_state_dict(write(tmp_path, *convolution(KERNEL.astype(np.int8))))


def sparsity(segments, indices):
    dense = [Table({1: ("i", size)}) for size in (2, 2, 2)]
    compressed = Table(
        {
            0: ("b", 1),
            2: ("B", 1),
            3: Table({0: np.asarray(segments, "<i4")}),
            4: ("B", 3),
            5: Table({0: np.asarray(indices, "u1")}),
        }
    )
    return Table({0: np.arange(4, dtype="<i4"), 2: [*dense, compressed]})


def sparse(values, segments, indices, shape=KERNEL.shape):
    tensors, _ = convolution(
        np.asarray(values, np.float32), shape=shape, sparsity=sparsity(segments, indices)
    )
    tensors.append(tensor("dense"))
    return tensors, [(DENSIFY, [2], [4]), (CONV, [0, 4, 3], [1])]


def test_sparse_arrays_become_dense(tmp_path):
    dense = np.where(KERNEL % 5 == 1, KERNEL, 0).reshape(-1, 3)
    rows, indices = np.nonzero(dense)
    segments = np.concatenate([[0], np.cumsum((dense != 0).sum(axis=1))])
    read = load_state_dict(write(tmp_path, *sparse(dense[rows, indices], segments, indices)))
    np.testing.assert_array_equal(read["conv2d_3/kernel"], dense.reshape(KERNEL.shape))


@pytest.mark.parametrize(
    ("values", "segments", "indices", "shape"),
    [
        ([1, 2], [0, 1], [0, 1], KERNEL.shape),
        ([1, 2], [0, 2, 1, 2, 2, 2, 2, 2, 2], [0, 1], KERNEL.shape),
        ([1, 2], [0, 1, 9, 9, 9, 9, 9, 9, 9], [0, 1], KERNEL.shape),
        ([1, 2], [0, 1, 2, 2, 2, 2, 2, 2, 2], [0, 3], KERNEL.shape),
        ([1], [0, 1, 2, 2, 2, 2, 2, 2, 2], [0, 1], KERNEL.shape),
        ([1, 2], [0, 1, 2, 2, 2, 2, 2, 2, 2], [0, 1], (2, 2, 2, 10**9)),
    ],
)
def test_sparse_arrays_that_cannot_be_are_refused(tmp_path, values, segments, indices, shape):
    path = write(tmp_path, *sparse(values, segments, indices, shape))
    with pytest.raises(InputError, match="not an intact TFLite file"):
        load_state_dict(path)


@pytest.mark.parametrize(("code", "name"), [(67, "TRANSPOSE_CONV"), ("Warp", "Warp"), (999, "999")])
def test_an_operator_without_a_table_is_named(tmp_path, code, name):
    path = write(tmp_path, *convolution(code=code))
    with pytest.raises(InputError, match=rf"operator .*{name}, which no model"):
        load_state_dict(path)
    assert name in read_graph(path).operators[0].name


def test_two_layers_of_one_name_are_refused(tmp_path):
    tensors, operators = convolution()
    with pytest.raises(InputError, match="two layers with the name conv2d_3"):
        load_state_dict(write(tmp_path, tensors, 2 * operators))


def test_a_file_that_states_more_numbers_than_it_has_is_refused(tmp_path):
    large = np.zeros((1, 500, 1, 1), np.float32)
    tensors, operators = convolution(large)
    data = model(tensors, operators)
    # Shape of the kernel, of which 500 is the only number of its kind in the file.
    place = data.index(np.array([1, 500, 1, 1], "<i4").tobytes())
    path = tmp_path / "x.tflite"
    many = np.array([1, 10**6, 10**6, 1], "<i4").tobytes()
    path.write_bytes(data[:place] + many + data[place + 16 :])
    with pytest.raises(InputError, match="more numbers than its size allows"):
        load_state_dict(path)


def test_damaged_files_give_a_sentence_and_take_no_memory(tmp_path):
    whole = model(*convolution())
    rng = np.random.default_rng(0)
    path = tmp_path / "x.tflite"
    cut = [whole[:length] for length in range(0, len(whole), 7)]
    changed = []
    for _ in range(600):
        data = bytearray(whole)
        for place in rng.integers(8, len(whole), rng.integers(1, 4)):
            data[place] = rng.integers(256) if rng.random() < 0.5 else 255
        changed.append(bytes(data))
    refused = 0
    tracemalloc.start()
    for data in (*cut, *changed):
        path.write_bytes(data)
        try:
            load_state_dict(path)
        except InputError:
            refused += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused > len(cut) + 200
    assert peak < 4e6, peak
