"""MoveNet and PoseNet at a few channels: shapes, and a training step that reaches all of them."""

from dataclasses import replace

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import CenterKeypoints, DisplacementFields, Sample
from jaxpose.codecs.displacement_fields import COCO_TREE
from jaxpose.config import from_json, to_json
from jaxpose.data.source import SyntheticScenes
from jaxpose.errors import InputError
from jaxpose.losses import CenterKeypointLoss, DisplacementFieldLoss
from jaxpose.models.build import PoseModel, abstract_variables
from jaxpose.models.mobilenetv1 import DisplacementHead, MobileNetV1
from jaxpose.models.movenet import CenterKeypointHead, MobileNetV2Pyramid
from jaxpose.models.normalisation import SIGNED_RGB, renormalise
from jaxpose.models.published.movenet import movenet, movenet_multipose
from jaxpose.models.published.posenet import posenet
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment
from jaxpose.tasks.topdown.augment import normalize
from jaxpose.tasks.topdown.check_shapes import check_outputs
from jaxpose.train.recipe import load_recipe

MOVENET = PoseModel(MobileNetV2Pyramid(0.1), CenterKeypointHead(17))
POSENET = PoseModel(MobileNetV1(0.1), DisplacementHead(17))
KEYPOINTS = np.random.default_rng(0).uniform(8, 56, (2, 1, 17, 2)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "codec", "loss", "points"),
    [
        # Compiling MobileNetV2's 52 convolutions and their derivatives takes a while.
        pytest.param(
            MOVENET,
            CenterKeypoints((64, 96)),
            CenterKeypointLoss(),
            KEYPOINTS[:, 0],
            id="movenet",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            POSENET,
            DisplacementFields((65, 97)),
            DisplacementFieldLoss(COCO_TREE),
            KEYPOINTS,
            id="posenet",
        ),
    ],
)
def test_a_training_step_reaches_every_parameter(model, codec, loss, points):
    visible = jnp.full(points.shape[:-1], 2)
    images = jax.random.normal(jax.random.key(1), (2, *codec.input_hw, 3))
    variables = drawn.variables(model, codec.input_hw)

    @jax.jit
    def step(params):
        targets, weights = codec.encode(Sample(visible, jnp.asarray(points)))

        def value(params):
            outputs = model.apply({"params": params}, images, train=True)
            return loss(outputs, targets, weights), outputs

        return jax.value_and_grad(value, has_aux=True)(params)

    (cost, outputs), gradients = step(variables["params"])
    assert tuple(x.shape[1:] for x in outputs) in codec.output_shapes(17)
    assert np.isfinite(cost) and cost > 0
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, path


def test_the_tasks_accept_them():
    recipe = replace(
        load_recipe("quickstart"),
        model=MOVENET,
        codec=CenterKeypoints((64, 96)),
        loss=CenterKeypointLoss(),
    )
    check_outputs(from_json(to_json(recipe)))
    scenes = SyntheticScenes(8, 0, (64, 64), people=3)
    whole = BottomUpExperiment(
        skeleton=COCO17,
        model=POSENET,
        codec=DisplacementFields((65, 97)),
        loss=DisplacementFieldLoss(COCO_TREE),
        train_data=scenes,
        eval_data=scenes,
        steps=2,
        batch_size=2,
    )
    from_json(to_json(whole)).task().check()
    with pytest.raises(InputError, match="DisplacementFields decodes"):
        replace(whole, codec=DisplacementFields((65, 97), stride=8)).task().check()


@pytest.mark.parametrize(
    ("model", "input_hw", "millions"),
    # The sizes of the published files' weights: see test_parity_movenet.
    [(movenet(), (192, 192), 2.32), (movenet(widen=1.75), (256, 256), 6.23),
     (posenet(), (385, 385), 1.26), (movenet_multipose(), (256, 256), 4.72)],
)  # fmt: skip
def test_published_sizes(model, input_hw, millions):
    variables = abstract_variables(model, input_hw)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert round(count / 1e6, 2) == millions


def test_other_sizes_of_images_are_refused():
    with pytest.raises(InputError, match=r"multiples of 32, but got \[1, 100, 96, 3\]"):
        MOVENET.backbone.init(jax.random.key(0), jnp.zeros((1, 100, 96, 3)))


def test_images_are_normalised_for_the_weights():
    images = jnp.asarray(np.arange(0, 255, dtype=np.uint8).reshape(1, 5, 17, 3))
    expected = np.asarray(images, np.float32) / 127.5 - 1
    np.testing.assert_allclose(renormalise(normalize(images), SIGNED_RGB), expected, atol=1e-6)


def test_the_whole_path_ends_in_the_finest_map():
    images = jax.random.normal(jax.random.key(0), (1, 64, 96, 3))
    variables = drawn.variables(MOVENET, (64, 96))["params"]["backbone"]
    plain, whole = MOVENET.backbone, MOVENET.backbone.clone(whole_path=True)
    finest, path = jax.jit(
        lambda params, x: (plain.apply({"params": params}, x), whole.apply({"params": params}, x))
    )(variables, images)
    assert [x.shape for x in path] == [
        (1, 16, 24, 24),
        (1, 8, 12, 24),
        (1, 4, 6, 32),
        (1, 2, 3, 64),
    ]
    np.testing.assert_array_equal(path[0], finest)
