"""Published models through the converter: the same outputs as MMPose 1.3.2.

`golden/NAME.json` holds the state dict's names and shapes and `golden/recipe.py` fills them;
`golden/NAME.npz` is what MMPose computed. float64 in PyTorch differs from these float32 outputs
by up to 2e-5 of their spread, so 1e-4 is the tolerance of a right port.
"""

import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.models import abstract_variables, count_parameters, hrnet_pose, vitpose

TOLERANCE = 1e-4

MODELS = {
    "vitpose_s_256x192": lambda: vitpose("S"),
    "vitpose_b_simple_256x192": lambda: vitpose("B", head="simple"),
    "hrnet_w32_256x192": lambda: hrnet_pose("W32"),
}


@pytest.fixture(scope="module")
def recipe(shared):
    spec = importlib.util.spec_from_file_location("recipe", shared / "golden" / "recipe.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", MODELS)
def test_outputs_equal_mmposes(name, shared, recipe, tmp_path):
    golden = json.loads((shared / "golden" / f"{name}.json").read_text())
    expected = np.load(shared / "golden" / f"{name}.npz")["output"]
    path = tmp_path / "checkpoint.safetensors"
    save_file(recipe.weights(golden["state_dict"], golden["seed"]), path)
    images = recipe.image(golden["input_shape"], golden["seed"]).transpose(0, 2, 3, 1)

    model = MODELS[name]()
    variables = convert.to_variables(convert.load_state_dict(path), model)
    assert count_parameters(variables) == golden["parameters"]

    @jax.jit
    def forward(variables, images):
        output, state = model.apply(
            variables, images, capture_intermediates=lambda module, _: module.name == "backbone"
        )
        return output, state["intermediates"]["backbone"]["__call__"][0]

    output, features = (np.asarray(a).transpose(0, 3, 1, 2) for a in forward(variables, images))
    (summary,) = golden["backbone_features"]
    assert list(features.shape) == summary["shape"]
    spread = summary["std"]
    assert abs(features.mean() - summary["mean"]) <= TOLERANCE * spread
    assert abs(features.std(ddof=1) - spread) <= TOLERANCE * spread
    np.testing.assert_allclose(
        features.ravel()[:6], summary["first"], rtol=0, atol=TOLERANCE * spread
    )
    assert output.shape == expected.shape
    assert np.abs(output - expected).max() <= TOLERANCE * expected.std()


def test_vitpose_huge_has_the_published_shapes(shared):
    golden = json.loads((shared / "golden" / "vitpose_h_256x192.json").read_text())
    variables = abstract_variables(vitpose("H"), (256, 192))
    assert count_parameters(variables) == golden["parameters"]
    depth = jax.tree.leaves(variables["params"]["backbone"]["blocks"])[0].shape[0]
    assert depth == 1 + max(
        int(key.split(".")[2]) for key in golden["state_dict"] if ".layers." in key
    )
    images = jax.ShapeDtypeStruct((1, 256, 192, 3), jnp.float32)
    output = jax.eval_shape(vitpose("H").apply, variables, images)
    assert output.shape == (1, 64, 48, 17)
