"""Depth on the whole road: labels with 3D, a training step, prediction, JSON, export."""

import json
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import HandVolumes, SimCC, SimCC3D
from jaxpose.errors import InputError
from jaxpose.losses import HandVolumeLoss, SimCC3DKL
from jaxpose.metrics import EPE, TwoHands
from jaxpose.models.build import PoseModel, init_variables
from jaxpose.models.hand_volumes import HandVolumeHead
from jaxpose.models.rtmw import RTMWHead
from jaxpose.models.vit import ViT
from jaxpose.results.readers import read_results
from jaxpose.skeletons import INTERHAND42
from jaxpose.tasks.topdown.augment import STILL, Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.tasks.topdown.predictor import Predictor
from jaxpose.tasks.topdown.program import image_program
from jaxpose.train.mesh import make_mesh
from jaxpose.train.optimizers import AdamW

HW = (32, 32)
CODEC = HandVolumes(HW, (8, 8, 8), root_bins=8, sigma=1.0, peak=1.0)
MODEL = PoseModel(
    ViT(input_hw=HW, dim=8, depth=1, heads=2, patch=8),
    HandVolumeHead(deconv_channels=(8,), depth=8, root_bins=8, hidden=8),
)


@dataclass(frozen=True)
class DrawnHands:
    """Samples of two hands about 0.7 m away, as a dataset and as its source."""

    count: int = 4

    def open(self):
        return self

    canvas_hw = (48, 48)
    skeleton = INTERHAND42
    has_3d = True

    def __len__(self):
        return self.count

    def fingerprint(self):
        return "hands"

    def samples(self, indices):
        rng = np.random.default_rng(0)
        count, keep = self.count, np.asarray(indices)
        points = rng.uniform(12, 36, (count, 42, 2)).astype(np.float32)
        depth = rng.uniform(650, 750, (count, 42, 1)).astype(np.float32)
        depth[:, 20], depth[:, 41] = 700, 730
        whole = {
            "image": rng.integers(0, 255, (count, 48, 48, 3), np.uint8),
            "keypoints": points,
            "visible": np.full((count, 42), 2, np.uint8),
            "box_xywh": np.tile(np.float32([8, 8, 32, 32]), (count, 1)),
            "keypoints_3d": np.concatenate([points, depth], axis=-1),
            "mask": np.ones(count, bool),
        }
        return {name: values[keep] for name, values in whole.items()}


@dataclass(frozen=True)
class EvaluatedHands(DrawnHands):
    """The samples with what an evaluation needs, in a camera of focal length 60."""

    def samples(self, indices):
        found = super().samples(indices)
        number = len(found["image"])
        depth = found["keypoints_3d"][..., 2:]
        found["keypoints_3d"][..., :2] = (found["keypoints"] - 24) / 60 * depth
        ids = np.asarray(indices)
        still = np.tile(np.float32([[1, 0, 0], [0, 1, 0]]), (number, 1, 1))
        return found | {
            "photo_from_canvas": still,
            "index": ids,
            "image_id": ids,
            "annotation_id": ids,
            "area": np.full(number, 500.0, np.float32),
        }


EXPERIMENT = TopDownExperiment(
    skeleton=INTERHAND42,
    model=MODEL,
    codec=CODEC,
    loss=HandVolumeLoss(),
    train_data=DrawnHands(),
    eval_data=DrawnHands(),
    augmentation=replace(STILL, flip=1.0),
    optimizer=AdamW(learning_rate=1e-3, warmup_steps=0),
    evaluation=Evaluation(metrics=(EPE(),), every=1),
    steps=1,
    batch_size=4,
)


@pytest.fixture(scope="module")
def variables():
    return init_variables(MODEL, jax.random.key(0), HW)


def encoded(augmentation: Augmentation, **changes):
    experiment = replace(EXPERIMENT, augmentation=augmentation)
    batch = DrawnHands().samples(range(4)) | changes
    keys = experiment.device_keys(DrawnHands())
    return experiment.task().encode(jax.random.key(1), {key: batch[key] for key in keys})


@pytest.mark.slow
def test_a_mirrored_sample_has_the_depths_of_the_other_hand():
    _, plain, weights = encoded(STILL)
    _, mirrored, _ = encoded(replace(STILL, flip=1.0))
    assert weights.all() and plain.weights_root.all()
    np.testing.assert_allclose(plain.root_depth, (30 / 400 + 0.5) * 8, rtol=1e-6)
    np.testing.assert_allclose(mirrored.root_depth, (-30 / 400 + 0.5) * 8, rtol=1e-6)
    along = [np.asarray(t.heatmaps).max(axis=(1, 2)) for t in (plain, mirrored)]
    np.testing.assert_allclose(along[0][:, INTERHAND42.flip_permutation], along[1], atol=0.3)
    assert np.abs(along[0] - along[1]).max() > 0.5


