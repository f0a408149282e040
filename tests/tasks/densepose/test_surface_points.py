"""People of DensePose-COCO's files: labels in crops, figures, and from the files to a picture."""

import json
from dataclasses import replace
from pathlib import Path

import densepose_files
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.bodies.labelled_surfaces import DensePoseCoco
from jaxpose.bodies.surface_distances import PublishedDistances
from jaxpose.cli.main import app
from jaxpose.codecs import SurfaceMaps
from jaxpose.codecs.densepose import COARSE, SurfaceOutputs
from jaxpose.errors import InputError
from jaxpose.geometry import apply_affine, box_crop_matrix, compose_affine, invert_affine
from jaxpose.media.image import read_image
from jaxpose.metrics.surface_similarity import CHART_KAPPA, SurfacePlaces, SurfaceSimilarity
from jaxpose.models.build import PoseModel
from jaxpose.models.densepose import DensePoseHead
from jaxpose.models.vit import ViT
from jaxpose.tasks.densepose.experiment import SurfacePointEvaluation, SurfacePointExperiment
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.train.mesh import make_mesh

STILL = {"rotation_probability": 0.0, "shift_probability": 0.0, "scale": 0.0, "half_body": 0.0}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("densepose")
    batch = densepose_files.write_people(folder, 4)
    densepose_files.write_symmetry(folder / "symmetry.mat")
    densepose_files.write_distances(folder / "eval_data")
    return folder, batch


def dataset(folder, **changes):
    made = DensePoseCoco(
        str(folder / "annotations.json"),
        str(folder / "images"),
        max_points=48,
        canvas_hw=(96, 72),
    )
    return replace(made, **changes)


def experiment(folder, **changes):
    made = SurfacePointExperiment(
        model=PoseModel(
            ViT(input_hw=(64, 48), dim=32, depth=1, heads=2), DensePoseHead(15, convs=1, width=16)
        ),
        codec=SurfaceMaps((64, 48), stride=4, coarse=15),
        train_data=dataset(folder),
        eval_data=dataset(folder),
        evaluation=SurfacePointEvaluation(batch_size=4, examples=2),
        steps=2,
        batch_size=4,
        resident=True,
    )
    return replace(made, **changes)


def test_labels_lie_on_the_drawn_people(files):
    folder, batch = files
    source = dataset(folder, symmetry=str(folder / "symmetry.mat")).open()
    assert len(source) == 4 and source.left_out == {"no points on the surface": 1}
    assert source.name(2) == "annotation 102 in 000000000002.png"
    made = source.samples([2, 0])
    for row, number in enumerate((2, 0)):
        labelled = made["part"][row] > 0
        assert labelled.sum() == 40
        at = apply_affine(made["photo_from_canvas"][row], made["points"][row][labelled])
        x, y = np.rint(at).astype(int).T
        iuv = batch["iuv"][number][y, x]
        np.testing.assert_array_equal(made["part"][row][labelled], iuv[:, 0])
        np.testing.assert_allclose(made["uv"][row][labelled], iuv[:, 1:] / 255, atol=1e-6)
        np.testing.assert_array_equal(
            made["area"][row], np.count_nonzero(batch["iuv"][number, ..., 0])
        )
        # In the mirror image, the same chart of the other side.
        np.testing.assert_allclose(
            made["mirror_uv"][row][labelled, 0], 1 - iuv[:, 1] / 255, atol=1e-6
        )
        sides = {3: 4, 4: 3, 1: 1, 2: 2, 23: 24, 24: 23, 7: 8, 22: 21}
        for part, other in zip(iuv[:, 0].tolist(), made["mirror_part"][row].tolist(), strict=False):
            assert sides.get(part, other) == other
    assert source.fingerprint() != dataset(folder).open().fingerprint()


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_labels_move_with_their_crops(files, flip):
    """Points lie on pixels of their own coarse part, in crops that are turned and mirrored too."""
    folder, _ = files
    augmentation = Augmentation(
        **{**STILL, "rotation_probability": 1.0}, flip=flip, rotation_degrees=40.0
    )
    made = experiment(
        folder,
        augmentation=augmentation,
        train_data=dataset(folder, symmetry=str(folder / "symmetry.mat")),
        codec=SurfaceMaps((64, 48), stride=1, coarse=15),
    )
    source = made.task().open("train")
    batch = {key: jnp.asarray(value) for key, value in source.samples(np.arange(4)).items()}
    batch["mask"] = jnp.array([True, True, True, False])
    images, targets, weights = jax.jit(made.task().encode)(jax.random.key(2), batch)
    assert images.shape == (4, 64, 48, 3) and targets.coarse.shape == weights.shape == (4, 64, 48)
    assert not targets.part[3].any() and not weights[3].any() and (weights[:3] == 1).all()
    same, side = [], []
    for row in range(3):
        part = np.asarray(targets.part[row])
        labelled = part > 0
        assert labelled.sum() > 30
        x, y = np.rint(np.asarray(targets.place[row])[labelled]).astype(int).T
        here = np.asarray(targets.coarse[row])[np.clip(y, 0, 63), np.clip(x, 0, 47)]
        same.append(here == COARSE[part[labelled]])
        side.append(part[labelled] == np.asarray(batch["part"][row])[labelled])
    assert np.concatenate(same).mean() > 0.85
    assert np.concatenate(side).mean() < 0.6 if flip else np.concatenate(side).all()


