"""BlazePose, hands, the face mesh and their detectors: shapes, training, identification."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import Landmarks, Sample
from jaxpose.codecs.landmarks import LandmarkOutputs
from jaxpose.convert import load_pretrained
from jaxpose.convert.formats import FORMATS, detect
from jaxpose.convert.identify import identify
from jaxpose.convert.load import expected_leaves, table
from jaxpose.convert.mismatch import Mismatch
from jaxpose.detect.weights import is_detector, recognise_detector
from jaxpose.losses import LandmarkLoss
from jaxpose.models import (
    AnchoredHead,
    BlazeNet,
    BlazePoseHead,
    BlazePoseTrunk,
    FaceMeshHead,
    HandHead,
    PoseModel,
    TopDownNeck,
)
from jaxpose.models.blaze import depth_to_space
from jaxpose.models.build import abstract_variables, init_variables
from jaxpose.models.detection import DetectionModel
from jaxpose.models.published.catalogue import CATALOGUE, find

TRUNK = BlazePoseTrunk((4, 4), ((2, 3, 2, 4, 1), (2, 3, 2, 4, 2), (2, 5, 2, 4, 1), (2, 3, 2, 4, 1)))
BODY = PoseModel(TRUNK, BlazePoseHead(3, 6, 4, ((32, 4, 0), (64, 4, 1))))
HAND = PoseModel(TRUNK, HandHead(3))
FACE = PoseModel(BlazeNet((4, 3), ((4,), (8,), (8,), (8, 8)), activation="prelu"), FaceMeshHead(5))
LARGE = ("blazepose-full", "blazepose-heavy", "hand-landmark-full")
NAMES = (
    *("hand-landmark-lite", "face-mesh", "blazepose-lite", "hand-region"),
    *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE),
)
DETECTORS = (
    "blazeface-short",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("blazepose-detector", "palm-detection-full")
    ),
)


def images(side, count=1):
    return jax.random.normal(jax.random.key(0), (count, side, side, 3))


@pytest.mark.parametrize("name", NAMES)
def test_a_codec_decodes_what_its_model_gives(name):
    record = find(name)
    model, codec = record.model(), record.codec(record.input_hw)
    variables = abstract_variables(model, record.input_hw)
    image = jax.ShapeDtypeStruct((2, *record.input_hw, 3), jnp.float32)
    outputs = jax.eval_shape(model.apply, variables, image)
    shapes = tuple(leaf.shape[1:] for leaf in jax.tree.leaves(outputs))
    assert shapes in codec.output_shapes(record.num_keypoints)
    decoded = jax.eval_shape(codec.decode, outputs)
    assert decoded.keypoints.shape == (2, record.num_keypoints, 2)
    assert record.skeleton.num_keypoints == record.num_keypoints


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_has_a_box_for_each_anchor(name):
    record = find(name)
    model = record.model()
    variables = abstract_variables(model, record.input_hw)
    image = jax.ShapeDtypeStruct((1, *record.input_hw, 3), jnp.float32)
    outputs = jax.eval_shape(model.apply, variables, image)
    anchors = sum(
        count * (record.input_hw[0] // stride) ** 2 for stride, count in model.head.anchors
    )
    assert outputs.logits.shape == (1, anchors, 1)
    assert outputs.boxes.shape == (1, anchors, 4 + 2 * model.head.num_keypoints)


def keras_weights(record):
    """Zeros under the names and with the shapes of the record's TFLite file."""
    model = record.model()
    leaves = expected_leaves(model)
    weights = {}
    name = "MediaPipe's detectors" if record.kind == "detector" else "MediaPipe"
    for rule in table(next(known for known in FORMATS if known.name == name), model):
        shape = leaves[rule.target].shape
        key = rule.pattern.replace(r"classif\w+_", "classifier_x_").replace(r"\w*", "")
        key = key.replace("(_NO_PRUNING)?", "_NO_PRUNING")
        if rule.pattern.endswith("kernel") and len(shape) == 4:
            depthwise = shape[2] == 1 and re.match("depthwise|batch_norm", rule.pattern)
            shape = (1, *shape[:2], shape[3]) if depthwise else (shape[3], *shape[:3])
        elif rule.pattern.endswith("kernel"):
            shape = shape[::-1]
        weights[key] = np.zeros(shape, np.float32)
    return weights


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_identified_by_its_arrays(name):
    weights = keras_weights(find(name))
    assert detect(weights).name == "MediaPipe" and not is_detector(weights)
    (fit,) = identify(weights, CATALOGUE)
    assert fit.entry.name == name and fit.num_keypoints == find(name).num_keypoints


