"""Planar geometry: parity with MMPose 1.3.2 (golden/geometry.npz), algebra."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "geometry.npz")
CASES = sorted({key.rsplit("/", 1)[0] for key in GOLDEN.files})
INPUT_HW = (256, 192)

# float32 arithmetic on entries that cancel (centre times factor against the target's centre).
PARITY = 2e-6


def relative_error(ours, theirs) -> float:
    return float(np.max(np.abs(np.asarray(ours) - theirs)) / np.std(theirs))


@pytest.mark.parametrize("namespace", [np, jnp], ids=["numpy", "jax"])
@pytest.mark.parametrize("golden_case", CASES)
def test_crop_matches_golden(golden_case, namespace):
    golden = {key: GOLDEN[f"{golden_case}/{key}"] for key in ("bbox_xyxy", "center", "scale")}
    rotation = float(golden_case.rsplit("/", 1)[1])
    box = geometry.box_xyxy_to_xywh(namespace.asarray(golden["bbox_xyxy"]))
    center, scale = geometry.box_to_center_scale(box, padding=1.25)
    fixed = geometry.fix_aspect_ratio(scale, INPUT_HW[1] / INPUT_HW[0])
    matrix = geometry.crop_matrix(center, fixed, INPUT_HW, rotation)
    udp = geometry.crop_matrix(center, fixed, INPUT_HW, rotation, udp=True)
    assert isinstance(matrix, jax.Array if namespace is jnp else np.ndarray)
    for ours, name in (
        (center, "center"),
        (scale, "scale"),
        (fixed, "scale_fixed_aspect"),
        (matrix, "matrix"),
        (geometry.invert_affine(matrix), "inverse"),
        (udp, "udp_matrix"),
    ):
        assert relative_error(ours, GOLDEN[f"{golden_case}/{name}"]) <= PARITY, name


def random_matrices(rng, count):
    center = rng.uniform(20, 80, (count, 2)).astype(np.float32)
    scale = rng.uniform(30, 90, (count, 1)).astype(np.float32) * np.float32([0.75, 1.0])
    rotation = rng.uniform(-180, 180, count).astype(np.float32)
    return geometry.crop_matrix(center, scale, INPUT_HW, rotation, udp=True)


def test_boxes_round_trip():
    boxes = np.float32([[1, 2, 3, 4], [-5, 0.5, 10, 2]])
    corners = geometry.box_xywh_to_xyxy(boxes)
    np.testing.assert_array_equal(corners[0], [1, 2, 4, 6])
    np.testing.assert_array_equal(geometry.box_xyxy_to_xywh(corners), boxes)


def test_integer_boxes_give_float_centres():
    center, scale = geometry.box_to_center_scale(np.array([10, 20, 5, 8]), padding=1.25)
    np.testing.assert_allclose(center, [12.5, 24.0])
    np.testing.assert_allclose(scale, [6.25, 10.0])


def test_udp_puts_the_outer_pixel_centres_on_the_box():
    center, scale = np.float32([50, 60]), np.float32([75, 100])
    matrix = geometry.crop_matrix(center, scale, INPUT_HW, udp=True)
    corners = np.stack([center - scale / 2, center + scale / 2])
    expected = [[0, 0], [INPUT_HW[1] - 1, INPUT_HW[0] - 1]]
    np.testing.assert_allclose(geometry.apply_affine(matrix, corners), expected, atol=1e-4)


def test_edges_of_the_box_become_edges_of_the_input():
    """Corners at the pixels (25, 20), whose outer edges are half a pixel before them."""
    box = np.float32([25, 20, 50, 80])
    matrix = geometry.box_crop_matrix(box, (64, 40), padding=1.0, udp="edges")
    corners = np.array([[24.5, 19.5], [74.5, 99.5]])
    expected = [[-0.5, -0.5], [39.5, 63.5]]
    np.testing.assert_allclose(geometry.apply_affine(matrix, corners), expected, atol=1e-4)
    # An image becomes itself.
    whole = geometry.box_crop_matrix(np.float32([0, 0, 40, 64]), (64, 40), padding=1.0, udp="edges")
    np.testing.assert_allclose(whole, np.eye(2, 3), atol=1e-6)


def test_affine_algebra():
    rng = np.random.default_rng(0)
    outer, inner = random_matrices(rng, 7), random_matrices(rng, 7)
    points = rng.uniform(0, 100, (7, 5, 2)).astype(np.float32)
    together = geometry.apply_affine(geometry.compose_affine(outer, inner), points)
    one_by_one = geometry.apply_affine(outer, geometry.apply_affine(inner, points))
    np.testing.assert_allclose(together, one_by_one, rtol=1e-4, atol=1e-2)
    back = geometry.apply_affine(
        geometry.invert_affine(outer), geometry.apply_affine(outer, points)
    )
    np.testing.assert_allclose(back, points, atol=1e-3)


def test_flip_keypoints_is_an_involution():
    permutation = np.array([0, 2, 1])
    keypoints = np.float32([[[3, 4], [10, 5], [20, 6]]])
    flipped = geometry.flip_keypoints(keypoints, 48, permutation)
    np.testing.assert_array_equal(flipped[0], [[44, 4], [27, 6], [37, 5]])
    np.testing.assert_array_equal(geometry.flip_keypoints(flipped, 48, permutation), keypoints)
