"""Labels of bodies: fits to a dataset's keypoints, keypoints in 3D, and the loss with them."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_mesh
from typer.testing import CliRunner

from jaxpose.bodies import drawn_body
from jaxpose.bodies.drawn_people import SyntheticBodies
from jaxpose.bodies.fit import Fitting
from jaxpose.bodies.labelled_people import LabelledBodies, LabelledSource
from jaxpose.bodies.labels import fit_labels, read_labels
from jaxpose.bodies.network_body import free_body
from jaxpose.bodies.prior import pose_prior
from jaxpose.cli.main import app
from jaxpose.convert.rules import flatten
from jaxpose.data.source import SyntheticPeople
from jaxpose.errors import InputError
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.models.build import PoseModel, init_variables
from jaxpose.models.heads import DeconvHead
from jaxpose.models.mesh_head import MeshOutputs
from jaxpose.skeletons import COCO17, H36M17, HAND21
from jaxpose.tasks.meshes.loss import (
    MeshLoss,
    MeshTargets,
    MeshWeights,
    keypoints_in_3d,
)
from jaxpose.tasks.topdown.augment import STILL
from jaxpose.train.mesh import make_mesh

PEOPLE = SyntheticPeople(3, seed=0, canvas_hw=(96, 72), plain=True)


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """File of the bodies of `PEOPLE`, and what the fit said of its progress."""
    path, seen = tmp_path_factory.mktemp("labels") / "bodies.npz", []
    source = PEOPLE.open()
    assert fit_labels(source, path, Fitting(iterations=15), on_fitted=seen.append) == 3
    assert seen == [3]
    return path


def test_fits_are_labels_of_their_samples(labels):
    data = LabelledBodies(PEOPLE, str(labels))
    source = data.open()
    assert source.bodies == 3 and data.canvas_hw == (96, 72)
    batch = source.samples([2, 0])
    assert batch["has_body"].all() and np.isnan(batch["keypoints_3d"]).all()
    true = SyntheticBodies(3, seed=0, canvas_hw=(96, 72), plain=True).open().samples([2, 0])
    np.testing.assert_array_equal(batch["image"], true["image"])
    with np.load(labels) as file:
        rotations = matrix_from_axis_angle(file["poses"].reshape(3, -1, 3))
        np.testing.assert_allclose(batch["rotations"], rotations[[2, 0]], atol=1e-5)
        np.testing.assert_array_equal(batch["shape"], file["betas"][[2, 0]])
        assert file["error"].max() < 0.05
    strict = LabelledBodies(PEOPLE, str(labels), max_error=1e-6).open()
    assert strict.bodies == 0 and not strict.samples([0])["has_body"].any()
    assert strict.fingerprint() != source.fingerprint() != PEOPLE.open().fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"betas": None}, "has no betas"),
        ({"model": "smpl"}, "bodies of smpl"),
        ({"dataset": "another"}, "another dataset"),
        ({"sample": np.array([0, 1, 9])}, "samples outside 0 to 2"),
        ({"poses": np.zeros((3, 4))}, "other shapes"),
        ({"error": np.full(3, np.nan)}, "not finite"),
    ],
)
def test_files_of_other_bodies_are_refused(labels, tmp_path, change, message):
    with np.load(labels) as file:
        arrays: dict[str, Any] = dict(file) | change
    path = tmp_path / "changed.npz"
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(InputError, match=message):
        read_labels(path, PEOPLE.open())


def test_a_missing_file_of_bodies_names_the_command(tmp_path):
    with pytest.raises(InputError, match=r"jaxpose fit DATASET none\.npz"):
        LabelledBodies(PEOPLE, str(tmp_path / "none.npz")).open()


@dataclass
class _Measured:
    """People of another skeleton with keypoints in 3D."""

    skeleton: Any = H36M17
    canvas_hw: tuple[int, int] = (96, 72)

    def __len__(self) -> int:
        return 2

    def fingerprint(self) -> str:
        return "measured"

    def samples(self, indices):
        count = len(indices)
        batch = PEOPLE.open().samples(np.zeros(count, int))
        points = np.arange(17 * 3, dtype=np.float32).reshape(1, 17, 3)
        return {
            **batch,
            "keypoints": np.tile(points[..., :2], (count, 1, 1)),
            "visible": np.full((count, 17), 2, np.uint8),
            "keypoints_3d": np.tile(points, (count, 1, 1)),
        }


def test_keypoints_of_another_skeleton_are_taken_by_their_names():
    source = LabelledSource(_Measured(), None, 0.05)
    batch = source.samples([0, 1])
    knee, nose = COCO17.keypoints.index("left_knee"), COCO17.keypoints.index("nose")
    row = H36M17.keypoints.index("left_knee")
    assert batch["keypoints_3d"][1, knee].tolist() == [3 * row, 3 * row + 1, 3 * row + 2]
    assert batch["keypoints"][0, knee].tolist() == [3 * row, 3 * row + 1]
    left_eye = COCO17.keypoints.index("left_eye")
    assert batch["visible"][0, left_eye] == 0 and np.isnan(batch["keypoints_3d"][0, left_eye]).all()
    assert batch["visible"][0, knee] == 2 and ("nose" in H36M17.keypoints) == (
        batch["visible"][0, nose] == 2
    )


def test_too_few_known_keypoints_are_refused():
    few = HAND21
    with pytest.raises(InputError, match="0 keypoints of the skeleton"):
        LabelledSource(_Measured(few), None, 0.05)


def test_targets_have_what_is_known():
    """The middle of three people has a body, the others keypoints in 3D or in the image."""
    batch = LabelledBodies(PEOPLE).open().samples([0, 1, 2])
    true = SyntheticBodies(3, seed=0, canvas_hw=(96, 72), plain=True).open().samples([0, 1, 2])
    points = 1000 * np.asarray(
        keypoints_in_3d(free_body().places, *(jnp.asarray(true[k]) for k in ("shape", "rotations")))
    )
    batch["keypoints_3d"][0] = points[0] + np.array([10.0, 20.0, 3000.0])
    batch["keypoints_3d"][0, COCO17.keypoints.index("left_wrist")] = np.nan
    for name in ("shape", "rotations", "has_body"):
        batch[name][1] = true[name][1]
    experiment = tiny_mesh.get_config()
    task = replace(experiment, augmentation=STILL).task()
    device = {
        key: jnp.asarray(batch[key]) for key in task.abstract_batch(make_mesh(experiment.mesh))
    }
    _, targets, weights = jax.jit(task.encode)(jax.random.key(0), device)
    assert weights.bodies.tolist() == [0, 1, 0]
    assert weights.points.sum(axis=1).tolist() == [16, 17, 0]
    assert bool(jnp.isfinite(targets.points).all())
    # True bodies as outputs: the points of the first two people are met, of any origin.
    outputs = MeshOutputs(
        jnp.asarray(true["rotations"]), jnp.asarray(true["shape"]), jnp.tile(0.9, (3, 3))
    )
    _, terms = MeshLoss().with_terms(outputs, targets, weights)
    assert float(terms["points"]) < 1e-4 and float(terms["rotations"]) < 1e-6
    moved = targets._replace(points=targets.points.at[0, 9].add(0.3))
    _, terms = MeshLoss().with_terms(outputs, moved, weights)
    assert float(terms["points"]) < 1e-4  # the wrist that is not known
    moved = targets._replace(points=targets.points.at[0, 10].add(jnp.array([0.3, 0, 0])))
    _, terms = MeshLoss().with_terms(outputs, moved, weights)
    assert float(terms["points"]) == pytest.approx(5 * 0.3 / 16 / 3, rel=1e-3)


def test_the_prior_is_least_at_the_mean_pose():
    body = drawn_body()
    mean = pose_prior(body).numbers.means[0, :-3]
    mean = matrix_from_axis_angle(jnp.asarray(mean).reshape(-1, 3))
    rotations = jnp.concatenate([jnp.eye(3)[None], mean])[None]
    targets = MeshTargets(
        rotations, jnp.zeros((1, 8)), jnp.zeros((1, 17, 3)), jnp.zeros((1, 17, 2))
    )
    weights = MeshWeights(jnp.zeros(1), jnp.zeros((1, 17)), jnp.ones((1, 17)))

    def term(rotations, shape):
        outputs = MeshOutputs(rotations, shape, jnp.full((1, 3), 0.9))
        _, terms = MeshLoss(projection=0.0, prior=2.0).with_terms(outputs, targets, weights)
        return terms["prior"]

    assert float(term(rotations, jnp.zeros((1, 8)))) < 1e-6
    count = 3 * (len(body.joints) - 1) + 8
    ones = float(term(rotations, jnp.ones((1, 8))))
    assert ones == pytest.approx(2.0 * 0.5 * 8 / count, rel=1e-4)
    slope = jax.grad(term)(rotations.at[0, 1:].set(jnp.eye(3)), jnp.zeros((1, 8)))
    assert bool(jnp.isfinite(slope).all()) and float(jnp.abs(slope).max()) > 0


def test_a_folder_needs_a_split_and_one_file(tmp_path):
    run = CliRunner().invoke(app, ["fit", str(tmp_path), "bodies.npz"])
    assert run.exit_code == 2 and "name the --split" in run.output
    run = CliRunner().invoke(app, ["fit", str(tmp_path), "bodies.obj", "--split", "train"])
    assert run.exit_code == 2 and "give one .npz" in run.output
    run = CliRunner().invoke(
        app, ["fit", str(tmp_path), "bodies.npz", "--split", "train", "--size", "9x9"]
    )
    assert run.exit_code == 2 and "--size is for files of predictions" in run.output


def test_parts_begin_as_the_heatmaps_of_the_network_of_keypoints():
    experiment = tiny_mesh.get_config()
    backbone = experiment.model.backbone
    head = replace(experiment.model.head, parts=17, positions=True)
    started = replace(
        experiment, model=PoseModel(backbone, head), init_from="keypoints", reset_head=True
    )
    network = PoseModel(backbone, DeconvHead(17, deconv_channels=()))
    given = {
        key: np.asarray(value)
        for key, value in flatten(init_variables(network, jax.random.key(1), (64, 48))).items()
    }
    fresh = init_variables(started.model, jax.random.key(0), (64, 48))
    made = started.task().initial_variables(fresh, lambda name: given)
    for name in ("kernel", "bias"):
        np.testing.assert_array_equal(
            made["params"]["head"]["parts"][name], given[f"params/head/final/{name}"]
        )
    other = {key: value for key, value in given.items() if "/head/" not in key}
    with pytest.raises(InputError, match="does not end with a 1x1 convolution to 17 heatmaps"):
        started.task().initial_variables(fresh, lambda name: other)


def test_labels_take_the_prior_that_is_given(tmp_path):
    other = pose_prior(drawn_body())._replace(body="smpl")
    with pytest.raises(InputError, match="the prior is of the body 'smpl'"):
        fit_labels(PEOPLE.open(), tmp_path / "bodies.npz", Fitting(), prior=other)