@pytest.mark.parametrize(
    "name",
    [
        "hand-landmark-lite",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("face-mesh", "blazepose-lite")),
    ],
)
def test_a_backbone_starts_without_its_head(name):
    """Layers have numbers across backbone and head, and only the backbone's are used."""
    record = find(name)
    weights = {key: array + 1 for key, array in keras_weights(record).items()}
    model = record.variant(5, record.input_hw)
    fresh = jax.tree.map(
        lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract_variables(model, record.input_hw)
    )
    params = load_pretrained(model, weights, variables=fresh, reset_head=True)["params"]
    assert all((leaf == 1).all() for leaf in jax.tree.leaves(params["backbone"]))
    assert not any(leaf.any() for leaf in jax.tree.leaves(params["head"]))
    del weights["depthwise_conv2d_5/kernel"]
    with pytest.raises(Mismatch, match=r"backbone/stage_\w+depthwise/conv/kernel"):
        load_pretrained(model, weights, variables=fresh, reset_head=True)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_is_identified_by_its_arrays(name):
    weights = keras_weights(find(name))
    assert is_detector(weights)
    assert recognise_detector(weights).entry.name == name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "part", "side", "points"),
    [
        (HAND, "hand", 32, 3),
        pytest.param(BODY, "body", 128, 3, marks=pytest.mark.slow),
        pytest.param(FACE, "face", 48, 5, marks=pytest.mark.slow),
    ],
)
def test_steps_of_training_reduce_the_loss(model, part, side, points):
    codec, loss = Landmarks(part, (side, side)), LandmarkLoss(side)
    key = jax.random.key(1)
    sample = Sample(
        keypoints=side * jax.random.uniform(key, (2, points, 2)), visible=jnp.full((2, points), 2)
    )
    params = init_variables(model, key, (side, side))["params"]
    batch, (targets, weights) = images(side, 2), codec.encode(sample)

    @jax.jit
    def value_and_grad(params):
        def value(params):
            return loss(model.apply({"params": params}, batch, train=True), targets, weights)

        return jax.value_and_grad(value)(params)

    first, gradients = value_and_grad(params)
    backbone = jax.tree.leaves(gradients["backbone"])
    assert all(jnp.isfinite(leaf).all() for leaf in backbone)
    assert sum(bool(jnp.abs(leaf).max() > 0) for leaf in backbone) > 0.5 * len(backbone)
    for _ in range(3):
        params = jax.tree.map(lambda leaf, slope: leaf - 0.2 * slope, params, gradients)
        last, gradients = value_and_grad(params)
    assert last < first


def test_a_mirrored_image_gives_the_mirrored_points():
    codec = Landmarks("hand", (100, 100))
    points = jnp.array([[[10.0, 20, 1], [30, 40, 2]]])
    outputs = LandmarkOutputs(points, jnp.ones((1, 1)), points / 100, jnp.full((1, 1), 0.75))
    back = codec.flip_back(outputs, np.array([1, 0]))
    np.testing.assert_allclose(back.landmarks[0], [[70, 40, 2], [90, 20, 1]])
    np.testing.assert_allclose(back.world[0, :, 0], [-0.3, -0.1])
    assert float(back.handedness[0, 0]) == 0.25
    twice = codec.flip_back(back, np.array([1, 0]))
    for a, b in zip(jax.tree.leaves(twice), jax.tree.leaves(outputs), strict=True):
        np.testing.assert_allclose(a, b)
    mean = codec.decode(codec.average(outputs, outputs))
    np.testing.assert_allclose(mean.keypoints[0], points[0, :, :2] - 0.5)
    np.testing.assert_allclose(mean.scores, 1)


def test_labels_come_back_from_the_targets():
    codec = Landmarks("body", (64, 64))
    keypoints = jnp.array([[[3.0, 5], [70, -2], [jnp.nan, 1]]])
    targets = codec.encode(Sample(visible=jnp.array([[2, 1, 2]]), keypoints=keypoints))
    np.testing.assert_array_equal(targets.weights, [[1, 1, 0]])
    np.testing.assert_allclose(targets.values.points[0, :2], keypoints[0, :2] + 0.5)
    values = jnp.concatenate([targets.values.points, jnp.zeros((1, 3, 3))], axis=-1)
    landmarks = jnp.concatenate([values, jnp.zeros((1, 6, 5))], axis=1)
    decoded = codec.decode(LandmarkOutputs(landmarks, jnp.ones((1, 1))))
    np.testing.assert_allclose(decoded.keypoints[0, :2], keypoints[0, :2])
    np.testing.assert_allclose(decoded.scores, 0.5)


@pytest.mark.slow
def test_a_small_detector_learns_from_all_levels():
    model = DetectionModel(
        TRUNK,
        AnchoredHead(((8, 1), (16, 1), (32, 2)), 2, spread=True),
        TopDownNeck((8, 8), 3, activation="relu6", laterals=True),
    )
    variables = init_variables(model, jax.random.key(0), (64, 64))

    def total(params):
        outputs = model.apply({"params": params}, images(64))
        assert outputs.boxes.shape == (1, 64 + 16 + 8, 8)
        return jnp.square(outputs.boxes).mean() + jnp.square(outputs.logits).mean()

    gradients = jax.jit(jax.grad(total))(variables["params"])
    silent = [
        path
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients["head"])
        if not jnp.abs(leaf).max() > 0
    ]
    assert not silent


def test_depth_fills_squares():
    x = jnp.arange(8.0).reshape(1, 1, 1, 8)
    np.testing.assert_array_equal(depth_to_space(x)[0, :, :, 0], [[0, 2], [4, 6]])
