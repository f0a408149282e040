"""Weights of a plain backbone or of a detector as the trunk of a feature pyramid."""

import jax
import numpy as np
import pytest

from jaxpose.convert.load import expected_leaves, load_pretrained
from jaxpose.convert.mismatch import Mismatch
from jaxpose.convert.rules import flatten
from jaxpose.models.build import PoseModel, abstract_variables
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.feature_pyramid import FeaturePyramid
from jaxpose.models.heads import DeconvHead
from jaxpose.models.published.rtmdet import rtmdet

MODEL = PoseModel(
    FeaturePyramid(CSPNeXt(0.33, 0.25, (2, 3, 4), separable=True), width=8),
    DeconvHead(17, deconv_channels=()),
)
FRESH = jax.tree.map(
    lambda leaf: np.full(leaf.shape, 7, leaf.dtype), abstract_variables(MODEL, (64, 64))
)


def drawn(leaves):
    rng = np.random.default_rng(0)
    return {path: rng.normal(size=leaf.shape).astype(np.float32) for path, leaf in leaves.items()}


def checked(loaded, source):
    """Every array of the trunk is the source's; the rest of the model is as it was."""
    trunk = {path: leaf for path, leaf in loaded.items() if "/backbone/trunk/" in path}
    assert len(trunk) == 253
    for path, leaf in trunk.items():
        np.testing.assert_array_equal(leaf, source[path.replace("/trunk/", "/")], path)
    for path, leaf in loaded.items():
        assert path in trunk or (leaf == 7).all(), path


def test_a_detectors_release_fills_the_trunk():
    source = drawn(expected_leaves(rtmdet("nano", 1)))
    assert any("/neck/" in path for path in source)
    loaded = load_pretrained(MODEL, source, variables=FRESH, reset_head=True)
    checked(flatten(loaded), source)


def test_mmdetections_names_fill_the_trunk(shared):
    file = shared / "weights/rtmdet_nano_person_bnfolded_mmdetnames.npz"
    detector = flatten(load_pretrained(rtmdet("nano", 1), file))
    loaded = load_pretrained(MODEL, file, variables=FRESH, reset_head=True)
    checked(flatten(loaded), detector)


def test_a_model_with_a_pyramid_gives_its_whole_backbone():
    source = drawn(expected_leaves(MODEL))
    loaded = flatten(load_pretrained(MODEL, source, variables=FRESH, reset_head=True))
    for path, leaf in loaded.items():
        if "/head/" in path:
            assert (leaf == 7).all()
        else:
            np.testing.assert_array_equal(leaf, source[path], path)


def test_a_trunk_of_another_size_is_refused():
    source = drawn(expected_leaves(PoseModel(CSPNeXt(0.33, 0.5), DeconvHead(17))))
    with pytest.raises(Mismatch, match="trunk"):
        load_pretrained(MODEL, source, variables=FRESH, reset_head=True)
