"""Vector fields: targets, voting as PVNet's, and keypoints that come back from both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import FieldVoting, Sample, VectorFields
from jaxpose.codecs.vector_voting import (
    line_crossings,
    nearest_by_angle,
    nearest_points,
    supporters,
    weighted_covariance,
)
from jaxpose.errors import InputError
from jaxpose.losses import VectorFieldLoss
from jaxpose.models.pvnet import VectorFieldHead


@pytest.fixture(scope="module")
def voting(shared):
    with np.load(shared / "golden/functions_object.npz") as file:
        prefix = "pvnet/voting/"
        return {k.removeprefix(prefix): v for k, v in file.items() if k.startswith(prefix)}


def close(found, expected, tolerance=1e-5):
    scale = max(np.abs(expected).max(), 1)
    np.testing.assert_allclose(found, expected, atol=tolerance * scale)


def test_votes_are_pvnets(voting):
    y, x = np.nonzero(voting["mask"])
    points = jnp.asarray(np.stack([x, y], axis=1), jnp.float32)
    directions = jnp.asarray(voting["vertex"][y, x])
    everyone = jnp.ones(len(points), bool)
    crossings, supported = jax.jit(line_crossings), jax.jit(supporters)
    made = crossings(points, directions, jnp.asarray(voting["indices"]))
    close(made, voting["hypotheses"])
    votes = np.asarray(supported(points, directions, made, 0.99, everyone))
    np.testing.assert_array_equal(votes.sum(-1), voting["inlier_counts"])
    best = votes.sum(-1).argmax(0)
    support = votes[best, np.arange(4)]
    keypoints = jax.jit(nearest_points)(points, directions, support)
    close(keypoints, voting["keypoints"][0])
    pairs = jnp.asarray(voting["distribution_indices"].reshape(-1, 4, 2))
    made = crossings(points, directions, pairs)
    share = np.asarray(supported(points, directions, made, 0.99, everyone)).mean(-1)
    found = jax.jit(weighted_covariance)(made, share, keypoints)
    close(found, voting["covariance"][0])


def test_targets_are_pvnets(voting):
    codec = FieldVoting(voting["mask"].shape)
    points = jnp.asarray(voting["keypoints_true"])[None]
    sample = Sample(
        jnp.full((1, 4), 2), points, mask=jnp.asarray(voting["mask"], jnp.float32)[None]
    )
    targets, weights = jax.jit(codec.encode)(sample)
    close(targets.vectors[0], voting["vertex_target"])
    np.testing.assert_array_equal(targets.mask[0, ..., 1], voting["mask"])
    np.testing.assert_array_equal(weights, np.ones((1, 4)))


def test_a_coarse_head_gives_fields_of_the_input():
    """Linear features of stride 4 become a linear field, apart from the borders."""
    x = jnp.arange(10.0) * 4 + 1.5  # centres of the cells in input pixels
    features = jnp.broadcast_to(x[None, None, :, None], (1, 8, 10, 1))
    head = VectorFieldHead(2, scale=4)
    variables = head.init(jax.random.key(0), features)
    weights = jnp.ones_like(variables["params"]["final"]["kernel"])
    params = {"final": {"kernel": weights, "bias": jnp.zeros(6)}}
    fields = head.apply({"params": params}, features)
    assert fields.mask.shape == (1, 32, 40, 2) and fields.vectors.shape == (1, 32, 40, 4)
    np.testing.assert_allclose(fields.vectors[0, 9, 2:-2, 0], np.arange(40)[2:-2], atol=1e-4)


CODEC = FieldVoting((32, 40), voters=256, hypotheses=64)
decode = jax.jit(CODEC.decode)  # compiled once, for two images


def disc():
    y, x = np.mgrid[:32, :40]
    return ((x - 18) ** 2 + (y - 15) ** 2 < 80).astype(np.float32)


KEYPOINTS = np.array([[18.3, 14.6], [25.0, 9.5], [50.0, -7.0]], np.float32)  # the last is outside


def test_keypoints_come_back_and_the_spread_grows_with_the_noise():
    sample = Sample(
        jnp.full((2, 3), 2), jnp.tile(KEYPOINTS, (2, 1, 1)), mask=jnp.tile(disc(), (2, 1, 1))
    )
    fields = jax.jit(CODEC.encode)(sample).values
    noise = 0.05 * np.random.default_rng(0).normal(size=fields.vectors.shape)
    noise[0] = 0
    found = decode(fields._replace(vectors=fields.vectors + noise))
    np.testing.assert_allclose(found.keypoints[0], KEYPOINTS, atol=1e-2)
    np.testing.assert_allclose(found.keypoints[1, :2], KEYPOINTS[:2], atol=0.5)
    np.testing.assert_allclose(found.keypoints[1, 2], KEYPOINTS[2], atol=6)
    spread = np.linalg.eigvalsh(found.covariance)
    assert (spread[0] < 1e-6).all() and (spread[1, :, 1] > 1e-3).all()
    # Along the line of sight to the far keypoint, it is least certain.
    assert spread[1, 2, 1] > 10 * spread[1, 0, 1]
    assert (found.scores[0] > 0.9).all() and found.valid.all()


def test_noise_of_directions_does_not_move_keypoints_to_the_pixels():
    """A keypoint outside a disc of pixels whose directions have errors of 10 degrees."""
    y, x = np.nonzero(disc())
    points = jnp.asarray(np.stack([x, y], axis=1), jnp.float32)
    true = np.array([[33.0, 15.0]])
    away = true - np.asarray(points)
    turn = np.deg2rad(10) * np.random.default_rng(0).normal(size=len(points))
    angle = np.arctan2(away[:, 1], away[:, 0]) + turn
    directions = jnp.asarray(np.stack([np.cos(angle), np.sin(angle)], -1)[:, None])
    everyone = jnp.ones(len(points), bool)
    biased = jax.jit(nearest_points)(points, directions, everyone[None])
    assert biased[0, 0] < 31  # the published estimate is nearer to the disc
    found, covariance = jax.jit(nearest_by_angle)(points, directions, biased, everyone)
    np.testing.assert_allclose(found, true, atol=0.5)
    assert covariance[0, 0, 0] > 2 * covariance[0, 1, 1] > 0  # depth is less certain
    nobody = jax.jit(nearest_by_angle)(points, directions, biased, jnp.zeros(len(points), bool))
    assert np.isfinite(nobody[0]).all() and np.isfinite(nobody[1]).all()


@pytest.mark.parametrize("offsets", [False, True])
def test_coarse_fields_give_the_same_keypoints(offsets):
    codec = FieldVoting((32, 40), stride=4, offsets=offsets)
    sample = Sample(jnp.full((1, 3), 2), jnp.asarray(KEYPOINTS)[None], mask=disc()[None])
    fields = jax.jit(codec.encode)(sample).values
    assert fields.mask.shape == (1, 8, 10, 2) and fields.vectors.shape == (1, 8, 10, 6)
    assert codec.output_shapes(3) == (((8, 10, 2), (8, 10, 6)),)
    np.testing.assert_allclose(jax.jit(codec.decode)(fields).keypoints[0], KEYPOINTS, atol=1e-2)
    if offsets:  # tenths of the longer side
        inside = fields.mask[0, ..., 1] > 0
        assert fields.vectors[0, 3, 4, 0] == pytest.approx((KEYPOINTS[0, 0] - 17.5) / 4, abs=1e-4)
        assert inside[3, 4]


def test_a_head_of_positions_gives_offsets():
    """The same position in all pixels is one point, from which the offsets are measured."""
    head = VectorFieldHead(1, scale=2, hidden=8, positions=True)
    variables = head.init(jax.random.key(0), jnp.zeros((1, 8, 10, 3)))
    final = variables["params"]["final"]
    params = dict(variables["params"], final={
        "kernel": jnp.zeros_like(final["kernel"]), "bias": jnp.array([0, 0, 0.3, -0.2])
    })  # fmt: skip
    fields = jax.jit(lambda p, x: head.apply({"params": p}, x))(params, jnp.ones((1, 8, 10, 3)))
    codec = FieldVoting((16, 20), offsets=True)
    everywhere = fields._replace(mask=jnp.tile(jnp.array([0.0, 1.0]), (1, 16, 20, 1)))
    found = jax.jit(codec.decode)(everywhere).keypoints[0, 0]
    # The middle of the image, and 0.3 and -0.2 of the longer side.
    np.testing.assert_allclose(found, [9.5 + 0.3 * 20, 7.5 - 0.2 * 20], atol=1e-2)


def test_an_image_without_the_object_has_no_keypoints():
    nothing = VectorFields(jnp.zeros((2, 32, 40, 2)), jnp.ones((2, 32, 40, 6)))
    found = decode(nothing)
    assert not found.valid.any() and np.isfinite(found.keypoints).all()
    np.testing.assert_array_equal(found.scores, 0)


def test_the_loss_counts_labelled_pixels_of_the_object_alone():
    sample = Sample(jnp.array([[2, 0, 2], [2, 2, 2]]), jnp.tile(KEYPOINTS, (2, 1, 1)),
                    mask=jnp.tile(disc(), (2, 1, 1)))  # fmt: skip
    targets, weights = jax.jit(CODEC.encode)(sample)
    weights = weights * jnp.array([[1.0], [0.0]])  # the second only pads the batch
    certain = VectorFields(40 * (targets.mask - 0.5), targets.vectors)
    off = certain._replace(vectors=targets.vectors + jnp.asarray(1 - disc())[None, ..., None])
    loss = jax.jit(VectorFieldLoss().with_terms)
    assert float(loss(off, targets, weights)[0]) == pytest.approx(0, abs=1e-6)
    shifted = certain._replace(vectors=targets.vectors.at[:, :, :, 0].add(3.0))
    _, terms = loss(shifted, targets, weights)
    # One of two labelled keypoints is wrong by 3 in x: smooth L1 of 2.5, over two.
    assert float(terms["vectors"]) == pytest.approx(1.25, rel=1e-4)
    blank = certain._replace(mask=jnp.zeros_like(certain.mask))
    assert float(loss(blank, targets, weights)[0]) == pytest.approx(np.log(2), rel=1e-4)


def test_what_is_missing_is_named():
    with pytest.raises(InputError, match="needs the masks of objects"):
        CODEC.encode(Sample(jnp.ones((1, 3)), jnp.zeros((1, 3, 2))))
    with pytest.raises(InputError, match="not averaged"):
        CODEC.average(None, None)
    with pytest.raises(InputError, match="voters >= 2"):
        FieldVoting((8, 8), voters=1)
    with pytest.raises(InputError, match="stride that divides"):
        FieldVoting((8, 10), stride=4)
    with pytest.raises(InputError, match="angle_steps"):
        FieldVoting((8, 8), angle_steps=-1)
