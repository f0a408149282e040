"""Centres and offsets of many people: targets, what of them weighs, and back to people."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import CenterOffsets, Sample
from jaxpose.errors import InputError
from jaxpose.losses import CenterOffsetLoss

CODEC = CenterOffsets((64, 48), (32, 24), sigma=1.0, radius=2.0, max_people=4)
POINTS = np.array(
    [[[[10.0, 8.0], [16.0, 20.0], [8.0, 25.0]], [[30.0, 30.0], [40.0, 44.0], [35.0, 55.0]]]],
    np.float32,
)
encode, decode = jax.jit(CODEC.encode), jax.jit(CODEC.decode)


def sample(points=POINTS, visible=None, **known):
    visible = np.full(points.shape[:3], 2) if visible is None else np.asarray(visible)
    return Sample(jnp.asarray(visible), jnp.asarray(points), **known)


def people(decoded):
    """Keypoints `[P, K, 2]` of the first image, from left to right."""
    found = np.asarray(decoded.keypoints[0])[np.asarray(decoded.valid[0]).any(axis=-1)]
    return found[np.argsort(found[:, :, 0].mean(axis=1))]


def test_what_was_encoded_is_decoded():
    decoded = decode(encode(sample()).values)
    np.testing.assert_allclose(people(decoded), POINTS[0], atol=0.05)
    assert decoded.valid.sum(axis=1).tolist() == [[2, 2, 2]]
    assert (np.asarray(decoded.scores)[np.asarray(decoded.valid)] > 0.8).all()
    assert (np.asarray(decoded.scores)[~np.asarray(decoded.valid)] == 0).all()


@pytest.mark.parametrize("known", ["valid", "crowd"])
def test_padded_people_and_crowds_change_no_target(known):
    alone = encode(sample(POINTS[:, :1]))
    flag = jnp.asarray([[known == "valid", known != "valid"]])
    both = encode(sample(**{known: flag}))
    for ours, theirs in zip(jax.tree.leaves(both), jax.tree.leaves(alone), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_regions_that_are_not_counted_weigh_nothing():
    counted = np.ones((1, 32, 24), bool)
    counted[:, :16] = False
    targets, (pixels, offsets) = encode(sample(counted=jnp.asarray(counted)))
    assert float(pixels[:, :16].max()) == 0 and float(pixels[:, 16:].min()) == 1
    assert float(offsets[:, :16].max()) == 0 and float(offsets[:, 16:].max()) > 0
    loss = CenterOffsetLoss()
    wrong = jax.tree.map(lambda x: x.at[:, :16].add(7.0), targets)
    assert float(loss(wrong, targets, (pixels, offsets))) == 0
    worse = jax.tree.map(lambda x: x.at[:, 16:].add(7.0), targets)
    assert float(loss(worse, targets, (pixels, offsets))) > 1


def test_unlabelled_keypoints_weigh_nothing_even_if_they_are_no_numbers():
    points = POINTS.copy()
    points[0, 0, 1] = np.nan
    (maps, offsets), (_, weights) = encode(sample(points, [[[2, 0, 1], [2, 2, 2]]]))
    assert np.isfinite(maps).all() and np.isfinite(offsets).all()
    center = np.round(POINTS[0, 0, [0, 2]].mean(axis=0) * 31 / 63).astype(int)
    at = np.asarray(weights)[0, center[1], center[0]]
    assert at[1] == 0 and at[0] > 0
    assert not np.asarray(maps)[0, :14, :12, 1].any()


def test_offsets_count_relative_to_the_persons_extent():
    small, large = POINTS[:, :1], POINTS[:, :1] * 2.0
    loss, values = CenterOffsetLoss(), []
    for points in (small, large):
        targets, weights = encode(sample(points))
        off = targets[0], targets[1] + 0.1 * (points.max() - points.min())
        values.append(float(loss.offset_term(off, targets, weights)))
    np.testing.assert_allclose(values[1], values[0], rtol=0.02)


def test_where_two_people_claim_a_pixel_the_smaller_has_it():
    points = np.stack([POINTS[0, 0] * 2 - POINTS[0, 0].mean(axis=0), POINTS[0, 0]])[None]
    for order in ([0, 1], [1, 0]):
        (_, offsets), _ = encode(sample(points[:, order]))
        alone = encode(sample(points[:, 1:])).values[1]
        x, y = np.round(POINTS[0, 0].mean(axis=0) * [23 / 47, 31 / 63]).astype(int)
        np.testing.assert_allclose(offsets[0, y, x], alone[0, y, x], atol=1e-5)


def test_a_mirrored_image_gives_mirrored_outputs():
    permutation = np.array([1, 0, 2])
    mirrored = POINTS[:, :, permutation] * [-1, 1] + [47, 0]
    outputs = CODEC.flip_back(encode(sample(mirrored.astype(np.float32))).values, permutation)
    for ours, theirs in zip(outputs, encode(sample()).values, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_a_person_may_leave_the_image():
    points = POINTS.copy()
    points[0, 1, 2] = [35.0, 90.0]
    maps = encode(sample(points)).values[0]
    assert float(maps[..., 2].max()) < 1.0 or float(maps[0, 20:, :, 2].max()) == 0
    assert people(decode(encode(sample(points)).values)).shape[0] == 2


def test_an_image_without_people_has_none():
    nobody = encode(sample(valid=jnp.zeros((1, 2), bool)))
    assert not np.asarray(decode(nobody.values).valid).any()
    assert float(CenterOffsetLoss()(nobody.values, nobody.values, nobody.weights)) == 0


@pytest.mark.parametrize(
    "wrong", [{"window": 4}, {"max_people": 0}, {"sigma": 0.0}, {"heatmap_hw": (1, 1)}]
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(InputError):
        CenterOffsets(**wrong)
