"""The table mechanism: everything used exactly once, or one message that lists what was not."""

import numpy as np
import pytest

from jaxpose.convert.rules import apply, flatten, nest
from jaxpose.errors import InputError
from jaxpose.models.conversion import Rule

RULES = [
    Rule(r"layers\.(?P<layer>\d+)\.weight", "params/layers/kernel", lambda w: w.T, stack="layer"),
    Rule(r"head\.(?P<name>\w+)", "params/head/{name}"),
    Rule(r"count", None),
    Rule(
        r"blocks\.(?P<layer>\d+)\.(?P<part>q|k)",
        "params/qk",
        stack="layer",
        join="part",
        join_order=("q", "k"),
        join_axis=1,
    ),
]


def source():
    rng = np.random.default_rng(0)
    arrays = {f"layers.{i}.weight": rng.random((2, 3)) for i in (1, 0, 10, 2, 3, 4, 5, 6, 7, 8, 9)}
    arrays |= {"head.bias": rng.random(4).astype(np.float16), "count": np.array(3)}
    arrays |= {f"blocks.{i}.{part}": rng.random((5, 1)) for part in "kq" for i in range(2)}
    return arrays


def expected():
    return {
        "params/layers/kernel": np.zeros((11, 3, 2), np.float32),
        "params/head/bias": np.zeros(4, np.float32),
        "params/qk": np.zeros((2, 5, 2), np.float32),
    }


def test_layers_are_stacked_by_number_and_parts_joined_in_order():
    arrays = source()
    leaves = apply(RULES, arrays, expected())
    assert {path: leaf.dtype for path, leaf in leaves.items()} == dict.fromkeys(
        expected(), np.dtype("float32")
    )
    for i in range(11):
        np.testing.assert_allclose(
            leaves["params/layers/kernel"][i], arrays[f"layers.{i}.weight"].T, rtol=1e-6
        )
    for i in range(2):
        parts = np.concatenate([arrays[f"blocks.{i}.q"], arrays[f"blocks.{i}.k"]], 1)
        np.testing.assert_allclose(leaves["params/qk"][i], parts, rtol=1e-6)
    np.testing.assert_array_equal(leaves["params/head/bias"], arrays["head.bias"])


def test_every_mismatch_is_in_one_message():
    arrays = source()
    arrays["strange"] = np.zeros((7, 1))
    arrays["head.scale"] = np.zeros(2)
    arrays["layers.5.weight"] = np.zeros((2, 4))
    arrays["head.bias"] = np.zeros(9)
    wanted = {**expected(), "params/absent": np.zeros((6, 5))}
    with pytest.raises(InputError) as caught:
        apply(RULES, arrays, wanted)
    message = str(caught.value)
    assert "strange [7, 1]" in message
    assert "head.scale [2]" in message
    assert "params/absent [6, 5]" in message
    assert "head.bias gives [9], params/head/bias needs [4]" in message
    assert (
        "layers.1.weight and 10 more [3, 2] -> params/layers/kernel [11, 3, 2]: "
        "layer 5 is [4, 2], the first [3, 2]" in message
    )
    assert "3 arrays" not in message and "2 arrays with a different shape" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers.3.weight": None}, "no key for layer 3"),
        ({"blocks.1.q": None}, "no key for layer 1 q"),
        (
            {"blocks.1.q": None, "blocks.1.k": None},
            r"gives \[1, 5, 2\], .* needs \[2, 5, 2\]",
        ),
        ({"layers.03.weight": np.zeros((2, 3))}, "several keys for one array"),
        ({"layers.0.weight": np.zeros(2)}, r"params/layers/kernel"),
    ],
)
def test_gaps_and_clashes_are_reported(change, message):
    arrays = source() | change
    arrays = {key: array for key, array in arrays.items() if array is not None}
    with pytest.raises(InputError, match=message):
        apply(RULES, arrays, expected())


def test_a_transform_that_cannot_take_the_array_is_reported_with_shapes():
    rule = Rule("w", "params/w", lambda w: w.transpose(1, 0))
    with pytest.raises(InputError, match=r"w \[3\] does not fit params/w \[3, 2\]"):
        apply([rule], {"w": np.zeros(3)}, {"params/w": np.zeros((3, 2))})


def test_two_rules_for_one_key_are_a_fault():
    rules = [Rule("a.*", "params/a"), Rule("ab", "params/a")]
    with pytest.raises(InputError, match="several rules"):
        apply(rules, {"ab": np.zeros(1)}, {"params/a": np.zeros(1)})


def test_flatten_and_nest_are_inverse():
    tree = {"params": {"a": {"b": 1, "c": 2}}, "batch_stats": {}}
    assert flatten(tree) == {"params/a/b": 1, "params/a/c": 2}
    assert nest(flatten(tree)) == tree