def test_a_step_learns_every_output(variables):
    EXPERIMENT.task().check()
    inputs, targets, weights = encoded(STILL)

    @jax.jit
    def run(params):
        def loss(params):
            outputs, _ = MODEL.apply(
                {**variables, "params": params},
                inputs,
                train=True,
                mutable=["batch_stats"],
                rngs={"dropout": jax.random.key(0)},
            )
            return EXPERIMENT.loss.with_terms(outputs, targets, weights)

        return jax.value_and_grad(loss, has_aux=True)(params)

    (total, terms), gradients = run(variables["params"])
    assert set(terms) == {"volumes", "root", "hands"} and all(v > 0 for v in terms.values())
    np.testing.assert_allclose(total, sum(terms.values()), rtol=1e-6)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients["head"]):
        assert np.abs(leaf).max() > 0, path


def test_people_have_depths_and_hands_and_keep_them_in_files(variables, tmp_path):
    predictor = Predictor(MODEL, variables, CODEC, INTERHAND42, batch_size=2)
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    people = predictor(image, [[5, 5, 30, 30], [20, 10, 40, 40], [30, 5, 20, 30]])
    assert people.depths.shape == (3, 42) and people.hands.shape == (3, 3)
    assert np.abs(people.depths).max() <= 200 and (people.hands[:, :2] < 1).all()
    (entry,) = people.keep([1]).to_dict()["people"]
    assert entry["keypoints"]["left_wrist"]["z_mm"] == pytest.approx(people.depths[1, 41], abs=0.01)
    assert set(entry["hands"]) == {"right", "left", "left_from_right_mm"}
    people.save(tmp_path / "hands.json")
    (again,) = read_results(tmp_path / "hands.json")
    np.testing.assert_allclose(again.depths, people.depths, atol=0.006)
    np.testing.assert_allclose(again.hands, people.hands, atol=0.006)
    assert "z_mm" in json.dumps(entry)


@pytest.mark.parametrize("level", ["crops", "photo"])
def test_an_exported_program_returns_depths(variables, level):
    program = image_program(
        MODEL, variables, CODEC, INTERHAND42, level=level, flip_test=False, image_hw=(48, 64)
    )
    names = [value.name for value in program.outputs]
    assert names == ["keypoints", "scores", "depths", "hands", "hands_apart"]
    found = jax.eval_shape(program.function, *program.fixed(3).arguments())
    for value in program.fixed(3).outputs:
        assert found[value.name].shape == value.shape, value.name


def test_simcc_with_depth_fits_its_loss():
    codec = SimCC3D(SimCC(HW, sigma=2.0, normalize=False, beta=10.0), 32, 2.0, roots=(20, 41))
    head = RTMWHead(42, HW, 32, hidden=16, key_dim=8, final_size=3)
    maps = jnp.ones((2, 4, 4, 8)), jnp.ones((2, 2, 2, 16))
    outputs, variables = jax.eval_shape(
        lambda: head.init_with_output(jax.random.key(0), maps, train=False)
    )
    assert [v.shape[1:] for v in outputs] == list(codec.output_shapes(42)[0])
    assert "z" in variables["params"]
    _, targets, weights = TopDownExperiment.task(
        replace(EXPERIMENT, codec=codec, augmentation=STILL)
    ).encode(jax.random.key(0), DrawnHands().samples(range(2)))
    found = tuple(100 * jnp.asarray(v) for v in targets[:3])
    right = SimCC3DKL().with_terms(found, targets, weights)[1]
    wrong = SimCC3DKL().with_terms((*found[:2], found[2][..., ::-1]), targets, weights)[1]
    assert wrong["depth"] > 2 * right["depth"] and wrong["plane"] == right["plane"]


def test_an_evaluation_reports_the_errors_of_hands(variables):
    experiment = replace(
        EXPERIMENT, evaluation=Evaluation(metrics=(TwoHands(), EPE()), batch_size=8, every=1)
    )
    task, mesh = experiment.task(), make_mesh(experiment.mesh)
    report = task.evaluator(EvaluatedHands(), mesh, flip_test=False)(variables).report
    assert next(iter(report.metrics)) == "MPJPE" and {*TwoHands().figures, "EPE"} <= {
        *report.metrics
    }
    # An untrained model: joints are wrong by some of the 100 mm of a pixel's error, not by metres.
    assert 1 < report.metrics["MPJPE"] < 500 and report.metrics["MPJPE single"] == -1
    assert report.metrics["MPJPE"] == report.metrics["MPJPE interacting"]
    assert report.metrics["MRRPE"] > 0 and 0 <= report.metrics["handedness"] <= 1
    flat = replace(EXPERIMENT, evaluation=experiment.evaluation, codec=SimCC(HW))
    with pytest.raises(InputError, match="TwoHands needs depth and hands"):
        flat.task().evaluator(EvaluatedHands(), mesh, flip_test=False)
