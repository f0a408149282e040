"""Models of meshes: data whose bodies are the drawn ones, training, and prediction."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_mesh
from typer.testing import CliRunner

from jaxpose.bodies import drawn_body, drawn_faces, pose_body
from jaxpose.bodies.network_body import free_body
from jaxpose.cli.main import app
from jaxpose.cli.predict_mesh_files import MeshFiles
from jaxpose.codecs import MeshCodec
from jaxpose.config import to_json
from jaxpose.convert.release import Card, save_release
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import pinhole, project
from jaxpose.geometry.weak_cameras import translation_in_crop
from jaxpose.hub.load import load_mesh_model, load_pose
from jaxpose.models import MeshHead
from jaxpose.models.build import PoseModel, init_variables
from jaxpose.models.mesh_head import MeshOutputs
from jaxpose.motion.bvh import read_bvh
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People
from jaxpose.skeletons import COCO17
from jaxpose.tasks.meshes.loss import (
    MeshLoss,
    MeshTargets,
    MeshWeights,
    keypoints_in_3d,
)
from jaxpose.tasks.meshes.predictor import Bodies
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.train.mesh import make_mesh
from jaxpose.viz import VideoWriter, save_image

EXPERIMENT = tiny_mesh.get_config()


@pytest.fixture(scope="module")
def batch():
    return EXPERIMENT.train_data.open().samples(np.arange(6))


def test_bodies_are_the_drawn_people(batch):
    points = free_body().places.points(
        jnp.asarray(batch["shape"]),
        jnp.asarray(batch["rotations"]),
        jnp.asarray(batch["translation"]),
    )
    points = np.asarray(points, np.float64)
    for row in range(6):
        camera = pinhole(batch["K"][row], np.eye(3), np.zeros(3))
        away = np.linalg.norm(project(camera, points[row]) - batch["keypoints"][row], axis=-1)
        height = batch["box_xywh"][row, 3]
        # The body of shape numbers is linear in them, the renderer's proportions are not.
        assert away.max() < 0.04 * height, row
        assert away.mean() < 0.015 * height, row


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_bodies_turn_and_mirror_with_their_crops(batch, flip):
    augmentation = Augmentation(
        flip=flip,
        rotation_degrees=40.0,
        rotation_probability=1.0,
        scale=0.0,
        shift_probability=0.0,
        half_body=0.0,
    )
    task = replace(EXPERIMENT, augmentation=augmentation).task()
    device = {
        key: jnp.asarray(batch[key]) for key in task.abstract_batch(make_mesh(EXPERIMENT.mesh))
    }
    _, targets, weights = jax.jit(task.encode)(jax.random.key(3), device)
    assert weights.keypoints.shape == (6, 17)
    points = free_body().places.points(targets.shape, targets.rotations, None)
    points = np.asarray(points[..., :2], np.float64)
    for row in range(6):
        # The perspective of near cameras remains.
        true = np.asarray(targets.keypoints[row], np.float64)
        a, b = (p - p.mean(axis=0) for p in (points[row], true))
        turn = np.rad2deg(np.arctan2((a.T @ b - b.T @ a)[0, 1], (a * b).sum()))
        assert abs(turn) < 10, row
        scale = (a * b).sum() / (a * a).sum()
        assert np.linalg.norm(scale * a - b, axis=-1).mean() < 0.1 * np.abs(b).max(), row


@pytest.mark.slow
@pytest.mark.parametrize("prior", [0.0, 0.5])
def test_the_loss_is_zero_at_the_truth_and_has_the_slopes_of_finite_differences(batch, prior):
    shape, rotations = jnp.asarray(batch["shape"][:2]), jnp.asarray(batch["rotations"][:2])
    loss = MeshLoss(shape=0.1, prior=prior)
    camera = jnp.array([[0.8, 0.1, 0.0], [0.9, 0.0, 0.2]])
    ahead = keypoints_in_3d(free_body().places, shape, rotations)
    ahead = ahead + translation_in_crop(camera, loss.focal, 1.0)[:, None]
    seen = loss.focal * ahead[..., :2] / ahead[..., 2:]
    points = keypoints_in_3d(free_body().places, shape, rotations)
    targets = MeshTargets(rotations, shape, points, seen)
    weights = MeshWeights(jnp.ones(2), jnp.ones((2, 17)), jnp.ones((2, 17)))
    truth = MeshOutputs(rotations, shape, camera)
    value = jax.jit(lambda outputs: loss(outputs, targets, weights))
    if not prior:
        assert value(truth) < 1e-5
    key = jax.random.key(0)
    off = jax.tree.map(lambda x: x + 0.05 * jax.random.normal(key, x.shape), truth)
    slopes = jax.jit(jax.grad(value))(off)
    for name in ("rotations", "shape", "camera"):
        step = jax.random.normal(jax.random.key(1), getattr(off, name).shape)
        ahead = value(off._replace(**{name: getattr(off, name) + 1e-4 * step}))
        back = value(off._replace(**{name: getattr(off, name) - 1e-4 * step}))
        expected = float(ahead - back) / 2e-4
        found = float(jnp.sum(getattr(slopes, name) * step))
        assert found == pytest.approx(expected, rel=0.03, abs=1e-3), name
    # A person without weight does not count.
    some = jnp.ones((2, 17)).at[1].set(0)
    none = MeshWeights(jnp.array([1.0, 0.0]), some, some)
    first = jax.tree.map(lambda x: x[:1], (off, targets, weights))
    alone = 0.5 * float(loss(*first))
    assert float(loss(off, targets, none)) == pytest.approx(alone, rel=1e-5)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Release of a model that is not trained."""
    folder = tmp_path_factory.mktemp("mesh") / "release"
    model = EXPERIMENT.model
    variables = jax.jit(lambda key: init_variables(model, key, (64, 48)))(jax.random.key(0))
    estimator, variables = EXPERIMENT.task().estimator(variables)
    card = Card("tiny", "a test", estimator.describe_input(), ("none",), takes=estimator.takes)
    config = {"name": "tiny", "estimator": to_json(estimator)}
    save_release(folder, jax.device_get(variables), config, card)
    return folder


