"""Angles, lengths, symmetry, repetitions, steps and falls, on skeletons whose figures are known."""

import json

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.measure import (
    angle,
    angles,
    cadence,
    compare_sides,
    count_repetitions,
    fall_signs,
    falls,
    inclination,
    segment_lengths,
    step_events,
    symmetry_index,
)
from jaxpose.motion.smooth import savitzky_golay
from jaxpose.skeletons import BLAZEPOSE33, COCO17, H36M17, MPII16
from jaxpose.skeletons.coco_wholebody133 import COCO_WHOLEBODY133


def body(
    left_knee=180.0, right_knee=180.0, hips=(0.0, 0.0), lean=0.0, skeleton=COCO17
) -> np.ndarray:
    """[17, 2] pixels, y down: seen from the side, thighs and shanks of 40, a trunk of 50."""
    points = np.zeros((skeleton.num_keypoints, 2))

    def put(name, x, y):
        points[skeleton.index(name)] = (x, y)

    turn = np.radians(lean)
    along, across = np.array([np.sin(turn), -np.cos(turn)]), np.array([np.cos(turn), np.sin(turn)])
    for side, knee in (("left", left_knee), ("right", right_knee)):
        put(f"{side}_hip", 0, 0)
        put(f"{side}_shoulder", *(50 * along))
        put(f"{side}_elbow", *(50 * along + 30 * across))
        put(f"{side}_wrist", *(50 * along + 60 * across))
        down = -along
        put(f"{side}_knee", *(40 * down))
        bend = np.radians(180 - knee)
        shank = np.cos(bend) * down - np.sin(bend) * across
        put(f"{side}_ankle", *(40 * down + 40 * shank))
    for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear"):
        put(name, *(70 * along))
    return points + np.array(hips)[None]


def test_angles_by_name():
    points = np.stack([body(left_knee=knee) for knee in (180, 90, 45)])
    np.testing.assert_allclose(angle(points, COCO17, "left_knee"), [180, 90, 45], atol=1e-9)
    found = angles(points, COCO17)
    assert set(found) == {
        f"{side}_{joint}" for side in ("left", "right")
        for joint in ("knee", "hip", "elbow", "shoulder")
    }  # fmt: skip
    np.testing.assert_allclose(found["right_shoulder"], 90)
    np.testing.assert_allclose(found["left_elbow"], 180, atol=1e-5)
    # The same in space, however it is turned.
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    space = np.concatenate([points, np.zeros((3, 17, 1))], axis=-1) @ turn.T
    for name, values in angles(space, COCO17).items():
        np.testing.assert_allclose(values, found[name], atol=1e-5)
    assert {"left_ankle", "left_knee"} <= set(angles(np.zeros((1, 133, 2)), COCO_WHOLEBODY133))
    assert "left_knee" in angles(np.zeros((1, 17, 3)), H36M17)
    points[1, COCO17.index("left_hip")] = np.nan
    assert np.isnan(angle(points, COCO17, "left_knee")).tolist() == [False, True, False]


def test_the_trunk_leans():
    points = np.stack([body(lean=lean) for lean in (0, 30, 90, 180)])
    np.testing.assert_allclose(inclination(points, COCO17), [0, 30, 90, 180], atol=1e-6)
    space = np.concatenate([points, np.zeros((4, 17, 1))], axis=-1)[..., [0, 2, 1]]
    np.testing.assert_allclose(inclination(-space, COCO17, up="z"), [0, 30, 90, 180], atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: angle(x, COCO17, "left_kne"), "Did you mean 'left_knee'"),
        (lambda x: angle(x[:, :5], COCO17, "left_knee"), "are not \\[..., 17, 2 or 3\\]"),
        (lambda x: inclination(x, COCO17, up="z"), "an axis of the points"),
        (lambda x: count_repetitions(x, min_range=1), "a signal is"),
        (lambda x: count_repetitions(x[:, 0, 0], min_range=1, back=0.7), "back < away"),
        (lambda x: count_repetitions(x[:, 0, 0], min_range=1, rest="up"), "'high' or 'low'"),
        (lambda x: fall_signs(x[0], COCO17, 10), "a clip is"),
        (lambda x: step_events(x, COCO17, 10), "give `forward`"),
        (lambda x: step_events(x * np.nan, COCO17, 10), "hips are missing"),
    ],
)
def test_what_makes_no_sense(call, message):
    with pytest.raises(InputError, match=message):
        call(np.stack([body()] * 4))


