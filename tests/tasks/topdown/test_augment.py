"""Augmentation: its distributions, and that keypoints move exactly as pixels do."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxpose import geometry
from jaxpose.errors import InputError
from jaxpose.tasks.topdown.augment import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Augmentation,
    augment,
    center_crop,
    draw,
    normalize,
)

PERMUTATION = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])
UPPER = np.arange(17) < 11
INPUT_HW = (64, 48)
CANVAS_HW = (96, 72)
NOTHING = Augmentation(
    flip=0.0, rotation_probability=0.0, scale=0.0, shift_probability=0.0, half_body=0.0
)


@partial(jax.jit, static_argnames=("augmentation", "udp", "input_hw"))
def run(key, batch, augmentation=Augmentation(), udp=True, input_hw=INPUT_HW):  # noqa: B008
    return augment(
        key,
        batch,
        augmentation=augmentation,
        input_hw=input_hw,
        udp=udp,
        permutation=PERMUTATION,
        upper_body=UPPER,
    )


@partial(jax.jit, static_argnames="udp")
def run_center(batch, udp=True):
    return center_crop(batch, input_hw=INPUT_HW, udp=udp)


def make_batch(count, seed=0):
    rng = np.random.default_rng(seed)
    height, width = CANVAS_HW
    return {
        "image": rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8),
        "keypoints": rng.uniform(15, 55, (count, 17, 2)).astype(np.float32),
        "visible": np.full((count, 17), 2, np.uint8),
        "box_xywh": np.tile(np.float32([18, 20, 36, 56]), (count, 1)),
        "mask": np.ones(count, bool),
    }


def raw(images):
    return np.asarray(images) * IMAGENET_STD + IMAGENET_MEAN


# ------------------------------------------------------------------ distributions


@pytest.fixture(scope="module")
def drawn():
    keys = jax.random.split(jax.random.key(0), 20_000)
    augmentation = Augmentation(brightness=0.4, contrast=0.3, saturation=0.2, hue_degrees=10.0)
    return jax.tree.map(np.asarray, jax.vmap(draw, in_axes=(0, None))(keys, augmentation))


def assert_rate(values, probability):
    bound = 4.5 * np.sqrt(probability * (1 - probability) / len(values))
    assert abs(np.mean(values) - probability) < bound


def truncated_deviation(bound):
    from scipy.stats import truncnorm

    return truncnorm.std(-bound, bound)


def assert_spread(values, mean, deviation):
    assert abs(values.mean() - mean) < 4.5 * deviation / np.sqrt(len(values))
    assert abs(values.std() / deviation - 1) < 0.03


def test_rates(drawn):
    assert_rate(drawn.flip, 0.5)
    assert_rate(drawn.half_body, 0.3)
    assert_rate(drawn.upper, 0.7)
    assert_rate(drawn.rotation != 0, 0.6)
    assert_rate((drawn.shift != 0).any(axis=1), 0.3)


def test_spreads(drawn):
    assert_spread(drawn.scale, 1.0, 0.5 * truncated_deviation(1))
    assert drawn.scale.min() > 0.5 and drawn.scale.max() < 1.5
    turned = drawn.rotation[drawn.rotation != 0]
    assert_spread(turned, 0.0, 40 * truncated_deviation(2))
    assert np.abs(turned).max() <= 80
    moved = drawn.shift[(drawn.shift != 0).any(axis=1)]
    for axis in (0, 1):
        assert_spread(moved[:, axis], 0.0, 0.16 * truncated_deviation(1))
    assert np.abs(moved).max() <= 0.16
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.07
    for name, width, mean in (
        ("brightness", 0.4, 1),
        ("contrast", 0.3, 1),
        ("saturation", 0.2, 1),
        ("hue", 10, 0),
    ):
        assert_spread(getattr(drawn, name), mean, width / np.sqrt(3))


def test_independence(drawn):
    columns = np.stack(
        [drawn.flip, drawn.half_body, drawn.upper, drawn.rotation, drawn.scale, *drawn.shift.T]
    )
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 0.035


# ------------------------------------------------------------------ pixels and keypoints


def paint(keypoints, visible, height, width):
    """A canvas `[height, width, 3]` with a Gaussian blob of deviation 2.5 at each keypoint, one
    keypoint per channel."""
    y, x = np.mgrid[:height, :width]
    blobs = [
        255 * np.exp(-((x - kx) ** 2 + (y - ky) ** 2) / (2 * 2.5**2))
        for (kx, ky), seen in zip(keypoints, visible, strict=True)
        if seen
    ]
    return np.stack(blobs, axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize("udp", [True, False])
def test_keypoints_move_exactly_as_pixels(udp):
    """Three keypoints (nose, left and right eye) shine in red, green and blue."""
    count, (height, width) = 64, (192, 144)
    rng = np.random.default_rng(3)
    keypoints = np.zeros((count, 17, 2), np.float32)
    keypoints[:, :3] = rng.uniform([50, 60], [94, 132], (count, 3, 2))
    visible = np.zeros((count, 17), np.uint8)
    visible[:, :3] = 2
    batch = {
        "image": np.stack(
            [paint(k, v, height, width) for k, v in zip(keypoints, visible, strict=True)]
        ),
        "keypoints": keypoints,
        "visible": visible,
        "box_xywh": np.tile(np.float32([36, 48, 72, 96]), (count, 1)),
        "mask": np.ones(count, bool),
    }
    images, moved, seen = run(jax.random.key(1), batch, udp=udp, input_hw=(128, 96))
    images = np.maximum(raw(images) - 1.0, 0)
    y, x = np.mgrid[:128, :96]
    mass = images.sum((1, 2))
    centroid = np.stack([(images * x[..., None]).sum((1, 2)), (images * y[..., None]).sum((1, 2))])
    centroid = np.moveaxis(centroid / np.maximum(mass, 1.0), 0, -1)
    # A mirrored sample calls the left eye's pixels "right eye": colours stay, names change.
    expected, found = np.asarray(moved)[:, :3], centroid
    straight = np.linalg.norm(expected - found, axis=-1)
    crossed = np.linalg.norm(expected[:, [0, 2, 1]] - found, axis=-1)
    edge = np.min(np.minimum(found, [95, 127] - found), axis=-1) < 20  # blob cut off
    flipped = crossed.sum(1) < straight.sum(1)
    error = np.where(flipped[:, None], crossed, straight)[~edge]
    assert error.size > 100
    assert 15 < flipped.sum() < 49
    assert error.max() < 0.1
    np.testing.assert_array_equal(seen, visible)


def test_flip_exchanges_left_and_right():
    batch = make_batch(4)
    batch["visible"] = np.tile(np.uint8(np.arange(17) % 3), (4, 1))
    always = Augmentation(**{**NOTHING.__dict__, "flip": 1.0})
    plain_images, plain, seen = run(jax.random.key(0), batch, augmentation=NOTHING)
    images, keypoints, visible = run(jax.random.key(0), batch, augmentation=always)
    expected = geometry.flip_keypoints(np.asarray(plain), INPUT_HW[1], PERMUTATION)
    np.testing.assert_allclose(keypoints, expected, atol=1e-4)
    np.testing.assert_allclose(images, np.asarray(plain_images)[:, :, ::-1], atol=2e-3)
    np.testing.assert_array_equal(visible, np.asarray(seen)[:, PERMUTATION])


def test_half_body_frames_one_half():
    batch = make_batch(64)
    batch["keypoints"][:, UPPER, 1] -= 12
    batch["keypoints"][:, ~UPPER, 1] += 12
    always = Augmentation(**{**NOTHING.__dict__, "half_body": 1.0})
    _, keypoints, _ = run(jax.random.key(0), batch, augmentation=always)
    middle = (np.float32(INPUT_HW[::-1]) - 1) / 2
    upper = np.abs(np.asarray(keypoints)[:, UPPER].mean(1) - middle).max(1) < 1e-2
    lower = np.abs(np.asarray(keypoints)[:, ~UPPER].mean(1) - middle).max(1) < 1e-2
    assert np.all(upper ^ lower)
    assert 0.5 < upper.mean() < 0.9
    keypoints = np.asarray(keypoints)
    inside = (keypoints >= 0) & (keypoints <= np.float32(INPUT_HW[::-1]) - 1)
    shown = np.where(upper[:, None], UPPER, ~UPPER)
    # Extent times 1.5 about the mean, not the middle: a far keypoint may just leave the crop.
    assert inside.all(-1)[shown].mean() > 0.97


@pytest.mark.parametrize(
    ("labelled", "half"),
    [
        (np.arange(17) < 8, None),  # too few altogether
        (np.arange(17) < 11, "upper"),  # no lower body to prefer
        (np.r_[True, np.zeros(10, bool), np.ones(6, bool)], None),
    ],
)
def test_half_body_needs_keypoints(labelled, half):
    batch = make_batch(16)
    batch["visible"] = np.tile(np.uint8(labelled), (16, 1))
    always = Augmentation(**{**NOTHING.__dict__, "half_body": 1.0})
    _, plain, _ = run(jax.random.key(0), batch, augmentation=NOTHING)
    _, keypoints, _ = run(jax.random.key(0), batch, augmentation=always)
    if half is None:
        np.testing.assert_array_equal(keypoints, plain)
    else:
        middle = (np.float32(INPUT_HW[::-1]) - 1) / 2
        mean = np.asarray(keypoints)[:, UPPER].mean(1)
        np.testing.assert_allclose(mean, np.tile(middle, (16, 1)), atol=1e-2)


# ------------------------------------------------------------------ reproducibility


@pytest.mark.slow
def test_a_sample_does_not_depend_on_its_neighbours_or_devices():
    batch, key = make_batch(16), jax.random.key(5)
    whole = run(key, batch)
    again = run(key, batch)
    half = run(key, jax.tree.map(lambda a: a[:8], batch))
    other = run(jax.random.key(6), batch)
    devices = NamedSharding(Mesh(jax.devices(), ("data",)), PartitionSpec("data"))
    spread = run(key, jax.device_put(batch, devices))
    for w, a, h, s, o in zip(whole, again, half, spread, other, strict=True):
        np.testing.assert_array_equal(w, a)
        np.testing.assert_allclose(w[:8], h, atol=1e-4)
        np.testing.assert_allclose(w, s, atol=1e-4)
        assert o.shape == w.shape
    assert not np.allclose(whole[1], other[1])
    # Equal samples at different places vary differently.
    same = jax.tree.map(lambda a: np.repeat(a[:1], 16, axis=0), batch)
    assert len(np.unique(np.asarray(run(key, same)[1])[:, 0, 0])) == 16


def test_padding_samples_are_finite_and_invisible():
    batch = make_batch(8)
    for name in ("image", "keypoints", "box_xywh"):
        batch[name][4:] = 0
    batch["mask"][4:] = False
    for outputs in (run(jax.random.key(0), batch), run_center(batch)):
        assert all(np.isfinite(part).all() for part in outputs)
        assert np.asarray(outputs[2])[4:].sum() == 0
        assert np.asarray(outputs[2])[:4].all()


# ------------------------------------------------------------------ evaluation crop and values


@pytest.mark.parametrize("udp", [True, False])
def test_center_crop_equals_the_photo_crop(udp):
    import cv2

    batch = make_batch(3)
    batch["image"] = np.stack([cv2.GaussianBlur(image, (0, 0), 2) for image in batch["image"]])
    images, keypoints, visible, matrix = run_center(batch, udp=udp)
    center, scale = geometry.box_to_center_scale(batch["box_xywh"], 1.25)
    scale = geometry.fix_aspect_ratio(scale, INPUT_HW[1] / INPUT_HW[0])
    expected = geometry.crop_matrix(center, scale, INPUT_HW, udp=udp)
    np.testing.assert_allclose(matrix, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(
        keypoints, geometry.apply_affine(expected, batch["keypoints"]), atol=1e-3
    )
    theirs = np.stack(
        [geometry.crop_image(i, m, INPUT_HW) for i, m in zip(batch["image"], expected, strict=True)]
    )
    difference = np.abs(raw(images) - theirs)
    assert difference.max() < 2.5  # OpenCV interpolates at 1/32 px and rounds to uint8
    assert difference.mean() < 0.5
    np.testing.assert_array_equal(visible, batch["visible"])


def test_augmentation_switched_off_is_the_center_crop():
    batch = make_batch(4)
    images, keypoints, _ = run(jax.random.key(0), batch, augmentation=NOTHING)
    expected, expected_keypoints, _, _ = run_center(batch)
    np.testing.assert_allclose(images, expected, atol=1e-4)
    np.testing.assert_allclose(keypoints, expected_keypoints, atol=1e-4)


def test_normalize_takes_both_types():
    image = np.uint8([[[124, 116, 104], [0, 0, 0], [255, 255, 255]]])
    expected = (image - IMAGENET_MEAN) / IMAGENET_STD
    for dtype in (jnp.uint8, jnp.float32, jnp.bfloat16):
        values = normalize(jnp.asarray(image).astype(dtype))
        assert values.dtype == jnp.float32
        np.testing.assert_allclose(values, expected, atol=2e-6 if dtype != jnp.bfloat16 else 0.02)


@pytest.mark.slow
def test_colours_stay_in_range_and_grey_keeps_its_hue():
    batch = make_batch(8)
    colourful = Augmentation(
        **{**NOTHING.__dict__, "brightness": 0.4, "contrast": 0.4, "saturation": 0.9}
    )
    plain = raw(run(jax.random.key(0), batch, augmentation=NOTHING)[0])
    changed = raw(run(jax.random.key(0), batch, augmentation=colourful)[0])
    assert changed.min() > -1e-3 and changed.max() < 255 + 1e-3
    assert np.abs(changed - plain).mean() > 5
    of_grey = batch | {"image": np.full_like(batch["image"], 128)}
    turned = Augmentation(**{**NOTHING.__dict__, "saturation": 0.9, "hue_degrees": 90.0})
    grey = raw(run(jax.random.key(0), of_grey, augmentation=turned)[0])
    np.testing.assert_allclose(grey[:, 16:-16, 12:-12], 128, atol=1e-2)


@pytest.mark.parametrize(
    "arguments", [{"flip": 1.5}, {"scale": 1.0}, {"rotation_degrees": -1.0}, {"saturation": -0.1}]
)
def test_bad_settings_are_refused(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        Augmentation(**arguments)