@pytest.mark.slow
def test_training_reports_errors_of_meshes(tmp_path):
    recipe, run = tiny_mesh.__file__, tmp_path / "run"
    result = CliRunner().invoke(app, ["train", recipe, "--workdir", str(run)])
    assert result.exit_code == 0, result.output
    report = (run / "report.json").read_text()
    assert all(f'"{name}"' in report for name in ("PVE", "PA-MPVPE", "MPJPE", "PA-MPJPE"))
    assert (run / "predictions.png").stat().st_size > 1000
    result = CliRunner().invoke(app, ["eval", str(run), "--trust-recipe"])
    assert result.exit_code == 0 and "PVE" in result.output, result.output
    assert load_mesh_model(run, trust_recipe=True).estimator.body == "drawn"


def test_predict_writes_bodies_and_draws_them(release, tmp_path, batch):
    for number in range(2):
        save_image(tmp_path / f"{number}.png", batch["image"][number])
    photos = [str(tmp_path / f"{number}.png") for number in range(2)]
    out = tmp_path / "out"
    arguments = ["predict", *photos, "--from", "jaxpose-small", "--boxes", "full"]
    arguments += ["--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--mesh", str(release)])
    assert result.exit_code == 0, result.output
    assert "2 bodies in bodies.npz" in " ".join(result.output.split())
    with np.load(out / "bodies.npz") as file:
        saved = dict(file)
    assert saved["betas"].shape == (2, 8) and saved["poses"].shape == (2, 51)
    assert [str(name) for name in saved["source"]] == photos
    np.testing.assert_array_equal(saved["image"], [0, 1])
    assert (out / "meshes/0.png").is_file() and (out / "meshes/1.png").is_file()
    # The same as the predictor of the model, for the same boxes.
    predictor = load_mesh_model(release).predictor(batch_size=2)
    height, width = batch["image"].shape[1:3]
    bodies = predictor(batch["image"][0], [[0, 0, width, height]])
    np.testing.assert_allclose(saved["trans"][0], bodies.translation[0] / 1000, rtol=1e-4)
    posed = pose_body(drawn_body(), *(value[0] for value in bodies))
    assert np.isfinite(posed.vertices).all() and predictor.compilations == 1
    for option, message in (
        (["--mesh", str(release), "--body", str(tmp_path / "0.png")], "0.png"),
        (["--body", "SMPL.npz"], "belong to --mesh"),
        (["--mesh", "jaxpose-small"], "a model for keypoints"),
    ):
        result = CliRunner().invoke(app, [*arguments, *option])
        assert result.exit_code == 2 and message in " ".join(result.output.split()), result.output
    with pytest.raises(InputError, match="Pass it with --mesh"):
        load_pose(release)


