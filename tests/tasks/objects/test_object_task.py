"""Poses of objects: targets that follow the crop, PnP of found keypoints, training and commands."""

import json
import shutil
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_object
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.codecs import FieldVoting, Sample
from jaxpose.codecs.simcc import SimCC
from jaxpose.config import override, to_json
from jaxpose.convert.release import Card, save_release
from jaxpose.data.source import SyntheticPeople
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import centred_camera, pinhole
from jaxpose.geometry.pnp import project_points
from jaxpose.geometry.rigid import RigidPose, compose_poses
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.geometry.symmetries import canonical_pose
from jaxpose.hub.load import load_pose
from jaxpose.losses import VectorFieldLoss
from jaxpose.metrics.metric import score
from jaxpose.metrics.object_pose import add_s
from jaxpose.metrics.objects import BopRecall, ObjectAccuracy, ObjectEstimates
from jaxpose.models import pvnet
from jaxpose.models.build import init_variables
from jaxpose.objects.bop import read_models, read_split
from jaxpose.objects.bop_results import BopPose, read_bop_results, write_bop_results
from jaxpose.objects.bop_writing import write_drawn_bop
from jaxpose.objects.drawn import drawn_objects
from jaxpose.objects.drawn_scenes import SyntheticObjects
from jaxpose.tasks.objects.pose import FoundKeypoints, pose_from_keypoints
from jaxpose.tasks.objects.predictor import in_image
from jaxpose.tasks.objects.task import surface_of
from jaxpose.tasks.topdown.augment import Augmentation, augmented, center_crop
from jaxpose.viz import save_image

EXPERIMENT = tiny_object.get_config()
VOTING = replace(
    EXPERIMENT,
    model=pvnet(9, width=8),
    codec=FieldVoting((48, 48), voters=512),
    loss=VectorFieldLoss(),
    augmentation=Augmentation(
        flip=0.0, rotation_degrees=40.0, rotation_probability=1.0, half_body=0.0
    ),
)


@pytest.fixture(scope="module")
def batch():
    return EXPERIMENT.train_data.open().samples(np.arange(6))


def test_fields_point_at_the_keypoints_of_the_turned_crop(batch):
    """Voting on the targets gives the keypoints of the crop, which was turned and moved."""
    task = VOTING.task()
    device = {key: jnp.asarray(batch[key]) for key in VOTING.device_keys(None)}
    key = jax.random.key(3)
    images, targets, weights = jax.jit(task.encode)(key, device)
    assert images.shape == (6, 48, 48, 3) and weights.shape == (6, 9)
    voted = jax.jit(VOTING.codec.decode)(targets)
    made = jax.jit(
        lambda key, batch: augmented(
            key,
            batch,
            augmentation=VOTING.augmentation,
            input_hw=(48, 48),
            udp=False,
            permutation=np.arange(9),
            upper_body=np.zeros(9, bool),
            padding=VOTING.padding,
        )
    )(key, device)
    np.testing.assert_allclose(voted.keypoints, made.keypoints, atol=0.05)
    assert np.abs(made.variation.rotation).max() > 10
    # The object's pixels are where its keypoints are.
    middle = [np.argwhere(m[..., 1] > 0)[:, ::-1].mean(axis=0) for m in np.asarray(targets.mask)]
    assert np.linalg.norm(np.stack(middle) - voted.keypoints[:, 8], axis=-1).mean() < 8


def test_simcc_targets_give_the_poses(batch):
    """Targets of SimCC in crops as of evaluation are decoded to the poses of the images."""
    codec = SimCC((48, 48), split_ratio=4.0, sigma=4.0)
    device = {key: jnp.asarray(batch[key]) for key in EXPERIMENT.device_keys(None)}

    def decoded(batch):
        _, keypoints, visible, matrix = center_crop(batch, input_hw=(48, 48), udp=codec.udp)
        return codec.decode(codec.encode(Sample(visible, keypoints)).values), matrix

    found, matrices = jax.jit(decoded)(device)
    found = in_image(found, np.asarray(matrices))
    models = {model.id: model for model in drawn_objects()}
    for row in range(6):
        model = models[int(batch["object_id"][row])]
        camera = pinhole(batch["K"][row], np.eye(3), np.zeros(3))
        pose = pose_from_keypoints(found.take(row), model.keypoints, camera, threshold=2.0)
        true = RigidPose(batch["R"][row], batch["t"][row])
        assert add_s(pose, true, model.points) < 0.1 * model.diameter


