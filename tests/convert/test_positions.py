"""Interpolation of position embeddings between grids."""

import numpy as np
import pytest

from jaxpose.convert.positions import fit_positions, infer_grid, resize_position_embedding
from jaxpose.errors import InputError


def test_the_same_grid_is_left_alone():
    embedding = np.random.default_rng(0).random((12, 5))
    assert resize_position_embedding(embedding, (4, 3), (4, 3)) is embedding


def test_constants_and_the_inside_of_ramps_are_kept():
    ramp = np.broadcast_to(np.arange(8.0)[:, None, None], (8, 6, 1)).reshape(48, 1)
    resized = resize_position_embedding(ramp, (8, 6), (16, 12)).reshape(16, 12)
    centres = (np.arange(16) + 0.5) / 2 - 0.5
    # Cubic kernels reproduce a ramp up to a ripple of at most |a + 0.5| / 8 with PyTorch's a.
    np.testing.assert_allclose(resized[4:-4, 3], centres[4:-4], atol=0.05)
    constant = resize_position_embedding(np.full((48, 2), 7.0), (8, 6), (5, 9))
    np.testing.assert_allclose(constant, 7.0)


@pytest.mark.parametrize("target", [(24, 18), (8, 6), (16, 16), (5, 7)])
def test_equals_pytorchs_bicubic_interpolation(target):
    torch = pytest.importorskip("torch")
    embedding = np.random.default_rng(0).standard_normal((16 * 12, 3)).astype(np.float32)
    grid = torch.tensor(embedding.reshape(1, 16, 12, 3)).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(grid, target, mode="bicubic", align_corners=False)
    actual = resize_position_embedding(embedding, (16, 12), target)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(
        actual, expected.permute(0, 2, 3, 1).reshape(-1, 3).numpy(), atol=1e-5
    )


def test_a_grid_of_another_number_is_refused():
    with pytest.raises(InputError, match="12 positions, which is not a grid of 4 x 4"):
        resize_position_embedding(np.zeros((12, 5)), (4, 4), (8, 8))


@pytest.mark.parametrize(
    ("count", "target", "grid"),
    [
        (192, (24, 18), (16, 12)),  # ViTPose at another size
        (196, (16, 12), (14, 14)),  # an ImageNet ViT
        (197, (16, 12), None),  # with a class token
        (256, (8, 2), None),  # 16 x 16 or 32 x 8
    ],
)
def test_grids_are_inferred_only_where_one_fits(count, target, grid):
    assert infer_grid(count, target) == grid


@pytest.mark.parametrize(
    ("class_slot", "expected"),
    [
        ("dropped", lambda rows: rows[1:]),
        ("added", lambda rows: rows[1:] + rows[:1]),
        ("kept", lambda rows: rows),
    ],
)
def test_a_class_tokens_position_is_dropped_added_or_kept(class_slot, expected):
    rows = np.random.default_rng(0).standard_normal((13, 5)).astype(np.float32)
    fitted = fit_positions(rows[None], (4, 3), None, class_slot, "pos_embed")
    np.testing.assert_array_equal(fitted, expected(rows)[None])


def test_a_kept_position_stays_first_on_another_grid():
    rows = np.random.default_rng(0).standard_normal((10, 5)).astype(np.float32)
    fitted = fit_positions(rows[None], (4, 4), None, "kept", "pos_embed")
    assert fitted.shape == (1, 17, 5)
    np.testing.assert_array_equal(fitted[0, 0], rows[0])
    np.testing.assert_array_equal(
        fitted[0, 1:], resize_position_embedding(rows[1:], (3, 3), (4, 4))
    )
