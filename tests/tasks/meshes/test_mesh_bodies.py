"""Models of meshes for the body model of a file: labels, targets, errors, and what is refused."""

import shutil
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_mesh
from typer.testing import CliRunner

from jaxpose.bodies import pose_body
from jaxpose.bodies.fit import Fitting
from jaxpose.bodies.labelled_people import LabelledBodies
from jaxpose.bodies.labels import fit_labels, read_labels
from jaxpose.bodies.network_body import read_network_body
from jaxpose.bodies.prior import upright
from jaxpose.bodies.saving import save_parameters
from jaxpose.cli.main import app
from jaxpose.cli.predict_bodies import network_body
from jaxpose.config import from_json, to_json
from jaxpose.data.source import SyntheticPeople
from jaxpose.errors import InputError
from jaxpose.geometry.rotations import matrix_from_6d, matrix_from_axis_angle
from jaxpose.metrics.mesh_error import pa_mpvpe, pve
from jaxpose.models import MeshHead
from jaxpose.models.build import PoseModel, init_variables
from jaxpose.models.mesh_head import SMPL_FACING, MeshOutputs
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import STILL
from jaxpose.train.mesh import make_mesh
from jaxpose.train.shared_samples import same_people
from jaxpose.viz import save_image
from tests.made_body import mirror_vertices, save_body

PEOPLE = SyntheticPeople(3, seed=0, canvas_hw=(96, 72), plain=True)


class InSpaceSource:
    """`PEOPLE` with made keypoints in 3D."""

    has_3d, skeleton, canvas_hw = True, COCO17, PEOPLE.canvas_hw

    def __len__(self) -> int:
        return 3

    def fingerprint(self) -> str:
        return "in-space"

    def samples(self, indices: Any) -> dict[str, np.ndarray]:
        batch = PEOPLE.open().samples(indices)
        points = 100 * np.random.default_rng(0).standard_normal((3, 17, 3)).astype(np.float32)
        points[2, 9] = np.nan  # a wrist
        return batch | {"keypoints_3d": points[batch["index"]]}


@dataclass(frozen=True)
class InSpace:
    def open(self) -> InSpaceSource:
        return InSpaceSource()


@pytest.fixture(scope="module")
def smpl(tmp_path_factory):
    return save_body(tmp_path_factory.mktemp("smpl") / "SMPL_NEUTRAL.npz")


@pytest.fixture(scope="module")
def body(smpl):
    return read_network_body(smpl, joints=24, shapes=10, gender="neutral")


@pytest.fixture(scope="module")
def bodies():
    """Shapes and axis-angle vectors of three people who face the camera."""
    rng = np.random.default_rng(1)
    poses = 0.3 * rng.standard_normal((3, 24, 3))
    poses[:, 0] = [np.pi, 0, 0]
    return rng.standard_normal((3, 10)).astype(np.float32), poses.astype(np.float32)


@pytest.fixture(scope="module")
def labels(smpl, bodies):
    """File of another tool: bodies of the last two people, in another order."""
    path, (shape, poses) = smpl.with_name("labels.npz"), bodies
    ids = PEOPLE.open().samples([0, 1, 2])["annotation_id"]
    take = np.array([2, 1])
    arrays = {"betas": shape[take], "pose": poses[take].reshape(2, 72), "annotation_id": ids[take]}
    np.savez(path, **arrays, imgname=np.array(["a", "b"]))
    return path


@pytest.fixture
def experiment(smpl, labels):
    recipe = tiny_mesh.get_config()
    sizes = {"depth": 1, "width": 32, "heads": 2, "head_dim": 16, "mlp_hidden": 32}
    head = MeshHead(joints=24, shapes=10, facing=SMPL_FACING, **sizes)
    data = LabelledBodies(PEOPLE, str(labels))
    return replace(
        recipe,
        body=str(smpl),
        model=PoseModel(recipe.model.backbone, head),
        train_data=data,
        eval_data=LabelledBodies(InSpace(), str(labels)),
        augmentation=STILL,
    )


def test_a_mirrored_body_has_the_mirrored_surface(body, bodies):
    shape, poses = bodies
    rotations = matrix_from_axis_angle(jnp.asarray(poses))
    straight = pose_body(body.body, shape, rotations)
    turned = pose_body(body.body, shape, body.mirrored(rotations))
    about = [np.asarray(one.vertices - one.joints[:, :1]) for one in (straight, turned)]
    np.testing.assert_allclose(about[1], about[0][:, mirror_vertices()] * [-1, 1, 1], atol=1e-3)