class Known:
    """A model whose variables are its outputs."""

    def apply(self, variables, images, train=False):
        return variables


def test_figures_of_the_true_maps_and_of_wrong_ones(files):
    folder, drawn = files
    distances = PublishedDistances(str(folder / "eval_data"))
    metrics = (SurfaceSimilarity(kappa=CHART_KAPPA), SurfacePlaces())
    made = experiment(
        folder,
        codec=SurfaceMaps((64, 48), stride=1),
        evaluation=SurfacePointEvaluation(
            metrics=metrics, distances=distances, batch_size=4, examples=1
        ),
    )
    source, codec = made.task().open("eval"), made.codec
    batch = source.samples(np.arange(4))
    matrix = box_crop_matrix(batch["box_xywh"], codec.input_hw, padding=made.padding)
    image_to_crop = compose_affine(
        matrix.astype(np.float64), invert_affine(batch["photo_from_canvas"])
    )
    true = codec.encode(jnp.asarray(drawn["iuv"]), jnp.asarray(image_to_crop, jnp.float32))

    known = replace(made)
    object.__setattr__(known, "model", Known())
    evaluate = known.task().evaluator(source, make_mesh(made.mesh, jax.devices()[:1]), False)

    def figures(shift):
        chart = jax.nn.one_hot(true.part, 25)
        u, v = (jnp.repeat(true.uv[..., i, None] + shift, 25, axis=-1) for i in (0, 1))
        outputs = SurfaceOutputs(9 * jax.nn.one_hot(true.coarse, 2), 9 * chart, u, v)
        return evaluate(outputs)

    result = figures(0.0)
    values = result.report.metrics
    assert values["mask IoU"] == values["IoU"] > 0.9 and values["parts"] > 0.95
    # An arm is 3 pixels wide, and its neighbours are elsewhere on the chart.
    assert values["UV"] < 0.12 and values["GPS"] > 0.9 and values["AP50"] == pytest.approx(1)
    assert result.report.notes["annotations left out"] == "1 no points on the surface"
    assert result.predictions["annotation"] == [100, 101, 102, 103]
    assert result.image.shape[2] == 3
    worse = figures(0.4).report.metrics
    assert worse["GPS"] < values["GPS"] - 0.05 and worse["UV"] > values["UV"] + 0.1
    assert worse["parts"] == values["parts"]


