"""Outputs of every kind as maps to be looked at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import Heatmap, IntegralRegression, Regression, Sample, SimCC
from jaxpose.codecs.visualize import as_maps, has_maps

KEYPOINTS = np.array([[[20.0, 44.0], [37.0, 9.0]]])


@pytest.mark.parametrize(
    "codec",
    [
        Heatmap((64, 48), (16, 12), sigma=1.0),
        IntegralRegression((64, 48), (16, 12), sigma=1.0),
        SimCC((64, 48), sigma=4.0),
        SimCC((64, 48), split_ratio=0.5, sigma=1.0),
    ],
)
def test_the_highest_cell_is_where_the_keypoint_is(codec):
    @jax.jit
    def maps_of(keypoints):
        targets, _ = codec.encode(Sample(jnp.ones((1, 2)), keypoints))
        if isinstance(codec, SimCC):
            targets = tuple(jnp.log(target + 1e-6) for target in targets)
        return as_maps(codec, targets)

    maps = np.asarray(maps_of(KEYPOINTS))[0]
    cell = np.array(codec.input_hw[::-1]) / np.array(maps.shape[1::-1])
    for keypoint, one in zip(KEYPOINTS[0], np.moveaxis(maps, -1, 0), strict=True):
        row, column = np.unravel_index(one.argmax(), one.shape)
        np.testing.assert_allclose([column, row] * cell, keypoint, atol=max(cell[0], 2))


def test_coordinates_are_no_maps():
    assert not has_maps(Regression((64, 48)))