def test_the_mean_pose_of_smpl_faces_the_camera(body):
    np.testing.assert_allclose(matrix_from_6d(np.array(SMPL_FACING)), upright(body.body), atol=1e-6)


def test_labels_of_other_tools_are_found_by_annotation(body, labels, bodies):
    read = read_labels(labels, PEOPLE.open(), body)
    assert read.error.tolist() == [np.inf, 0, 0]
    np.testing.assert_array_equal(read.shape[1:], bodies[0][1:])
    expected = matrix_from_axis_angle(bodies[1][1:])
    np.testing.assert_allclose(read.rotations[1:], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotation_id": None}, "has no annotation_id"),
        ({"annotation_id": np.array([7, 7])}, "several bodies for annotation 7"),
        ({"annotation_id": np.array([70, 71])}, "no body for any person"),
        ({"annotation_id": np.array([1.0, 2.0])}, "arrays of other shapes"),
        ({"betas": np.zeros((2, 300))}, "300 shape numbers a person"),
        ({"pose": np.zeros((2, 156))}, r"poses \[M, 72\]"),
        ({"pose": np.full((2, 72), 90.0)}, "up to 90; they must be in radians"),
        ({"gender": "female"}, "bodies of the female model"),
        ({"model": "drawn"}, "bodies of drawn"),
        ({"body": "0123"}, "another file or version of the body model"),
    ],
)
def test_labels_of_other_bodies_are_refused(labels, body, tmp_path, change, message):
    with np.load(labels) as file:
        arrays: dict[str, Any] = dict(file) | change
    path = tmp_path / "changed.npz"
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(InputError, match=message):
        read_labels(path, PEOPLE.open(), body)


def test_fits_keep_the_body_that_they_were_made_with(body, bodies, tmp_path):
    path, source = tmp_path / "fits.npz", PEOPLE.open()
    rotations = matrix_from_axis_angle(bodies[1])
    columns = {
        "sample": np.arange(3),
        "error": np.array([0.01, 0.02, 0.9]),
        "dataset": np.array(source.fingerprint()),
        "body": np.array(body.fingerprint),
    }
    save_parameters(path, body.body, bodies[0], rotations, np.zeros((3, 3)), columns, "neutral")
    opened = LabelledBodies(PEOPLE, str(path)).open(body)
    assert opened.bodies == 2 and opened.samples([2])["has_body"].tolist() == [False]
    other = read_network_body(save_body(tmp_path / "other.npz", seed=1), joints=24, shapes=10)
    with pytest.raises(InputError, match=r"than .*other\.npz: fit the bodies again"):
        LabelledBodies(PEOPLE, str(path)).open(other)
    with pytest.raises(InputError, match="bodies of smpl; the free body is needed"):
        LabelledBodies(PEOPLE, str(path)).open()
    names = {"train": opened.fingerprint(), "eval": LabelledBodies(PEOPLE).open().fingerprint()}
    assert same_people(names)


def test_targets_and_loss_are_those_of_the_body(experiment, bodies):
    task = experiment.task()
    task.check()
    batch = task.open("train").samples([0, 1, 2])
    device = {
        key: jnp.asarray(batch[key]) for key in task.abstract_batch(make_mesh(experiment.mesh))
    }
    _, targets, weights = jax.jit(task.encode)(jax.random.key(0), device)
    assert weights.bodies.tolist() == [0, 1, 1]
    # The made body has no face, so neither the points nor their projections count there.
    assert weights.points.sum(axis=1).tolist() == [0, 12, 12]
    assert weights.keypoints[:, :5].max() == 0 and weights.keypoints[:, 5:].min() == 1
    rotations = jnp.asarray(matrix_from_axis_angle(bodies[1]))
    outputs = MeshOutputs(rotations, jnp.asarray(bodies[0]), jnp.tile(0.9, (3, 3)))
    loss = experiment.loss
    assert loss.body == experiment.body

    @jax.jit
    def terms_and_slopes(outputs):
        terms = loss.with_terms(outputs, targets, weights)[1]
        return terms, jax.grad(lambda outputs: loss(outputs, targets, weights))(outputs)

    terms, slopes = terms_and_slopes(outputs)
    assert float(terms["points"]) < 1e-4 and float(terms["rotations"]) < 1e-6
    assert float(terms["shape"]) < 1e-6
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in slopes)
    assert float(jnp.abs(slopes.camera).max()) > 0


