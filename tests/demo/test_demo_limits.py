"""What the page takes, decided before anything is decoded; what it keeps."""

import os
import time

import cv2
import numpy as np
import pytest

from jaxpose.demo import limits as limits_module
from jaxpose.demo.limits import Limits, check_video, read_upload
from jaxpose.demo.temp_files import stored, sweep
from jaxpose.errors import InputError

SMALL = Limits(max_upload_mb=0.01, max_megapixels=0.01, max_video_seconds=1)


def png(height: int, width: int) -> bytes:
    return cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1].tobytes()


def refused(path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_upload(path, SMALL)
    assert str(path.parent) not in str(caught.value)
    return str(caught.value)


def test_a_photo_within_the_limits_whatever_its_name(tmp_path):
    picture = np.arange(100 * 99 * 3).reshape(100, 99, 3).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    upload = (tmp_path / "a.png").rename(tmp_path / "list.txt")
    np.testing.assert_array_equal(read_upload(upload, Limits()), picture[..., ::-1])


def test_what_is_too_large_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(limits_module, "decode_image", lambda data: pytest.fail("decoded"))
    bomb = bytearray(png(8, 8))
    bomb[16:24] = (15_000).to_bytes(4) * 2  # the header's own checksum is not looked at
    assert "15000 x 15000 pixels; at most 0.01 million" in refused(tmp_path / "a", bytes(bomb))
    assert "101 x 100 pixels" in refused(tmp_path / "a", png(100, 101))
    assert "0.0 MB; at most 0.01 MB" in refused(tmp_path / "a", bytes(10_001))


def test_what_is_no_photo(tmp_path):
    assert "header does not state its size" in refused(tmp_path / "a", b"II*\0" + bytes(40))
    assert "empty" in refused(tmp_path / "a", b"")
    assert "text file" in refused(tmp_path / "a", b"<html>")
    assert "cut off" in refused(tmp_path / "a", png(9, 9)[:-9])
    with pytest.raises(InputError, match="not kept any longer"):
        read_upload(tmp_path / "none", SMALL)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "not a video in MP4"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not a video in MP4"),
        (png(9, 9), "not a video in MP4"),
        (
            b"\0\0\0\x18ftypmp42" + bytes(99),
            "^not a readable video.* damaged, or of an unknown format",
        ),
        (bytes(10_001), "at most 0.01 MB"),
    ],
)
def test_what_is_no_film(tmp_path, content, message):
    (tmp_path / "film.mp4").write_bytes(content)
    with pytest.raises(InputError, match=message):
        check_video(tmp_path / "film.mp4", SMALL)


def test_large_frames_are_refused(tmp_path):
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (128, 96))
    writer.write(np.zeros((96, 128, 3), np.uint8))
    writer.release()
    check_video(path, Limits(max_megapixels=0.0123))
    with pytest.raises(InputError, match=r"frames have 128 x 96 pixels; at most 0\.01 million"):
        check_video(path, Limits(max_megapixels=0.01))


def test_limits_make_sense():
    assert (SMALL.upload_bytes, SMALL.stored_bytes, SMALL.frames) == (10_000, 160_000, 60)
    for name in ("max_upload_mb", "max_megapixels", "max_video_seconds"):
        with pytest.raises(InputError, match=name):
            Limits(**{name: float("nan")})


def test_files_are_kept_for_a_while(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name / "in").mkdir(parents=True)
        (tmp_path / name / "in" / "a").write_bytes(bytes(100))
    (tmp_path / "part").write_bytes(bytes(7))
    assert stored(tmp_path) == 207
    for name in ("old", "part"):
        os.utime(tmp_path / name, (time.time() - 100,) * 2)
    sweep(tmp_path, 60)
    assert [path.name for path in tmp_path.iterdir()] == ["new"] and stored(tmp_path) == 100
