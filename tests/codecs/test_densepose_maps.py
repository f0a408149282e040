"""Maps of surfaces: labels of pixels from maps of the image, and surfaces from outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.bodies.drawn_charts import drawn_atlas
from jaxpose.codecs import SurfaceMaps
from jaxpose.codecs.densepose import COARSE, COARSE_MIRROR, SurfaceOutputs
from jaxpose.errors import InputError

CODEC = SurfaceMaps(input_hw=(8, 6), stride=2)


def outputs_of(targets, confidence=50.0):
    """Outputs of a model that is sure of the targets, and wrong on all other charts."""
    chart = jax.nn.one_hot(targets.part, 25)
    channels = 2 if CODEC.coarse == 2 else 15
    u, v = (chart * targets.uv[..., i, None] + (1 - chart) * 9 for i in (0, 1))
    coarse = confidence * jax.nn.one_hot(targets.coarse, channels)
    return SurfaceOutputs(coarse, confidence * chart, u, v)


def image_map():
    rng = np.random.default_rng(0)
    iuv = rng.integers(0, 256, (2, 10, 9, 3)).astype(np.uint8)
    iuv[..., 0] %= 25
    return iuv


def test_encode_and_decode_give_back_the_maps_to_their_resolution():
    iuv = image_map()
    # The crop is the image enlarged by two, from pixel (3, 1) on: the maps are the image's pixels.
    # 0.4 of a pixel further they still are, if the pixels of the maps have the right centres.
    matrix = np.tile(np.array([[[2.0, 0, 1.3 - 6], [0, 2, 1.3 - 2]]], np.float32), (2, 1, 1))
    targets = CODEC.encode(jnp.asarray(iuv), jnp.asarray(matrix))
    window = iuv[:, 1:5, 3:6]
    np.testing.assert_array_equal(targets.part, window[..., 0])
    seen = window[..., :1] > 0
    np.testing.assert_allclose(targets.uv, np.where(seen, window[..., 1:] / 255, 0), atol=1e-7)
    np.testing.assert_array_equal(targets.coarse, window[..., 0] > 0)
    found = jax.jit(CODEC.decode)(outputs_of(targets))
    np.testing.assert_array_equal(found.part, targets.part)
    np.testing.assert_allclose(found.uv, targets.uv, atol=1e-6)
    np.testing.assert_allclose(found.score, 1, atol=1e-6)


def test_pixels_from_outside_the_image_are_background():
    matrix = jnp.asarray([[[2.0, 0, 4.5], [0, 2, 4.5]]])
    targets = CODEC.encode(jnp.asarray(image_map()[:1]) | 1, matrix)
    assert not targets.part[0, :2].any() and not targets.part[0, :, :2].any()
    assert targets.part[0, 2:, 2].all()


def test_mirrored_crops_have_the_charts_of_the_other_side():
    iuv, mirror = image_map(), drawn_atlas().mirror
    matrix = np.tile(np.array([[[-2.0, 0, 16.5], [0, 2, 0.5]]], np.float32), (2, 1, 1))
    flip = jnp.array([True, False])
    targets = CODEC.encode(jnp.asarray(iuv), jnp.asarray(matrix), flip, mirror)
    window = iuv[:, :4, ::-1][:, :, :3]
    np.testing.assert_array_equal(targets.part[0], mirror[window[0, ..., 0]])
    np.testing.assert_array_equal(targets.part[1], window[1, ..., 0])
    seen = window[0, ..., 0] > 0
    np.testing.assert_allclose(
        targets.uv[0, ..., 0][seen], 1 - window[0, ..., 1][seen] / 255, atol=1e-6
    )
    np.testing.assert_allclose(
        targets.uv[0, ..., 1][seen], window[0, ..., 2][seen] / 255, atol=1e-6
    )
    with pytest.raises(InputError, match="no mirror images"):
        CODEC.encode(jnp.asarray(iuv), jnp.asarray(matrix), flip)


def test_coarse_parts_and_the_order_of_masks():
    codec = SurfaceMaps(input_hw=(2, 50), stride=2, coarse=15)
    iuv = np.zeros((1, 1, 25, 3), np.uint8)
    iuv[0, 0, :, 0] = np.arange(25)
    targets = codec.encode(jnp.asarray(iuv), jnp.asarray([[[2.0, 0, 0.5], [0, 2, 0.5]]]))
    np.testing.assert_array_equal(targets.coarse[0, 0], COARSE)
    # Both charts of a coarse part, from the table of the dataset's authors.
    pairs = {1: (1, 2), 6: (7, 9), 7: (8, 10), 10: (15, 17), 13: (20, 22), 14: (23, 24)}
    for coarse, charts in pairs.items():
        assert tuple(np.flatnonzero(coarse == COARSE)) == charts


def test_the_body_is_where_the_coarse_segmentation_says():
    coarse = jnp.zeros((1, 4, 3, 2)).at[..., 0].set(1.0).at[0, 1, 1, 1].set(2.0)
    fine = jnp.zeros((1, 4, 3, 25)).at[..., 0].set(5.0).at[..., 7].set(4.0)
    place = jnp.full((1, 4, 3, 25), 3.0)
    found = CODEC.decode(SurfaceOutputs(coarse, fine, place, -place))
    assert (
        found.part.sum() == 7 and found.part[0, 1, 1] == 7
    )  # a chart, though the background leads
    np.testing.assert_array_equal(found.uv[0, 1, 1], [1, 0])  # clipped
    probability = np.exp(4) / (np.exp(4) + np.exp(5) + 23)
    np.testing.assert_allclose(found.score, probability, rtol=1e-5)
    nobody = CODEC.decode(SurfaceOutputs(-coarse, fine, place, place)._replace(coarse=coarse * 0))
    assert nobody.score[0] == 0 and not nobody.part.any()


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="2 or 15"):
        SurfaceMaps(coarse=3)
    with pytest.raises(InputError, match="multiples of the stride"):
        SurfaceMaps(input_hw=(9, 6))


@pytest.mark.parametrize("coarse", [2, 15])
def test_masks_over_boxes_lie_in_the_image(coarse):
    """A mask of 256 pixels over a box of 6 x 8; left of it part 2, right of it part 14."""
    codec = SurfaceMaps(input_hw=(16, 12), stride=1, coarse=coarse)
    mask = np.zeros((1, 256, 256), np.uint8)
    mask[0, :, :128], mask[0, :, 128:] = 2, 14
    box = jnp.array([[2.0, 4, 6, 8]])
    straight = jnp.array([[[1.0, 0, 0], [0, 1, 0]]])
    encode = jax.jit(codec.encode_mask)
    found = np.array(encode(jnp.asarray(mask), box, straight))[0]
    left, right = (1, 1) if coarse == 2 else (2, 14)
    assert (found[4:13, 2:5] == left).all() and (found[4:13, 6:9] == right).all()
    found[4:13, 2:9] = 0
    assert not found.any()
    mirror = jnp.array([[[-1.0, 0, 11], [0, 1, 0]]])
    found = encode(jnp.asarray(mask), box, mirror, jnp.array([True]))
    assert found[0, 8, 4] == right and found[0, 8, 8] == (1 if coarse == 2 else 3)
    pairs = {(int(min(a, b)), int(max(a, b))) for a, b in enumerate(COARSE_MIRROR)}
    assert len(pairs) == 9 and all(COARSE_MIRROR[COARSE_MIRROR] == np.arange(15))


def test_points_outside_the_crop_are_no_points():
    matrix = jnp.array([[[2.0, 0, 0.5], [0, 2, 0.5]]])
    points = jnp.array([[[0.0, 0], [2.4, 3.4], [2.6, 1], [-0.6, 1], [1, 1]]])
    place, part = CODEC.encode_points(points, jnp.array([[4, 5, 6, 7, 0]]), matrix)
    np.testing.assert_allclose(place, points, atol=1e-6)  # maps are half as large as the crop
    assert part.tolist() == [[4, 5, 0, 0, 0]]
