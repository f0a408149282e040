"""Every kind of file that may be called a photo, and what must come of it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.media import image

ORIENTATIONS = range(1, 9)


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """A picture with a different colour in each corner, without symmetry. `[48, 64, 3]` RGB."""
    rows, columns = np.mgrid[0:48, 0:64].astype(np.float32)
    channels = [rows * 5, columns * 4, 255 - (rows + columns) * 2]
    image = np.stack(channels, axis=-1).clip(0, 255).astype(np.uint8)
    image[4:16, 4:30] = (250, 20, 30)
    image[30:44, 50:60] = (10, 220, 40)
    return image


def encode(image: np.ndarray, suffix: str, *options: int) -> bytes:
    """RGB(A) to the bytes of a file."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[-1]]]
    return cv2.imencode(suffix, np.ascontiguousarray(image), options)[1].tobytes()


def exif_block(orientation: int, order: str) -> bytes:
    mark = b"II*\0" if order == "little" else b"MM\0*"
    entries = [(0x010F, 2, 4, b"abc\0"), (0x0112, 3, 1, orientation.to_bytes(2, order) + b"\0\0")]
    body = mark + (8).to_bytes(4, order) + len(entries).to_bytes(2, order)
    for tag, kind, count, value in entries:
        body += tag.to_bytes(2, order) + kind.to_bytes(2, order) + count.to_bytes(4, order) + value
    return body + bytes(4)


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """How a camera held in `orientation` stores an upright picture, case by case."""
    return {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.transpose(1, 0, 2),
        6: np.rot90(image, 1),
        7: image[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(image, -1),
    }[orientation]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp"])
def test_lossless_formats_come_back_exactly(tmp_path, scene, suffix):
    options = (cv2.IMWRITE_WEBP_QUALITY, 101) if suffix == ".webp" else ()
    path = write(tmp_path / f"a{suffix}", encode(scene, suffix, *options))
    read = image.read_image(path)
    assert read.dtype == np.uint8
    assert read.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(read, scene)


def test_content_decides_not_the_name(tmp_path, scene):
    np.testing.assert_array_equal(
        image.read_image(write(tmp_path / "really_png.jpg", encode(scene, ".png"))), scene
    )
    read = image.read_image(write(tmp_path / "really_jpeg.png", encode(scene, ".jpg")))
    assert np.abs(read.astype(int) - scene).mean() < 4


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation_of_jpeg(tmp_path, scene, orientation, order):
    segment = b"Exif\0\0" + exif_block(orientation, order)
    data = encode(turned(scene, orientation), ".jpg", cv2.IMWRITE_JPEG_QUALITY, 100)
    data = data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2) + segment + data[2:]
    read = image.read_image(write(tmp_path / "a.jpg", data))
    assert read.shape == scene.shape
    assert np.abs(read.astype(int) - scene).mean() < 3


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation_of_png_and_webp(tmp_path, scene, orientation, channels):
    pillow = pytest.importorskip("PIL.Image")
    stored = pillow.fromarray(np.ascontiguousarray(turned(scene, orientation)))
    exif = pillow.Exif()
    exif[0x0112] = orientation
    for name, options in (("a.png", {}), ("a.webp", {"lossless": True})):
        picture = stored.convert("RGBA") if channels == 4 else stored
        picture.save(tmp_path / name, exif=exif, **options)
        np.testing.assert_array_equal(image.read_image(tmp_path / name), scene)


def test_cmyk_jpeg_has_the_colours_of_pillow(tmp_path, scene):
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(scene).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    with pillow.open(tmp_path / "a.jpg") as opened:
        assert opened.mode == "CMYK"
        expected = np.asarray(opened.convert("RGB")).astype(int)
    assert np.abs(image.read_image(tmp_path / "a.jpg") - expected).max() <= 1


def test_sixteen_bit_png_is_scaled_and_rounded(tmp_path, scene):
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 65536, scene.shape).astype(np.uint16)
    deep[0, 0] = (0, 65535, 128)
    read = image.read_image(write(tmp_path / "a.png", encode(deep, ".png")))
    np.testing.assert_array_equal(read, np.round(deep / 257).astype(np.uint8))
    grey = image.read_image(write(tmp_path / "g.png", encode(deep[..., 0], ".png")))
    np.testing.assert_array_equal(grey[..., 2], np.round(deep[..., 0] / 257).astype(np.uint8))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_grey_becomes_three_equal_channels(tmp_path, scene, suffix):
    read = image.read_image(write(tmp_path / f"a{suffix}", encode(scene[..., 0], suffix)))
    assert read.shape == scene.shape
    assert (read == read[..., :1]).all()


def test_transparency_is_laid_on_white(tmp_path, scene):
    alpha = np.full(scene.shape[:2], 255, np.uint8)
    alpha[:10] = 0
    alpha[10:20] = 128
    data = encode(np.dstack([scene, alpha]), ".png")
    read = image.read_image(write(tmp_path / "a.png", data))
    assert (read[:10] == 255).all()
    mixed = scene[10:20] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(read[10:20] - mixed).max() <= 0.51
    np.testing.assert_array_equal(read[20:], scene[20:])


