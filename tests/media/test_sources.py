"""Frames out of photos, folders, lists, films and arrays, and what is wrong with them."""

import struct

import cv2
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.media import webcam
from jaxpose.media.sources import as_image, open_media
from jaxpose.media.video import open_video
from jaxpose.viz import VideoWriter, save_image


def numbered(index: int, hw=(48, 64)) -> np.ndarray:
    """A frame whose brightness tells its number."""
    return np.full((*hw, 3), 8 * index, np.uint8)


def write_film(path, count: int = 30, hw=(48, 64), fps: float = 10, codec="MJPG"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (hw[1], hw[0]))
    for index in range(count):
        writer.write(numbered(index, hw))
    writer.release()
    return path


def pictures(data: bytes) -> list[int]:
    """Where the chunks of the pictures of an AVI file begin; each holds a JPEG."""
    chunks = [i for i in range(len(data)) if data[i : i + 4] == b"00dc"]
    return [i for i in chunks if data[i + 8 : i + 10] == b"\xff\xd8"]


def numbers(frames) -> list[int]:
    return [round(frame.image.mean() / 8) for frame in frames]


def test_a_film_has_indices_and_time_stamps(tmp_path):
    media = open_media(write_film(tmp_path / "a.avi"))
    assert (media.count, media.still) == (30, False)
    frames = list(media)
    assert numbers(frames) == list(range(30)) == [frame.index for frame in frames]
    np.testing.assert_allclose([f.seconds for f in frames], np.arange(30) / 10, atol=1e-6)
    assert {(f.source, f.fps) for f in frames} == {(str(tmp_path / "a.avi"), 10.0)}
    assert media.skipped == []


def test_damaged_frames_are_reported_and_the_rest_is_read(tmp_path):
    path = write_film(tmp_path / "a.avi")
    data = bytearray(path.read_bytes())
    places = pictures(data)
    for frame in (7, 8, 20):
        data[places[frame] + 8 : places[frame + 1] - 8] = bytes(
            places[frame + 1] - places[frame] - 16
        )
    path.write_bytes(data)
    media = open_media(path)
    frames = list(media)
    kept = [i for i in range(30) if i not in (7, 8, 20)]
    assert numbers(frames) == [f.index for f in frames] == kept
    assert [s.index for s in media.skipped] == [7, 20]
    assert "frames 7 to 8 are damaged" in media.skipped[0].reason


def test_a_film_that_ends_early_says_so(tmp_path):
    path = write_film(tmp_path / "a.avi")
    data = bytearray(path.read_bytes())
    places = pictures(data)
    data[places[12] : places[29]] = bytes(places[29] - places[12])
    path.write_bytes(data)
    media = open_media(path)
    assert numbers(media)[:12] == list(range(12))
    assert [skipped.reason for skipped in media.skipped] == [
        "17 frames of the file's index cannot be found"
    ]


