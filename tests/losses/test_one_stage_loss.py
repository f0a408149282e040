"""Loss and assignment of one-stage models: MMPose's values, gradients, padding."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import FOLDER

from jaxpose.codecs.one_stage import BoundModule, OneStage, OneStageOutputs, Places
from jaxpose.codecs.sample import Sample
from jaxpose.errors import InputError
from jaxpose.losses.coordinates import keypoint_similarity
from jaxpose.losses.one_stage import OneStageLoss, coordinate_likelihood, varifocal
from jaxpose.losses.simota import Guesses, SimOTA, Truth, pair_iou
from jaxpose.models.coordinate_classifier import Classified, CoordinateClassifier
from jaxpose.skeletons import COCO17

SIGMAS = tuple(COCO17.sigmas)


@cache
def functions():
    with np.load(FOLDER / "one_stage.npz") as file:
        return dict(file)


def case(name):
    """Arrays of one case, by their names."""
    return {
        key.removeprefix(f"{name}/"): array
        for key, array in functions().items()
        if key.startswith(f"{name}/")
    }


def truth_of(known, rows=3):
    """The case's people, padded to `rows`; the padding has junk that must not count."""
    shown = len(known["gt_areas"])
    more = rows - shown

    def padded(values, fill):
        return np.concatenate([values, np.full((more, *values.shape[1:]), fill, np.float32)])

    return Truth(
        padded(known["gt_bboxes"], 40.0),
        padded(known["gt_keypoints"], 30.0),
        padded(known["gt_visible"], 1.0),
        padded(known["gt_areas"], 900.0),
        padded(np.ones(shown, np.float32), 0.0),
    )


def guesses_of(known):
    return Guesses(
        known["bboxes"],
        known["scores"][:, 0],
        known["keypoints"],
        known["priors"][:, :2],
        known["priors"][:, 2],
    )


@pytest.mark.parametrize("rows", [3, 5])
def test_the_assignment_is_mmposes(rows):
    known = case("yoloxpose/simota_assign")
    assign = jax.jit(lambda g, t: SimOTA()(g, t, SIGMAS))
    found = assign(guesses_of(known), truth_of(known, rows))
    np.testing.assert_array_equal(np.where(found.positive, found.person + 1, 0), known["gt_inds"])
    chosen = known["gt_inds"] > 0
    assert 10 < chosen.sum() < 40
    np.testing.assert_allclose(
        found.overlap[chosen], known["max_overlaps"][chosen], rtol=1e-5, atol=1e-7
    )


def test_another_cost_is_another_assignment():
    known = case("yoloxpose/simota_assign")
    assign = jax.jit(lambda g, t: SimOTA(keypoints=0.0, boxes=0.0)(g, t, SIGMAS))
    found = assign(guesses_of(known), truth_of(known))
    assert (np.where(found.positive, found.person + 1, 0) != known["gt_inds"]).any()


def test_nobody_is_assigned_where_nobody_is():
    known = case("yoloxpose/simota_assign")
    truth = truth_of(known)._replace(person=np.zeros(3, np.float32))
    found = jax.jit(lambda g, t: SimOTA()(g, t, SIGMAS))(guesses_of(known), truth)
    assert not found.positive.any() and not found.overlap.any()


def raw_levels():
    known = case("yoloxpose/predict/0.01_0.65")
    fields = ("cls", "bbox", "kpt_vis", "kpt_offset", "obj")
    return tuple(
        Places(*(jnp.asarray(known[f"raw_{name}_{i}"].transpose(0, 2, 3, 1)) for name in fields))
        for i in range(3)
    )


CODEC = OneStage((128, 128))


def annotated(known, rows=3):
    truth = truth_of(known, rows)
    boxes = truth.boxes
    return jax.jit(CODEC.encode)(
        Sample(
            visible=jnp.asarray(2 * truth.labelled)[None],
            keypoints=jnp.asarray(truth.keypoints)[None],
            box_xywh=jnp.asarray(np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1))[
                None
            ],
            area=jnp.asarray(truth.area)[None],
            valid=jnp.asarray(truth.person > 0)[None],
        )
    )


def targets_of(known, rows=3):
    """Targets with the case's own boxes and keypoints, some of which are outside the image."""
    targets = annotated(known, rows)
    truth = truth_of(known, rows)
    values = targets.values._replace(
        boxes=jnp.asarray(truth.boxes)[None], keypoints=jnp.asarray(truth.keypoints)[None]
    )
    labelled = jnp.asarray(truth.labelled, targets.weights.labelled.dtype)[None]
    return values, targets.weights._replace(labelled=labelled)


