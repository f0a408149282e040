"""Reading OpenVINO's files: constants by name, and messages for files that are not whole."""

import numpy as np
import pytest

from jaxpose.convert import load_state_dict
from jaxpose.convert.reading import input_hw_of
from jaxpose.errors import InputError

KERNEL = np.arange(12, dtype=np.float16).reshape(2, 6, 1, 1)
BIAS = np.array([0.5, -0.5], np.float32).reshape(1, 2, 1, 1)
AXIS = np.array([1], np.int64)
TYPES = {"float16": "f16", "float32": "f32", "int64": "i64", "int8": "i8"}

# A convolution whose norm is folded, then one with a name, its bias without one, and an axis.
LAYERS = (
    ("0", "image", "Parameter", 'shape="1,3,64,48" element_type="f32"', ""),
    ("1", "Multiply_7_compressed", "Const", KERNEL, ""),
    ("2", "Multiply_7", "Convert", 'destination_type="f32"', ""),
    ("3", "Multiply_8", "Convolution", "", "norm_0.b_0, norm_0.w_0"),
    ("4", "Constant_9", "Const", BIAS, ""),
    ("5", "norm_0.w_0", "Add", "", "norm_0.b_0, norm_0.w_0"),
    ("6", "last.weight", "Const", KERNEL, ""),
    ("7", "Conv_1", "Convolution", "", "Conv_1"),
    ("8", "Reshape_3", "Const", BIAS, ""),
    ("9", "Add_1", "Add", "", "Add_1, Reshape_3"),
    ("10", "Constant_12", "Const", AXIS, ""),
    ("11", "Squeeze_2", "Squeeze", "", ""),
)
EDGES = ((0, 3, 0), (1, 2, 0), (2, 3, 1), (3, 5, 0), (4, 5, 1), (5, 7, 0), (6, 7, 1))
EDGES = (*EDGES, (7, 9, 0), (8, 9, 1), (9, 11, 0), (10, 11, 1))


def write(folder, layers=LAYERS, edges=EDGES):
    """The two files; a constant's data are its array, or its attributes as text."""
    data, rows = b"", []
    for key, name, kind, content, fused in layers:
        if isinstance(content, np.ndarray):
            shape = ", ".join(map(str, content.shape))
            content, array = (
                f'element_type="{TYPES[content.dtype.name]}" shape="{shape}" '
                f'offset="{len(data)}" size="{content.nbytes}"',
                content,
            )
            data += array.tobytes()
        info = f'<rt_info><attribute name="fused_names" version="0" value="{fused}"/></rt_info>'
        rows.append(
            f'<layer id="{key}" name="{name}" type="{kind}" version="opset1"><data {content}/>'
            f"{info if fused else ''}</layer>"
        )
    links = "".join(
        f'<edge from-layer="{a}" from-port="0" to-layer="{b}" to-port="{port}"/>'
        for a, b, port in edges
    )
    text = f"<layers>{''.join(rows)}</layers><edges>{links}</edges>"
    (folder / "x.xml").write_text(f'<?xml version="1.0"?><net name="x" version="11">{text}</net>')
    (folder / "x.bin").write_bytes(data)
    return folder / "x.xml"


def test_constants_are_called_by_the_layers_that_use_them(tmp_path):
    read = load_state_dict(write(tmp_path))
    assert list(read) == [
        "norm_0.b_0/Convolution",
        "norm_0.b_0/Add",
        "last.weight",
        "last.weight/Add",
    ]
    for array, expected in zip(read.values(), (KERNEL, BIAS, KERNEL, BIAS), strict=True):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, expected)


def test_the_size_of_images_is_the_inputs(tmp_path):
    assert input_hw_of(write(tmp_path)) == (64, 48)
    flat = (("0", "image", "Parameter", 'shape="1,51" element_type="f32"', ""), *LAYERS[1:])
    assert input_hw_of(write(tmp_path, flat)) is None


def changed(number, **changes):
    """The layers with one changed: its name, kind, content or names."""
    layer = dict(zip(("key", "name", "kind", "content", "fused"), LAYERS[number], strict=True))
    return (*LAYERS[:number], tuple({**layer, **changes}.values()), *LAYERS[number + 1 :])


def stated(**changes):
    """Layers whose first constant states other numbers than its own."""
    facts = {"element_type": "f16", "shape": "2,6,1,1", "offset": "0", "size": "24", **changes}
    return changed(1, content=" ".join(f'{key}="{value}"' for key, value in facts.items()))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (stated(shape="2,6,1,2"), r"Multiply_7_compressed has the shape \[2, 6, 1, 2\] of f16"),
        (stated(offset="9999"), "ends at byte 10023"),
        (stated(shape="99999999999,1,1,1", size="199999999998"), "far more weights"),
        (stated(size="many"), "has the number 'many'"),
        (stated(size="-24"), "has the number '-24'"),
        (stated(element_type="i8", size="12"), "is quantised"),
        (stated(element_type="string"), "has the type 'string', which cannot be read"),
        (changed(4, content=AXIS.astype(np.int8)), r"quantised \(Constant_9 of type i8"),
        (changed(11, kind="FakeQuantize"), r"quantised \(Squeeze_2"),
        (changed(3, key="2"), "two layers with the id 2"),
    ],
)
def test_what_is_wrong_with_a_constant_is_said(layers, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load_state_dict(write(tmp_path, layers))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:300], "is not an intact XML file"),
        (lambda text: "", "is not an intact XML file"),
        (lambda text: "<html><body></body></html>", "begins with <html>"),
        (lambda text: text.replace(' type="Add"', ""), "<layer> lacks or has a wrong 'type'"),
        (lambda text: text.replace('to-layer="3"', 'to-layer="33"'), "wrong '33'"),
        (lambda text: text.replace('to-port="1"', 'to-port="one"'), "<edge> .* 'one'"),
        (lambda text: text.replace("<edges>", "<body/><edges>"), "contains a loop"),
        (
            # Each entity is ten of the one before: a few more of them fill any memory.
            lambda text: text.replace(
                "<net ", '<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><net '
            ),
            "declares a document type",
        ),
    ],
)
def test_a_damaged_graph_is_named(change, message, tmp_path):
    path = write(tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=message):
        load_state_dict(path)


def test_the_weights_must_be_beside_the_graph_and_whole(tmp_path):
    path = write(tmp_path)
    data = (tmp_path / "x.bin").read_bytes()
    (tmp_path / "x.bin").write_bytes(data[:60])
    with pytest.raises(InputError, match=r"has 60 bytes, but Reshape_3 ends at byte 64.*cut off"):
        load_state_dict(path)
    (tmp_path / "x.bin").unlink()
    with pytest.raises(InputError, match=r"x\.bin does not exist.*two files"):
        load_state_dict(path)


def test_there_is_only_one_set_of_weights(tmp_path):
    with pytest.raises(InputError, match="only one set of weights"):
        load_state_dict(write(tmp_path), ema=True)
