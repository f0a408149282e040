"""Swin transformers of timm and MMPose: the same outputs as the published code."""

import drawn
import jax
import numpy as np
import pytest
from broken import with_fault
from reference import TOLERANCE, distance
from vit_golden import load_vit

from jaxpose.convert.choose import Clues, choose
from jaxpose.convert.identify import identify
from jaxpose.convert.load import to_variables
from jaxpose.convert.window_positions import fit_windows
from jaxpose.errors import InputError
from jaxpose.models import FeatureHead, PoseModel, Swin, swin
from jaxpose.models.published.catalogue import CATALOGUE, LIFTERS, UNPUBLISHED
from jaxpose.models.swin import WindowAttention, relative_positions


def test_features_equal_timms(shared):
    golden = load_vit(shared, "timm_swin_tiny_patch4_window7_224")
    model = PoseModel(Swin(shift_single=False), FeatureHead())
    run = jax.jit(model.apply)
    for state_dict, right in (
        (golden.state_dict, True),
        (with_fault(golden.state_dict, "middle")[1], False),
    ):
        found = np.asarray(run(to_variables(state_dict, model), golden.images))
        far = distance(found.reshape(1, 7, 7, 768), golden.outputs["features"])
        assert (far <= TOLERANCE) == right


@pytest.mark.slow
def test_heatmaps_equal_mmposes(shared):
    """This reference was computed with an index of zeros, which the state dict contains."""
    golden = load_vit(shared, "swin_t_256x192")
    fits = identify(golden.state_dict, [*CATALOGUE, *LIFTERS, *UNPUBLISHED])
    fit = choose(fits, Clues("x.pth"))[0]
    assert fit.entry.name == "swin-t" and fit.num_keypoints == 17
    model = swin("T")
    run = jax.jit(model.apply)

    def heatmaps(state_dict):
        found = np.asarray(run(to_variables(state_dict, model), golden.images))
        return found.transpose(0, 3, 1, 2)

    expected = golden.outputs["output"]
    assert distance(heatmaps(golden.state_dict), expected) <= TOLERANCE
    _, broken = with_fault(golden.state_dict, "middle")
    assert distance(heatmaps(broken), expected) > TOLERANCE
    usual = {
        key: relative_positions(7) if key.endswith("_index") else array
        for key, array in golden.state_dict.items()
    }
    assert distance(heatmaps(usual), expected) > 0.1


def test_an_index_of_another_order_reorders_its_table():
    table = np.arange(9.0).reshape(9, 1)
    reverse = {
        "a.relative_position_bias_table": table,
        "a.relative_position_index": 8 - relative_positions(2),
    }
    fitted = fit_windows(reverse)["a.relative_position_bias_table"]
    expected = 8 - relative_positions(2)
    np.testing.assert_array_equal(fitted[relative_positions(2)], expected[..., None])
    reverse["a.relative_position_index"] = np.arange(16).reshape(4, 4) % 9
    with pytest.raises(InputError, match="two rows of the table for one relative position"):
        fit_windows(reverse)


def test_windows_of_a_rolled_map_keep_distant_patches_apart():
    """A change in the last row does not reach the first row within one shifted block."""
    layer = WindowAttention(2, 2, (1, 1), "float32")
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 8)).astype(np.float32)
    variables = drawn.init(layer, x)
    changed = x.copy()
    changed[:, -1] += 1
    before, after = (np.asarray(layer.apply(variables, y)) for y in (x, changed))
    moved = np.abs(after - before).max((0, 2, 3)) > 1e-6
    np.testing.assert_array_equal(moved, [False, False, False, True])