def test_segments():
    found = segment_lengths(np.stack([body(), body(left_knee=70)]), COCO17)
    np.testing.assert_allclose(found["left_thigh"], 40)
    np.testing.assert_allclose(found["left_shank"], 40)
    np.testing.assert_allclose(found["trunk"], 50)
    np.testing.assert_allclose(found["right_forearm"], 30)
    assert "trunk" in segment_lengths(np.zeros((16, 2)), MPII16)


def test_symmetry():
    assert symmetry_index(3.0, 1.0) == pytest.approx(100)
    assert symmetry_index(2.0, 2.0) == 0
    assert np.isnan(symmetry_index(0.0, 0.0))
    swing = 90 + 90 * np.cos(np.linspace(0, 6 * np.pi, 200)) / 2
    points = np.stack([body(left_knee=k, right_knee=135 + (k - 90) / 2) for k in swing])
    sides = compare_sides(points, COCO17)
    assert sides["knee"].left == pytest.approx(2 * sides["knee"].right)
    assert sides["knee"].index == pytest.approx(200 / 3)
    assert np.isnan(compare_sides(points * np.nan, COCO17)["knee"].left)


def test_repetitions_are_counted_by_hysteresis():
    time = np.arange(200) / 20
    signal = 130 + 50 * np.cos(np.pi * time)  # five times to 80 and back in ten seconds
    noise = np.random.default_rng(0).normal(0, 4, 200)
    for values in (signal, signal + noise, np.where(np.arange(200) % 7 == 3, np.nan, signal)):
        found = count_repetitions(values, min_range=30)
        assert len(found) == 5 and not found.unfinished
        np.testing.assert_allclose(found.turns / 20, [1, 3, 5, 7, 9], atol=0.25)
        assert (found.starts < found.turns).all() and (found.turns < found.ends).all()
    assert len(count_repetitions(-signal, min_range=30, rest="low")) == 5
    assert len(count_repetitions(signal, min_range=150)) == 0
    assert len(count_repetitions(np.full(9, np.nan), min_range=1)) == 0
    cut = count_repetitions(signal[:105], min_range=30)
    assert (len(cut), cut.unfinished) == (2, True)
    # Half of the way and back is none, nor is what began before the film.
    half = np.where((time > 2) & (time < 4), 155 + 25 * np.cos(np.pi * time), signal)
    assert len(count_repetitions(half, min_range=30)) == 4
    assert len(count_repetitions(signal[20:], min_range=30)) == 4


def test_the_squats_of_a_real_film(shared):
    """Three go down; the film ends before the third is up again (seen in the film)."""
    path = shared / "data" / "video" / "pose_squats.full.json"
    if not path.is_file():
        pytest.skip("the film's keypoints are not there")
    points = np.array(json.loads(path.read_text()))[:, :, :2]
    for side in ("left", "right"):
        found = count_repetitions(angle(points, BLAZEPOSE33, f"{side}_knee"), min_range=30)
        assert (len(found), found.unfinished) == (2, True)
        np.testing.assert_allclose(found.turns, [9, 34], atol=1)
    hips = points[:, [23, 24], 1].mean(axis=1)
    assert len(count_repetitions(hips, min_range=50, rest="low")) == 2


def walker(fps: float, seconds: float, hz: float, speed: float) -> np.ndarray:
    """Strides at `hz` for each foot, half a stride apart; the left one strikes at 0.5 s."""
    time = np.arange(round(fps * seconds)) / fps
    frames = []
    for t in time:
        points = body(hips=(speed * t, 0))
        for side, late in (("left", 0.5), ("right", 0.5 + 0.5 / hz)):
            points[COCO17.index(f"{side}_ankle"), 0] += 30 * np.cos(2 * np.pi * hz * (t - late))
        frames.append(points)
    return np.array(frames)


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_steps_and_cadence(direction):
    points = walker(30, 6, 0.9, 80) * np.array([direction, 1])[None, None]
    steps = step_events(points, COCO17, 30)
    np.testing.assert_allclose(steps.left_strikes, 0.5 + np.arange(5) / 0.9, atol=0.04)
    np.testing.assert_allclose(steps.left_offs[0], 0.5 + 0.5 / 0.9, atol=0.04)
    assert cadence(steps) == pytest.approx(108, abs=1)
    still = walker(30, 6, 0.9, 0) * np.array([direction, 1])[None, None]
    assert cadence(step_events(still, COCO17, 30, forward=np.array([direction, 0]))) == (
        pytest.approx(108, abs=1)
    )
    assert np.isnan(cadence(step_events(walker(30, 0.6, 0.9, 200), COCO17, 30)))


