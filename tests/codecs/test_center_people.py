"""MultiPose's codec and loss: targets back to people, and the steps of the decoding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import CenterPeople, Sample
from jaxpose.errors import InputError
from jaxpose.losses import CenterPeopleLoss

CODEC = CenterPeople((64, 96), sigma=1.0, max_people=3)
PEOPLE = np.array(
    [
        [
            [[20.0, 10.0], [12.3, 30.5], [31.0, 33.0]],
            [[70.0, 12.0], [61.0, 35.0], [82.0, 30.0]],
        ]
    ],
    np.float32,
)
encode, decode = jax.jit(CODEC.encode), jax.jit(CODEC.decode)
with_terms = jax.jit(CenterPeopleLoss().with_terms)


def sample(points=PEOPLE, visible=None, **known):
    visible = np.full(points.shape[:-1], 2) if visible is None else np.asarray(visible)
    return Sample(jnp.asarray(visible), jnp.asarray(points), **known)


def as_outputs(values):
    """Fields of probabilities -> outputs, which are logits; the boxes a little larger."""
    logits = [jax.scipy.special.logit(jnp.clip(x, 0.001, 0.99)) for x in values[:2]]
    return type(values)(*logits, *values[2:5], values.box_sizes + 2)


def test_people_who_were_encoded_are_decoded():
    targets, _ = encode(sample())
    found = decode(as_outputs(targets))
    assert found.valid.all(axis=-1).tolist() == [[True, True, False]]
    order = np.argsort(found.keypoints[0, :2, 0, 0])
    np.testing.assert_allclose(np.asarray(found.keypoints)[0, order], PEOPLE[0], atol=1e-3)
    assert (np.asarray(found.scores)[0, :2] > 0.8).all() and not found.scores[0, 2].any()
    assert {x.shape[1:] for x in targets} == set(CODEC.output_shapes(3)[0])


def test_a_keypoint_outside_of_the_persons_box_is_not_taken():
    targets, _ = encode(sample(PEOPLE[:, :1]))
    outputs = as_outputs(targets)
    # A peak near the first keypoint, right of the box of 5 + 2 cells in width about x = 21.65.
    outputs = outputs._replace(heatmaps=outputs.heatmaps.at[0, 2, 10, 0].set(9.0))
    np.testing.assert_allclose(decode(outputs).keypoints[0, 0, 0], PEOPLE[0, 0, 0], atol=1e-3)
    wide = outputs._replace(box_sizes=outputs.box_sizes + 12)
    away = wide._replace(regression=wide.regression.at[..., 1].add(5.0))
    assert float(decode(away).keypoints[0, 0, 0, 0]) > 36


def test_boxes_are_those_of_the_sample_or_the_extent_of_the_keypoints():
    box = jnp.asarray([[[10.0, 6.0, 24.0, 32.0], [60.0, 10.0, 24.0, 28.0]]])
    targets, weights = encode(sample(box_xywh=box))
    cells = np.argwhere(np.asarray(weights.box_sizes)[0, ..., 0] == 1)
    assert cells.tolist() == [[6, 5], [6, 17]]
    np.testing.assert_allclose(targets.box_sizes[0, 6, 5], [8.0, 6.0])
    np.testing.assert_allclose(targets.box_offsets[0, 6, 5], [22.5 / 4 - 6, 22.5 / 4 - 5])
    extent = encode(sample()).values.box_sizes[0, 6, 5]
    np.testing.assert_allclose(extent, [(33 - 10) / 4, (31 - 12.3) / 4], rtol=1e-5)


def test_what_is_not_labelled_weighs_nothing():
    points = PEOPLE.copy()
    points[0, 0, 1] = np.nan
    visible = np.full((1, 2, 3), 2)
    visible[0, 0, 1] = 0
    counted = np.ones((1, *CODEC.heatmap_hw), bool)
    counted[:, :, 14:] = False
    targets, weights = encode(sample(points, visible, counted=jnp.asarray(counted)))
    assert all(np.isfinite(x).all() for x in (*targets, *weights))
    assert not weights.offsets[..., 1].any() and weights.offsets[..., 0].sum() == 1
    outputs = as_outputs(targets)
    wrong = jax.tree.map(lambda x: x.at[:, :, 14:].add(7.0), outputs)
    np.testing.assert_allclose(
        with_terms(wrong, targets, weights)[0], with_terms(outputs, targets, weights)[0]
    )
    moved = outputs._replace(offsets=outputs.offsets + 0.25)
    change = with_terms(moved, targets, weights)[1]["offsets"]
    np.testing.assert_allclose(change, 0.5, rtol=1e-5)


@pytest.mark.parametrize("known", ["valid", "crowd"])
def test_padded_people_and_crowds_change_no_target(known):
    alone = encode(sample(PEOPLE[:, :1]))
    both = encode(sample(**{known: jnp.asarray([[known == "valid", known != "valid"]])}))
    for ours, theirs in zip(jax.tree.leaves(both), jax.tree.leaves(alone), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_mirrored_outputs_come_back():
    permutation = np.array([0, 2, 1])
    points = PEOPLE[:, :, permutation]
    points[..., 0] = 95 - points[..., 0]
    mirrored = as_outputs(encode(sample(points)).values)
    back = jax.jit(lambda fields: CODEC.flip_back(fields, permutation))(mirrored)
    found, expected = decode(back), decode(as_outputs(encode(sample()).values))
    order = [np.argsort(np.asarray(x.keypoints)[0, :2, 0, 0]) for x in (found, expected)]
    np.testing.assert_allclose(
        np.asarray(found.keypoints)[0, order[0]],
        np.asarray(expected.keypoints)[0, order[1]],
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"input_hw": (254, 256)}, "no multiple of stride 4"), ({"max_people": 0}, "at least 1")],
)
def test_settings_without_sense_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        CenterPeople(**wrong)
