"""Score maps and offsets: the same targets, loss and keypoints as DeepLabCut's, and round trips.

`golden/scoremap.npz` has arrays that DeepLabCut 3.0.0rc13 computed with its default settings
(a Gaussian of 17 px, offsets in units of 7.2801, missing keypoints masked), for maps of 24 x 16
cells of 4 pixels.
"""

from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import Sample, Scoremap
from jaxpose.codecs.scoremap import ScoremapOutputs
from jaxpose.errors import InputError
from jaxpose.losses import ScoremapLoss

CODEC = Scoremap((96, 64))


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[1] / "golden/scoremap.npz") as file:
        return dict(file)


def channels_last(maps):
    return maps.transpose(0, 2, 3, 1)


def outputs(golden):
    offsets = channels_last(golden["outputs_locref"]).reshape(2, 24, 16, 5, 2)
    return ScoremapOutputs(
        jnp.asarray(channels_last(golden["outputs_heatmap"])), jnp.asarray(offsets)
    )


def sample(golden):
    return Sample(golden["keypoints"][..., 2], golden["keypoints"][..., :2])


def test_targets_are_deeplabcuts(golden):
    targets, weights = CODEC.encode(sample(golden))
    np.testing.assert_array_equal(weights, golden["heatmap_weights"])
    np.testing.assert_allclose(targets.scores, channels_last(golden["heatmap"]), atol=1e-6)
    near = channels_last(golden["near"]).reshape(2, 24, 16, 5, 2)
    np.testing.assert_array_equal(np.repeat(targets.near[..., None], 2, -1), near)
    wanted = channels_last(golden["locref"]).reshape(2, 24, 16, 5, 2)
    np.testing.assert_allclose(targets.offsets * near, wanted * near, atol=1e-5)
    off, _ = replace(CODEC, reach=18.0).encode(sample(golden))
    assert np.abs(off.scores - channels_last(golden["heatmap"])).max() > 0.01


def test_keypoints_are_deeplabcuts(golden):
    decoded = CODEC.decode(outputs(golden))
    np.testing.assert_allclose(decoded.keypoints, golden["poses"][..., :2], rtol=1e-5)
    np.testing.assert_allclose(decoded.scores, golden["poses"][..., 2], rtol=1e-6)


def test_the_loss_is_deeplabcuts(golden):
    targets, weights = CODEC.encode(sample(golden))
    _, terms = ScoremapLoss().with_terms(outputs(golden), targets, weights)
    np.testing.assert_allclose(terms["scores"], golden["loss_heatmap"], rtol=1e-5)
    np.testing.assert_allclose(terms["offsets"], 0.05 * golden["loss_locref"], rtol=1e-4)


@pytest.mark.parametrize("refine", [True, False])
def test_keypoints_come_back(refine):
    codec = replace(CODEC, refine=refine)
    points = np.random.default_rng(0).uniform(6, 58, (2, 5, 2)).astype(np.float32)
    targets, weights = codec.encode(Sample(np.full((2, 5), 2), points))
    given = ScoremapOutputs(*targets[:2]) if refine else targets
    found = codec.decode(given)
    assert weights.all()
    away = np.abs(found.keypoints - points).max()
    assert away < 1e-4 if refine else 1 < away <= 2.001
    missing = points.copy()
    missing[0, 0] = np.nan
    targets, weights = codec.encode(Sample(np.full((2, 5), 2), missing))
    assert weights[0, 0] == 0 and np.isfinite(targets.scores if refine else targets).all()


def test_mirrored_outputs_are_those_of_the_mirrored_image():
    points = np.random.default_rng(1).uniform(8, 56, (1, 4, 2)).astype(np.float32)
    order = np.array([1, 0, 3, 2])
    mirrored = (np.float32([63, 0]) + np.float32([-1, 1]) * points)[:, order]
    targets, _ = CODEC.encode(Sample(np.full((1, 4), 2), mirrored))
    back = CODEC.flip_back(ScoremapOutputs(*targets[:2]), order)
    np.testing.assert_allclose(CODEC.decode(back).keypoints, points, atol=1e-3)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="not in cells of stride 4"):
        Scoremap((97, 64))
    with pytest.raises(InputError, match="must be positive"):
        Scoremap(reach=0.0)


def test_maps_may_have_a_cell_beyond_the_input():
    codec = Scoremap((96, 64), 8, beyond=1)
    assert codec.output_shapes(5) == (((13, 9, 5), (13, 9, 5, 2)),) and not codec.averages
    points = np.random.default_rng(2).uniform(1, 63, (2, 5, 2)).astype(np.float32)
    targets, _ = codec.encode(Sample(np.full((2, 5), 2), points))
    found = codec.decode(ScoremapOutputs(*targets[:2]))
    np.testing.assert_allclose(found.keypoints, points, atol=1e-4)