def test_falls_are_told_from_bending_and_lying_down():
    fps = 20

    def clip(duration: float, lying: float, rises: bool = False) -> np.ndarray:
        tilt = np.clip(np.arange(fps * 6) / fps - 2, 0, duration) / duration
        tilt = np.where(np.arange(fps * 6) / fps > 2 + duration + lying, 0, tilt) if rises else tilt
        return np.stack([body(lean=88 * t, hips=(0, 75 * t)) for t in tilt])

    fell = fall_signs(clip(0.6, 9), COCO17, fps)
    (moment,) = falls(fell, fps)
    assert 2 < moment < 3
    assert fell.inclination[-1] == pytest.approx(88) and fell.flatness[-1] > 1
    slow = fall_signs(clip(3.0, 9), COCO17, fps)
    assert falls(slow, fps) == []
    short = fall_signs(clip(0.6, 0.3, rises=True), COCO17, fps)
    assert falls(short, fps) == []
    assert falls(fall_signs(np.stack([body()] * 40), COCO17, fps), fps) == []
    assert falls(fall_signs(np.zeros((0, 17, 2)), COCO17, fps), fps) == []
    gone = np.full((40, 17, 2), np.nan)
    assert falls(fall_signs(gone, COCO17, fps), fps) == []


def test_a_smoothed_film_counts_the_same():
    time = np.arange(120) / 20
    rng = np.random.default_rng(1)
    knees = 130 + 45 * np.cos(np.pi * time)
    points = np.stack([body(left_knee=k, right_knee=k) for k in knees])
    points += rng.normal(0, 2.5, points.shape)
    for clip in (points, savitzky_golay(points, 7, 2)):
        assert len(count_repetitions(angle(clip, COCO17, "left_knee"), min_range=30)) == 3


def uneven(seconds: float) -> np.ndarray:
    """Time stamps: 60 frames a second, then between 8 and 25."""
    rng = np.random.default_rng(0)
    steps = np.where(np.arange(400) < 60 * seconds / 2, 1 / 60, rng.uniform(0.04, 0.12, 400))
    times = np.cumsum(steps)
    return times[times < seconds]


def test_times_of_uneven_frames():
    seconds = uneven(8)
    frames = []
    for t in seconds:
        points = body(hips=(60 * t, 0))
        for side, late in (("left", 0.5), ("right", 1.0)):
            points[COCO17.index(f"{side}_ankle"), 0] += 30 * np.cos(2 * np.pi * (t - late))
        frames.append(points)
    steps = step_events(np.array(frames), COCO17, seconds=seconds)
    assert "resampled" in steps.note
    np.testing.assert_allclose(steps.left_strikes, 0.5 + np.arange(8), atol=0.03)
    np.testing.assert_allclose(steps.right_strikes, 1 + np.arange(7), atol=0.03)
    assert cadence(steps) == pytest.approx(120, abs=0.5)
    # Squats of two seconds each, most frames of them in the first four.
    knee = 130 + 50 * np.cos(np.pi * seconds)
    counted = count_repetitions(knee, min_range=30, seconds=seconds)
    assert len(counted) == 4 and counted.seconds is not None
    np.testing.assert_allclose(counted.seconds[:, 1], [1, 3, 5, 7], atol=0.05)
    np.testing.assert_allclose(seconds[counted.turns], [1, 3, 5, 7], atol=0.07)
    tilt = np.clip(seconds - 5, 0, 0.6) / 0.6
    fell = np.stack([body(lean=88 * t, hips=(0, 75 * t)) for t in tilt])
    (moment,) = falls(fall_signs(fell, COCO17, seconds=seconds))
    assert 5 < moment < 6


def test_measurements_refuse_gaps_and_unclear_rates():
    still = np.stack([body(hips=(10 * t, 0)) for t in range(20)])
    seconds = np.append(np.arange(19) / 20, 5.0)
    with pytest.raises(InputError, match=r"frames 18 and 19 are 4\.10 s apart"):
        step_events(still, COCO17, seconds=seconds)
    with pytest.raises(InputError, match="give either fps"):
        step_events(still, COCO17)
    with pytest.raises(InputError, match="20 time stamps for 19 frames"):
        count_repetitions(still[1:, 0, 0], min_range=1, seconds=seconds)
