"""Videos of every kind: their frames and time stamps, how they are shown, and their damage."""

import json
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from videos import damage, number_of, numbered, write_video

from jaxpose.errors import InputError
from jaxpose.media import video
from jaxpose.media.cut_off import missing_bytes
from jaxpose.media.image import LIMIT_VARIABLE
from jaxpose.media.video import open_video
from jaxpose.viz import VideoWriter

CASES = Path(__file__).parents[3] / "shared" / "cases" / "videos"
NAMES = (
    *("90.mp4", "90_mirrored.mp4", "browser.webm", "cfr.mp4", "f2997.mp4", "mirrored.mp4"),
    *("norate_still_then_fast.mkv", "plain.mp4", "r_dark_then_light.ts", "r_jitter.mp4"),
    *("r_still_then_fast.mkv", "vfr_fast_slow.mp4", "vfr_slow_fast.mkv"),
)
# Fast, then slow: 1.5 s of 30 frames.
UNEVEN = [0.02 * i if i < 15 else 0.3 + 0.08 * (i - 15) for i in range(30)]


def read(path):
    """The frames of a video, and what its reader reports."""
    reports = []
    frames = list(open_video(path, reports.append))
    return frames, reports


def seconds(frames) -> np.ndarray:
    return np.array([frame.seconds for frame in frames])


@pytest.mark.parametrize("name", NAMES)
def test_real_videos_are_read_to_their_end(name):
    if not CASES.is_dir():
        pytest.skip("needs ../shared/cases")
    truth = json.loads((CASES / "truth.json").read_text())[name]
    frames, reports = read(CASES / name)
    times = seconds(frames)
    assert (len(frames), reports) == (truth["frames"], [])
    assert times[[0, -1]] == pytest.approx(
        [truth["first_seconds"], truth["last_seconds"]], abs=1e-4
    )
    steps = np.diff(times)
    assert (steps.min(), steps.max()) == pytest.approx(
        (truth["smallest_step"], truth["largest_step"]), abs=1e-4
    )
    if name in ("f2997.mp4", "r_jitter.mp4"):
        assert Fraction(frames[0].fps).limit_denominator(10**6) == Fraction(truth["average_rate"])


@pytest.mark.parametrize(
    ("name", "turned"),
    [
        ("90.mp4", lambda image: np.rot90(image, -1)),
        ("mirrored.mp4", lambda image: image[:, ::-1]),
        ("90_mirrored.mp4", lambda image: image.swapaxes(0, 1)),
    ],
)
def test_real_videos_are_shown_as_players_show_them(name, turned):
    if not CASES.is_dir():
        pytest.skip("needs ../shared/cases")
    (plain, *_), _ = read(CASES / "plain.mp4")
    (frame, *_), _ = read(CASES / name)
    np.testing.assert_array_equal(frame.image, turned(plain.image))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mkv", {}),
        ("a.mkv", {"stated_rate": False}),
        ("a.webm", {"codec": "libvpx", "stated_rate": False}),
        ("a.ts", {}),
        ("a.avi", {"codec": "mjpeg", "times": None}),
        ("a.mpg", {"codec": "mpeg2video", "times": None, "rate": 25}),
        ("a.mp4", {"codec": "mpeg4", "times": None, "rate": Fraction(30000, 1001)}),
        ("a.mkv", {"times": None, "rate": Fraction(24000, 1001)}),
    ],
)
def test_frames_and_their_time_stamps(tmp_path, name, options):
    options = {"times": UNEVEN} | options
    path = write_video(tmp_path / name, **options)
    frames, reports = read(path)
    assert reports == []
    assert [number_of(f.image) for f in frames] == list(range(30)) == [f.index for f in frames]
    rate = Fraction(options.get("rate", 10))
    expected = np.arange(30) / float(rate) if options["times"] is None else np.array(UNEVEN)
    times = seconds(frames) - (frames[0].seconds if name.endswith((".ts", ".mpg")) else 0)
    # Matroska's unit is a millisecond.
    np.testing.assert_allclose(times, expected, atol=6e-4 if name.endswith(("kv", "bm")) else 1e-5)
    if options["times"] is None:
        assert Fraction(frames[0].fps).limit_denominator(1001) == rate
    if options.get("stated_rate") is False:
        assert frames[0].fps is None


