"""ED-Pose through the converter: the same outputs and people as MMPose 1.3.2."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from broken import PLACES, with_fault
from reference import TOLERANCE, distance, feature_distance, load
from test_parity_one_stage import case

from jaxpose import convert
from jaxpose.codecs.queries import PeopleQueries, QueryOutputs
from jaxpose.errors import InputError
from jaxpose.models.deformable import bilinear
from jaxpose.models.edpose import EDPoseHead, own_person
from jaxpose.models.published.edpose import ed_pose

NAME = "edpose_r50_256x256"
MODEL = ed_pose()
# Copies of layers, and what only trains.
UNUSED = r"head\.(decoder\.\w+_embed|label_enc|out_head\.pose_hw_embed\.[0-2]|out_head\.class)"


@cache
def forward():
    """Compiled: variables and images -> outputs, maps of the backbone and of the neck."""

    @jax.jit
    def run(variables, images):
        parts = {"backbone", "neck"}
        outputs, state = MODEL.apply(
            variables, images, capture_intermediates=lambda module, _: module.name in parts
        )
        return outputs, {p: state["intermediates"][p]["__call__"][0] for p in parts}

    return run


def distances(outputs, golden):
    count = outputs.keypoints.shape[1]
    visible = np.full((1, count, 17), 1 / (1 + np.exp(-1)), np.float32)  # a constant there
    points = np.concatenate([outputs.keypoints.reshape(1, count, 34), visible], axis=-1)
    found = outputs.classes, outputs.boxes, points
    return [distance(np.asarray(x), golden.outputs[f"output.{i}"]) for i, x in enumerate(found)]


@pytest.mark.slow
def test_outputs_equal_mmposes():
    golden = load(NAME)
    variables = convert.to_variables(golden.state_dict, MODEL)
    outputs, maps = forward()(variables, golden.images)
    for key, summary in golden.description["features"].items():
        part, number = key.split(".")
        features = np.asarray(maps[part][int(number)]).transpose(0, 3, 1, 2)
        assert feature_distance(features, summary) <= TOLERANCE, key
    assert max(distances(outputs, golden)) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_broken_layer_is_seen(place):
    golden = load(NAME)
    layer, broken = with_fault(golden.state_dict, place, UNUSED)
    outputs, _ = forward()(convert.to_variables(broken, MODEL), golden.images)
    assert max(distances(outputs, golden)) > TOLERANCE, layer


def test_people_are_mmposes():
    known = case("decode/edpose")
    hw = tuple(known["input_shapes"].tolist())
    points = known["keypoints_raw"][:, :34].reshape(20, 17, 2)
    outputs = QueryOutputs(known["logits"][None], known["boxes"][None], points[None])
    found = jax.jit(PeopleQueries(hw, threshold=0.0, max_people=10).decode)(outputs)
    np.testing.assert_allclose(found.keypoints[0], known["keypoints"], rtol=1e-5)
    np.testing.assert_allclose(found.raw[0], known["scores"], rtol=1e-6)
    # More people than there are queries: the rest is empty.
    more = jax.jit(PeopleQueries(hw, threshold=0.5, max_people=60).decode)(outputs)
    assert more.scores.shape == (1, 60, 17)
    assert int(more.valid[0, :, 0].sum()) == (known["logits"] >= 0).sum()


def test_bilinear_sampling_by_hand():
    values = jnp.arange(6.0).reshape(1, 6, 1, 1)  # two rows of three
    places = jnp.array([[0.5, 0.5], [0.0, 0.25], [1 / 3, 0.25], [2.0, 2.0]])
    found = bilinear(values, places.reshape(1, 4, 1, 1, 2), (2, 3))
    # The middle; half outside; between two pixels; outside.
    np.testing.assert_allclose(found.ravel(), [2.5, 0.0, 0.5, 0.0], atol=1e-6)


def test_keypoints_attend_to_their_own_person():
    allowed = own_person(2, 2)
    np.testing.assert_array_equal(allowed[1], [True, True, True, False, False, False])
    np.testing.assert_array_equal(allowed[0], [True, True, True, True, False, False])


def test_images_that_are_too_small_are_refused():
    head = EDPoseHead(2, queries=50, people=5)
    maps = tuple(jnp.zeros((1, n, n, 32)) for n in (4, 2, 1, 1))
    with pytest.raises(InputError, match="have only 22: use larger images"):
        jax.eval_shape(head.init, jax.random.key(0), maps)
    with pytest.raises(InputError, match="cannot be trained yet"):
        PeopleQueries().encode(None)
