"""CID's heatmaps: MMPose's targets, peaks and losses; round trips, masks, the flip test."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import InstanceHeatmaps, Sample
from jaxpose.codecs.instance_heatmaps import instance_peaks
from jaxpose.errors import InputError
from jaxpose.losses.instance_heatmaps import contrast, focal_of_probabilities
from jaxpose.skeletons import COCO17

SMALL = InstanceHeatmaps((128, 128), max_people=3)


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/functions_bottomup.npz") as file:
        wanted = ("encode/decoupled", "decode/decoupled", "loss/focal_heatmap", "loss/infonce")
        return {key: file[key] for key in file.files if key.startswith(wanted)}


@functools.cache
def decoder(codec):
    return jax.jit(codec.decode)


@pytest.mark.parametrize("boxes", [True, False])
def test_targets_are_mmposes(golden, boxes):
    case = "encode/decoupled_heatmap" + ("" if boxes else "_no_bbox")
    corners = golden["encode/decoupled_heatmap/bbox_corners"]
    box = np.concatenate([corners[:, 0], corners[:, 3] - corners[:, 0]], axis=-1)
    sample = Sample(
        jnp.asarray(golden[f"{case}/visible"][None]),
        jnp.asarray(golden[f"{case}/keypoints"][None]),
        box_xywh=jnp.asarray(box[None]) if boxes else None,
    )
    values, (_, weights) = jax.jit(SMALL.encode)(sample)
    expected = golden[f"{case}/heatmaps"].transpose(1, 2, 0)
    np.testing.assert_allclose(values.coupled[0], expected, rtol=1e-5, atol=2e-6)
    # MMPose sorts people by their size.
    theirs = golden[f"{case}/instance_coords"]
    order = [int(np.abs(np.asarray(values.center[0]) - c).sum(axis=1).argmin()) for c in theirs]
    np.testing.assert_array_equal(np.asarray(values.center[0])[order], theirs)
    expected = golden[f"{case}/instance_heatmaps"].reshape(3, 17, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(
        np.asarray(values.instances[0])[order], expected, rtol=1e-5, atol=2e-6
    )
    np.testing.assert_array_equal(np.asarray(weights[0])[order], golden[f"{case}/keypoint_weights"])


def test_peaks_are_mmposes(golden):
    case = "decode/decoupled_heatmap"
    maps = golden[f"{case}/instance_heatmaps"].astype(np.float32).transpose(0, 2, 3, 1)[None]
    points, value = instance_peaks(jnp.asarray(maps))
    np.testing.assert_allclose(4 * points[0], golden[f"{case}/keypoints"], rtol=1e-5, atol=1e-5)
    scores = value[0] * golden[f"{case}/instance_scores"]
    np.testing.assert_allclose(scores, golden[f"{case}/keypoint_scores"], rtol=1e-5)


def test_losses_are_mmposes(golden):
    arrays = {
        name: jnp.asarray(golden[f"loss/focal_heatmap/{name}"])
        for name in ("output", "target", "mask")
    }
    for weights, name in ((arrays["mask"], "value"), (jnp.ones((1, 1, 1, 1)), "value_no_mask")):
        ours = focal_of_probabilities(arrays["output"], arrays["target"], weights)
        np.testing.assert_allclose(ours, golden[f"loss/focal_heatmap/{name}"], rtol=1e-5)
    features = jnp.asarray(golden["loss/infonce/features"])
    ours = contrast(features, jnp.ones(len(features), bool), 0.05)
    np.testing.assert_allclose(ours, golden["loss/infonce/value"], atol=1e-5)


def test_people_who_do_not_exist_have_no_contrast():
    features = jnp.array([[1.0, 0.2], [0.8, 0.5], [3.0, 3.0]])
    alone = contrast(features[:2], jnp.ones(2, bool), 0.5)
    padded = contrast(features, jnp.array([True, True, False]), 0.5)
    assert float(alone) == pytest.approx(float(padded)) and alone > 0.1
    assert float(contrast(features, jnp.zeros(3, bool), 0.5)) == 0


def two_people():
    rng = np.random.default_rng(2)
    points = rng.uniform(8, 52, (1, 3, 17, 2))
    points[:, 1] += [60, 8]
    return Sample(jnp.full((1, 3, 17), 2).at[:, 2].set(0), jnp.asarray(points, jnp.float32))


def test_people_are_found_again():
    sample = two_people()
    values = SMALL.encode(sample).values
    found = decoder(SMALL)(values)
    assert np.asarray(found.valid[0]).any(axis=-1).tolist() == [True, True, False]
    assert np.abs(found.keypoints[0, :2] - sample.keypoints[0, :2]).max() <= 5
    broken = values._replace(coupled=values.coupled.at[0, 0, 0, 0].set(jnp.nan))
    assert np.isnan(decoder(SMALL)(broken).raw).all()


def test_the_larger_of_two_people_with_one_centre_is_left_out():
    rng = np.random.default_rng(0)
    offsets = rng.uniform(-8, 8, (17, 2))
    offsets -= offsets.mean(axis=0)
    points = jnp.asarray(np.stack([62 + 3 * offsets, 62 + offsets])[None], jnp.float32)
    values, (_, weights) = SMALL.encode(Sample(jnp.full((1, 2, 17), 2), points))
    assert values.score[0].tolist() == [0, 1]
    assert weights[0].sum(axis=-1).tolist() == [0, 17]


def test_the_flip_test_averages_the_heatmaps_of_one_person():
    values = SMALL.encode(two_people()).values
    order = COCO17.flip_permutation
    back = SMALL.flip_back(SMALL.flip_back(values, order), order)
    # In another order of people, and one person less.
    turned = jax.tree.map(lambda x: x, back)._replace(
        instances=back.instances[:, ::-1] * 0.5,
        center=back.center[:, ::-1],
        score=back.score[:, ::-1].at[0, 1].set(0.0),
    )
    mean = SMALL.average(values, turned)
    np.testing.assert_allclose(mean.instances[0, 0], 0.75 * values.instances[0, 0], atol=1e-6)
    np.testing.assert_array_equal(mean.instances[0, 1], values.instances[0, 1])


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="multiple of stride"):
        replace(SMALL, input_hw=(2, 64))
    with pytest.raises(InputError, match="at least 1"):
        replace(SMALL, max_people=0)
