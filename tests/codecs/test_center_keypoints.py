"""MoveNet's codec and loss: targets back to keypoints, the steps of the decoding by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import CenterKeypoints, Sample
from jaxpose.codecs.center_keypoints import CenterFields
from jaxpose.errors import InputError
from jaxpose.losses import CenterKeypointLoss

CODEC = CenterKeypoints((48, 64), sigma=1.0)
POINTS = np.array([[[20.0, 8.0], [33.3, 21.7], [40.0, 41.0]]], np.float32)
encode, decode = jax.jit(CODEC.encode), jax.jit(CODEC.decode)


def sample(points=POINTS, visible=None):
    visible = np.full(points.shape[:2], 2) if visible is None else np.asarray(visible)
    return Sample(jnp.asarray(visible), jnp.asarray(points))


def as_outputs(values):
    """Fields of probabilities -> outputs, which are logits."""
    logit = [jax.scipy.special.logit(jnp.clip(x, 0.01, 0.99)) for x in values[:2]]
    return CenterFields(*logit, *values[2:])


def test_what_was_encoded_is_decoded():
    targets, weights = encode(sample())
    decoded = decode(as_outputs(targets))
    np.testing.assert_allclose(decoded.keypoints, POINTS, atol=1e-4)
    np.testing.assert_allclose(decoded.scores, 0.99, rtol=1e-5)
    assert weights.tolist() == [[1, 1, 1]] and decoded.valid.all()
    assert {x.shape[1:] for x in targets} == set(CODEC.output_shapes(3)[0])


def test_a_peak_near_the_regressed_place_beats_a_higher_one_far_away():
    """0.5 / 1.8 at the place, 0.9 / (1.8 + d) d cells away: equal at d = 1.44."""
    fields = CenterFields(*(np.full((1, 12, 16, n), -9.0, np.float32) for n in (1, 1, 2, 2)))
    fields = fields._replace(
        regression=np.zeros((1, 12, 16, 2), np.float32),
        offsets=np.full((1, 12, 16, 2), 0.5, np.float32),
    )
    fields.center[0, 5, 5] = 3.0
    fields.heatmaps[0, 5, 5] = 0.0
    for distance, wins in ((1, True), (2, False)):
        heatmaps = fields.heatmaps.copy()
        heatmaps[0, 5, 5 + distance] = np.log(0.9 / 0.1)
        found = decode(fields._replace(heatmaps=heatmaps))
        x = 5 + distance if wins else 5
        np.testing.assert_allclose(found.keypoints[0, 0], [4 * x + 1.5, 21.5], atol=1e-4)
        np.testing.assert_allclose(found.scores[0, 0], 0.9 if wins else 0.5, rtol=1e-5)


def test_the_centre_nearest_to_the_middle_of_the_input_is_taken():
    center = np.full((1, 12, 16, 1), -9.0, np.float32)
    center[0, 6, 9], center[0, 1, 1] = -1.0, 0.0
    regression = np.zeros((1, 12, 16, 2), np.float32)
    flat = CenterFields(center, np.zeros((1, 12, 16, 1)), regression, regression)
    # All cells of the keypoint are alike: the nearest to the centre is taken.
    np.testing.assert_allclose(decode(flat).keypoints[0, 0], [35.5, 23.5], atol=1e-4)


def test_mirrored_outputs_come_back():
    permutation = np.array([0, 2, 1])
    targets = as_outputs(encode(sample()).values)
    points = POINTS[:, permutation]
    points[..., 0] = 63 - points[..., 0]
    mirrored = as_outputs(encode(sample(points)).values)
    back = CODEC.flip_back(mirrored, permutation)
    np.testing.assert_allclose(decode(back).keypoints, POINTS, atol=1e-4)
    for ours, theirs in zip(back, targets, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert CODEC.average(back, targets).center.dtype == jnp.float32


def test_unlabelled_keypoints_weigh_nothing_even_if_they_are_no_numbers():
    points = POINTS.copy()
    points[0, 1] = np.nan
    targets, weights = encode(sample(points, [[2, 0, 1]]))
    assert weights.tolist() == [[1, 0, 1]]
    assert all(np.isfinite(x).all() for x in targets)
    np.testing.assert_array_equal(np.argwhere(targets.center[0, ..., 0] == 1), [[6, 7]])
    outside = encode(sample(POINTS + np.array([100.0, 0.0], np.float32)))
    assert not outside.weights.any() and not outside.values.center.any()


def test_the_loss_counts_vectors_where_the_point_is_and_nothing_unlabelled():
    targets, weights = encode(sample())
    perfect = as_outputs(targets)
    with_terms = jax.jit(CenterKeypointLoss(regression=1.0).with_terms)
    total, terms = with_terms(perfect, targets, weights)
    np.testing.assert_allclose(total, sum(terms.values()), rtol=1e-6)
    assert terms["regression"] == 0 and terms["offsets"] == 0
    moved = perfect._replace(offsets=perfect.offsets + 0.25, regression=perfect.regression - 0.5)
    _, terms = with_terms(moved, targets, weights)
    # Two axes for each of the three keypoints, the mean over keypoints.
    np.testing.assert_allclose(terms["offsets"], 0.5, rtol=1e-5)
    np.testing.assert_allclose(terms["regression"], 1.0, rtol=1e-5)
    wrong = jax.tree.map(lambda x: x + 1.0, perfect)
    assert float(with_terms(wrong, targets, jnp.zeros((1, 3)))[0]) == 0


def test_gradients_of_the_loss_lead_to_the_targets():
    targets, weights = encode(sample())
    fields = jax.tree.map(jnp.zeros_like, targets)
    loss = CenterKeypointLoss()

    @jax.jit
    def step(fields):
        gradients = jax.grad(lambda f: loss(f, targets, weights))(fields)
        return jax.tree.map(lambda x, g: x - 0.3 * g, fields, gradients)

    for _ in range(300):
        fields = step(fields)
    np.testing.assert_allclose(decode(fields).keypoints, POINTS, atol=1.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"input_hw": (190, 192)}, "no multiple of stride 4"), ({"sigma": 0.0}, "sigma positive")],
)
def test_settings_without_sense_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        CenterKeypoints(**wrong)
