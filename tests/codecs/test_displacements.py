"""DEKR's displacements: MMPose's targets, decoding and suppression; round trips, masks."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import Displacements, Sample
from jaxpose.errors import InputError
from jaxpose.losses.displacements import weighted_smooth_l1
from jaxpose.skeletons import COCO17

SMALL = Displacements((128, 128), max_people=5, min_score=0.3)


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/functions_bottomup.npz") as file:
        wanted = ("encode/spr", "decode/spr", "dekr/", "nms/nearby", "loss/soft_weight")
        return {key: file[key] for key in file.files if key.startswith(wanted)}


@functools.cache
def decoder(codec):
    return jax.jit(codec.decode)


def nhwc(golden, key):
    return jnp.asarray(golden[key].astype(np.float32).transpose(1, 2, 0)[None])


@pytest.mark.parametrize(
    ("case", "codec"),
    [
        ("encode/spr", SMALL),
        (
            "encode/spr_auto_sigma",
            # Sigmas that MMPose derives from the size: a side of 64 gives 2 and 2 // 2.
            Displacements((256, 256), sigma=(2.0, 1.0), min_extent=14.0),
        ),
    ],
)
def test_targets_are_mmposes(golden, case, codec):
    visible = jnp.asarray(golden[f"{case}/visible"][None])
    sample = Sample(visible, jnp.asarray(golden[f"{case}/keypoints"][None]))
    (heatmaps, vectors), (pixels, weights) = codec.encode(sample)
    for ours, name in (
        (heatmaps, "heatmaps"),
        (pixels, "heatmap_weights"),
        (vectors, "displacements"),
        (weights, "displacement_weights"),
    ):
        expected = golden[f"{case}/{name}"].transpose(1, 2, 0)
        np.testing.assert_allclose(ours[0], expected, rtol=1e-5, atol=2e-6, err_msg=name)


def test_people_are_mmposes(golden):
    case = "decode/spr"
    codec = replace(SMALL, max_people=30, min_score=0.01, nms_distance=0.0)
    found = decoder(codec)(
        tuple(nhwc(golden, f"{case}/{n}") for n in ("heatmaps", "displacements"))
    )
    there = np.asarray(found.valid[0]).any(axis=-1)
    np.testing.assert_allclose(
        np.asarray(found.keypoints[0])[there], golden[f"{case}/keypoints"], rtol=1e-5, atol=1e-4
    )
    scores = golden[f"{case}/root_scores"][:, None] * golden[f"{case}/keypoint_scores"]
    np.testing.assert_allclose(np.asarray(found.raw[0])[there], scores, rtol=1e-5, atol=1e-6)


def test_suppressed_people_are_mmposes(golden):
    case = "dekr/decode_nms"
    codec = replace(SMALL, max_people=30, min_score=0.01, nms_joints=7)
    found = decoder(codec)(
        tuple(nhwc(golden, f"{case}/{n}") for n in ("heatmaps", "displacements"))
    )
    there = np.asarray(found.valid[0]).any(axis=-1)
    order = np.argsort(-np.asarray(found.raw[0]).mean(axis=-1)[there])
    theirs = np.argsort(-golden[f"{case}/keypoint_scores"].mean(axis=-1))
    np.testing.assert_allclose(
        np.asarray(found.keypoints[0])[there][order],
        golden[f"{case}/keypoints"][theirs],
        rtol=1e-5,
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("case", "distance", "joints"),
    [("0.05_None", 0.05, None), ("0.05_4", 0.05, 4), ("0.1_8", 0.1, 8)],
)
def test_near_poses_are_left_out_as_in_mmpose(golden, case, distance, joints):
    arrays = {n: golden[f"nms/nearby_joints/{case}/{n}"] for n in ("keypoints", "score", "keep")}
    codec = replace(SMALL, max_people=9, nms_distance=distance, nms_joints=joints)
    there = jnp.ones((1, 9), bool)
    kept = codec._apart(
        jnp.asarray(arrays["keypoints"][None]), jnp.asarray(arrays["score"][None]), there
    )
    assert np.flatnonzero(kept[0]).tolist() == sorted(arrays["keep"].tolist())


@pytest.mark.parametrize(
    ("case", "beta"),
    [
        ("use_target_weight=1_supervise_empty=0_beta=0.111", 1 / 9),
    ],
)
def test_the_loss_of_displacements_is_mmposes(golden, case, beta):
    arrays = {
        name: jnp.asarray(golden[f"loss/soft_weight_smooth_l1/{case}/{name}"])
        for name in ("output", "target", "weight", "value")
    }
    ours = weighted_smooth_l1(arrays["output"], arrays["target"], arrays["weight"], beta)
    np.testing.assert_allclose(ours, arrays["value"], rtol=1e-5)


def two_people():
    rng = np.random.default_rng(2)
    points = rng.uniform(8, 52, (1, 2, 17, 2))
    points[:, 1] += [60, 8]
    return jnp.asarray(points, jnp.float32)


def test_people_are_found_again():
    truth = two_people()
    sample = Sample(jnp.full((1, 2, 17), 2), truth)
    found = decoder(SMALL)(SMALL.encode(sample).values)
    assert np.asarray(found.valid[0]).any(axis=-1).sum() == 2
    ours = np.asarray(found.keypoints[0, :2])
    ours = ours[np.argsort(ours[..., 0].mean(axis=1))]
    np.testing.assert_allclose(ours, truth[0], atol=1e-3)


def test_nobody_people_of_one_keypoint_and_values_that_are_not_numbers():
    visible = np.zeros((1, 2, 17), int)
    visible[:, 0, 4] = 2
    (heatmaps, vectors), (_, weights) = SMALL.encode(Sample(jnp.asarray(visible), two_people()))
    assert heatmaps[..., 4].max() == 1 and heatmaps[..., -1].max() == 0
    assert weights.max() == 0
    found = decoder(SMALL)((heatmaps, vectors))
    assert not found.valid.any() and np.isfinite(found.raw).all()
    broken = decoder(SMALL)((heatmaps, vectors.at[0, 0, 0, 0].set(jnp.nan)))
    assert np.isnan(broken.raw).all()


def test_padding_and_crowds_weigh_nothing():
    truth, visible = two_people(), jnp.full((1, 2, 17), 2)
    counted = jnp.ones((1, 32, 32), bool).at[0, :8].set(False)
    valid = jnp.array([[True, False]])
    values, weights = SMALL.encode(Sample(visible, truth, valid=valid, counted=counted))
    alone = SMALL.encode(Sample(visible[:, :1], truth[:, :1])).values
    for ours, expected in zip(values, alone, strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert all(w[0, :8].max() == 0 and w[0, 8:].max() > 0 for w in weights)


def test_flipping_back_twice_changes_nothing():
    values = SMALL.encode(Sample(jnp.full((1, 2, 17), 2), two_people())).values
    order = COCO17.flip_permutation
    back = SMALL.flip_back(SMALL.flip_back(values, order), order)
    for ours, expected in zip(back, values, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_bad_settings_are_refused():
    for changes, words in (
        ({"input_hw": (2, 64)}, "multiple of stride"),
        ({"sigma": (0.0, 1.0)}, "positive"),
        ({"max_people": 0}, "at least 1"),
    ):
        with pytest.raises(InputError, match=words):
            replace(SMALL, **changes)