def test_rotation_metadata_is_applied(tmp_path):
    path = write_film(tmp_path / "a.mp4", 3, codec="mp4v")
    data = bytearray(path.read_bytes())
    # The matrix of the track header (ISO 14496-12, 8.3.2): a quarter turn clockwise.
    place = data.find(b"tkhd") + 4 + 40
    one, plain = 1 << 16, struct.unpack(">9i", data[place : place + 36])
    assert plain[0] == one
    data[place : place + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    assert [frame.image.shape for frame in open_media(path)] == [(64, 48, 3)] * 3


def test_folders_are_searched_in_natural_order(tmp_path):
    for name in ("10.png", "2.png", "1.png", "b/3.png", ".hidden/4.png", "._5.png"):
        save_image(tmp_path / name, numbered(1))
    write_film(tmp_path / "b" / "film.avi", 2)
    (tmp_path / "notes.md").write_text("no photo")
    media = open_media(tmp_path)
    sources = [str(f.source).removeprefix(f"{tmp_path}/") for f in media]
    assert sources == ["1.png", "2.png", "10.png", "b/3.png", "b/film.avi", "b/film.avi"]
    assert not media.still


def test_what_is_no_photo_is_left_out_of_a_folder(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", "._b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in open_media(tmp_path).paths] == ["a.png", "b.JPG"]
    nowhere = open_media(tmp_path / "nowhere")
    assert not list(nowhere)
    assert "does not exist" in nowhere.skipped[0].reason


def test_patterns_and_lists(tmp_path):
    for index in range(12):
        save_image(tmp_path / "in" / f"{index}.png", numbered(index))
    media = open_media(str(tmp_path / "in" / "1*.png"))
    assert (numbers(media), media.count, media.still) == ([1, 10, 11], 3, True)
    (tmp_path / "list.txt").write_text("# some\nin/3.png\n\nin/4.png # the second\nin/none.png\n")
    media = open_media(tmp_path / "list.txt")
    assert numbers(media) == [3, 4]
    assert [s.source for s in media.skipped] == [str(tmp_path / "in" / "none.png")]
    # A path given twice is read once.
    assert numbers(open_media([tmp_path / "in/3.png", str(tmp_path / "in" / "3*.png")])) == [3]


def test_arrays_of_every_kind():
    grey = np.full((4, 6), 80, np.uint8)
    clear = np.dstack([np.zeros((4, 6, 3), np.uint8), np.full((4, 6), 51, np.uint8)])
    for image, value in (
        (grey, 80),
        (grey[:, :, None], 80),
        (np.dstack([grey] * 3), 80),
        (clear, 204),
    ):
        (frame,) = open_media(image)
        assert frame.image.shape == (4, 6, 3) and frame.image.flags.c_contiguous
        assert (frame.image == value).all()
        assert frame.seconds is None
    film = open_media(np.zeros((5, 4, 6, 3), np.uint8), fps=10)
    assert [(f.index, f.seconds) for f in film][-1] == (4, 0.4)
    media = open_media(iter([grey, np.zeros((4, 6), np.float32), grey]), fps=5)
    assert [f.index for f in media] == [0, 2]
    assert media.count is None and "not float32" in media.skipped[0].reason
    assert as_image(np.zeros((1, 1), np.uint8)).shape == (1, 1, 3)


def test_one_photo_is_told_from_what_holds_one(tmp_path):
    save_image(tmp_path / "in" / "a.png", numbered(1))
    (tmp_path / "list.txt").write_text("in/a.png")
    image = numbered(1)
    for what in (tmp_path / "in" / "a.png", str(tmp_path / "in" / "a.png"), image, image[..., 0]):
        assert open_media(what).single
    holders = (tmp_path / "in", tmp_path / "list.txt", str(tmp_path / "in" / "*.png"))
    for what in (*holders, [image], image[None], iter([image]), [tmp_path / "in" / "a.png"]):
        assert not open_media(what).single
    assert not open_media(write_film(tmp_path / "a.avi", 2)).single
    assert not open_media(image, fps=10).single


def test_what_cannot_be_read(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no film at all, but a text of some length")
    (tmp_path / "folder").mkdir()
    (tmp_path / "list.txt").write_text("# nothing\n")
    for name, message in (
        ("empty.mp4", "the file is empty"),
        ("text.mp4", "not a readable video"),
        ("none.mp4", "does not exist"),
    ):
        media = open_media(tmp_path / name)
        assert list(media) == [] and message in media.skipped[0].reason
    for what, message in (
        (tmp_path / "folder", "contains no image and no video"),
        (tmp_path / "list.txt", "lists no file"),
        (str(tmp_path / "*.jpg"), "no file matches the pattern"),
        ([], "nothing to read"),
        (None, "not a source of images"),
        (-1, "numbered from 0"),
        (object(), "cannot be read from a object"),
    ):
        with pytest.raises(InputError, match=message):
            open_media(what)
    with pytest.raises(InputError, match="there is no webcam 93"):
        open_video(93, print)


@pytest.mark.parametrize("codec", ["h264", "mp4v"])
def test_a_film_written_is_the_film_read(tmp_path, codec):
    path = tmp_path / "new" / "out.mp4"
    with VideoWriter(path, 12.5, codec=codec) as writer:
        for index in range(10, 20):
            writer.write(numbered(index, (47, 63)))
        assert not path.exists()
    assert writer.codec == codec
    media = open_media(path)
    frames = list(media)
    assert numbers(frames) == list(range(10, 20))
    assert frames[0].image.shape == (48, 64, 3) and frames[0].fps == pytest.approx(12.5)
    assert [p.name for p in path.parent.iterdir()] == ["out.mp4"]


def test_a_film_is_kept_after_an_exception_and_refused_where_it_cannot_be(tmp_path):
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "a.mp4", 10) as writer:
        for index in range(4):
            writer.write(numbered(index))
        raise KeyboardInterrupt
    assert writer.part == tmp_path / "a.partial.mp4"
    assert len(list(open_media(writer.part))) == 4
    with VideoWriter(tmp_path / "b.mp4", 10) as writer:
        writer.write(numbered(1))
        with pytest.raises(InputError, match="an image of 64 x 40"):
            writer.write(numbered(1, (40, 64)))
    with VideoWriter(tmp_path / "none.mp4", 10):
        pass
    assert not (tmp_path / "none.mp4").exists()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        VideoWriter(tmp_path / "file" / "c.mp4", 10).write(numbered(1))
    for arguments, message in (
        (("a.avi", 10), "end in .mp4"),
        (("a.mp4", 0), "frames per second"),
        (("a.mp4", 10, "theora"), "theora"),
    ):
        with pytest.raises(InputError, match=message):
            VideoWriter(*arguments[:2], codec=(*arguments, None)[2])


class Camera:
    """Stands in for a webcam: three frames, a failure, another frame, the end."""

    def __init__(self, source):
        self.answers = [True, True, True, False, True]
        self.released = False

    def isOpened(self):
        return True

    def get(self, what):
        return {cv2.CAP_PROP_FPS: 0.0, cv2.CAP_PROP_FRAME_WIDTH: 64.0}.get(what, 48.0)

    def read(self):
        found = bool(self.answers) and self.answers.pop(0)
        return found, numbered(5) if found else None

    def release(self):
        self.released = True


def test_a_webcam_gives_frames_until_it_stops(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    monkeypatch.setattr(webcam, "_PATIENCE", 3)
    media = open_media(0)
    assert (media.live, media.still, media.count) == (True, False, None)
    frames = list(media)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert [frame.source for frame in frames] == ["webcam 0"] * 4
    times = [frame.seconds for frame in frames]
    assert times == sorted(times) and times[0] >= 0
    assert [skipped.reason for skipped in media.skipped] == ["no more frames came"]