@pytest.mark.parametrize("rows", [3, 6])
def test_the_loss_is_mmposes(rows):
    known = case("yoloxpose/loss")
    loss = OneStageLoss(CODEC, SIGMAS)
    _, terms = jax.jit(loss.with_terms)(OneStageOutputs(raw_levels()), *targets_of(known, rows))
    expected = {
        "objectness": known["loss_obj"],
        "boxes": known["loss_bbox"],
        "keypoints": known["loss_kpt"].mean(),
        "visible": known["loss_vis"],
        "person": known["loss_cls"],
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(("mode", "name"), [(1, "linear"), (2, "square")])
def test_oks_and_iou_are_mmposes(mode, name):
    known = case(f"loss/iou/{name}")
    value = np.sum(1 - np.asarray(pair_iou(known["output"], known["target"])) ** mode)
    np.testing.assert_allclose(value, known["value"], rtol=1e-5)
    known = case("loss/oks/linear_True_30.0")
    similar = keypoint_similarity(
        jnp.asarray(known["output"] - known["target"]), jnp.asarray(known["areas"]), known["sigmas"]
    )
    weights = known["weight"] / known["weight"].sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(
        30 * (1 - (similar * weights).sum(-1)).mean(), known["value"], rtol=1e-5
    )


def test_varifocal_is_mmposes():
    known = case("loss/varifocal/2")
    value = (varifocal(known["output"], known["target"]) * known["weight"]).sum()
    np.testing.assert_allclose(value, known["value"], rtol=1e-5)


def test_the_likelihood_of_coordinates_is_mmposes():
    known = case("rtmo/dcc")
    middle, size = known["bbox_cs"][:, :2, None], known["bbox_cs"][:, 2:, None]
    bins = [
        (known[f"{axis}_bins"][None] * size[:, i] + middle[:, i])[None]
        for i, axis in enumerate("xy")
    ]
    made = Classified(
        known["x_heatmaps"][None], known["y_heatmaps"][None], None, known["sigmas"][None], *bins
    )
    found = coordinate_likelihood(made, known["gt_keypoints"][None], known["areas"][None])
    density = [(known[f"{axis}_heatmaps"] * known[f"target_{axis}"]).sum(axis=-1) for axis in "xy"]
    np.testing.assert_allclose(found[0], -np.log(density[0] * density[1] + 1e-4), rtol=2e-5)
    # The published function of the two products.
    known = case("loss/mlecc/log")
    product = np.prod([(known[axis] * known[f"target_{axis}"]).sum(-1) for axis in "xy"], axis=0)
    value = (known["weight"] * -np.log(product + 1e-4)).mean(axis=-1)
    np.testing.assert_allclose(value, known["value"], rtol=1e-5)


@cache
def rtmo_case():
    """Outputs of a small head with a classifier, its codec and people."""
    rng = np.random.default_rng(0)
    codec = OneStage((64, 64), strides=(16, 32), origin="pixels")
    module = CoordinateClassifier(2, 8, (12, 16))

    def draw(*arguments):
        return rng.normal(*arguments).astype(np.float32)

    vectors = draw(0, 1, (2, 4, 6))
    box = np.float32([[[10, 10, 50, 60]] * 4] * 2)
    variables = jax.jit(module.init)(jax.random.key(1), vectors, box, box[..., :2])
    levels = tuple(
        Places(
            person=draw(0, 1, (2, n, n, 1)),
            boxes=draw(0, 0.3, (2, n, n, 4)),
            visible=draw(0, 1, (2, n, n, 2)),
            keypoints=draw(0, 0.5, (2, n, n, 4)),
            vectors=draw(0, 1, (2, n, n, 6)),
        )
        for n in (4, 2)
    )
    sample = Sample(
        visible=jnp.asarray([[[2, 2], [2, 0], [0, 0]], [[1, 2], [0, 0], [0, 0]]]),
        keypoints=jnp.asarray(rng.uniform(8, 56, (2, 3, 2, 2))),
        box_xywh=jnp.asarray([[[8.0, 8.0, 40.0, 48.0]] * 3] * 2),
        area=jnp.full((2, 3), 900.0),
        valid=jnp.asarray([[True, True, False], [True, False, False]]),
    )
    outputs = OneStageOutputs(levels, BoundModule(module, variables))
    return codec, outputs, jax.jit(codec.encode)(sample)


def test_gradients_equal_finite_differences():
    """With a power of 0, targets do not depend on the outputs; the assignment does not change."""
    codec, outputs, (values, weights) = rtmo_case()
    loss = OneStageLoss(codec, (0.05, 0.1), normalised=False, power=0.0, absolute=1.0)

    def value(levels, variables):
        bound = BoundModule(outputs.classifier.module, variables)
        return loss(OneStageOutputs(levels, bound), values, weights)

    arguments = outputs.levels, outputs.classifier.variables
    rng = np.random.default_rng(3)
    direction = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), arguments)

    @jax.jit
    def along(step):
        moved = jax.tree.map(lambda x, d: x + step * d, arguments, direction)
        return value(*moved)

    slope = float(jax.jit(jax.grad(along))(0.0))
    step = 3e-3  # the loss is near 50, in float32
    moved = [float(along(sign * step)) for sign in (1.0, -1.0)]
    assert abs(slope) > 1
    np.testing.assert_allclose((moved[0] - moved[1]) / (2 * step), slope, rtol=1e-2)