@pytest.mark.slow
def test_from_the_files_to_a_picture(files, tmp_path):
    """The shipped recipe, smaller: training, figures, and a drawn image."""
    folder, _ = files
    run = tmp_path / "run"
    changes = [
        *("model.backbone.dim=32", "model.backbone.depth=1", "model.backbone.heads=2"),
        *("model.head.convs=1", "model.head.width=16", "codec.input_hw=(64,48)"),
        "model.backbone.input_hw=(64,48)",
        *("init_from=null", "reset_head=false", "steps=2", "batch_size=8"),
        *("optimizer.warmup_steps=1", "evaluation.batch_size=8", "evaluation.every=2"),
        *("train_data.canvas_hw=(96,72)", "eval_data.canvas_hw=(96,72)"),
    ]
    for name in ("train_data", "eval_data"):
        changes += [f"{name}.annotations={folder / 'annotations.json'}"]
        changes += [f"{name}.images={folder / 'images'}"]
    recipe = Path(__file__).parents[3] / "configs/densepose_coco.py"
    arguments = ["train", str(recipe), "--workdir", str(run)]
    result = CliRunner().invoke(app, [*arguments, *(x for c in changes for x in ("--set", c))])
    assert result.exit_code == 0, result.output
    report = json.loads((run / "report.json").read_text())
    assert set(report["metrics"]) == {"parts", "UV", "mask IoU"}
    assert (run / "predictions.png").stat().st_size > 1000
    result = CliRunner().invoke(app, ["eval", str(run), "--trust-recipe"])
    assert result.exit_code == 0 and "mask IoU" in result.output, result.output
    out = tmp_path / "out"
    photo = folder / "images/000000000001.png"
    arguments = ["predict", str(photo), "--from", "jaxpose-small", "--boxes", "full"]
    arguments += ["--surface", str(run), "--trust-recipe", "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert read_image(out / "surfaces/000000000001.iuv.png").shape == (96, 72, 3)
    assert (out / "surfaces/000000000001.png").is_file()


def test_what_does_not_fit_is_named(files):
    folder, _ = files
    mirrored = experiment(folder, augmentation=Augmentation(**STILL, flip=0.5))
    with pytest.raises(InputError, match=r"give it as train_data\.symmetry, or set"):
        mirrored.task().open("train")
    mirrored.task().open("eval")
    with pytest.raises(InputError, match="SurfaceSimilarity needs distances"):
        SurfacePointEvaluation(metrics=(SurfaceSimilarity(),))
    with pytest.raises(InputError, match=r"eval_data\.annotations"):
        experiment(folder).task().open_dataset("data/coco", "val")
    made = experiment(folder)
    with pytest.raises(InputError, match="flip_test must be False"):
        replace(made, evaluation=replace(made.evaluation, flip_test=True))


def changed(folder, tmp_path, change):
    """The files with one annotation, or the list of images, changed."""
    content = json.loads((folder / "annotations.json").read_text())
    change(content)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content))
    return dataset(folder, annotations=str(path))


@pytest.mark.parametrize(
    ("change", "message", "reason"),
    [
        (
            lambda c: c["annotations"][1]["dp_I"].__setitem__(3, 25),
            r"annotation 101: dp_I of point 3 is 25",
            "labels not as published",
        ),
        (
            lambda c: c["annotations"][1]["dp_masks"].__setitem__(0, {"size": [256, 256]}),
            "annotation 101: mask 1 of dp_masks",
            "labels not as published",
        ),
        (
            lambda c: c["images"][1].update(file_name="absent.png"),
            r"annotation 101: image missing \(there is no .*absent\.png\); skip_faults=True",
            "image missing",
        ),
        (
            lambda c: c["images"].pop(1),
            r"annotation 101: image not listed in the file \(image 1\)",
            "image not listed in the file",
        ),
        (
            lambda c: c["annotations"][1].update(
                {f"dp_{name}": [1] * 49 for name in ("I", "U", "V", "x", "y")}
            ),
            r"annotation 101: too many points \(49, see max_points\)",
            "too many points",
        ),
    ],
)
def test_faults_are_named_or_counted(files, tmp_path, change, message, reason):
    data = changed(files[0], tmp_path, change)
    with pytest.raises(InputError, match=message):
        data.open()
    source = replace(data, skip_faults=True).open()
    assert len(source) == 3 and source.left_out[reason] == 1


def test_images_that_do_not_fit_and_files_without_people(files, tmp_path):
    folder, _ = files
    source = changed(folder, tmp_path, lambda c: c["images"][0].update(width=99)).open()
    with pytest.raises(InputError, match=r"annotation 100 in .*image size differs"):
        source.samples([0])
    with pytest.raises(InputError, match="has no person to use: 1 no points on the surface"):
        changed(folder, tmp_path, lambda c: c.update(annotations=c["annotations"][4:])).open()
    with pytest.raises(InputError, match="imges"):
        dataset(folder, images=str(folder / "imges")).open()
