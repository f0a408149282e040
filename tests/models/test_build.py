"""The constructors: parameter counts as published, shapes, and errors for unknown names."""

import jax
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models import abstract_variables, count_parameters, hrnet_pose, init_variables, vitpose

# Trainable parameters. ViTPose S, B (simple), H and HRNet W32 as counted in PyTorch from MMPose's
# published configurations; the others by the same architecture, to notice a change.
PARAMETERS = {
    "vitpose_Ti": (lambda: vitpose("Ti"), 7_363_665),
    "vitpose_S": (lambda: vitpose("S"), 24_290_193),
    "vitpose_B": (lambda: vitpose("B"), 89_993_745),
    "vitpose_B_simple": (lambda: vitpose("B", head="simple"), 85_911_569),
    "vitpose_L": (lambda: vitpose("L"), 308_543_761),
    "vitpose_H": (lambda: vitpose("H"), 637_207_569),
    "hrnet_W18-small": (lambda: hrnet_pose("W18-small"), 1_284_961),
    "hrnet_W18": (lambda: hrnet_pose("W18"), 9_318_215),
    "hrnet_W32": (lambda: hrnet_pose("W32"), 28_536_113),
    "hrnet_W48": (lambda: hrnet_pose("W48"), 63_595_745),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts(name):
    build, expected = PARAMETERS[name]
    assert count_parameters(abstract_variables(build(), (256, 192))) == expected


@pytest.mark.parametrize(
    ("head", "shapes"),
    [
        ("classic", [(2, 32, 24, 21)]),
        ("simple", [(2, 32, 24, 21)]),
        ("simcc", [(2, 21, 192), (2, 21, 256)]),
    ],
)
def test_vitpose_output_shapes_follow_the_input(head, shapes):
    model = vitpose("Ti", 21, (128, 96), head)
    images = jax.ShapeDtypeStruct((2, 128, 96, 3), np.float32)
    outputs = jax.eval_shape(model.apply, abstract_variables(model, (128, 96)), images)
    assert [y.shape for y in jax.tree.leaves(outputs)] == shapes


def test_initial_variables_match_their_abstract_form_and_key():
    model = vitpose("Ti", 5, (32, 32), dtype="bfloat16")
    model = model.clone(backbone=model.backbone.clone(dim=24, depth=2))
    variables = init_variables(model, jax.random.key(0), (32, 32))
    abstract = abstract_variables(model, (32, 32))
    assert set(variables) == {"params", "batch_stats"}
    assert jax.tree.structure(variables) == jax.tree.structure(abstract)
    described = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(variables)]
    assert described == [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(abstract)]
    assert {dtype for _, dtype in described} == {np.dtype("float32")}
    again = init_variables(model, jax.random.key(0), (32, 32))
    other = init_variables(model, jax.random.key(1), (32, 32))

    def kernel(v):
        return np.asarray(v["params"]["backbone"]["blocks"]["mlp"]["fc1"]["kernel"])

    np.testing.assert_array_equal(kernel(variables), kernel(again))
    assert not np.allclose(kernel(variables), kernel(other))
    assert abs(kernel(variables).std() / 0.02 - 1) < 0.15


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: vitpose("X"), "Unknown ViT size 'X'; known: Ti, S, B, L, H"),
        (lambda: vitpose("S", head="clasic"), "Did you mean 'classic'"),
        (lambda: hrnet_pose("W33"), "Did you mean 'W32'"),
    ],
)
def test_unknown_names_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()