def test_poses_that_look_the_same_have_the_same_keypoints():
    egg_box = drawn_objects()[4]
    pose = RigidPose(matrix_from_axis_angle(np.array([1.0, 0.3, 2.0])), np.array([5.0, 0, 600]))
    turned = compose_poses(pose, egg_box.symmetries.take(1))
    first, second = (canonical_pose(p, egg_box.symmetries) for p in (pose, turned))
    np.testing.assert_allclose(first.R, second.R, atol=1e-12)
    np.testing.assert_allclose(first.t, second.t, atol=1e-9)
    assert add_s(pose, turned, egg_box.points) < 1e-6


def test_found_keypoints_give_the_pose():
    rng = np.random.default_rng(0)
    model, camera = drawn_objects()[0], centred_camera(400.0, (160, 160))
    pose = RigidPose(matrix_from_axis_angle(np.array([2.0, 0.3, 0.5])), np.array([5.0, -9, 600]))
    pixels = project_points(pose, model.keypoints, camera) + rng.normal(0, 0.2, (9, 2))
    seen = np.ones(9, bool)
    pixels[2] += 25
    found = FoundKeypoints(pixels, np.full(9, 0.8), seen)
    by_scores = pose_from_keypoints(found, model.keypoints, camera, threshold=3.0)
    spread = np.tile(0.04 * np.eye(2), (9, 1, 1))
    spread[2] = 900 * np.eye(2)
    certain = found._replace(covariance=spread)
    by_covariance = pose_from_keypoints(certain, model.keypoints, camera, threshold=3.0)
    for made in (by_scores, by_covariance):
        assert add_s(made, pose, model.points) < 0.03 * model.diameter
    few = found._replace(valid=np.arange(9) < 3)
    assert pose_from_keypoints(few, model.keypoints, camera, threshold=3.0) is None
    wild = found._replace(keypoints=rng.uniform(0, 160, (9, 2)))
    assert pose_from_keypoints(wild, model.keypoints, camera, threshold=0.2) is None
    unsure = wild._replace(covariance=np.tile(900 * np.eye(2), (9, 1, 1)))
    assert pose_from_keypoints(unsure, model.keypoints, camera, threshold=0.2) is None


