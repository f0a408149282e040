"""Drawings of surfaces: what is covered, which colours, and where the lines are."""

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.viz.surfaces import draw_surface, enlarge_map

GREY = np.full((9, 40, 3), 100, np.uint8)


def ramp():
    """Part 2 in columns 4 to 35, with U from 0 to 1 along x and V = 0; part 3 in the last rows."""
    iuv = np.zeros((9, 40, 3))
    iuv[:, 4:36, 0] = 2
    iuv[:, 4:36, 1] = (np.arange(32) + 0.5) / 32
    iuv[6:, 4:36, 0] = 3
    return iuv


def test_parts_have_colours_and_lines_where_u_passes_a_quarter():
    drawn = draw_surface(GREY, ramp(), opacity=1.0)
    assert (drawn[:, :4] == 100).all() and (drawn[:, 36:] == 100).all()
    row = drawn[0, 4:36].astype(int)
    plain = row[0]
    lines = np.flatnonzero((row != plain).any(axis=1))
    np.testing.assert_array_equal(lines, [7, 15, 23])  # the last pixels before 1/4, 1/2 and 3/4
    assert (row[lines] > plain).any(axis=1).all()
    assert (drawn[8, 5] != drawn[0, 5]).any()
    assert (drawn[5, 5] == drawn[0, 5]).all()  # no line between two parts
    half = draw_surface(GREY, ramp(), opacity=0.5)
    np.testing.assert_allclose(half[0, 5], (100 + plain) / 2, atol=1)
    darker = ramp()
    darker[..., 2] = (darker[..., 0] > 0) * 0.2
    assert draw_surface(GREY, darker, opacity=1.0)[0, 5].sum() < plain.sum()
    assert enlarge_map(ramp(), 3).shape == (27, 120, 3)


def test_maps_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"\[8, 40, 3\], the image \[9, 40, 3\]"):
        draw_surface(GREY, ramp()[:8])
    wrong = ramp()
    wrong[0, 0, 0] = 25
    with pytest.raises(InputError, match="outside 0 to 24"):
        draw_surface(GREY, wrong)
