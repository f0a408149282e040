"""Measures of a whole track, on drawn walks whose figures are known and on motion capture."""

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.measure import Steps, cadence, step_events, step_times
from jaxpose.measure.track import Measures, measure_track
from jaxpose.skeletons import COCO17, COFW29
from tests.benchmarks import measures as benchmark
from tests.measure.test_measure import body, walker

KNEE = Measures(angles=("left_knee",), repetitions=("left_knee",))


def squats(fps: float = 20.0) -> np.ndarray:
    """Five squats of two seconds each, `[200, 17, 2]`."""
    knees = 130 + 50 * np.cos(np.pi * np.arange(200) / fps)
    return np.stack([body(left_knee=k, right_knee=k) for k in knees])


def test_repetitions_angles_and_gaps():
    points, scores = squats(), np.ones((200, 17))
    points[30:34], scores[60:63] = 1e4, 0.1
    scores[30:34] = 0.0  # wrong and uncertain
    found = measure_track(points, scores, COCO17, 20, KNEE, begin=7.0)
    turns = [event.turn for event in found.events]
    np.testing.assert_allclose(turns, [8, 10, 12, 14, 16], atol=0.15)
    assert found.figures["left_knee, repetitions"] == 5
    assert found.figures["left_knee, time of a repetition, s"] == pytest.approx(1.4, abs=0.3)
    assert np.isfinite(found.signals["left_knee"]).all()
    long_gap = measure_track(points, scores, COCO17, 20, Measures(("left_knee",), longest_gap=0))
    assert np.isnan(long_gap.signals["left_knee"]).sum() == 7


def there_and_back() -> np.ndarray:
    """A walk to the right, a stop of two seconds, and the same walk back; 30 frames a second."""
    there = walker(30, 6, 0.9, 80)
    back = walker(30, 6, 0.9, 80) * np.array([-1, 1])[None, None]
    stop = np.repeat(there[-1:], 60, axis=0)
    return np.concatenate([there, stop, back - back[0, :1] + there[-1, :1]])


def test_a_person_who_walks_back_has_steps_both_ways():
    points = there_and_back()
    found = measure_track(points, np.ones((len(points), 17)), COCO17, 30, Measures(gait=True))
    strikes = np.array([e.begin for e in found.events if e.kind == "left strike"])
    expected = 0.5 + np.arange(5) / 0.9
    np.testing.assert_allclose(strikes[:4], expected[:4], atol=0.06)
    np.testing.assert_allclose(strikes[-4:], 8 + expected[1:], atol=0.06)
    assert not ((strikes > 6.5) & (strikes < 7.5)).any()
    assert found.figures["cadence, steps/min"] == pytest.approx(108, abs=2)
    assert found.figures["left step time, s"] == pytest.approx(0.5 / 0.9, abs=0.02)


def test_steps_that_were_not_found_do_not_slow_the_cadence():
    left, right = np.arange(0.0, 8, 1.0), np.arange(0.5, 8, 1.0)
    none = np.zeros(0)
    whole = Steps(left, right, none, none)
    gaps = Steps(left[[0, 1, 4, 5]], right[[0, 4, 5]], none, none)
    assert cadence(whole) == cadence(gaps) == 120
    assert len(step_times(gaps)) == 5 and len(step_times(gaps, "left")) == 2
    assert np.isnan(cadence(Steps(left, none, none, none)))


def test_reasons_for_no_steps():
    still = np.repeat(body()[None], 90, axis=0)
    found = measure_track(still, np.ones((90, 17)), COCO17, 30, Measures(gait=True))
    assert found.notes == ("gait: the person does not walk across the view",)
    scores = np.ones((90, 17))
    scores[:, COCO17.index("left_ankle")] = 0
    found = measure_track(still, scores, COCO17, 30, Measures(gait=True))
    assert "nowhere known for 1.5 s" in found.notes[0] and found.figures["strikes"] == 0
    options = Measures(("left_knee",), falls=True)
    once = measure_track(still[:1], np.ones((1, 17)), COCO17, 30, options)
    assert once.figures["falls"] == 0 and once.signals["left_knee"] == pytest.approx([180])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "at least one of"),
        ({"angles": ("left_kne",)}, "Did you mean 'left_knee'"),
        ({"repetitions": ("knees",)}, "There are left_knee"),
        ({"gait": True, "smooth_seconds": -1.0}, "smooth_seconds must be"),
    ],
)
def test_choices_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=message):
        Measures(**options)


def test_a_skeleton_without_the_joint_is_refused():
    with pytest.raises(InputError, match="unknown keypoint 'left_hip'"):
        measure_track(np.zeros((9, 29, 2)), np.ones((9, 29)), COFW29, 30, KNEE)


def test_treadmill():
    points = walker(30, 6, 0.9, 0)
    options = Measures(gait=True, facing="right")
    found = measure_track(points, np.ones((len(points), 17)), COCO17, 30, options)
    assert found.figures["cadence, steps/min"] == pytest.approx(108, abs=1)
    steps = step_events(points, COCO17, 30, forward=np.array([2.0, 0.0]))
    assert cadence(steps) == pytest.approx(108, abs=1)


@pytest.mark.slow
def test_agreement_with_motion_capture(shared):
    source = shared / "data" / "lifting" / "humaneva15_flat_nopickle.npz"
    if not source.is_file():
        pytest.skip("HumanEva-I is not there")
    walks = benchmark.humaneva(source)["Walking"]
    knee, side = (np.concatenate(part["knee"]) for part in (walks.angles, walks.sides))
    assert knee.mean() < 8 and knee[side].mean() < 5
    assert np.abs(walks.strikes).mean() < 0.015 and walks.extra <= 2
    assert len(walks.strikes) > 1.5 * walks.missed
    for seen, true in walks.cadences:
        assert seen == pytest.approx(true, rel=0.06)
    for name, even, other in benchmark.uneven(source):
        assert other == pytest.approx(even, rel=0.01), name


@pytest.mark.slow
def test_agreement_with_poses_of_human36m(shared):
    folder = shared / "data" / "lifting"
    if not (folder / "h36m_fk17_10hz.npz").is_file():
        pytest.skip("Human3.6M's poses are not there")
    cameras = folder / "h36m_cameras" / "camera-parameters.json"
    walks = benchmark.h36m(folder / "h36m_fk17_10hz.npz", cameras, clips=2)
    knee, side = (np.concatenate(part["knee"]) for part in (walks.angles, walks.sides))
    assert knee[side].mean() < 3 < knee.mean()
    assert np.abs(walks.strikes).mean() < 0.01 and not walks.missed and not walks.extra
