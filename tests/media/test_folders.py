"""Images that are found in folders, patterns, lists and Pillow: nothing is lost without a word."""

import cv2
import numpy as np
import pytest
from PIL import Image

from jaxpose.errors import InputError
from jaxpose.media.image import exif_orientation, page_count, read_image
from jaxpose.media.sources import open_media


@pytest.fixture
def pixels() -> np.ndarray:
    """RGB `[20, 30, 3]`, blue with a red corner at the top left."""
    image = np.zeros((20, 30, 3), np.uint8)
    image[..., 2] = 200
    image[:4, :4] = (250, 0, 0)
    return image


def names(media) -> list[str]:
    return [frame.source.rpartition("/")[2] for frame in media]


def test_a_folder_is_searched_by_content(tmp_path, pixels):
    jpeg, png = (cv2.imencode(kind, pixels)[1].tobytes() for kind in (".jpg", ".png"))
    heic = b"\0\0\0\x18ftypheic\0\0\0\0" + bytes(64)
    files = {
        "1.JPE": jpeg,
        "2.jfif": jpeg,
        "3": png,
        "4.image": png,
        "5.heic": heic,
        "6.jpg": b"no image",
        "7.txt": b"notes",
        "8.json": b"{}",
        ".hidden.jpg": jpeg,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    media = open_media(tmp_path)
    assert names(media) == ["1.JPE", "2.jfif", "3", "4.image"]
    assert [one.source.rpartition("/")[2] for one in media.skipped] == ["5.heic", "6.jpg"]
    assert "HEIC images cannot be read" in media.skipped[0].reason
    assert sorted(path.name for path in media.other_files) == ["7.txt", "8.json"]


def test_photos_of_every_kind(shared):
    media = open_media(shared / "cases" / "photos")
    assert len(names(media)) == 6
    assert [one.source.rpartition("/")[2] for one in media.skipped] == ["g.heic"]


def test_further_pages_of_a_tiff_are_counted(tmp_path, pixels):
    path = tmp_path / "scan.tif"
    pages = [Image.fromarray(pixels)] * 4
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert page_count(path) == 4
    media = open_media([path])
    assert names(media) == ["scan.tif"]
    (skipped,) = media.skipped
    assert skipped.reason == "pages 2 to 4 are left out: of a TIFF the first page is read"


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_further_images_of_an_animation_are_counted(tmp_path, pixels, suffix):
    path = tmp_path / f"moves.{suffix}"
    images = [Image.fromarray(np.roll(pixels, 5 * number, 1)) for number in range(3)]
    options = {"lossless": True} if suffix == "webp" else {}
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    assert page_count(path) == 3
    media = open_media([path])
    (frame,) = media
    np.testing.assert_array_equal(frame.image, pixels)
    (skipped,) = media.skipped
    assert (skipped.count, skipped.cause) == (2, "after the first of an animation")
    assert skipped.reason == "images 2 to 3 are left out: of an animation the first image is read"
    Image.fromarray(pixels).save(path, **options)
    assert page_count(path) == 1


@pytest.mark.parametrize("head", [b"\x1aE\xdf\xa3", b"RIFF\0\0\0\0AVI LIST", b"\0\0\0\x18ftypisom"])
def test_a_video_without_a_suffix_of_videos_says_so(tmp_path, head):
    (tmp_path / "clip.lrv").write_bytes(head + bytes(40))
    with pytest.raises(InputError, match=r"this is a video.* rename it to \.mp4"):
        read_image(tmp_path / "clip.lrv")


def test_a_transparent_avif_is_red_on_white(tmp_path):
    image = np.zeros((32, 32, 4), np.uint8)
    image[:16] = (255, 0, 0, 255)
    Image.fromarray(image).save(tmp_path / "a.avif", quality=100)
    read = read_image(tmp_path / "a.avif")
    # AVIF is not exact.
    np.testing.assert_allclose(read[8, 8], [255, 0, 0], atol=3)
    np.testing.assert_allclose(read[24, 24], [255, 255, 255], atol=3)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_what_is_transparent_becomes_white(tmp_path, pixels, suffix):
    alpha = np.zeros((20, 30, 1), np.uint8)
    alpha[:10] = 255
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(np.concatenate([pixels, alpha], -1)).save(path, **options)
    image = read_image(path)
    np.testing.assert_array_equal(image[:10], pixels[:10])
    assert (image[10:] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_transparent_tiff_is_turned_once(tmp_path, pixels, orientation):
    full = np.full((20, 30, 1), 255, np.uint8)
    read = {}
    for mode, values in (("RGB", pixels), ("RGBA", np.concatenate([pixels, full], -1))):
        path = tmp_path / f"{mode}.tif"
        Image.fromarray(values).save(path, tiffinfo={0x0112: orientation})
        read[mode] = read_image(path)
    np.testing.assert_array_equal(read["RGB"], read["RGBA"])


def test_brackets_and_hashes_in_names_are_names(tmp_path, pixels):
    folder = tmp_path / "shoot [day 1]"
    folder.mkdir()
    data = cv2.imencode(".png", pixels)[1].tobytes()
    for name in ("1.png", "2 #b.png", "x[3].png"):
        (folder / name).write_bytes(data)
    assert names(open_media(folder / "*.png")) == ["1.png", "2 #b.png", "x[3].png"]
    assert names(open_media(folder / "[12]*.png")) == ["1.png", "2 #b.png"]
    assert names(open_media(tmp_path / "shoot*" / "x[[]3].png")) == ["x[3].png"]
    list_file = folder / "list.txt"
    list_file.write_text("# all\n1.png # the first\n2 #b.png # the # second\n\nx[3].png\n")
    assert names(open_media(list_file)) == ["1.png", "2 #b.png", "x[3].png"]


def test_images_of_pillow_are_read_as_their_files(tmp_path, pixels):
    rgb = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(tmp_path / "turned.png", exif=exif)
    palette = rgb.quantize(4)
    clear = Image.fromarray(np.zeros((5, 6, 4), np.uint8))
    deep = Image.fromarray(np.full((5, 6), 65535, np.uint16))
    given = [rgb, palette, rgb.convert("CMYK"), Image.open(tmp_path / "turned.png"), clear, deep]
    media = open_media(given)
    images = [frame.image for frame in media]
    assert not media.skipped
    for image in images[:2]:
        np.testing.assert_array_equal(image, pixels)
    np.testing.assert_allclose(images[2], pixels, atol=1)
    assert exif_orientation(tmp_path / "turned.png") == 6
    np.testing.assert_array_equal(images[3], read_image(tmp_path / "turned.png"))
    assert images[3].shape == (30, 20, 3)
    assert (images[4] == 255).all() and (images[5] == 255).all()


def test_a_folder_keeps_its_order_and_counts_what_is_no_image(tmp_path, pixels):
    for name in ("10.png", "9.png", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), pixels)
    (tmp_path / "b" / "labels.csv").write_text("a,b\n")
    media = open_media(tmp_path)
    assert names(media) == ["9.png", "10.png", "1.png"] and media.count == 3
    assert [path.name for path in media.other_files] == ["labels.csv"]
