"""Lite-HRNet-18 through the converter: the same outputs as MMPose 1.3.2."""

import jax
import numpy as np
from reference import TOLERANCE, distance, feature_distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.models import abstract_variables, count_parameters, litehrnet


def test_outputs_equal_mmposes(shared, tmp_path):
    golden = load(shared, "litehrnet18_256x192")
    path = tmp_path / "checkpoint.safetensors"
    save_file(golden.state_dict, path)

    model = litehrnet("18")
    variables = convert.to_variables(convert.load_state_dict(path), model)
    assert count_parameters(variables) == golden.description["parameters"]

    @jax.jit
    def forward(variables, images):
        output, state = model.apply(
            variables, images, capture_intermediates=lambda module, _: module.name == "backbone"
        )
        return output, state["intermediates"]["backbone"]["__call__"][0]

    output, features = (
        np.asarray(a).transpose(0, 3, 1, 2) for a in forward(variables, golden.images)
    )
    (summary,) = golden.description["backbone_features"]
    assert feature_distance(features, summary) <= TOLERANCE
    assert distance(output, golden.outputs["output"]) <= TOLERANCE


def test_naive_blocks_are_found_under_mmposes_names(shared):
    """Wider naive Lite-HRNet-18 differs from Lite-HRNet-18 in its blocks alone."""
    source = load(shared, "litehrnet18_256x192").state_dict
    state_dict = {key: array for key, array in source.items() if ".layers." not in key}
    for stage, modules in enumerate((2, 4, 2)):
        for module in range(modules):
            for branch in range(stage + 2):
                half = 20 * 2**branch
                for block in range(2):
                    name = f"backbone.stage{stage}.{module}.layers.{branch}.{block}.branch2"
                    shapes = ((half, half, 1, 1), (half, 1, 3, 3), (half, half, 1, 1))
                    for i, shape in enumerate(shapes):
                        state_dict[f"{name}.{i}.conv.weight"] = np.zeros(shape, np.float32)
                        for leaf in ("weight", "bias", "running_mean", "running_var"):
                            state_dict[f"{name}.{i}.bn.{leaf}"] = np.zeros(half, np.float32)

    model = litehrnet("wider-naive-18")
    variables = convert.to_variables(state_dict, model)
    assert count_parameters(variables) == count_parameters(abstract_variables(model, (256, 192)))