def test_errors_of_people_with_and_without_bodies(experiment, body, bodies):
    """One of three people has keypoints in 3D and no body."""
    task, mesh = experiment.task(), make_mesh(experiment.mesh)
    source = task.open("eval")
    assert (source.bodies, source.has_3d) == (2, True)
    variables = init_variables(experiment.model, jax.random.key(0), (64, 48))
    result = task.evaluator(source, mesh, False)(variables)
    head = variables["params"]["head"]
    # All predictions are nearly the mean parameters.
    rotations = matrix_from_6d(np.asarray(head["mean_pose"]).reshape(24, 6))
    mean = jax.device_get(pose_body(body.body, jnp.zeros(10), rotations))
    truth = jax.device_get(
        pose_body(body.body, bodies[0][1:], matrix_from_axis_angle(bodies[1][1:]))
    )
    surface = (
        np.tile(mean.vertices - mean.joints[:1], (2, 1, 1)),
        np.asarray(truth.vertices - truth.joints[:, :1]),
    )
    figures = result.report.metrics
    assert figures["PVE"] == pytest.approx(pve(*surface), rel=0.02)
    assert figures["PA-MPVPE"] == pytest.approx(pa_mpvpe(*surface), rel=0.02)
    limbs = [body.body.joints.index(name) for name in COCO17.keypoints[5:]]
    hips = slice(6, 8)
    found = np.asarray(mean.joints)[limbs]
    measured = source.samples([0])["keypoints_3d"][0, 5:]
    with_bodies = np.linalg.norm(
        found - mean.joints[0] - truth.joints[:, limbs] + truth.joints[:, :1], axis=-1
    )
    without = found - found[hips].mean(axis=0) - measured + measured[hips].mean(axis=0)
    expected = np.concatenate([with_bodies.ravel(), np.linalg.norm(without, axis=-1)]).mean()
    assert figures["MPJPE"] == pytest.approx(expected, rel=0.02)
    assert 0 < figures["PA-MPJPE"] < figures["MPJPE"]
    assert result.predictions["PVE_mm"][0] is None and result.predictions["PVE_mm"][1] > 0
    assert result.report.notes["bodies"] == "2 of 3 people" and result.image is not None
    alone = task.evaluator(LabelledBodies(InSpace()).open(body), mesh, False)(variables)
    assert alone.report.metrics["PVE"] == -1 and alone.report.metrics["MPJPE"] > 0


def test_data_without_what_is_measured_is_refused(experiment, labels):
    def open_eval(data: Any, **changes: Any) -> None:
        changed = replace(experiment, eval_data=data)
        replace(changed, evaluation=replace(changed.evaluation, **changes)).task().open("eval")

    with pytest.raises(InputError, match="neither bodies nor keypoints in 3D"):
        open_eval(LabelledBodies(PEOPLE))
    with pytest.raises(InputError, match="best is 'PVE', and eval_data has keypoints in 3D"):
        open_eval(LabelledBodies(InSpace()))
    open_eval(LabelledBodies(InSpace()), best="MPJPE")
    with pytest.raises(InputError, match="SyntheticBodies, which has the free body"):
        open_eval(tiny_mesh.get_config().eval_data)


def test_body_files_that_do_not_fit_are_refused(experiment, smpl, tmp_path):
    stored = replace(experiment, eval_data=experiment.train_data)
    assert from_json(to_json(stored)) == stored
    kept = experiment.task().fit_to_data(None)
    assert len(kept.body_fingerprint) == 16 and kept.task().open("train").bodies == 2
    female = shutil.copy(smpl, tmp_path / "SMPL_FEMALE.npz")
    changed = save_body(tmp_path / "changed.npz", seed=1)
    head = replace(experiment.model.head, shapes=12)
    for one, message in (
        (replace(experiment, body=str(female)), "is the female model; the neutral one"),
        (replace(experiment, body="none.npz"), r"none\.npz does not exist"),
        (replace(kept, body=str(changed)), "is not the body model of the training"),
        (
            replace(experiment, model=PoseModel(experiment.model.backbone, head)),
            "gives 24 joints and 12 shape numbers, but the body model 'smpl'",
        ),
    ):
        with pytest.raises(InputError, match=message):
            one.task().open("train")
    replace(experiment, body=str(female), gender=None).task().open("train")
    with pytest.raises(InputError, match="but the free body has 17 joints"):
        replace(experiment, body=None)