def test_accuracy_counts_symmetric_and_missing_poses():
    models = {m.id: m for m in drawn_objects()}
    true = RigidPose(np.eye(3), np.array([0.0, 0, 500]))
    near = RigidPose(np.eye(3), np.array([0.0, 0, 510]))
    half_turn = RigidPose(np.diag([-1.0, -1, 1]), true.t)
    found = [near, half_turn, None, half_turn]
    K = np.tile(np.array([[400.0, 0, 80], [0, 400, 80], [0, 0, 1]]), (4, 1, 1))
    estimates = ObjectEstimates(
        {n: surface_of(m) for n, m in models.items()}, np.array([1, 1, 1, 5]), found, [true] * 4, K
    )
    figures = score((ObjectAccuracy(), BopRecall()), estimates).figures
    assert figures["ADD(-S) of duck"] == pytest.approx(1 / 3)
    assert figures["ADD(-S) of egg box"] == 1
    assert figures["ADD(-S) 0.1d"] == pytest.approx(2 / 3)
    assert figures["no pose"] == 0.25
    assert (figures["rotation"], figures["translation"]) == (pytest.approx(0, abs=1e-5), 0)
    # 10 mm of 125.3: 8 %, so 9 of 10 thresholds; the egg box is exact; the others are wrong.
    assert figures["AR_MSSD"] == pytest.approx((0.9 + 1 + 0 + 0) / 4, abs=0.03)
    assert "AR_VSD" not in figures
    # Exact; 0.12 at the five larger tolerances, which is below 8 of 10 thresholds; none; wrong.
    discrepancies = np.ones((4, 10))
    discrepancies[0], discrepancies[1, 5:] = 0, 0.12
    whole = score((BopRecall(),), replace(estimates, discrepancies=discrepancies)).figures
    assert whole["AR_VSD"] == pytest.approx((1 + 0.5 * 0.8 + 0 + 0) / 4)
    assert whole["AR"] == pytest.approx(
        (whole["AR_VSD"] + figures["AR_MSSD"] + figures["AR_MSPD"]) / 3
    )


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Release of a model that is not trained."""
    folder = tmp_path_factory.mktemp("object") / "release"
    model = EXPERIMENT.model
    variables = jax.jit(lambda key: init_variables(model, key, (48, 48)))(jax.random.key(0))
    estimator, variables = EXPERIMENT.task().estimator(variables)
    card = Card("tiny", "a test", estimator.describe_input(), ("none",), takes=estimator.takes)
    config = {"name": "tiny", "estimator": to_json(estimator)}
    save_release(folder, jax.device_get(variables), config, card)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bop") / "drawn_set"
    write_drawn_bop(folder, SyntheticObjects(2, seed=3, canvas_hw=(64, 64)))
    return folder


def invoke(*arguments):
    return CliRunner().invoke(app, ["objects", *map(str, arguments)])


def test_the_release_knows_its_objects(release):
    objects = load_pose(release).estimator.objects
    assert [known.name for known in objects] == [m.name for m in drawn_objects()]
    np.testing.assert_allclose(objects[2].keypoints, drawn_objects()[2].keypoints, atol=1e-4)
    assert [known.symmetric for known in objects] == [False] * 4 + [True]
    assert objects[0].corners()[[0, 7]].tolist() == [list(objects[0].low), list(objects[0].high)]


def test_a_dataset_is_predicted_into_results_that_can_be_scored(release, dataset, tmp_path):
    result = invoke("predict", dataset, "--from", release, "--out", tmp_path)
    assert result.exit_code in (0, 1, 2), result.output  # an untrained model may find no pose
    document = json.loads((tmp_path / "poses.json").read_text())
    images, _ = read_split(dataset, "test", read_models(dataset / "models"))
    assert [len(image["objects"]) for image in document["images"]] == [
        sum(not each.visible < 0.1 for each in image.objects) for image in images
    ]
    given = sum(len(image["objects"]) for image in document["images"])
    found = len(read_bop_results(tmp_path / "jaxpose_drawnset-test.csv"))
    assert found == given or f"Given {given} objects = done {found} +" in result.output
    assert len(list(tmp_path.glob("000001_*.jpg"))) == 2


def test_depth_images_that_do_not_serve_are_named(release, dataset, tmp_path):
    """Given as a copy, of which one file after the other is damaged."""
    folder = shutil.copytree(dataset, tmp_path / "set")
    scene = folder / "test/000001"
    start = ("predict", folder, "--from", release, "--out", tmp_path / "out", "--threshold", 5)
    cameras = json.loads((scene / "scene_camera.json").read_text())
    for entry in cameras.values():
        entry["depth_scale"] = 500.0
    (scene / "scene_camera.json").write_text(json.dumps(cameras))
    result = invoke(*start, "--depth")
    document = " ".join(result.output.split())
    assert result.exit_code == 2 and "correct depth_scale" in document, result.output
    shutil.rmtree(scene / "depth")
    result = invoke(*start, "--depth")
    assert result.exit_code == 2 and "has no depth image" in result.output
    image = scene / "rgb/000000.png"
    result = invoke("predict", image, "--from", release, "--out", tmp_path / "out", "--focal", 150,
                    "--object", 2, "--depth")  # fmt: skip
    assert result.exit_code == 2 and "needs the folder of a BOP dataset" in result.output


def test_true_poses_have_full_marks_and_absent_ones_are_counted(dataset, tmp_path):
    images, _ = read_split(dataset, "test", read_models(dataset / "models"))
    rows = [
        BopPose(image.scene_id, image.image_id, each.object_id, 1.0, each.pose)
        for image in images
        for each in image.objects
    ]
    write_bop_results(tmp_path / "true.csv", rows)
    result = invoke("score", tmp_path / "true.csv", "--bop", dataset, "--json")
    assert result.exit_code == 0, result.output
    metrics = json.loads(result.output)["metrics"]
    assert metrics["ADD(-S) 0.1d"] == metrics["AR_MSSD"] == metrics["AR_MSPD"] == 1
    assert metrics["AR_VSD"] == metrics["AR"] == 1
    away = [
        row._replace(pose=row.pose._replace(t=row.pose.t + np.array([0, 0, 30]))) for row in rows
    ]
    write_bop_results(tmp_path / "away.csv", away)
    result = invoke("score", tmp_path / "away.csv", "--bop", dataset, "--json")
    far = json.loads(result.output)["metrics"]
    # 30 mm are beyond the tolerances of the smaller ones among 5 to 50 % of every diameter.
    assert 0.1 < far["AR_VSD"] < 0.9
    assert (
        "AR_VSD" not in invoke("score", tmp_path / "away.csv", "--bop", dataset, "--no-vsd").output
    )
    write_bop_results(tmp_path / "less.csv", rows[1:])
    result = invoke("score", tmp_path / "less.csv", "--bop", dataset)
    assert result.exit_code == 1 and "no result: 1" in result.output
    write_bop_results(tmp_path / "more.csv", [*rows, rows[0]._replace(image_id=77)])
    result = invoke("score", tmp_path / "more.csv", "--bop", dataset)
    document = " ".join(result.output.split())
    assert result.exit_code == 0 and "object that the split does not have: 1" in document
    metres = [row._replace(pose=row.pose._replace(t=row.pose.t / 1000)) for row in rows]
    write_bop_results(tmp_path / "metres.csv", metres)
    result = invoke("score", tmp_path / "metres.csv", "--bop", dataset)
    assert result.exit_code == 2 and "is t in metres?" in " ".join(result.output.split())


def test_an_image_needs_a_camera_and_the_number_of_the_object(release, dataset, tmp_path):
    image = dataset / "test/000001/rgb/000000.png"
    start = ["predict", image, "--from", release, "--out", tmp_path]
    result = invoke(*start, "--object", 2)
    assert result.exit_code == 2 and "give --focal in pixels" in result.output
    result = invoke(*start, "--focal", 150)
    assert result.exit_code == 2 and "with --object: 1 (duck)" in result.output.replace("\n", " ")
    result = invoke(*start, "--focal", 150, "--object", 2, "--box", "1,2,3")
    assert result.exit_code == 2 and "4 numbers with commas" in result.output
    result = invoke(*start, "--focal", -150, "--object", 2)
    assert result.exit_code == 2 and "positive number of pixels" in result.output
    result = invoke(*start, "--intrinsics", "150,-150,32,32", "--object", 2)
    assert result.exit_code == 2 and "FX and FY must be positive" in result.output
    result = invoke(*start, "--focal", 150, "--intrinsics", "150,150,32,32", "--object", 2)
    assert result.exit_code == 2 and "and not both" in result.output
    result = invoke(*start, "--focal", 150, "--object", 9)
    assert result.exit_code == 2 and "has no object 9; it has 1 (duck)" in result.output
    invoke(*start, "--focal", 150, "--object", 2, "--box", "10,10,40,40")
    (entry,) = json.loads((tmp_path / "poses.json").read_text())["images"]
    assert [each["name"] for each in entry["objects"]] == ["mug"]
    boxes = ("--box", "10,10,40,40", "--object", 2, "--box", "90,10,9,9", "--object", 3)
    result = invoke(*start, "--focal", 150, *boxes)
    assert "box outside the image: 1" in " ".join(result.output.split())
    (entry,) = json.loads((tmp_path / "poses.json").read_text())["images"]
    assert [each["name"] for each in entry["objects"]] == ["mug"]
    result = invoke(*start, "--focal", 150, "--object", 2, "--box", "10,10,0,40")
    assert result.exit_code == 2 and "height must be positive" in result.output
    shutil.copy(image, tmp_path / "000000.jpg")
    start[1] = tmp_path / "000000.jpg"
    result = invoke(*start, "--focal", 150, "--object", 2)
    assert result.exit_code == 2 and "would overwrite" in result.output


def test_images_that_cannot_be_used_are_left_out(release, dataset, tmp_path):
    """One that is cut off, and one whose mask has another size; images of one name are two."""
    folder = shutil.copytree(dataset, tmp_path / "set")
    image = folder / "test/000001/rgb/000000.png"
    image.write_bytes(image.read_bytes()[:200])
    start = ("--from", release, "--out", tmp_path / "out", "--threshold", 5)
    result = invoke("predict", folder, *start)
    document = json.loads((tmp_path / "out/poses.json").read_text())
    assert [entry["image"] for entry in document["images"]] == ["000001_000001"]
    assert "the PNG is cut off" in result.output and result.exit_code == 1, result.output
    save_image(image, np.zeros((80, 72, 3), np.uint8))
    result = invoke("predict", folder, *start)
    assert "72 x 80 pixels, and its mask" in " ".join(result.output.split())
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(dataset / "test/000001/rgb/000001.png", tmp_path / name)
    both = (tmp_path / "a/000001.png", tmp_path / "b/000001.png")
    invoke("predict", *both, *start, "--focal", 150, "--object", 2)
    document = json.loads((tmp_path / "out/poses.json").read_text())
    assert [entry["image"] for entry in document["images"]] == ["a/000001", "b/000001"]
    assert (tmp_path / "out/a_000001.jpg").is_file() and (tmp_path / "out/b_000001.jpg").is_file()
    (folder / "test/000001/scene_gt.json").unlink()
    result = invoke("predict", folder, *start)
    assert result.exit_code == 2 and "has no annotated object" in result.output


def test_a_model_of_people_is_refused(dataset, tmp_path):
    image = dataset / "test/000001/rgb/000000.png"
    result = invoke("predict", image, "--from", "jaxpose-small", "--out", tmp_path, "--focal", 150,
                    "--object", 2, "--models", dataset / "models")  # fmt: skip
    assert result.exit_code == 2 and "it finds 17 keypoints" in " ".join(result.output.split())


def test_one_network_for_one_object_by_simcc(dataset, tmp_path):
    """Trained for two steps by the shipped recipe: the run has one object, and finds it alone."""
    run = tmp_path / "run"
    settings = (
        *("train_data.objects=(4,)", "eval_data.objects=(4,)", "train_data.count=8"),
        *("eval_data.count=4", "steps=2", "batch_size=8", "evaluation.every=2"),
        *("evaluation.batch_size=8", "model.backbone.widths=(8,8)", "model.backbone.depths=(1,1)"),
        *("model.backbone.path_width=8", "threshold=0.5"),
    )
    start = ("train", "objects_simcc", "--workdir", str(run))
    result = CliRunner().invoke(app, [*start, *(f"--set={each}" for each in settings)])
    assert result.exit_code == 0, result.output
    report = json.loads((run / "report.json").read_text())["metrics"]
    assert "ADD(-S) of camera" in report and "ADD(-S) of mug" not in report
    result = invoke("predict", dataset, "--from", run, "--out", tmp_path / "out", "--threshold", 5)
    objects = [
        each
        for image in json.loads((tmp_path / "out/poses.json").read_text())["images"]
        for each in image["objects"]
    ]
    images, _ = read_split(dataset, "test", read_models(dataset / "models"))
    cameras = sum(each.object_id == 4 for image in images for each in image.objects)
    assert {each["name"] for each in objects} == {"camera"} and len(objects) == cameras
    assert "object that the model was not trained with" in " ".join(result.output.split())
    assert all(each["R"] is not None and 0 < each["score"] < 1 for each in objects)
    csv = tmp_path / "out/jaxpose_drawnset-test.csv"
    result = invoke("score", csv, "--bop", dataset, "--object", 4, "--json", "--no-vsd")
    assert result.exit_code == 0, result.output
    scored = json.loads(result.output)
    assert scored["counts"][0]["given"] == cameras and scored["metrics"]["no pose"] == 0
    # The image alone needs no number, since there is one object.
    image = dataset / "test/000001/rgb/000000.png"
    invoke("predict", image, "--from", run, "--out", tmp_path / "one", "--focal", 150)
    (entry,) = json.loads((tmp_path / "one/poses.json").read_text())["images"]
    assert [each["name"] for each in entry["objects"]] == ["camera"]
    for options, message in (
        (("predict", dataset, "--from", run, "--out", tmp_path / "two", "--object", 2),
         "the model has no object 2; it has 4 (camera)"),
        (("score", csv, "--bop", dataset, "--object", 8), "has no model 8: [1, 2, 3, 4, 5]"),
    ):  # fmt: skip
        result = invoke(*options)
        assert result.exit_code == 2 and message in " ".join(result.output.split())


def test_what_does_not_fit_is_refused():
    VOTING.task().check()
    with pytest.raises(InputError, match=r"set eval_data.objects='\(1,\)' too"):
        override(EXPERIMENT, ["train_data.objects=(1,)"]).task().check()
    with pytest.raises(InputError, match="a mirrored object is another one"):
        replace(EXPERIMENT, augmentation=Augmentation(half_body=0.0))
    with pytest.raises(InputError, match="skeleton is 'object9'"):
        replace(EXPERIMENT, train_data=SyntheticPeople(4, 0)).task().open("train")
    with pytest.raises(InputError, match="numbers"):
        SyntheticObjects(4, 0, objects=(7,)).open()


@pytest.mark.slow
def test_training_reports_accuracies(tmp_path):
    recipe, run = tiny_object.__file__, tmp_path / "run"
    result = CliRunner().invoke(app, ["train", recipe, "--workdir", str(run)])
    assert result.exit_code == 0, result.output
    assert "ADD(-S) of duck" in (run / "report.json").read_text()
    assert (run / "predictions.png").stat().st_size > 1000
    result = CliRunner().invoke(app, ["eval", str(run), "--trust-recipe"])
    assert result.exit_code == 0 and "ADD(-S) 0.1d" in result.output, result.output
