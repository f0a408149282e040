"""Drawings of fields and tags: hues, opacity, shapes that do not fit."""

import numpy as np
import pytest

from jaxpose import viz
from jaxpose.errors import InputError

GREY = np.full((32, 32, 3), 90, np.uint8)


def test_a_field_has_the_hue_of_its_direction_and_none_where_it_is_empty():
    fields = np.zeros((8, 8, 4), np.float32)
    fields[:4, :4, 0] = 1.0  # to the right
    fields[4:, 4:, 2] = -1.0  # to the left
    drawn = viz.draw_fields(GREY, fields, opacity=1.0)
    assert drawn[6, 6].tolist() == [255, 0, 0]
    assert drawn[26, 26].tolist() == [0, 255, 255]
    assert (drawn[6, 28] == 90).all() and (GREY == 90).all()


def test_people_have_different_hues():
    maps, tags = np.zeros((8, 8, 2), np.float32), np.zeros((8, 8, 2), np.float32)
    maps[1:4, 1:4, 0], maps[5:8, 5:8, 1] = 1.0, 1.0
    tags[..., 0], tags[..., 1] = -3.0, 4.0
    drawn = viz.draw_tags(GREY, maps, tags, opacity=1.0)
    one, two = drawn[8, 8].astype(int), drawn[24, 24].astype(int)
    assert one.tolist() == [255, 0, 0] and two[2] > 200 and two[1] == 0
    assert (drawn[2, 30] == 90).all()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="2 L"):
        viz.draw_fields(GREY, np.zeros((8, 8, 3)))
    with pytest.raises(InputError, match="both"):
        viz.draw_tags(GREY, np.zeros((8, 8, 3)), np.zeros((8, 8, 2)))