def test_palette_with_and_without_transparency(tmp_path, scene):
    pillow = pytest.importorskip("PIL.Image")
    picture = pillow.fromarray(scene).convert("P")
    picture.save(tmp_path / "a.png")
    expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(image.read_image(tmp_path / "a.png"), expected)
    index = picture.getpixel((0, 0))
    picture.save(tmp_path / "b.png", transparency=index)
    clear = np.asarray(picture) == index
    read = image.read_image(tmp_path / "b.png")
    assert (read[clear] == 255).all()
    np.testing.assert_array_equal(read[~clear], expected[~clear])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff", ".bmp"])
@pytest.mark.parametrize("kept", [0.4, 0.7, 0.95])
def test_a_truncated_file_is_refused_by_name(tmp_path, scene, suffix, kept):
    data = encode(scene, suffix)
    path = write(tmp_path / f"cut{suffix}", data[: int(len(data) * kept)])
    with pytest.raises(InputError, match=f"cut{suffix}"):
        image.read_image(path)


def test_a_truncated_progressive_jpeg_and_one_filled_with_zeros(tmp_path, scene):
    data = encode(scene, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    for wrong in (data[: len(data) * 3 // 4], data[: len(data) // 2] + bytes(len(data) // 2)):
        with pytest.raises(InputError, match="cut off"):
            image.read_image(write(tmp_path / "a.jpg", wrong))


def test_a_jpeg_that_lacks_only_its_end_marker_is_read(tmp_path, scene):
    data = encode(scene, ".jpg")
    whole = image.read_image(write(tmp_path / "a.jpg", data))
    for tail in (b"", b"\xff", b"\0\0\0"):
        read = image.read_image(write(tmp_path / "b.jpg", data[:-2] + tail))
        np.testing.assert_array_equal(read, whole)


def test_bytes_after_the_end_do_not_matter(tmp_path, scene):
    data = encode(scene, ".jpg")
    np.testing.assert_array_equal(image.decode_image(data + b"film"), image.decode_image(data))


def test_a_jpeg_damaged_in_the_middle_is_refused(tmp_path, scene):
    noise = np.random.default_rng(1).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    data = bytearray(encode(noise, ".jpg"))
    middle = len(data) // 2
    data[middle : middle + 8] = b"\xff\xd8\xff\x01" * 2
    with pytest.raises(InputError, match=r"a\.jpg: the JPEG is damaged at byte"):
        image.read_image(write(tmp_path / "a.jpg", bytes(data)))


def test_absent_files_name_what_is_near(tmp_path, scene):
    write(tmp_path / "squat_01.jpg", encode(scene, ".jpg"))
    with pytest.raises(InputError, match=r"does not exist .did you mean 'squat_01\.jpg'"):
        image.read_image(tmp_path / "squat_1.jpg")
    with pytest.raises(InputError, match=r"gone does not exist\)$"):
        image.read_image(tmp_path / "gone" / "deeper" / "squat_1.jpg")
    with pytest.raises(InputError, match="is a folder"):
        image.read_image(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\xff\xd8\xff", "cut off"),
        (b"<!DOCTYPE html><title>404", "text file"),
        (b'{"info": 1}', "text file"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "video"),
        (b"%PDF-1.7 ...", "known format"),
        (bytes(100), "known format"),
    ],
)
def test_what_is_no_photo_says_what_it_is(tmp_path, content, message):
    with pytest.raises(InputError, match=rf"a\.jpg: .*{message}"):
        image.read_image(write(tmp_path / "a.jpg", content))


def test_gigantic_pictures_are_refused_before_they_are_decoded(tmp_path, scene):
    png = bytearray(encode(scene, ".png"))
    png[16:24] = (100_000).to_bytes(4) * 2
    jpeg = bytearray(encode(scene, ".jpg"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = (65_000).to_bytes(2) * 2
    gif = b"GIF89a" + (65_000).to_bytes(2, "little") * 2 + bytes(20)
    for data in (png, jpeg, gif):
        with pytest.raises(InputError, match="make it smaller"):
            image.read_image(write(tmp_path / "big", bytes(data)))


@pytest.mark.parametrize("kind", [".jpg", ".png", ".bmp", ".gif", "VP8 ", "VP8L", "VP8X"])
def test_headers_declare_the_size_without_decoding(scene, kind):
    picture, options, suffix = scene[:31, :50], [], kind
    if kind.startswith("VP8"):
        suffix, options = ".webp", [cv2.IMWRITE_WEBP_QUALITY, 101 if kind == "VP8L" else 80]
    if kind == "VP8X":  # lossy with transparency needs the extended header
        alpha = np.indices(picture.shape[:2]).sum(0).astype(np.uint8)
        picture = np.dstack([picture, alpha])
    data = encode(picture, suffix, *options)
    assert not kind.startswith("VP8") or data[12:16] == kind.encode()
    assert image.declared_size(data) == (31, 50)


def test_real_photos_read_as_opencv_reads_them(shared):
    paths = sorted((shared / "data" / "coco" / "val2017").glob("*.jpg"))
    assert len(paths) == 32
    for path in paths:
        np.testing.assert_array_equal(image.read_image(path), cv2.imread(str(path))[..., ::-1])
