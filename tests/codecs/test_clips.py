"""Codec of clips: which frames are sampled, and what the streams hold."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from jaxpose.codecs.clips import STREAMS, ClipCodec, sampled_frames
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, H36M17
from jaxpose.skeletons.graph import COCO17_GRAPH, graph_of

CODEC = ClipCodec(COCO17_GRAPH, 4, people=2, frame="none")


def clips(frames=4, people=2, batch=3, dimensions=2, seed=0):
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(10, 90, (batch, frames, people, 17, dimensions)).astype(np.float32)
    return keypoints, rng.uniform(0.2, 1, keypoints.shape[:-1]).astype(np.float32)


@pytest.mark.parametrize("length", [1, 3, 8, 9, 15, 100])
def test_one_frame_of_each_part_of_a_clip(length):
    lengths = jnp.asarray([length, length], jnp.int32)
    middle = np.asarray(sampled_frames(lengths, 8))
    assert (middle[0] == middle[1]).all() and middle.max() < length
    seen = set()
    for seed in range(20):
        drawn = np.asarray(sampled_frames(lengths, 8, jax.random.key(seed)))
        assert drawn.min() >= 0 and drawn.max() < length
        if length >= 8:
            edges = np.arange(9) * length // 8
            assert (drawn >= edges[:-1]).all() and (drawn < edges[1:]).all()
        else:
            assert (np.diff(drawn) % length == 1 % length).all()
        seen |= set(drawn.ravel().tolist())
    assert seen == set(range(length)) if length < 50 else len(seen) > 80


def test_frames_of_coordinates():
    keypoints, scores = clips()
    scores[:, :, 1] = 0
    size = jnp.asarray([[200, 100]] * 3)

    def framed(frame):
        return np.asarray(dataclasses.replace(CODEC, frame=frame).framed(keypoints, scores, size))

    shown = np.where(scores[..., None] > 0, keypoints, 0)
    np.testing.assert_array_equal(framed("none"), shown)
    of_image = framed("image")[:, :, 0]
    np.testing.assert_allclose(of_image * [100, 50] + [100, 50], keypoints[:, :, 0], rtol=1e-5)
    box = framed("box")[:, :, 0]
    assert np.abs(box).max() == pytest.approx(1)
    np.testing.assert_allclose(box.max(axis=(1, 2)), -box.min(axis=(1, 2)), atol=1e-5)
    root = framed("root")
    np.testing.assert_allclose(root[:, 0, 0, 0], 0)
    moved = keypoints[:, :, 0] - keypoints[:, :1, 0, :1]
    np.testing.assert_allclose(root[:, :, 0], moved, atol=1e-4)
    assert (framed("box")[:, :, 1] == 0).all()


def test_the_root_is_that_of_the_first_frame_in_which_it_is_seen():
    keypoints, scores = clips()
    scores[:, :2, 0, 0] = 0
    codec = dataclasses.replace(CODEC, frame="root")
    root = np.asarray(codec.framed(keypoints, scores, jnp.zeros((3, 2))))
    np.testing.assert_allclose(root[:, 2, 0, 0], 0)
    np.testing.assert_allclose(
        root[:, 3, 0, 5], keypoints[:, 3, 0, 5] - keypoints[:, 2, 0, 0], atol=1e-4
    )
    empty = codec.framed(keypoints, np.zeros_like(scores), jnp.zeros((3, 2)))
    assert (np.asarray(empty) == 0).all()


def test_streams_are_bones_and_changes():
    keypoints, scores = clips()
    x = {
        s: np.asarray(dataclasses.replace(CODEC, stream=s).encode(keypoints, scores))
        for s in STREAMS
    }
    np.testing.assert_array_equal(x["joint"], keypoints)
    wrist, elbow = COCO17.index("left_wrist"), COCO17.index("left_elbow")
    np.testing.assert_allclose(
        x["bone"][:, :, :, wrist], keypoints[:, :, :, wrist] - keypoints[:, :, :, elbow], atol=1e-5
    )
    assert (x["bone"][:, :, :, 0] == 0).all()  # the nose is the centre
    # PYSKL joins hips to the nose in its bones, and to the shoulders in its graph.
    hip = COCO17.index("left_hip")
    np.testing.assert_allclose(
        x["bone"][:, :, :, hip], keypoints[:, :, :, hip] - keypoints[:, :, :, 0], atol=1e-5
    )
    for stream in ("joint", "bone"):
        np.testing.assert_allclose(
            x[f"{stream} motion"][:, :-1], np.diff(x[stream], axis=1), atol=1e-4
        )
        assert (x[f"{stream} motion"][:, -1] == 0).all()


def test_what_is_not_seen_has_no_bone_and_no_motion():
    keypoints, scores = clips()
    wrist, elbow, knee = (COCO17.index(f"left_{name}") for name in ("wrist", "elbow", "knee"))
    scores[:, 1, :, elbow] = 0
    bone = dataclasses.replace(CODEC, stream="bone", confidence=True).encode(keypoints, scores)
    assert (np.asarray(bone)[:, 1, :, [elbow, wrist]] == 0).all()
    assert (np.asarray(bone)[:, 1, :, knee, :2] != 0).all()
    motion = dataclasses.replace(CODEC, stream="joint motion").encode(keypoints, scores)
    assert (np.asarray(motion)[:, :2, :, elbow] == 0).all()
    assert (np.asarray(motion)[:, 2, :, elbow] != 0).all()


def test_a_mirror_image_of_a_mirror_image_is_the_clip():
    keypoints, scores = clips()
    permutation = COCO17.flip_permutation
    once = CODEC.mirrored(keypoints, scores, permutation)
    left, right = COCO17.index("left_wrist"), COCO17.index("right_wrist")
    np.testing.assert_allclose(once[0][..., left, 0], -keypoints[..., right, 0])
    np.testing.assert_allclose(once[1][..., left], scores[..., right])
    twice = CODEC.mirrored(*once, permutation)
    np.testing.assert_array_equal(twice[0], keypoints)


def test_a_graph_is_made_from_limbs():
    graph = graph_of(H36M17)
    assert H36M17.keypoints[graph.centre] == "spine"
    starts = graph.bone_starts()
    assert starts[H36M17.index("left_wrist")] == H36M17.index("left_elbow")
    assert starts[H36M17.index("root")] == H36M17.index("spine")
    assert starts[graph.centre] == graph.centre and len(graph.inward) == 16
    for parts in (graph.distance_partitions(), graph.direction_partitions()):
        assert parts.shape == (3, 17, 17) and np.isfinite(parts).all()
    np.testing.assert_allclose(graph.distance_partitions().sum(axis=(0, 1)), 1)
    with pytest.raises(InputError, match="has no limbs"):
        graph_of(dataclasses.replace(H36M17, limbs=()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 0}, "must be at least 1"),
        ({"dimensions": 4}, "codec.dimensions 2 or 3"),
        ({"dimensions": 3, "frame": "image"}, "3D joints have no image"),
        ({"root": 17}, "codec.root is 17"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(CODEC, **change)


def test_joints_in_millimetres_become_metres():
    joints, scores = clips(dimensions=3)
    codec = dataclasses.replace(CODEC, dimensions=3)
    plain = codec.framed(joints, scores, None)
    np.testing.assert_allclose(plain, joints / 1000, rtol=1e-6)
    root = dataclasses.replace(codec, frame="root", root=1).framed(joints, scores, None)
    np.testing.assert_allclose(root, (joints - joints[:, :1, :1, 1:2]) / 1000, atol=1e-6)
    box = dataclasses.replace(codec, frame="box").framed(joints, scores, None)
    assert float(jnp.abs(box).max()) == pytest.approx(1)


def test_a_clip_is_turned_until_its_first_person_stands():
    joints, scores = clips(dimensions=3)
    codec = dataclasses.replace(CODEC, dimensions=3, frame="upright", root=1, axes=(0, 1, 8, 4))
    found = np.asarray(codec.framed(joints, scores, None))
    root = np.asarray(dataclasses.replace(codec, frame="root").framed(joints, scores, None))

    def onto(vector, axis):
        """Rodrigues' formula with the angle between both."""
        unit, cross = vector / np.linalg.norm(vector), np.cross(vector, axis)
        angle = np.arccos(unit @ axis)
        return Rotation.from_rotvec(cross / np.linalg.norm(cross) * angle).as_matrix()

    for one, expected in zip(root, found, strict=True):
        first = onto(one[0, 0, 1] - one[0, 0, 0], np.array([0, 0, 1.0]))
        second = onto(first @ (one[0, 0, 8] - one[0, 0, 4]), np.array([1.0, 0, 0]))
        np.testing.assert_allclose(expected, one @ (second @ first).T, atol=1e-5)
    side = found[:, 0, 0, 8] - found[:, 0, 0, 4]
    np.testing.assert_allclose(side[:, 1:], 0, atol=1e-5)
    assert (side[:, 0] > 0).all()
    # Nobody is seen: nothing is turned, and nothing is infinite.
    assert (np.asarray(codec.framed(joints, 0 * scores, None)) == 0).all()
    flat = joints.copy()
    flat[:, :, :, 1] = flat[:, :, :, 0]
    assert np.isfinite(codec.framed(flat, scores, None)).all()
    for wrong in ({"axes": (0, 1)}, {"dimensions": 2}, {"axes": (0, 1, 8, 17)}):
        with pytest.raises(InputError, match="axes"):
            dataclasses.replace(codec, **wrong)
