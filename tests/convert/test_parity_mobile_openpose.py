"""tf-pose-estimation's MobileNetV2-small against TensorFlow: outputs on stored images, people.

The outputs are those of TensorFlow 2.21 on both images as one batch. The graph's norms in the
backbone use the statistics of the batch, so these are computed in the same way for the comparison.
"""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.convert.load import plan_for, recognise, to_variables
from jaxpose.convert.reading import load_state_dict
from jaxpose.media.image import read_image
from jaxpose.models.norm import ImageNorm
from jaxpose.models.published.catalogue import find
from jaxpose.skeletons import OPENPOSE18
from jaxpose.tasks.bottomup.estimator import BottomUpEstimator
from jaxpose.tasks.topdown.augment import normalize

NAME = "openpose-mobilenetv2"
TOLERANCE = 5e-3  # of the spread: 26 norms over differences of large pixel values


@pytest.fixture(scope="module")
def real(shared):
    folder = shared / "weights/openpose_mobilenetv2_small"
    state_dict = load_state_dict(folder / "graph_opt.pb")
    images = read_image(folder / "inputs.webp").reshape(-1, 368, 432, 3)
    with np.load(folder / "golden.npz") as file:
        outputs = file["out"]
    trace = json.loads((folder / "trace.json").read_text())
    model = find(NAME).model()
    return state_dict, to_variables(state_dict, model), images, outputs, trace, model


def over_the_batch(call, args, kwargs, context):
    """Norms with the statistics of all images together."""
    norm = context.module
    if not isinstance(norm, ImageNorm) or context.method_name != "__call__":
        return call(*args, **kwargs)
    values = norm.variables["params"]
    x = args[0] - args[0].mean(axis=(0, 1, 2), keepdims=True)
    x = x * jax.lax.rsqrt(jnp.square(x).mean(axis=(0, 1, 2), keepdims=True) + norm.epsilon)
    return x * values["scale"][None, None, None] + values["bias"][None, None, None]


def test_every_array_is_used_or_is_no_weight(real):
    source, renamed = recognise(real[0])
    plan = plan_for(source, renamed, real[5])
    assert plan.fits and source.name == "tf-pose-estimation"
    assert len(plan.dropped) == 88
    assert not [key for key, _ in plan.dropped if "weights" in key or "beta" in key]


def test_outputs_are_tensorflows(real):
    _, variables, images, outputs, _, model = real

    @jax.jit
    def forward(variables, images):
        with nn.intercept_methods(over_the_batch):
            return model.apply(variables, normalize(images))

    ours = np.asarray(forward(variables, images))
    away = np.abs(ours - outputs).max(axis=(1, 2, 3)) / outputs.std(axis=(1, 2, 3))
    assert (away < TOLERANCE).all(), away


@pytest.mark.slow
def test_one_image_is_normalised_by_itself(real):
    """The published trace is that of the first image alone."""
    _, variables, images, _, trace, model = real
    known = next(node for node in trace if node["name"] == "Openpose/concat_stage7")
    ours = np.asarray(jax.jit(model.apply)(variables, normalize(images)))[0]
    values = np.array([ours.mean(), ours.std(), *ours.ravel()[:6]])
    expected = np.array([known["mean"], known["std"], *known["first6"]])
    assert np.abs(values - expected).max() < 1e-4 * known["std"]


@pytest.mark.slow
def test_people_are_found_in_its_maps_and_in_the_images(real, shared):
    _, variables, _, outputs, _, model = real
    codec = find(NAME).codec((368, 432))
    found = jax.jit(codec.decode)(outputs)
    assert np.asarray(found.valid).any(axis=-1).sum(axis=1).tolist() == [1, 3]
    predictor = BottomUpEstimator(model, codec, OPENPOSE18).predictor(
        variables, flip_test=False, batch_size=1
    )
    people = predictor(read_image(shared / "data/video/three_people.jpg"))
    middles = np.sort(people.keypoints[..., 0].mean(axis=1))
    expected = np.asarray(found.keypoints[1])[np.asarray(found.valid[1]).any(axis=-1)]
    # The stored input is letterboxed by other rounding: at a scale of 432 to 1049 pixels.
    expected = np.sort(expected[..., 0].mean(axis=1)) * 1049 / 432
    assert len(people) == 3
    np.testing.assert_allclose(middles, expected, atol=40)
