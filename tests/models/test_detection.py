"""Detectors' necks and heads: shapes, and convolutions that levels share."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.convert.mismatch import Mismatch
from jaxpose.convert.rules import apply, flatten, nest
from jaxpose.errors import InputError
from jaxpose.models import rtmdet, yolox
from jaxpose.models.darknet import focus
from jaxpose.models.detection import RTMDetHead
from jaxpose.models.published.rtmdet import RTMDET

HEAD = RTMDetHead(num_classes=2, features=4)


@pytest.mark.parametrize("make", [yolox, rtmdet])
@pytest.mark.parametrize("size", ["nano", "m"])
def test_levels_have_strides_8_16_and_32(make, size):
    model = make(size, num_classes=3)
    images = jnp.zeros((2, 64, 96, 3))
    levels = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images)[0])
    places = [(8, 12), (4, 6), (2, 3)]
    assert [level.boxes.shape for level in levels] == [(2, *hw, 4) for hw in places]
    assert [level.classes.shape for level in levels] == [(2, *hw, 3) for hw in places]
    assert [level.objectness is not None for level in levels] == [make is yolox] * 3


@pytest.mark.parametrize("make", [yolox, rtmdet])
def test_an_unknown_size_is_named(make):
    with pytest.raises(InputError, match=r"known: nano, tiny, s, m\. Did you mean 'tiny'\?"):
        make("tinny")


def test_focus_takes_every_second_pixel_column_by_column():
    images = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    corners = [images[:, y::2, x::2] for x, y in ((0, 0), (0, 1), (1, 0), (1, 1))]
    np.testing.assert_array_equal(focus(jnp.asarray(images)), np.concatenate(corners, -1))


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(3)
    return tuple(jnp.asarray(rng.normal(size=(1, n, n, 4)), jnp.float32) for n in (4, 2, 1))


def checkpoint(variables):
    """A shared head's variables under MMDetection's names, each level with its own copies."""
    result = {}
    for tower, theirs in (("class", "cls"), ("box", "reg")):
        params = variables["params"][f"{tower}_tower"]
        statistics = variables["batch_stats"][f"{tower}_tower"]
        for i in range(3):
            last = variables["params"][f"{tower}_{i}"]
            result[f"bbox_head.rtm_{theirs}.{i}.weight"] = last["kernel"].transpose(3, 2, 0, 1)
            result[f"bbox_head.rtm_{theirs}.{i}.bias"] = last["bias"]
            for j in range(2):
                place = f"bbox_head.{theirs}_convs.{i}.{j}"
                kernel = params[f"conv_{j}"]["kernel"].transpose(3, 2, 0, 1)
                norm, moments = params[f"norm_{i}_{j}"], statistics[f"norm_{i}_{j}"]
                result[f"{place}.conv.weight"] = kernel
                result[f"{place}.bn.weight"] = norm["scale"]
                result[f"{place}.bn.bias"] = norm["bias"]
                result[f"{place}.bn.running_mean"] = moments["mean"]
                result[f"{place}.bn.running_var"] = moments["var"]
    return {key: np.asarray(array) for key, array in result.items()}


def load(head, state_dict, maps):
    """The head's variables from a checkpoint of it alone."""
    shapes = jax.eval_shape(lambda: head.init(jax.random.key(0), maps))
    within = {kind: {"head": tree} for kind, tree in shapes.items()}
    loaded = nest(apply(RTMDET.mmdet[RTMDetHead](head), state_dict, flatten(within)))
    return {kind: tree["head"] for kind, tree in loaded.items()}


def test_shared_convolutions_equal_copies_of_them(maps):
    variables = drawn.init(HEAD, maps)
    state_dict = checkpoint(variables)
    apart = HEAD.clone(shared=False)
    expected = HEAD.apply(variables, maps)
    for head in (HEAD, apart):
        found = head.apply(load(head, state_dict, maps), maps)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    positive = HEAD.clone(exponential=True).apply(variables, maps)
    np.testing.assert_allclose(positive[0].boxes, np.exp(expected[0].boxes), rtol=1e-5)


def test_copies_that_differ_do_not_pass_for_shared(maps):
    state_dict = checkpoint(drawn.init(HEAD, maps))
    key = "bbox_head.cls_convs.2.1.conv.weight"
    state_dict[key] = 2 * state_dict[key]
    with pytest.raises(Mismatch, match="share this array have different values"):
        load(HEAD, state_dict, maps)
