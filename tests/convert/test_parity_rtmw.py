"""RTMW and RTMW3D through the converter: the same outputs as MMPose."""

from functools import cache

import jax
import pytest
from broken import with_fault
from reference import TOLERANCE, distance, feature_distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.convert.identify import identify
from jaxpose.models.build import count_parameters
from jaxpose.models.published.catalogue import CATALOGUE
from jaxpose.models.published.rtmw import rtmw

MODELS = {
    "rtmw_m_256x192": rtmw("m"),
    "rtmw3d_l_384x288": rtmw("l", 133, (384, 288), depth=True),
}
# float64 in PyTorch differs from these outputs by 8e-5 of their spread.
WIDE = 5e-4


@cache
def forward(name):
    """Compiled: variables and images -> logits, and the neck's maps."""
    model = MODELS[name]

    @jax.jit
    def run(variables, images):
        output, state = model.apply(
            variables, images, capture_intermediates=lambda module, _: module.name == "neck"
        )
        return output, state["intermediates"]["neck"]["__call__"][0]

    return lambda *arguments: jax.device_get(run(*arguments))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_outputs_equal_mmposes(name, tmp_path):
    golden = load(name)
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    fits = identify(convert.load_state_dict(path), CATALOGUE)
    assert fits[0].entry.golden == (name,) and fits[0].model == MODELS[name]
    variables = convert.to_variables(golden.state_dict, MODELS[name])
    assert count_parameters(variables) == golden.description["parameters"]
    outputs, maps = forward(name)(variables, golden.images)
    for i, level in enumerate(maps):
        summary = golden.description["features"][f"neck.{i}"]
        assert feature_distance(level.transpose(0, 3, 1, 2), summary) <= TOLERANCE
    assert len(outputs) == len(golden.outputs)
    for i, vectors in enumerate(outputs):
        assert distance(vectors, golden.outputs[f"output.{i}"]) <= WIDE

    layer, broken = with_fault(golden.state_dict, "middle")
    outputs, _ = forward(name)(convert.to_variables(broken, MODELS[name]), golden.images)
    assert distance(outputs[0], golden.outputs["output.0"]) > WIDE, layer
