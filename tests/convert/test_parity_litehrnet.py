"""Lite-HRNet-18's other kind of block through the converter, under MMPose's names."""

import numpy as np
import pytest
from reference import empty_state_dict

from jaxpose import convert
from jaxpose.models import abstract_variables, count_parameters, litehrnet


@pytest.mark.slow
def test_naive_blocks_are_found_under_mmposes_names():
    """Wider naive Lite-HRNet-18 differs from Lite-HRNet-18 in its blocks alone."""
    source = empty_state_dict("litehrnet18_256x192")
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
