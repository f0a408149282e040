"""The bilinear warp: each platform's form against the others, OpenCV, ramps and dots.

The TPU's kernel runs in Pallas' interpreter here; `tests/train/test_tpu_programs.py` compiles it.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.geometry import resampling
from jaxpose.geometry.tpu_resampling import warp_by_blocks
from jaxpose.media.image import read_image

HW = (72, 52)  # no multiple of the kernel's tiles of 64 x 16
SOURCE_HW = (150, 90)  # more than one block in both directions
ROTATIONS = (0.0, 30.0, -75.0, 160.0)

FORMS = {
    "gather": resampling._gather,
    "kernel": partial(warp_by_blocks, interpret=True),
    "products": resampling._two_products,
}


def crops(rotations=ROTATIONS, scales=(0.5, 0.9, 1.4, 0.8)) -> np.ndarray:
    """Maps partly outside the source; the last one mirrors."""
    center = np.float32([[45, 75], [50, 70], [20, 120], [45.3, 75.2]])
    size = np.float32([[90, 125]]) * np.float32(scales)[:, None]
    matrix = geometry.crop_matrix(center, size, HW, np.float32(rotations), udp=True)
    matrix[3] = geometry.compose_affine(np.float32([[-1, 0, HW[1] - 1], [0, 1, 0]]), matrix[3])
    return matrix


def resample(form: str, images, matrices, output_hw=HW, border=0.0) -> np.ndarray:
    inverse = geometry.invert_affine(jnp.asarray(matrices))
    run = jax.jit(partial(FORMS[form], output_hw=output_hw, border=border))
    return np.asarray(run(jnp.asarray(images), inverse))


def maps(form: str) -> np.ndarray:
    """Maps that the form can resample by."""
    return crops((0.0,) * 4) if form == "products" else crops()


def psnr(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean(np.square(ours - theirs))))


def smooth_photo(rng, height, width):
    import cv2

    noise = rng.integers(0, 256, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip((smooth - 127) * 6 + 127, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("border", [0.0, 114.0])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("form", ["kernel", "products"])
def test_forms_agree(form, dtype, border):
    """On noise, the image that a small error of a position changes the most."""
    images = np.random.default_rng(0).integers(0, 256, (4, *SOURCE_HW, 3)).astype(dtype)
    images = images + (np.float32(0.3) if dtype == np.float32 else np.uint8(0))
    ours = resample(form, images, maps(form), border=border)
    theirs = resample("gather", images, maps(form), border=border)
    # Rows to 1/512 px, where neighbours differ by up to 255.
    np.testing.assert_allclose(ours, theirs, atol=0.55 if form == "kernel" else 0.01)
    assert psnr(ours, theirs) > 60


def test_kernel_resamples_photos_like_the_gather(shared):
    paths = sorted((shared / "data" / "coco" / "val2017").glob("*.jpg"))[:4]
    images = np.stack([read_image(path)[: SOURCE_HW[0], : SOURCE_HW[1]] for path in paths])
    ours, theirs = (resample(form, images, crops()) for form in ("kernel", "gather"))
    assert psnr(ours, theirs) > 65


@pytest.mark.parametrize("form", FORMS)
def test_ramps_are_exact(form):
    y, x = np.mgrid[: SOURCE_HW[0], : SOURCE_HW[1]].astype(np.float32)
    ramp = np.stack([x, y, 0.5 * x + y - 100], axis=-1)
    matrices = maps(form)
    ours = resample(form, np.stack([ramp] * 4), matrices)
    target = np.stack(np.meshgrid(np.arange(HW[1]), np.arange(HW[0])), axis=-1).astype(np.float32)
    place = geometry.apply_affine(
        geometry.invert_affine(matrices), np.stack([target.reshape(-1, 2)] * 4)
    )
    px, py = place[..., 0], place[..., 1]
    inside = (px >= 0) & (px <= SOURCE_HW[1] - 1) & (py >= 0) & (py <= SOURCE_HW[0] - 1)
    assert inside.mean() > 0.5
    expected = np.stack([px, py, 0.5 * px + py - 100], axis=-1)
    # The kernel rounds rows to 1/512 px and values to 16 bits.
    tolerance = 4e-3 if form == "kernel" else 1e-4
    np.testing.assert_allclose(
        ours.reshape(expected.shape)[inside], expected[inside], atol=tolerance
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_dot_moves_with_its_keypoint(form):
    matrices = maps(form)
    place = geometry.apply_affine(
        geometry.invert_affine(matrices), np.float32([[[20.0, 30.0], [33.0, 44.0]]] * 4)
    )
    place = np.clip(place, 12, np.float32(SOURCE_HW[::-1]) - 12)
    y, x = np.mgrid[: SOURCE_HW[0], : SOURCE_HW[1]].astype(np.float32)
    for n in range(place.shape[1]):
        away = (x - place[:, n, 0, None, None]) ** 2 + (y - place[:, n, 1, None, None]) ** 2
        dots = np.rint(255 * np.exp(-away / (2 * 1.5**2))).astype(np.uint8)[..., None]
        found = resample(form, dots, matrices)[..., 0]
        ty, tx = np.mgrid[: HW[0], : HW[1]]
        weight = found.sum(axis=(1, 2))
        center = [(found * t).sum(axis=(1, 2)) / weight for t in (tx, ty)]
        expected = geometry.apply_affine(matrices, place[:, n : n + 1])[:, 0]
        seen = ((expected > 8) & (expected < np.float32(HW[::-1]) - 9)).all(axis=1)
        assert seen.sum() >= 2
        np.testing.assert_allclose(np.stack(center, axis=-1)[seen], expected[seen], atol=0.02)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_warp_equals_opencv(dtype):
    rng = np.random.default_rng(1)
    images = np.stack([smooth_photo(rng, *SOURCE_HW) for _ in range(4)])
    ours = geometry.warp(jnp.asarray(images.astype(dtype)), jnp.asarray(crops()), HW)
    assert ours.dtype == jnp.float32
    theirs = np.stack([geometry.crop_image(p, m, HW) for p, m in zip(images, crops(), strict=True)])
    difference = np.abs(np.asarray(ours) - theirs.astype(np.float32))
    # OpenCV interpolates at 1/32 px and rounds to uint8.
    assert difference.mean() < 0.5
    assert np.quantile(difference, 0.999) < 4


@pytest.mark.parametrize("form", FORMS)
def test_whole_pixels_are_exact(form):
    image = np.arange(2 * 6 * 5 * 3, dtype=np.uint8).reshape(2, 6, 5, 3)
    shift = np.float32([[[1, 0, 2], [0, 1, -1]]]).repeat(2, axis=0)
    expected = np.zeros_like(image)
    expected[:, :5, 2:] = image[:, 1:, :3]
    np.testing.assert_array_equal(resample(form, image, shift, (6, 5)), expected)


@pytest.mark.parametrize("form", FORMS)
def test_far_outside_is_zero(form):
    image = np.full((1, 4, 4, 3), 255, np.uint8)
    far = np.float32([[[1, 0, 1e12], [0, 1, -1e12]]])
    np.testing.assert_array_equal(resample(form, image, far, (4, 4)), 0)


def test_values_between_pixels_are_bilinear():
    """A map that is linear in x and y has its own values everywhere, and the edge's outside."""
    y, x = jnp.meshgrid(jnp.arange(4.0), jnp.arange(5.0), indexing="ij")
    maps = jnp.stack([2 * x + y, 7 - x * y], axis=-1)[None]
    place = jnp.array([[[0.0, 0], [3.25, 2.5], [9, 1], [-2, 3.5], [1.5, 2]]])
    found = resampling.sampled(maps, place)
    np.testing.assert_allclose(found[0, :, 0], [0, 9, 9, 3, 5], atol=1e-6)
    np.testing.assert_allclose(found[0, :, 1], [7, 7 - 3.25 * 2.5, 3, 7, 4], atol=1e-6)
