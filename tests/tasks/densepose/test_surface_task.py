"""Models of surfaces: labels in the crops, figures of the true maps, training, and prediction."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_surface
from typer.testing import CliRunner

from jaxpose.bodies import drawn_body
from jaxpose.bodies.drawn_charts import drawn_atlas
from jaxpose.cli.main import app
from jaxpose.codecs import SurfaceMaps
from jaxpose.config import to_json
from jaxpose.convert.release import Card, save_release
from jaxpose.errors import InputError
from jaxpose.geometry import apply_affine, box_crop_matrix
from jaxpose.hub.load import load_pose, load_surface_model
from jaxpose.media.image import read_image
from jaxpose.models.build import init_variables
from jaxpose.tasks.densepose.predictor import Surfaces
from jaxpose.tasks.densepose.task import drawn_distances, labelled_pixels
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.viz import save_image

EXPERIMENT = tiny_surface.get_config()
KEYS = ("image", "keypoints", "visible", "box_xywh", "mask", "iuv")


@pytest.fixture(scope="module")
def batch():
    return EXPERIMENT.train_data.open().samples(np.arange(4))


def test_maps_show_the_drawn_people(batch):
    """Wrists and ankles lie on the charts of hands and feet, and the map fills the person's box."""
    near = 0
    for row in range(4):
        part = batch["iuv"][row, ..., 0]
        y, x = np.nonzero(part)
        box = batch["box_xywh"][row]
        span = np.array([x.min(), y.min(), x.max() - x.min(), y.max() - y.min()])
        np.testing.assert_allclose(span, box, atol=0.12 * box[3])
        for name, charts in (("left_wrist", (4, 19, 21)), ("right_ankle", (6, 11, 13))):
            number = {"left_wrist": 9, "right_ankle": 16}[name]
            away = np.hypot(
                *(np.argwhere(np.isin(part, charts)) - batch["keypoints"][row, number, ::-1]).T
            )
            near += away.size > 0 and away.min() < 0.05 * box[3]
    assert near >= 7  # a wrist may be hidden by the body


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_labels_move_with_their_crops(batch, flip):
    """The same charts are seen in turned crops, and those of the other side in mirrored ones."""
    augmentation = Augmentation(
        flip=flip, rotation_degrees=30.0, rotation_probability=1.0, shift_probability=0.0,
        scale=0.0, half_body=0.0,
    )  # fmt: skip
    large = replace(EXPERIMENT, codec=SurfaceMaps((64, 48), stride=1))  # maps as fine as crops
    task = replace(large, augmentation=augmentation).task()
    device = {key: jnp.asarray(batch[key]) for key in KEYS}
    _, targets, weights = jax.jit(task.encode)(jax.random.key(3), device)
    assert weights.shape == targets.part.shape == (4, 64, 48)
    _, plain, _ = jax.jit(large.task().without_augmentation().task().encode)(
        jax.random.key(3), device
    )
    assert not np.array_equal(targets.part, plain.part)
    mirror = drawn_atlas().mirror
    turned, upright = (
        np.bincount(np.ravel(x), minlength=25)[1:] / (np.asarray(x) > 0).sum()
        for x in (targets.part, plain.part)
    )
    other = upright[mirror[1:] - 1]
    # Shares of the charts in the body: the same, or those of the other side in a mirror.
    off = [np.abs(turned - shares).sum() for shares in (upright, other)]
    assert off[int(flip)] < 0.12 < 0.2 < off[1 - int(flip)]


def test_distances_of_places():
    atlas, distances = drawn_atlas(), drawn_distances()
    rng = np.random.default_rng(0)
    part, uv = rng.integers(1, 25, 50), rng.uniform(0, 1, (50, 2))
    assert not distances((part, uv), (part, uv)).any()
    background = distances((part, uv), (part * 0, uv))
    assert np.isinf(background).all()
    moved = np.clip(uv + np.array([0, 0.2]), 0, 1)
    away = distances((part, uv), (part, moved))
    vertices = np.asarray(drawn_body().template) / 1000
    here, there = (atlas.nearest_vertex(part, at) for at in (uv, moved))
    straight = np.linalg.norm(vertices[here] - vertices[there], axis=1)
    assert (away >= straight - 1e-6).all() and 0.02 < away.mean() < 0.3
    others = np.roll(part, 7)  # tubes are joined
    assert np.isfinite(distances((part, uv), (others, uv))).all()
    # From hand to foot, past the torso: longer than a leg, shorter than two statures.
    far = distances((np.array([3]), uv[:1]), (np.array([5]), uv[:1]))
    assert 1.2 < far[0] < 2.6
    y, x = labelled_pixels(np.ones((6, 5), bool), 7, 1)
    assert len(set(zip(y.tolist(), x.tolist(), strict=True))) == 7
    assert len(labelled_pixels(np.eye(5, dtype=bool), 7, 1)[0]) == 5


