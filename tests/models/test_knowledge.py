"""ViTPose's knowledge token: it is seen by the patches, projected if need be, and not given out."""

import drawn
import jax
import numpy as np
import pytest

from jaxpose.models.vit import ViT

HW = (32, 32)


@pytest.mark.slow
@pytest.mark.parametrize("width", [16, 24])
def test_the_map_depends_on_the_token_and_keeps_its_size(width):
    plain = ViT(input_hw=HW, dim=16, depth=1, heads=2)
    model = plain.clone(knowledge_token=width)
    variables = drawn.variables(model, HW)
    images = jax.random.normal(jax.random.key(1), (2, *HW, 3))
    params = variables["params"]
    assert params["knowledge_token"].shape == (width,)
    assert ("knowledge_projection" in params) == (width != 16)
    assert params["position_embedding"].shape == (4, 16)

    before = model.apply(variables, images)
    other = params | {"knowledge_token": jax.random.normal(jax.random.key(2), (width,))}
    after = model.apply({"params": other}, images)
    assert before.shape == (2, 2, 2, 16)
    assert np.abs(before - after).max(axis=-1).min() > 1e-4
