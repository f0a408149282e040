"""Low-rank terms: the merged model is the adapted one, for every kind of linear layer."""

import drawn
import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from jaxpose.errors import InputError
from jaxpose.models import DeconvHead, Hiera, PoseModel, Swin, ViT
from jaxpose.models.build import init_variables
from jaxpose.models.lora import LoRA, adapted, join, merge, split, without_terms
from jaxpose.models.rope import Rope
from jaxpose.train.parameter_groups import parameter_groups

HW = (64, 32)
LORA = LoRA(rank=2, alpha=3.0, base_dtype="float32")
VIT = ViT(HW, 16, 3, 4, patch_padding=0)
BACKBONES = {
    "fused layers and a GELU in the product": VIT.clone(remat="block"),
    "grouped queries, a gated MLP, three stacks": VIT.clone(
        mlp="swiglu", kv_heads=2, ungrouped=1, positions="none", rope=Rope(), unroll=1
    ),
    "windows": Swin(8, (1, 2), (1, 2), window=4),
    "pooled attention": Hiera(HW, 8, (1, 1, 1, 1)),
}


def described(backbone):
    model = PoseModel(backbone, DeconvHead(3, ()))
    with adapted(LORA):
        variables = drawn.variables(model, HW)
    return model, variables


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n == "windows" else ()) for n in BACKBONES],
)
def test_merged_weights_give_the_adapted_outputs(name):
    model, variables = described(BACKBONES[name])
    images = np.random.default_rng(1).normal(size=(2, *HW, 3)).astype(np.float32)

    def apply(params):
        return np.asarray(
            jax.jit(model.apply)(
                {"params": params, "batch_stats": variables["batch_stats"]}, images
            )
        )

    with adapted(LORA):
        adapted_outputs = apply(variables["params"])
    trained, base = split(variables["params"], LORA)
    merged = merge(join(trained, base), LORA)
    assert jax.tree.structure(merged) == jax.tree.structure(without_terms(variables["params"]))
    spread = adapted_outputs.std()
    np.testing.assert_allclose(apply(merged), adapted_outputs, atol=1e-5 * spread)
    plain = apply(without_terms(variables["params"]))
    assert np.abs(plain - adapted_outputs).max() > 1e-2 * spread


def test_base_matrices_are_halved_and_terms_and_head_trained():
    _, variables = described(VIT)
    trained, base = split(variables["params"], LoRA(rank=2))
    leaves = flatten_dict(base, sep="/")
    assert leaves["backbone/blocks/mlp/fc1/kernel"].dtype == jax.numpy.bfloat16
    assert leaves["backbone/blocks/mlp/fc1/bias"].dtype == np.float32
    names = [*flatten_dict(trained, sep="/")]
    ends = ("lora_a", "lora_b")
    assert all(name.startswith("head/") or name.endswith(ends) for name in names)
    assert len([name for name in names if name.endswith(ends)]) == 2 * 4
    assert not any(name.startswith("head/") or name.endswith(ends) for name in leaves)


def test_terms_begin_as_zero_and_with_layers_of_their_own():
    model = PoseModel(VIT, DeconvHead(3, ()))
    with adapted(LORA):
        params = init_variables(model, jax.random.key(0), HW)["params"]
    term = params["backbone"]["blocks"]["attention"]["qkv"]
    assert term["lora_a"].shape == (3, 16, 2) and term["lora_b"].shape == (3, 2, 3, 4, 4)
    assert not np.asarray(term["lora_b"]).any()
    assert not np.array_equal(term["lora_a"][0], term["lora_a"][1])
    scales = parameter_groups(model).layer_scales(split(params, LORA)[0], 0.5)
    factors = scales["backbone"]["blocks"]["mlp"]["fc2"]["lora_a"]
    np.testing.assert_allclose(np.ravel(factors), [0.125, 0.25, 0.5])
    spec = parameter_groups(model).tensor_spec("backbone/blocks/attention/qkv/lora_b", 5)
    assert spec == ("tensor", None)


def test_expressions_without_a_match_are_refused():
    _, variables = described(VIT)
    for lora, message in (
        (LoRA(rank=2, layers=("neck/.*",)), "lora.layers has 'neck/.*', which matches no linear"),
        (LoRA(rank=2, train=("tail/.*",)), "lora.train has 'tail/.*', which matches no parameter"),
    ):
        with pytest.raises(InputError, match=message):
            split(variables["params"], lora)
    with pytest.raises(InputError, match="rank must be at least 0"):
        LoRA(rank=-1)
    with pytest.raises(InputError, match="not a regular expression"):
        LoRA(layers=("(",))
