"""Composite fields: the published package's targets and people, and what decoding returns."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import CompositeFields, Sample
from jaxpose.codecs.composite_fields import CompositeMaps, FieldTargets, composite_fields_of
from jaxpose.codecs.greedy_frontier import Thresholds, accurate_map, decode_people
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, HALPE26, Skeleton

# OpenPifPaf 0.13: `extract.py` says how the file is made.
GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "composite_fields.npz")
CODEC = CompositeFields((193, 241))


def sample(keypoints, **more):
    """Labels of one image from keypoints `[P, K, 3]`."""
    keypoints = jnp.asarray(keypoints)[None]
    return Sample(keypoints[..., 2].astype(jnp.uint8), keypoints[..., :2], **more)


@pytest.fixture(scope="module")
def encode():
    return jax.jit(CODEC.encode)


def as_published(found: FieldTargets, stride: int) -> np.ndarray:
    """Targets in the order of the published package, `[C, numbers, h, w]`; NaN where is none."""
    confidence, vectors, scales = (np.asarray(values)[0] for values in found)
    on = confidence > 0
    flat = vectors.reshape(*on.shape, -1)
    least = np.full((*on.shape, scales.shape[-1]), 0.1 / stride)
    numbers = np.concatenate([flat, least, scales], axis=-1)
    numbers = np.where(on[..., None], numbers, np.nan)
    return np.concatenate([confidence[..., None], numbers], axis=-1).transpose(2, 3, 0, 1)


@pytest.mark.parametrize("kind", ["cif", "caf"])
def test_targets_are_the_published_ones(kind, encode):
    targets = encode(sample(GOLDEN[f"targets/{kind}/keypoints"])).values
    part = targets.keypoints if kind == "cif" else targets.associations
    np.testing.assert_allclose(
        as_published(part, CODEC.stride), GOLDEN[f"targets/{kind}/fields"], rtol=1e-5, atol=1e-5
    )


def test_people_are_the_published_ones():
    cif, caf = (GOLDEN[f"decode/cifcaf/{name}"].transpose(2, 3, 0, 1) for name in ("cif", "caf"))
    people = decode_people(cif[..., 1:], caf[..., 1:], CODEC.pairs, 8, CODEC.input_hw, Thresholds())
    expected = GOLDEN["decode/cifcaf/annotations"]
    assert len(people) == len(expected)
    np.testing.assert_allclose([score for score, _ in people], GOLDEN["decode/cifcaf/scores"], 1e-5)
    for (_, person), published in zip(people, expected, strict=True):
        assert set(person) == set(np.flatnonzero(published[:, 2]))
        own = np.array([person[kind] for kind in sorted(person)])
        np.testing.assert_allclose(own, published[sorted(person)], rtol=1e-5)
    nose = cif[:, :, 0, 1:] * np.float32([1, 8, 8, 8])
    found = accurate_map(nose, CODEC.input_hw, Thresholds().map)
    low = GOLDEN["decode/cifcaf/cifhr_low"]  # added to the places that were written
    published = np.maximum(GOLDEN["decode/cifcaf/cifhr_nose"] - low, 0)
    np.testing.assert_allclose(found, published, atol=1e-6)


def outputs_of(targets) -> CompositeMaps:
    """Outputs of a network that computes the targets exactly."""

    def part(found: FieldTargets) -> np.ndarray:
        confidence, vectors, scales = (np.asarray(values) for values in found)
        raw = np.log(np.expm1(np.maximum(scales, 1e-3)))
        numbers = (
            np.zeros_like(confidence)[..., None],
            np.where(confidence > 0, 8.0, -8.0)[..., None],
            vectors.reshape(*confidence.shape, -1),
            raw,
        )
        return np.concatenate(numbers, axis=-1).astype(np.float32)

    return CompositeMaps(part(targets.keypoints), part(targets.associations))


def test_true_fields_give_the_people_back(encode):
    people = GOLDEN["targets/cif/keypoints"]
    outputs = outputs_of(encode(sample(people)).values)
    points, scores, raw, valid = (np.asarray(x) for x in jax.jit(CODEC.decode)(outputs)[:4])
    there = valid.any(axis=-1)[0]
    assert there.sum() == len(people) and not there[3:].any()
    assert (scores >= 0).all() and (scores <= 1).all() and (scores[~valid] == 0).all()
    np.testing.assert_array_equal(raw, scores)
    for person in people:
        known = person[:, 2] > 0
        away = np.linalg.norm(points[0, :3] - person[None, :, :2], axis=-1)[:, known]
        row = away.mean(axis=1).argmin()
        np.testing.assert_array_equal(valid[0, row], known)
        assert away[row].max() < 1.0
        middle = points[0, row, known].mean(axis=0)
        np.testing.assert_allclose(points[0, row, ~known], middle[None].repeat((~known).sum(), 0))


def test_a_mirrored_image_has_the_mirrored_fields(encode):
    people = GOLDEN["targets/cif/keypoints"]
    mirrored = people[:, COCO17.flip_permutation].copy()
    mirrored[..., 0] = CODEC.input_hw[1] - 1 - mirrored[..., 0]
    straight, turned = (outputs_of(encode(sample(p)).values) for p in (people, mirrored))
    back = CODEC.flip_back(turned, COCO17.flip_permutation)
    # Not the scales: the upright person, who completes partly visible ones, is not symmetric.
    for ours, theirs, numbers in zip(back, straight, (4, 6), strict=True):
        same = np.isclose(np.asarray(ours), theirs, atol=1e-3)[..., :numbers].all(axis=-1)
        assert same.mean() > 0.999
    odd = replace(CODEC, pairs=((0, 1), (1, 3)))
    with pytest.raises(InputError, match="not the same after exchanging left and right"):
        odd.flip_back(CompositeMaps(turned[0], turned[1][:, :, :, :2]), COCO17.flip_permutation)


def test_nobody_and_people_who_cannot_be_placed(encode):
    people = GOLDEN["targets/cif/keypoints"].copy()
    people[0, :, 2] = 0  # not labelled
    people[1, 1:, 2] = 0  # one keypoint: it has a place, and no size
    people[2, :, :2] += 500  # outside
    targets, weights = encode(sample(people))
    assert float(targets.keypoints.confidence.sum()) == 16
    assert not np.asarray(targets.keypoints.scales).any()
    assert not np.asarray(targets.associations.confidence).any()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(targets))
    assert np.asarray(weights).all()
    crowd = sample(GOLDEN["targets/cif/keypoints"], crowd=jnp.ones((1, 3), bool))
    values = jax.jit(CODEC.encode)(crowd).values
    assert not np.asarray(values.keypoints.confidence).any()
    assert not np.asarray(jax.jit(CODEC.decode)(outputs_of(values)).valid).any()


def test_an_output_that_is_not_finite_is_reported():
    maps = [np.zeros((2, 25, 31, *shape), np.float32) for shape in ((17, 5), (19, 8))]
    maps[0][1, 3, 3, 0, 1] = np.nan
    raw = np.asarray(jax.jit(CODEC.decode)(CompositeMaps(*map(jnp.asarray, maps))).raw)
    assert np.isfinite(raw[0]).all() and np.isnan(raw[1]).all()


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="1 more than multiples of 16"):
        CompositeFields((192, 241))
    with pytest.raises(InputError, match="needs associations"):
        CompositeFields(pairs=())
    with pytest.raises(InputError, match="from 0 to 16"):
        CompositeFields(pairs=((0, 17),))
    with pytest.raises(InputError, match="upright has 1 keypoints"):
        CompositeFields(upright=((0.0, 0.0),))
    with pytest.raises(InputError, match="has no sigmas"):
        composite_fields_of(Skeleton("two", ("a", "b"), limbs=(("a", "b"),)), (65, 65))
    own = composite_fields_of(HALPE26, (65, 65))
    assert len(own.pairs) == len(HALPE26.limbs) and own.upright == ()
    assert composite_fields_of(COCO17, (65, 65)) == CompositeFields((65, 65))