def test_a_wrong_number_of_frames_is_not_believed(tmp_path):
    path = write_video(tmp_path / "a.avi", codec="mjpeg")
    data = path.read_bytes()
    place = data.find(b"strh") + 8 + 32  # the number of frames
    assert struct.unpack_from("<I", data, place) == (30,)
    for number in (3, 30_000):
        path.write_bytes(data[:place] + struct.pack("<I", number) + data[place + 4 :])
        frames, reports = read(path)
        assert (len(frames), reports) == (30, [])
        assert open_video(path, print).count == number


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_display_matrices(tmp_path, degrees, mirrored):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:16, :16], image[:16, 48:] = 255, (255, 0, 0)
    path = write_video(tmp_path / "a.mp4", [image] * 2, rotation=(degrees, mirrored))
    expected = np.rot90(image, degrees // 90)
    expected = expected[:, ::-1] if mirrored else expected
    for frame in read(path)[0]:
        assert frame.image.shape == expected.shape and frame.image.flags.c_contiguous
        assert np.abs(frame.image.astype(int) - expected).mean() < 3


def test_side_data_is_read_once(tmp_path, monkeypatch):
    """PyAV keeps frames whose side data was read, so that the decoder takes new memory for each."""
    calls = []
    monkeypatch.setattr(video, "matrix_of", lambda frame: calls.append(frame.pts))
    assert len(read(write_video(tmp_path / "a.mp4"))[0]) == 30 and len(calls) == 1


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mjpeg"), ("a.mp4", "mpeg4")])
def test_damaged_frames_are_counted_up_to_the_last(tmp_path, name, codec):
    options = {"g": "1"} if codec == "mpeg4" else {}
    path = write_video(tmp_path / name, codec=codec, options=options)
    frames, reports = read(damage(path, [7, 8, 20, 27, 29], 8 if codec == "mjpeg" else 0))
    kept = [i for i in range(30) if i not in (7, 8, 20, 27, 29)]
    assert [number_of(f.image) for f in frames] == [f.index for f in frames] == kept
    np.testing.assert_allclose(seconds(frames), np.array(kept) / 10, atol=1e-6)
    assert [r.index for r in reports] == [7, 20, 27, 29]
    assert [r.reason for r in reports[::3]] == [
        "frames 7 to 8 are damaged (before 0.90 s)",
        "frame 29 is damaged (at the end)",
    ]


def test_damage_that_later_frames_depend_on(tmp_path):
    path = damage(write_video(tmp_path / "a.mp4", options={"g": "10", "bf": "2"}), [10])
    frames, reports = read(path)
    indices = [f.index for f in frames]
    assert indices == sorted(set(indices)) and indices[-1] == 29
    np.testing.assert_allclose(seconds(frames), np.array(indices) / 10, atol=1e-6)
    lost = sum(
        1 if " is " in r.reason else int(r.reason.split()[3]) - int(r.reason.split()[1]) + 1
        for r in reports
    )
    assert len(frames) + lost == 30 and lost > 0


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.avi"])
def test_a_file_that_was_cut_off(tmp_path, name):
    codec = {"a.webm": "libvpx", "a.avi": "mjpeg"}.get(name, "mpeg4")
    container = {"movflags": "faststart"} if name == "a.mp4" else {}
    path = write_video(tmp_path / name, codec=codec, container=container)
    data = path.read_bytes()
    assert missing_bytes(path) == 0
    path.write_bytes(data[: len(data) * 7 // 10])
    frames, reports = read(path)
    assert 5 < len(frames) < 30
    assert [number_of(f.image) for f in frames] == list(range(len(frames)))
    lost = len(data) - len(data) * 7 // 10
    assert reports[-1].reason == f"the file is cut off: {lost:,} bytes are missing; nothing follows"
    path.write_bytes(data[:50])
    with pytest.raises(InputError, match="not a readable video"):
        open_video(path, print)


@pytest.mark.parametrize("name", ["a.ts", "a.m2ts"])
def test_a_transport_stream_that_was_cut_off(tmp_path, name):
    mode = {"mpegts_m2ts_mode": "1"} if name == "a.m2ts" else {}
    path = write_video(tmp_path / name, codec="mpeg4", container=mode)
    frames, reports = read(path)
    assert (len(frames), reports) == (30, [])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10 // 192 * 188 + 70])
    frames, (report,) = read(path)
    assert 5 < len(frames) < 30
    assert report.reason == "the file is cut off within a packet; nothing follows"
    assert (report.unit, report.cause) == ("files", "not read to the end")


def test_frames_above_the_limit_are_refused(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mkv")
    monkeypatch.setenv(LIMIT_VARIABLE, "0.003")
    with pytest.raises(InputError, match=r"more than the limit of 0\.003 megapixels"):
        open_video(path, print)
    monkeypatch.setenv(LIMIT_VARIABLE, "0.0031")
    assert len(read(path)[0]) == 30


def test_videos_without_frames(tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=16_000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        sound.sample_rate = 16_000
        file.mux(stream.encode(sound))
        file.mux(stream.encode(None))
    with pytest.raises(InputError, match="only sound in the file"):
        open_video(tmp_path / "sound.mp4", print)
    path = write_video(tmp_path / "a.avi", codec="mjpeg")
    frames, reports = read(damage(path, range(30), 8))
    assert (frames, [r.reason for r in reports]) == (
        [],
        ["the video has no frame that can be decoded"],
    )


def test_playlists_are_not_opened(tmp_path):
    write_video(tmp_path / "other.ts")
    lines = ("#EXTM3U", "#EXT-X-TARGETDURATION:3", "#EXTINF:3,", "other.ts", "#EXT-X-ENDLIST")
    (tmp_path / "list.mp4").write_text("\n".join(lines))
    with pytest.raises(InputError, match="not a readable video"):
        open_video(tmp_path / "list.mp4", print)


def test_a_text_in_another_encoding_hides_no_video(tmp_path):
    path = write_video(tmp_path / "a.mkv", 3)
    data = path.read_bytes()
    assert b"Lavf" in data  # the name of the program that wrote it
    path.write_bytes(data.replace(b"Lavf", b"L\xc3(f"))
    assert [number_of(frame.image) for frame in open_video(path, print)] == [0, 1, 2]


def test_frames_above_the_limit_are_not_decoded(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4")
    monkeypatch.setenv("JAXPOSE_MAX_MEGAPIXELS", "0.003")
    with pytest.raises(InputError, match=r"more than the limit of 0\.003 megapixels"):
        open_video(path, print)


def test_frames_of_another_size_are_scaled_to_the_first(tmp_path):
    first = write_video(tmp_path / "a.ts", 5).read_bytes()
    small = [numbered(i, (24, 32)) for i in range(5, 10)]
    second = write_video(tmp_path / "b.ts", small, [1.0 + 0.1 * i for i in range(5)]).read_bytes()
    (tmp_path / "c.ts").write_bytes(first + second)
    frames, _ = read(tmp_path / "c.ts")
    assert [number_of(f.image) for f in frames] == list(range(10))
    assert {f.image.shape for f in frames} == {(48, 64, 3)}


@pytest.mark.parametrize("codec", ["h264", "mp4v"])
@pytest.mark.parametrize("times", [UNEVEN, [i * 1001 / 30000 for i in range(30)]])
def test_a_written_video_keeps_time_stamps(tmp_path, codec, times):
    with VideoWriter(tmp_path / "a.mp4", codec=codec) as writer:
        for index, second in enumerate(times):
            writer.write(numbered(index), second)
    frames, _ = read(tmp_path / "a.mp4")
    np.testing.assert_allclose(seconds(frames), times, atol=1e-5)
    with av.open(str(tmp_path / "a.mp4")) as file:
        duration = float(file.streams.video[0].duration * file.streams.video[0].time_base)
    assert duration == pytest.approx(2 * times[-1] - times[-2], abs=1e-4)


def test_a_written_video_begins_near_0_and_never_goes_back(tmp_path):
    for first, begin in ((0.034, 0.034), (36_000.0, 0.0)):
        with VideoWriter(tmp_path / "a.mp4") as writer:
            for step in (0.0, 0.1, 0.1, 0.05, 0.3):
                writer.write(numbered(1), first + step)
        times = seconds(read(tmp_path / "a.mp4")[0])
        np.testing.assert_allclose(times, begin + np.array([0, 0.1, 0.1, 0.1, 0.3]), atol=1e-4)
    with pytest.raises(InputError, match="either the frames per second or each time stamp"):
        VideoWriter(tmp_path / "b.mp4", 10).write(numbered(1), 0.5)
