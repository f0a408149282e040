"""Associative embedding: MMPose's targets and groups, optimal assignment, round trips."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from jaxpose.codecs import AssociativeEmbedding, Sample
from jaxpose.codecs.assignment import assign
from jaxpose.codecs.associative_embedding import TagMaps
from jaxpose.errors import InputError
from jaxpose.losses.associative_embedding import pull_and_push
from jaxpose.skeletons import COCO17

SMALL = AssociativeEmbedding((64, 64), max_people=4, candidates=6, enlargement=1)


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/functions_bottomup.npz") as file:
        return {key: file[key] for key in file.files if key.split("/")[1].startswith("ae")}


@pytest.mark.parametrize("case", ["encode/ae", "encode/ae_auto_sigma", "encode/ae_udp"])
def test_targets_are_mmposes(golden, case):
    size = golden[f"{case}/heatmaps"].shape[1]
    sigma = 2.0 if size == 32 else 1.0
    unbiased = case.endswith("udp")
    codec = AssociativeEmbedding((128, 128), stride=128 // size, sigma=sigma, unbiased=unbiased)
    visible = golden[f"{case}/visible"]
    sample = Sample(jnp.asarray(visible[None]), jnp.asarray(golden[f"{case}/keypoints"][None]))
    values = codec.encode(sample).values
    expected = golden[f"{case}/heatmaps"].transpose(1, 2, 0)
    np.testing.assert_allclose(values.heatmaps[0], expected, rtol=1e-5, atol=1e-6)
    index, known = np.moveaxis(golden[f"{case}/keypoint_indices"], -1, 0)
    np.testing.assert_array_equal(values.known[0], known > 0)
    np.testing.assert_array_equal(values.cell[0][known > 0], index[known > 0])


@pytest.mark.parametrize("case", ["decode/ae", "decode/ae_flip_tags"])
def test_people_are_mmposes(golden, case):
    codec = AssociativeEmbedding((128, 128), stride=2, candidates=8, enlargement=1)
    heatmaps = golden[f"{case}/heatmaps"].astype(np.float32).transpose(1, 2, 0)[None]
    tags = golden[f"{case}/tags"].astype(np.float32)
    tags = tags.reshape(-1, 17, 64, 64).transpose(2, 3, 1, 0)[None]
    found = jax.jit(codec.decode)(TagMaps(jnp.asarray(heatmaps), jnp.asarray(tags)))
    there = np.asarray(found.valid[0]).any(axis=-1)
    assert there.sum() == 3
    np.testing.assert_allclose(
        np.asarray(found.keypoints[0])[there], golden[f"{case}/keypoints"], rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        np.asarray(found.raw[0])[there], golden[f"{case}/keypoint_scores"], rtol=1e-5, atol=1e-6
    )


def test_unbiased_people_are_mmposes(golden):
    case = "decode/ae_udp"
    codec = AssociativeEmbedding((128, 128), stride=2, candidates=8, enlargement=1, unbiased=True)
    maps = (golden[f"{case}/{name}"].astype(np.float32) for name in ("heatmaps", "tags"))
    found = jax.jit(codec.decode)(TagMaps(*(jnp.asarray(x.transpose(1, 2, 0)[None]) for x in maps)))
    there = np.asarray(found.valid[0]).any(axis=-1)
    assert there.sum() == 3
    theirs = golden[f"{case}/keypoints"]
    np.testing.assert_allclose(found.keypoints[0][there], theirs, rtol=1e-4, atol=1e-3)
    # MMPose scores the keypoints without a peak by the logarithm of the map.
    score = golden[f"{case}/keypoint_scores"]
    searched = score < 0
    assert searched.any()
    expected = np.where(searched, np.exp(score), score)
    np.testing.assert_allclose(found.raw[0][there], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", ["loss/ae/1", "loss/ae/2"])
def test_pull_and_push_are_mmposes(shared, case):
    with np.load(shared / "golden/functions_bottomup.npz") as file:
        arrays = {key.removeprefix(f"{case}/"): file[key] for key in file.files if case in key}
    tags = arrays["tags"].reshape(2, -1, 17, 16, 16).transpose(0, 3, 4, 2, 1)
    index, known = np.moveaxis(arrays["indices"], -1, 0)
    # The first image has all three people, the second one only the first.
    known = np.stack([known > 0, (known > 0) & (np.arange(3) < 1)[:, None]])
    pull, push = pull_and_push(jnp.asarray(tags), jnp.asarray(np.stack([index] * 2)), known)
    np.testing.assert_allclose(1e-3 * pull.sum(), arrays["pull"], rtol=1e-5)
    np.testing.assert_allclose(0.5e-3 * push.sum(), arrays["push"], rtol=1e-5)


def test_the_assignment_is_optimal():
    rng = np.random.default_rng(0)
    solve = jax.jit(assign)
    for rows, columns in ((1, 1), (3, 5), (6, 6), (4, 4), (0, 3)):
        cost = np.full((6, 6), np.inf, np.float32)
        cost[:rows, :columns] = rng.uniform(-5, 300, (rows, columns))
        found = np.asarray(solve(jnp.asarray(cost), rows))
        row, column = linear_sum_assignment(cost[:rows, :columns])
        assert cost[np.arange(rows), found[:rows]].sum() == pytest.approx(
            cost[row, column].sum(), rel=1e-5
        )
        assert (found[rows:] == -1).all() and len(set(found[:rows].tolist())) == rows


@functools.cache
def decoder(codec):
    return jax.jit(codec.decode)


def outputs_of(codec, sample, tags):
    """Maps whose tags are those of the people, in squares around their keypoints."""
    targets = codec.encode(sample).values
    height, width = codec.heatmap_hw
    maps = np.zeros((len(tags), height, width, sample.visible.shape[2]), np.float32)
    for b, p, k in zip(*np.nonzero(np.asarray(targets.known)), strict=True):
        y, x = divmod(int(targets.cell[b, p, k]), width)
        maps[b, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2, k] = tags[b][p]
    return TagMaps(targets.heatmaps, jnp.asarray(maps), targets.fine)


def two_people(size=64):
    rng = np.random.default_rng(5)
    points = rng.uniform(4, size / 2 - 6, (1, 2, 17, 2))
    points[:, 1] += [size / 2, 0]
    return jnp.asarray(points, jnp.float32)


@pytest.mark.parametrize("higher", [False, True])
def test_people_are_found_again(higher):
    codec = replace(SMALL, higher=higher)
    truth = two_people()
    sample = Sample(jnp.full((1, 2, 17), 2), truth)
    found = decoder(codec)(outputs_of(codec, sample, [[1.0, 5.0]]))
    assert np.asarray(found.valid[0]).any(axis=-1).tolist() == [True, True, False, False]
    ours = np.asarray(found.keypoints[0, :2])
    ours = ours[np.argsort(ours[..., 0].mean(axis=1))]
    assert np.abs(ours - truth[0]).max() <= 4


def test_a_missing_keypoint_is_searched_for_among_the_persons_tags():
    truth = two_people()
    visible = np.full((1, 2, 17), 2)
    outputs = outputs_of(SMALL, Sample(jnp.asarray(visible), truth), [[1.0, 5.0]])
    # Too low for a peak, but the highest with the person's tag.
    weak = outputs.heatmaps.at[0, :, :8, 3].multiply(0.05)
    found = decoder(SMALL)(outputs._replace(heatmaps=weak))
    left = int(np.asarray(found.keypoints[0, :2])[..., 0].mean(axis=1).argmin())
    assert np.abs(found.keypoints[0, left, 3] - truth[0, 0, 3]).max() <= 4
    assert 0.03 < found.scores[0, left, 3] < 0.06


def test_nobody_and_tags_that_are_not_numbers():
    empty = TagMaps(jnp.zeros((1, 16, 16, 17)), jnp.zeros((1, 16, 16, 17)))
    found = decoder(SMALL)(empty)
    assert not found.valid.any() and np.isfinite(found.raw).all()
    broken = empty._replace(tags=empty.tags.at[0, 0, 0, 0].set(jnp.nan))
    found = decoder(SMALL)(broken)
    assert not found.valid.any() and np.isnan(found.raw).all()


def test_more_people_than_places():
    rng = np.random.default_rng(1)
    points = jnp.asarray(rng.uniform(3, 60, (1, 6, 17, 2)), jnp.float32)
    outputs = outputs_of(SMALL, Sample(jnp.full((1, 6, 17), 2), points), [10.0 * np.arange(6)])
    assert decoder(SMALL)(outputs).valid[0].any(axis=-1).sum() == 4


def test_padding_and_crowds_weigh_nothing():
    points, visible = two_people(), jnp.full((1, 2, 17), 2)
    counted = jnp.ones((1, 16, 16), bool).at[0, :4].set(False)
    valid = jnp.array([[True, False]])
    codec = replace(SMALL, higher=True)
    values, weights = codec.encode(Sample(visible, points, valid=valid, counted=counted))
    alone = codec.encode(Sample(visible[:, :1], points[:, :1])).values
    np.testing.assert_array_equal(values.heatmaps, alone.heatmaps)
    assert not values.known[0, 1].any()
    np.testing.assert_array_equal(weights.heatmaps, counted)
    assert weights.fine[0, :8].sum() == 0 and weights.fine[0, 8:].min() == 1


def test_the_flip_test_adds_a_dimension_to_tags():
    outputs = outputs_of(SMALL, Sample(jnp.full((1, 2, 17), 2), two_people()), [[1.0, 5.0]])
    flipped = SMALL.flip_back(outputs, COCO17.flip_permutation)
    back = SMALL.flip_back(flipped, COCO17.flip_permutation)
    np.testing.assert_array_equal(back.tags, outputs.tags)
    both = SMALL.average(outputs, back)
    assert both.tags.shape == (1, 16, 16, 17, 2)
    one, two = decoder(SMALL)(outputs), decoder(SMALL)(both)
    np.testing.assert_allclose(one.keypoints, two.keypoints, atol=1e-5)


def test_bad_settings_are_refused():
    for changes, words in (
        ({"input_hw": (2, 64)}, "multiple of stride"),
        ({"sigma": 0.0}, "positive"),
        ({"window": 4}, "odd"),
        ({"order": (0, 0)}, "once"),
    ):
        with pytest.raises(InputError, match=words):
            replace(SMALL, **changes)
    assert SMALL.output_shapes(14) == ()
