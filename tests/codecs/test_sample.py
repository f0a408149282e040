"""Labels of one person or of many, and what of them weighs."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import Heatmap, IntegralRegression, Megvii, Regression, SimCC
from jaxpose.codecs.sample import Sample

VISIBLE = jnp.asarray([[[2, 1, 0], [2, 2, 2]]])


def test_only_labelled_keypoints_of_real_people_weigh():
    assert Sample(VISIBLE).weights().tolist() == [[[1, 1, 0], [1, 1, 1]]]
    one = jnp.asarray([[True, False]])
    assert Sample(VISIBLE, valid=one).weights().tolist() == [[[1, 1, 0], [0, 0, 0]]]
    assert Sample(VISIBLE, crowd=one).weights().tolist() == [[[0, 0, 0], [1, 1, 1]]]


@pytest.mark.parametrize(
    "codec",
    [
        Heatmap((32, 24), (8, 6), 1.0),
        Megvii((32, 24), (8, 6), 3),
        SimCC((32, 24)),
        Regression((32, 24)),
        IntegralRegression((32, 24), (8, 6), 1.0),
    ],
    ids=lambda codec: type(codec).__name__,
)
def test_a_person_who_is_not_there_weighs_nothing(codec):
    sample = Sample(
        jnp.full((2, 3), 2), jnp.full((2, 3, 2), 12.0), valid=jnp.asarray([True, False])
    )
    assert codec.encode(sample).weights.tolist() == [[1, 1, 1], [0, 0, 0]]


def test_an_empty_map_holds_no_keypoint():
    maps = np.zeros((1, 8, 6, 2), np.float32)
    maps[0, 3, 2, 1] = 1.0
    for codec in (Heatmap((32, 24), (8, 6), 1.0), Megvii((32, 24), (8, 6), 3)):
        assert codec.decode(jnp.asarray(maps)).valid.tolist() == [[False, True]]
