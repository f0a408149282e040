"""FAN: the same heatmaps as the face-alignment package, and its keys, crops and decoding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from broken import PLACES, with_fault
from reference import TOLERANCE, distance

from jaxpose import convert
from jaxpose.codecs import CellHeatmap, Sample
from jaxpose.convert.choose import Clues, choose
from jaxpose.convert.identify import identify
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel, count_parameters
from jaxpose.models.fan import FANHead, FANStem
from jaxpose.models.normalisation import IMAGENET_RGB
from jaxpose.models.published.catalogue import CATALOGUE, UNPUBLISHED, find

NAME = "face_alignment_fan2_64x64"
# The reference's images are normalised already.
MODEL = PoseModel(FANStem(normalisation=IMAGENET_RGB), FANHead(68, 2))


@pytest.fixture(scope="module")
def forward():
    run = jax.jit(lambda v, x: MODEL.apply(v, x, train=True, mutable=["batch_stats"])[0])
    plain = jax.jit(MODEL.apply)
    return run, plain


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_heatmaps_equal_the_packages(place, forward):
    golden = reference.load(NAME, "backbones")
    variables = convert.to_variables(golden.state_dict, MODEL)
    assert count_parameters(variables) == golden.description["parameters"]
    _, plain = forward

    def far(state_dict):
        maps = plain(convert.to_variables(state_dict, MODEL), golden.images)
        return distance(np.asarray(maps).transpose(0, 3, 1, 2), golden.outputs["1"])

    assert far(golden.state_dict) <= TOLERANCE
    layer, broken = with_fault(golden.state_dict, place)
    assert far(broken) > TOLERANCE, layer


def stacks_of(count):
    """Names and shapes of FAN with `count` stacks, without memory."""
    known = reference.load(NAME, "backbones").state_dict
    stem = {
        k: a
        for k, a in known.items()
        if k.startswith(("conv1.", "bn1.", "conv2", "conv3", "conv4"))
    }
    again = {k: a for k, a in known.items() if k.startswith(("bl0", "al0"))}
    one = {k: a for k, a in known.items() if k not in stem and k not in again}
    one = {k: a for k, a in one.items() if k.split(".")[0].endswith("0")}
    made = dict(stem)
    for s in range(count):
        parts = {**one, **(again if s + 1 < count else {})}
        for key, array in parts.items():
            first, dot, rest = key.partition(".")
            made[f"{first[:-1]}{s}{dot}{rest}"] = np.broadcast_to(np.float32(0), array.shape)
    return made


def test_the_model_is_found_from_the_names():
    four = stacks_of(4)
    fits = identify(four, [*CATALOGUE, *UNPUBLISHED])
    assert {fit.entry.name for fit in fits} == {"fan-2d", "fan-3d"}
    assert choose(fits, Clues("weights.pth"))[0].entry.name == "fan-2d"
    assert choose(fits, Clues("3DFAN4-7835d9f11d.pth.tar"))[0].entry.name == "fan-3d"
    assert identify(stacks_of(2), [*CATALOGUE, *UNPUBLISHED])[0].entry.name == "fan-2"
    learnt = sum(
        a.size for k, a in four.items() if not k.endswith(("_mean", "_var", "num_batches_tracked"))
    )
    assert learnt / 1e6 == pytest.approx(find("fan-2d").parameters, abs=0.005)


def test_keypoints_are_where_the_package_finds_them():
    """Its pixel is the highest cell, half a cell and a quarter towards the higher neighbour."""
    codec = CellHeatmap()
    maps = np.zeros((1, 64, 64, 1), np.float32)
    maps[0, 20, 30], maps[0, 20, 31], maps[0, 19, 30] = 1.0, 0.5, 0.5
    (found,) = codec.decode(jnp.asarray(maps)).keypoints[0]
    cells = np.array([30 + 0.5 + 0.25, 20 + 0.5 - 0.25])
    np.testing.assert_allclose(found, 4 * cells - 0.5)
    points = np.array([[[61.3, 200.0]]], np.float32)
    targets, weights = codec.encode(Sample(np.full((1, 1), 2), points))
    assert weights.all()
    np.testing.assert_allclose(codec.decode(targets).keypoints, points, atol=1.1)


def test_every_stack_is_trained(forward):
    run, plain = forward
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    variables = jax.eval_shape(lambda: MODEL.init(jax.random.key(0), jnp.zeros((1, 64, 64, 3))))
    assert [m.shape for m in jax.eval_shape(run, variables, images)] == [(1, 16, 16, 68)] * 2
    assert jax.eval_shape(plain, variables, images).shape == (1, 16, 16, 68)
    with pytest.raises(InputError, match="multiples of 64"):
        jax.eval_shape(plain, variables, jax.ShapeDtypeStruct((1, 96, 64, 3), jnp.float32))
