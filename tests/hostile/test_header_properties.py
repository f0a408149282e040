"""Properties of readers of arrays, images and time stamps: no header chooses the memory."""

import io
import json
import string
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from jaxpose.convert.reading import load_state_dict
from jaxpose.media.image import decode_image
from jaxpose.motion.timing import even_clock
from tests.hostile.properties import few, read_or_refused
from tests.torch_file import Writer

words = st.text(string.ascii_lowercase, min_size=1, max_size=5)
junk = st.none() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers())
plain_arrays = st.dictionaries(
    st.from_regex(r"[a-z]{1,4}(\.[a-z]{1,4})?", fullmatch=True),
    arrays_of.arrays(
        np.float32,
        arrays_of.array_shapes(max_dims=3, max_side=3),
        elements=st.floats(-9, 9, width=32),
    ),
    min_size=1,
    max_size=3,
)


@few
@given(arrays=plain_arrays)
def test_weights_are_read_as_they_were_written(tmp_path_factory, arrays):
    from safetensors.numpy import save_file

    folder = tmp_path_factory.mktemp("weights")
    arrays = {f"layer.{name}": array for name, array in arrays.items()}
    np.savez_compressed(folder / "a.npz", **arrays)
    save_file(arrays, folder / "a.safetensors")
    torch = Writer()
    torch.write(folder / "a.pth", {name: torch.tensor(array) for name, array in arrays.items()})
    for name in ("a.npz", "a.safetensors", "a.pth"):
        again = load_state_dict(folder / name)
        assert sorted(again) == sorted(arrays)
        assert all((again[key] == array).all() for key, array in arrays.items())


heads = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "F64", "X"]),
        "shape": st.lists(st.integers(0, 2**40), max_size=3),
        "data_offsets": st.lists(st.integers(0, 2**40), min_size=2, max_size=2),
    }
)


@few
@given(head=st.dictionaries(words, heads | junk, max_size=3), size=st.integers(0, 64))
def test_no_head_of_weights_chooses_the_memory(tmp_path_factory, head, size):
    folder = tmp_path_factory.mktemp("head")
    text = json.dumps(head).encode()
    (folder / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))
    shapes = [
        entry["shape"] for entry in head.values() if isinstance(entry, dict) and "shape" in entry
    ]
    shape = tuple(shapes[0]) if shapes and isinstance(shapes[0], list) else (2**40,)
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        member, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    import zipfile

    with zipfile.ZipFile(folder / "a.npz", "w") as archive:
        archive.writestr("a.npy", member.getvalue() + bytes(size))
    for name in ("a.safetensors", "a.npz"):
        assert _peak(lambda name=name: load_state_dict(folder / name)) < 2**22


def _peak(read) -> int:
    """Bytes that a reader needs at most."""
    tracemalloc.start()
    try:
        read_or_refused(read)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _png(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        total = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", total)

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _bmp(width: int, height: int, data: bytes) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(data), 0, 0, 54) + head + data


sides = st.integers(0, 2**31 - 1) | st.integers(1, 9)


@few
@given(width=sides, height=sides, data=st.binary(max_size=40), kind=st.sampled_from([_png, _bmp]))
def test_no_head_of_an_image_chooses_the_memory(width, height, data, kind):
    content = kind(width, height, data)
    found = None

    def read() -> None:
        nonlocal found
        found = decode_image(content)

    peak = _peak(read)
    assert found is None or found.shape == (height, width, 3)
    assert width * height < 2**22 or peak < 2**22


@few
@given(
    start=st.sampled_from([b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"RIFF0000WEBP", b"BM", b""]),
    rest=st.binary(max_size=80),
)
def test_any_bytes_are_an_image_or_refused(start, rest):
    found = read_or_refused(lambda: decode_image(start + rest))
    assert found is None or (found.dtype == np.uint8 and found.shape[2:] == (3,))


@few
@given(
    steps=st.lists(st.floats(0.001, 0.4), min_size=1, max_size=20),
    begin=st.floats(0, 1000),
    slope=st.floats(-100, 100),
)
def test_rows_at_an_even_rate_follow_the_time_stamps(steps, begin, slope):
    seconds = begin + np.concatenate([[0.0], np.cumsum(steps)])
    clock = even_clock(seconds)
    rows = clock.rows
    assert rows[0] == pytest.approx(seconds[0], abs=2e-3)
    assert rows[-1] == pytest.approx(seconds[-1], abs=2e-3)
    assert np.allclose(np.diff(rows), 1 / clock.fps)
    values = slope * (seconds - begin)
    # What changes evenly with time is resampled exactly, up to the rounding of time stamps.
    error = abs(slope) * 2.2e-3 + 1e-6
    np.testing.assert_allclose(clock.to_rows(values), slope * (rows - begin), atol=error)
    np.testing.assert_allclose(clock.to_frames(clock.to_rows(values)), values, atol=2 * error)


@few
@example([-2000001.0, 0.0, 1999999.0])
@example([0.0, 0.0, 9223372036855.0])
@example([0.0, 1e6])
@example([17179869184.0, 17179869184.0])
@example([-1.7e308, 1.7e308])
@given(st.lists(st.floats() | st.floats(0, 100), max_size=6))
def test_any_time_stamps_have_a_clock_or_a_sentence(seconds):
    clock = read_or_refused(lambda: even_clock(np.array(seconds)))
    assert clock is None or clock.count >= 1