def test_prediction_takes_the_body_of_the_training(experiment, smpl, tmp_path):
    kept = experiment.task().fit_to_data(None)

    def found(body: Any, given: Any = None) -> Any:
        estimator, _ = replace(kept, body=body).task().estimator({})
        trained: Any = SimpleNamespace(estimator=estimator, model=estimator.model)
        options: Any = SimpleNamespace(mesh="runs/mine", body=given)
        return network_body(options, trained, "FILE")

    assert found(str(smpl)).body.name == "smpl"
    with pytest.raises(InputError, match=r"trained with the body model gone\.npz.*--body"):
        found("gone.npz")
    moved = shutil.copy(smpl, tmp_path / "moved.npz")
    assert found("gone.npz", moved).source == str(moved)
    with pytest.raises(InputError, match="not the body model of the training"):
        found(str(smpl), save_body(tmp_path / "changed.npz", seed=1))


RECIPE = """
from dataclasses import replace
from jaxpose.bodies.labelled_people import LabelledBodies
from jaxpose.data.source import SyntheticPeople
from jaxpose.models import MeshHead
from jaxpose.models.build import PoseModel
from jaxpose.models.mesh_head import SMPL_FACING
from jaxpose.train.recipe import load_recipe


def get_config():
    recipe = load_recipe({tiny!r})
    head = MeshHead(
        joints=24, shapes=10, depth=1, width=32, heads=2, head_dim=16, mlp_hidden=32,
        facing=SMPL_FACING,
    )
    data = LabelledBodies(SyntheticPeople(3, seed=0, canvas_hw=(96, 72), plain=True), "fits.npz")
    return replace(
        recipe, body="SMPL_NEUTRAL.npz", model=PoseModel(recipe.model.backbone, head),
        train_data=data, eval_data=data,
    )
"""


@pytest.mark.slow
def test_from_a_body_file_and_keypoints_to_meshes(smpl, body, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(smpl, "SMPL_NEUTRAL.npz")
    (tmp_path / "recipe.py").write_text(RECIPE.format(tiny=tiny_mesh.__file__))
    source = PEOPLE.open()
    made = fit_labels(source, tmp_path / "fits.npz", Fitting(iterations=15), file=body.file)
    assert made == 3
    save_image(tmp_path / "a.png", source.samples([0])["image"][0])

    def run(*arguments: str, status: int = 0) -> str:
        result = CliRunner().invoke(app, [*arguments])
        assert result.exit_code == status, result.output
        return " ".join(result.output.split())

    train = ["train", "recipe.py", "--workdir", "run"]
    assert "PVE" in run(*train)
    predict = ["predict", "a.png", "--from", "jaxpose-small", "--boxes", "full", "--out", "out"]
    predict += ["--trust-recipe", "--mesh", "run", "--mesh-format", "obj"]
    run(*predict)
    with np.load("out/bodies.npz") as file:
        assert file["poses"].shape == (1, 72) and str(file["gender"]) == "neutral"
    assert "PVE" in run("eval", "run", "--trust-recipe")
    shutil.move("SMPL_NEUTRAL.npz", "moved.npz")
    assert "pass its file with --body" in run(*predict, status=2)
    run(*predict, "--body", "moved.npz")
    assert "does not exist" in run("eval", "run", "--trust-recipe", status=2)
    assert "PVE" in run("eval", "run", "--trust-recipe", "--body", "moved.npz")
    assert "Resuming" in run(*train, "--set", "steps=8", "--set", "body=moved.npz")
    save_body(tmp_path / "SMPL_NEUTRAL.npz", seed=1)
    run(*predict)  # the run has the new place
    shutil.copy("SMPL_NEUTRAL.npz", "moved.npz")
    assert "not the body model of the training" in run(*predict, status=2)
    assert "not the body model of the training" in run("eval", "run", "--trust-recipe", status=2)
    assert "fit the bodies again" in run(*train, "--set", "steps=9", status=2)
