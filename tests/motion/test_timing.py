"""Even rows from time stamps: their rate, what is between frames, what is refused."""

from fractions import Fraction

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.motion.timing import even_clock, exact_rate

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize("rate", [NTSC, Fraction(24000, 1001), Fraction(60000, 1001), 24, 25, 12.5])
@pytest.mark.parametrize("rounded", [False, True])
def test_even_frames_keep_their_rate(rate, rounded):
    times = 0.034 + np.arange(300) / float(rate)
    clock = even_clock(np.round(times, 3) if rounded else times)
    assert clock.even and clock.rate == Fraction(rate) and clock.note() == ""
    np.testing.assert_allclose(clock.rows, times, atol=1.1e-3 if rounded else 1e-9)
    values = np.random.default_rng(0).normal(size=(300, 2))
    np.testing.assert_array_equal(clock.to_rows(values), values)
    np.testing.assert_array_equal(clock.to_frames(values), values)


def test_a_stated_rate_is_used_where_the_frames_have_it():
    times = np.arange(10) / 30
    assert even_clock(times, float(NTSC)).rate == NTSC  # ten frames fit both
    assert even_clock(times, 25.0).rate == 30
    # The last frame of a file may be shorter, which changes the average.
    assert even_clock(np.arange(50) / 25, 800000 / 31893).rate == 25
    assert exact_rate(2025000 / 70319) == Fraction(2025000, 70319)


def test_missing_frames_are_rows():
    kept = np.delete(np.arange(100), [7, 8, 50])
    clock = even_clock(kept / 25)
    assert (clock.rate, clock.count, clock.even) == (25, 100, False)
    assert clock.note() == "3 frames are missing among those at 25 a second"
    values = np.stack([kept, kept**2], axis=-1)
    rows = clock.to_rows(values)
    np.testing.assert_array_equal(rows[kept], values)
    np.testing.assert_allclose(rows[[7, 8, 50], 0], [7, 8, 50], atol=1e-9)
    np.testing.assert_array_equal(clock.to_frames(rows), values)
    assert np.isnan(clock.to_rows(values, longest_gap=0.1)[[7, 8]]).all()


def test_uneven_frames_are_interpolated_by_their_time_stamps():
    rng = np.random.default_rng(0)
    times = 3.0 + np.cumsum(rng.uniform(0.012, 0.06, 200))
    clock = even_clock(times)
    assert clock.places is None and "resampled" in clock.note()
    assert clock.rows[0] == times[0] and clock.rows[-1] == pytest.approx(times[-1], abs=1e-6)
    np.testing.assert_allclose(np.diff(clock.rows), 1 / clock.fps, rtol=1e-9)
    wave = np.sin(2 * np.pi * times)
    rows = clock.to_rows(wave)
    np.testing.assert_allclose(rows, np.sin(2 * np.pi * clock.rows), atol=0.01)
    np.testing.assert_allclose(clock.to_frames(rows), wave, atol=0.01)


def test_long_gaps_and_missing_values_stay_empty():
    times = np.concatenate([np.arange(5.0), 4 + np.arange(1, 61) / 60, 5 + np.arange(1, 30) / 25])
    clock = even_clock(times)
    rows = clock.to_rows(times)
    assert np.isfinite(clock.to_frames(rows)).all()
    known = np.isfinite(rows)
    np.testing.assert_allclose(rows[known], clock.rows[known], atol=0.02)
    between = (clock.rows > 0.1) & (clock.rows < 3.9) & (np.abs(clock.rows % 1 - 0.5) < 0.4)
    assert not known[between].any() and known[clock.rows > 4].all()
    assert "nothing is filled into 4 gaps of more than 0.5 s" in clock.note()
    values = np.where(np.arange(len(times)) == 30, np.nan, times)
    lost = np.isnan(clock.to_rows(values)) & (clock.rows > 4)
    assert lost.any() and np.abs(clock.rows[lost] - times[30]).max() < 0.02


def test_noise_is_not_enlarged_beside_a_short_step():
    times = np.sort(np.concatenate([np.arange(20) / 10, [0.501]]))
    clock = even_clock(times)
    values = np.where(np.isclose(times, 0.501), 1.0, 0.0)
    assert np.nanmax(np.abs(clock.to_rows(values))) <= 1.01


def test_what_cannot_be_resampled_is_refused():
    for times, message in (
        ([0.0, 0.1, 0.05], "run backwards: frame 2 of 3 is at 0.050 s, after 0.100 s"),
        ([0.0, np.nan], "one number for each frame"),
        ([], "one number for each frame"),
        (np.append(np.arange(1000) / 1000, 1e5), "need .* rows at an even rate"),
    ):
        with pytest.raises(InputError, match=message):
            even_clock(np.array(times))
    # Browsers' recordings hold frames with one time stamp.
    clock = even_clock(np.array([0, 0.033, 0.033, 0.066, 0.1]))
    assert np.isfinite(clock.to_rows(np.arange(5.0))).all()