def test_maps_of_several_people_in_an_image():
    part = np.array([[[1, 0], [2, 3]], [[4, 4], [4, 4]]])
    uv = np.random.default_rng(0).uniform(0, 1, (2, 2, 2, 2)).astype(np.float32)
    matrices = np.array([[[0.5, 0, -0.25], [0, 0.5, -0.25]], [[1.0, 0, -3], [0, 1, -1]]])
    iuv = Surfaces(part, uv, np.array([0.9, 0.5]), matrices).in_image((5, 6))
    expected = [[1, 1, 0, 0, 0, 0], [1, 1, 0, 4, 4, 0], [2, 2, 3, 3, 4, 0], [2, 2, 3, 3, 0, 0]]
    np.testing.assert_array_equal(iuv[:4, :, 0], expected)
    assert not iuv[4].any()
    np.testing.assert_array_equal(iuv[3, 2, 1:], uv[0, 1, 1])
    np.testing.assert_array_equal(iuv[1, 4, 1:], uv[1, 0, 1])


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    variables = init_variables(EXPERIMENT.model, jax.random.key(0), EXPERIMENT.input_hw)
    estimator, variables = EXPERIMENT.task().estimator(variables)
    folder = tmp_path_factory.mktemp("release") / "surface"
    config = {"name": "surface", "estimator": to_json(estimator)}
    card = Card("surface", "a test", estimator.describe_input(), (), takes="surfaces")
    save_release(folder, variables, config, card)
    return folder


@pytest.mark.slow
def test_train_and_evaluate(tmp_path):
    recipe, run = tiny_surface.__file__, tmp_path / "run"
    result = CliRunner().invoke(app, ["train", recipe, "--workdir", str(run)])
    assert result.exit_code == 0, result.output
    report = (run / "report.json").read_text()
    assert all(f'"{name}"' in report for name in ("GPS", "GPSm", "IoU", "AP", "AP50", "AP75"))
    assert (run / "predictions.png").stat().st_size > 1000
    result = CliRunner().invoke(app, ["eval", str(run), "--trust-recipe"])
    assert result.exit_code == 0 and "GPS" in result.output, result.output


def test_predict_draws_surfaces_and_writes_maps(release, tmp_path, batch):
    for number in range(2):
        save_image(tmp_path / f"{number}.png", batch["image"][number])
    photos = [str(tmp_path / f"{number}.png") for number in range(2)]
    out = tmp_path / "out"
    arguments = ["predict", *photos, "--from", "jaxpose-small", "--boxes", "full"]
    arguments += ["--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--surface", str(release)])
    assert result.exit_code == 0, result.output
    assert "Surfaces of 2 people in surfaces: 2 in .iuv.png" in " ".join(result.output.split())
    assert (out / "surfaces/0.png").is_file() and (out / "surfaces/1.png").is_file()
    # The same as the predictor of the model, for the same boxes: blue, green and red of the file.
    predictor = load_surface_model(release).predictor(batch_size=2)
    height, width = batch["image"].shape[1:3]
    iuv = predictor(batch["image"][0], [[0, 0, width, height]]).in_image((height, width))
    saved = read_image(out / "surfaces/0.iuv.png")[..., ::-1]
    np.testing.assert_array_equal(saved[..., 0], iuv[..., 0])
    np.testing.assert_allclose(saved[..., 1:] / 255, iuv[..., 1:], atol=0.51 / 255)
    assert predictor.compilations == 1 and len(predictor(batch["image"][0], []).part) == 0
    result = CliRunner().invoke(app, [*arguments, "--surface", "jaxpose-small"])
    assert result.exit_code == 2 and "a model for keypoints" in " ".join(result.output.split())
    with pytest.raises(InputError, match="Pass it with --surface"):
        load_pose(release)


def test_the_predicted_map_lies_where_the_crop_was(batch):
    """Maps from the crop of a box come back to the pixels of the image that they are from."""
    codec = SurfaceMaps((64, 48), stride=1)
    box = batch["box_xywh"][:1].astype(np.float64)
    matrix = box_crop_matrix(box, codec.input_hw, padding=1.25, udp=codec.udp)
    targets = codec.encode(jnp.asarray(batch["iuv"][:1]), jnp.asarray(matrix, jnp.float32))
    maps = np.asarray(codec.map_matrix(jnp.asarray(matrix, jnp.float32)), np.float64)
    found = Surfaces(np.asarray(targets.part), np.asarray(targets.uv), np.ones(1), maps)
    iuv = found.in_image(batch["image"].shape[1:3])
    true = batch["iuv"][0]
    same = iuv[..., 0] == true[..., 0]
    assert same[true[..., 0] > 0].mean() > 0.9
    both = same & (true[..., 0] > 0)
    np.testing.assert_allclose(
        np.median(np.abs(iuv[both][:, 1:] - true[both][:, 1:] / 255)), 0, atol=1e-6
    )
    corner = apply_affine(matrix[0], box[0, :2])
    assert (corner > 0).all()


def test_parts_that_do_not_fit_are_named():
    with pytest.raises(InputError, match=r"\(16, 12, 2\), those of the codec \(32, 24, 2\)"):
        replace(EXPERIMENT, codec=SurfaceMaps((64, 48), stride=2)).task().check()
    with pytest.raises(InputError, match="flip_test must be False"):
        replace(EXPERIMENT, evaluation=replace(EXPERIMENT.evaluation, flip_test=True))
    with pytest.raises(InputError, match="drawn people"):
        EXPERIMENT.task().open_dataset("data/coco", "val")


def test_programs_for_export_take_any_batch(release):
    trained = load_surface_model(release)
    for level, names in (
        ("crops", ["part", "score", "uv"]),
        ("model", ["coarse", "fine", "u", "v"]),
    ):
        program = trained.estimator.program(trained.variables, level=level)
        assert [value.name for value in program.outputs] == names
        outputs = jax.eval_shape(program.ordered, *program.arguments())
        assert str(outputs[0].shape[0]) == "B" and outputs[0].shape[1:3] == (16, 12)
        (images,) = program.samples(3)
        assert images.shape == (3, 64, 48, 3)
    with pytest.raises(InputError, match="--level crops or model"):
        trained.estimator.program(trained.variables, level="photo")