def test_vectors_learn_from_the_classifier_without_changing_it():
    codec, outputs, (values, weights) = rtmo_case()
    loss = OneStageLoss(codec, (0.05, 0.1), from_classifier=True)

    @jax.jit
    def gradient(variables):
        def keypoints(variables):
            bound = BoundModule(outputs.classifier.module, variables)
            terms = loss.with_terms(OneStageOutputs(outputs.levels, bound), values, weights)[1]
            return terms["keypoints"] + terms["person"]

        return jax.grad(keypoints)(variables)

    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient(outputs.classifier.variables)))


@pytest.mark.parametrize("scale", [0.0, 1.0, -1e4, 1e4])
def test_bfloat16_gives_no_nan(scale):
    codec, outputs, (values, weights) = rtmo_case()
    loss = OneStageLoss(codec, (0.05, 0.1))
    half = jax.tree.map(lambda x: jnp.asarray(scale * x, jnp.bfloat16), outputs.levels)
    value, gradient = jax.jit(
        jax.value_and_grad(lambda x: loss(outputs._replace(levels=x), values, weights))
    )(half)
    assert value.dtype == jnp.float32 and np.isfinite(value)
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf.astype(jnp.float32)).all()


def test_padding_weighs_nothing():
    codec, outputs, (values, weights) = rtmo_case()
    loss = jax.jit(OneStageLoss(codec, (0.05, 0.1)).with_terms)
    before = loss(outputs, values, weights)[0]
    junk = values._replace(
        boxes=values.boxes.at[:, 2].set(60.0), keypoints=values.keypoints.at[:, 2].set(9.0)
    )
    assert float(loss(outputs, junk, weights)[0]) == float(before)
    # Without people, only the probability learns, and the value stays finite.
    empty = weights._replace(
        person=jnp.zeros_like(weights.person), labelled=jnp.zeros_like(weights.labelled)
    )
    total, terms = loss(outputs, values, empty)
    assert np.isfinite(total) and float(terms["keypoints"]) == 0 == float(terms["boxes"])
    assert float(terms["person"]) > 0


def test_places_in_ignored_regions_do_not_learn_that_nobody_is_there():
    codec, outputs, (values, weights) = rtmo_case()
    loss = OneStageLoss(codec, (0.05, 0.1))
    ignored = weights._replace(
        counted=jnp.zeros_like(weights.counted),
        person=jnp.zeros_like(weights.person),
        labelled=jnp.zeros_like(weights.labelled),
    )
    terms = jax.jit(loss.with_terms)(outputs, values, ignored)[1]
    assert float(terms["person"]) == 0


def test_bad_settings_are_explained():
    with pytest.raises(InputError, match="sigmas"):
        OneStageLoss(CODEC, ())
    with pytest.raises(InputError, match="candidates must be at least 1"):
        SimOTA(candidates=0)
    with pytest.raises(InputError, match="multiples of the largest stride, 32"):
        OneStage((100, 128))
    with pytest.raises(InputError, match="threshold must be between 0 and 1"):
        OneStage(threshold=0.0)