def test_predict_writes_meshes_and_motion(release, tmp_path, batch):
    save_image(tmp_path / "a.png", batch["image"][0])
    with VideoWriter(tmp_path / "b.mp4", fps=10) as video:
        for number in (0, 1, 2):
            video.write(np.roll(batch["image"][0], number, axis=1))
    arguments = ["predict", str(tmp_path / "a.png"), str(tmp_path / "b.mp4"), "--no-draw"]
    arguments += ["--from", "jaxpose-small", "--boxes", "full", "--out", str(tmp_path / "out")]
    formats = ["--mesh-format", "glb,bvh,gif,obj"]
    result = CliRunner().invoke(app, [*arguments, "--mesh", str(release), *formats])
    text = " ".join(result.output.split())
    assert result.exit_code == 0, text
    assert "in meshes: 2 .glb, 1 .bvh, 2 .gif, 1 .obj." in text
    assert "given 6 mesh files = done 6 + left out 0" in text
    written = sorted(path.name for path in (tmp_path / "out/meshes").iterdir())
    assert written == ["a.gif", "a.glb", "a.obj", "b.gif", "b.glb", "b_track_1.bvh"]
    with np.load(tmp_path / "out/bodies.npz") as file:
        root = 100 * file["trans"][1:] * [1, -1, -1]  # cm
    bvh = read_bvh(tmp_path / "out/meshes/b_track_1.bvh")
    assert len(bvh.motion) == 3 and bvh.frame_time == pytest.approx(0.1)
    np.testing.assert_allclose(np.diff(bvh.motion[:, :3], axis=0), np.diff(root, axis=0), atol=1)
    for option, message in (
        (["--mesh-format", "glb"], "belongs to --mesh"),
        (["--mesh", str(release), "--mesh-format", "glbs"], "Did you mean 'glb'?"),
        (["--mesh", str(release), "--mesh-format", "bvh", "--no-track"], "leave --no-track out"),
    ):
        result = CliRunner().invoke(app, [*arguments, *option])
        assert result.exit_code == 2 and message in " ".join(result.output.split()), result.output


def test_a_file_that_cannot_be_written_is_counted(tmp_path):
    names, body = ImageNames([tmp_path / "a.mp4"]), drawn_body()
    files = MeshFiles(["bvh", "gif"], tmp_path, names, body, drawn_faces())
    empty = People(
        *(COCO17, (9, 9), np.zeros((2, 17, 2)), np.ones((2, 17)), np.zeros((2, 4)), [0, 0])
    )
    root = np.tile(np.eye(3), (2, 17, 1, 1))
    place = np.array([[0, 0, 4000.0], [0, 0, 5000.0]])
    for frame in range(3):
        two = replace(empty, source=str(tmp_path / "a.mp4"), index=frame, seconds=frame / 10)
        files.add(replace(two, track_ids=np.array([1, 1])), Bodies(np.zeros((2, 8)), root, place))
    files.end()
    (note,) = files.notes
    assert note.startswith("No .bvh of") and "of its bodies; a track is one person" in note
    (counts,) = files.counts()
    assert str(counts) == "given 2 mesh files = done 1 + left out 1 (cannot be written: 1)"
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_a_mirrored_crop_gives_the_mirror_image(release, batch):
    predictor = load_mesh_model(release).predictor(batch_size=2)
    image = batch["image"][0]
    width = image.shape[1]
    box = np.array([[10.0, 8, 40, 70]])
    # The crop's middle column moves by a pixel: pixel centres are at integers.
    other = np.array([[width - 10.0 - 40, 8, 40, 70]])
    straight = predictor(image, box)
    turned = predictor(image[:, ::-1].copy(), other, mirrored=[True])
    np.testing.assert_allclose(turned.translation[0] * [-1, 1, 1], straight.translation[0], atol=40)
    np.testing.assert_allclose(turned.shape, straight.shape, atol=0.05)


def test_parts_that_do_not_fit_are_named():
    for change, message in (
        ({"model": PoseModel(EXPERIMENT.model.backbone, MeshHead())}, "17 joints and 8 shape"),
        ({"augmentation": Augmentation()}, "half_body must be 0"),
        ({"loss": MeshLoss(focal=5.0)}, "loss.focal is 5 and codec.focal"),
    ):
        with pytest.raises(InputError, match=message):
            replace(EXPERIMENT, **change)
    predictor = MeshCodec().matrices
    with pytest.raises(InputError, match="data/coco"):
        EXPERIMENT.task().open_dataset("data/coco", "val")
    assert predictor(np.array([[0.0, 0, 30, 40]]), 1.0).shape == (1, 2, 3)
