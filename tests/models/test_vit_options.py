"""ViT-22B's options: off by default, and what each changes."""

import drawn
import jax
import numpy as np
import pytest

from jaxpose.models.build import abstract_variables
from jaxpose.models.vit import ViT
from jaxpose.models.vit_block import Block

TINY = ViT(input_hw=(32, 32), dim=16, depth=2, heads=2, patch=8)
IMAGES = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)


def names(model: ViT) -> set[str]:
    leaves = jax.tree_util.tree_leaves_with_path(abstract_variables(model, (32, 32))["params"])
    return {jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves}


def test_each_option_adds_or_drops_its_parameters():
    plain, blocks = names(TINY), "blocks/"
    parts = {
        f"{blocks}attention/{n}_norm/{leaf}" for n in ("query", "key") for leaf in ("scale", "bias")
    }
    assert names(TINY.clone(qk_norm=True)) == plain | parts
    second = {f"{blocks}norm2/{leaf}" for leaf in ("scale", "bias")}
    assert names(TINY.clone(parallel=True)) == plain - second
    dropped = {f"{blocks}attention/qkv/bias", "norm/bias"}
    dropped |= {f"{blocks}norm{i}/bias" for i in (1, 2)}
    assert names(TINY.clone(bias=False)) == plain - dropped


def test_normed_queries_and_keys_do_not_feel_the_scale_of_their_weights():
    model = TINY.clone(qk_norm=True, bias=False)
    variables = drawn.variables(model, (32, 32))
    kernel = variables["params"]["blocks"]["attention"]["qkv"]["kernel"]
    larger = np.array(kernel)
    larger[:, :, :2] *= 100  # queries and keys, not values
    variables["params"]["blocks"]["attention"]["qkv"]["kernel"] = larger
    run = jax.jit(model.apply)
    scaled = run(variables, IMAGES)
    variables["params"]["blocks"]["attention"]["qkv"]["kernel"] = kernel
    np.testing.assert_allclose(run(variables, IMAGES), scaled, atol=1e-3)


def test_parallel_branches_read_the_same_input():
    """y = x + attention(norm(x)) + mlp(norm(x)), of the one block before the last norm."""
    block = Block(2, 32, 1e-6, "xla", "float32", stochastic=False, parallel=True)
    x = np.random.default_rng(1).normal(size=(2, 5, 16)).astype(np.float32)
    variables = drawn.init(block, x, np.float32(0))

    def branches(*silent: tuple[str, str]) -> np.ndarray:
        params = dict(variables["params"])
        for name, layer in silent:
            zeros = jax.tree.map(np.zeros_like, params[name][layer])
            params[name] = params[name] | {layer: zeros}
        return np.asarray(block.apply({"params": params}, x, np.float32(0))[0]) - x

    attention, mlp = ("attention", "out"), ("mlp", "fc2")
    assert np.abs(branches(attention)).max() > 0.1 < np.abs(branches(mlp)).max()
    np.testing.assert_allclose(branches(), branches(attention) + branches(mlp), atol=1e-5)


@pytest.mark.parametrize("change", [{"unroll": 1}, {"remat": "block"}])
def test_options_are_the_same_however_layers_are_written_out(change):
    model = TINY.clone(qk_norm=True, parallel=True, bias=False, depth=2)
    variables = drawn.variables(model, (32, 32))
    expected = model.apply(variables, IMAGES)
    np.testing.assert_allclose(model.clone(**change).apply(variables, IMAGES), expected, atol=1e-5)
