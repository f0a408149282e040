"""`jaxpose init`: sizes from the labels, the project's files, and a recipe that trains."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import drawn
import jax
import numpy as np
import pytest
from jax.tree_util import tree_leaves_with_path as tree_leaves
from typer.testing import CliRunner

from jaxpose import skeletons
from jaxpose.cli.main import app
from jaxpose.config.scripts import load_script
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError
from jaxpose.hub.load import weights
from jaxpose.labels.choose import read_labels
from jaxpose.labels.deeplabcut import write_deeplabcut
from jaxpose.labels.labels import Instance, LabelledImage, Labels
from jaxpose.labels.sizes import sizes_of
from jaxpose.skeletons import COCO17, Skeleton
from jaxpose.tasks.topdown.few_labels import few_labels, same_keypoints
from jaxpose.tasks.topdown.pretrained import with_pretrained

GIB = 2**30
MOUSE = Skeleton("mouse", ("snout", "leftear", "rightear", "tail"), (("leftear", "rightear"),))


def run(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def labels(hw, extent, individuals=1, count=8):
    """Labels of images that do not exist, whose animals have this extent (height, width)."""
    corners = np.array([[0.0, 0], [extent[1], 0], [0, extent[0]], [extent[1], extent[0]]]) / 1.25
    instances = (Instance(corners + 10, np.full(4, 2), "code"),) * individuals
    images = [LabelledImage(Path(f"{n}.png"), f"{n}.png", instances, hw) for n in range(count)]
    return Labels("code", Path("code"), MOUSE.keypoints, tuple(images))


def test_an_animal_that_fills_its_image_has_the_image_as_box():
    sizes = sizes_of(labels((240, 320), (90, 160)), 8 * GIB)
    assert sizes.whole_image and sizes.padding == 1 and sizes.input_hw == (192, 256)
    assert not sizes_of(labels((240, 320), (90, 160)), 8 * GIB, whole_image=False).whole_image
    assert not sizes_of(labels((240, 320), (90, 160), individuals=2), 8 * GIB).whole_image


def test_a_small_animal_alone_is_found_in_the_whole_image():
    """A new video has no boxes: the input grows until the animal has 80 px."""
    sizes = sizes_of(labels((480, 640), (60, 110)), 8 * GIB)
    assert sizes.whole_image and sizes.input_hw == (352, 480)
    assert not sizes_of(labels((1000, 1000), (50, 90)), 8 * GIB).whole_image


@pytest.mark.parametrize(
    ("extent", "input_hw"),
    [
        ((160, 160), (192, 192)),
        ((400, 200), (256, 128)),
        ((40, 40), (160, 160)),
        ((300, 20), (256, 128)),
    ],
)
def test_the_input_has_the_shape_of_the_boxes(extent, input_hw):
    sizes = sizes_of(labels((1000, 1000), extent, 2), 8 * GIB, whole_image=False)
    assert sizes.input_hw == input_hw and not sizes.several


def test_the_batch_fits_the_memory_and_the_labels():
    many = labels((240, 320), (90, 160), count=100)
    assert sizes_of(many, 64 * GIB).batch_size == 16
    assert sizes_of(many, GIB).batch_size < 16
    assert sizes_of(labels((240, 320), (90, 160), count=5), 64 * GIB).batch_size == 4
    unread = replace(many, images=tuple(replace(i, image_hw=None) for i in many.images))
    with pytest.raises(InputError, match="none of its 100 labelled images can be read"):
        sizes_of(unread, GIB)


def test_keypoints_with_names_of_people_begin_as_theirs():
    assert same_keypoints(MOUSE) == (0, 3, 4, -1)
    assert same_keypoints(COCO17) == tuple(range(17))
    sizes = {"input_hw": (64, 64), "batch_size": 2, "steps": 8}
    one = few_labels(MOUSE, "data", **sizes)
    assert one.init_keypoints == (0, 3, 4, -1) and not one.reset_head
    other = few_labels(Skeleton("fly", ("wing", "leg")), "data", **sizes)
    assert other.init_keypoints is None and other.reset_head
    both = few_labels(MOUSE, ["data", "more"], **sizes)
    assert [part.data.path for part in both.train_data.parts] == ["data", "more"]
    assert both.eval_data.path == "data"
    with pytest.raises(InputError, match="`data` is empty"):
        few_labels(MOUSE, [], **sizes)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of DeepLabCut with 10 frames, in the folder where the test works."""
    monkeypatch.chdir(tmp_path)
    rng, images = np.random.default_rng(0), []
    for place in range(10):
        path = tmp_path / "mice" / "labeled-data" / "v" / f"img{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (72, 96, 3), np.uint8))
        one = Instance(rng.uniform(20, 60, (4, 2)), np.full(4, 2), "code")
        images.append(LabelledImage(path, f"v/img{place}.png", (one,)))
    found = Labels("code", tmp_path, MOUSE.keypoints, tuple(images))
    write_deeplabcut(found, MOUSE, tmp_path / "mice")
    return tmp_path


def test_a_project_has_skeleton_records_and_recipe(project):
    result = run("init", "mice", "--out", "project", "--processes", 1)
    assert result.exit_code == 0, result.stderr
    assert "Given 10 people = done 10" in result.stdout and "box: the whole image" in result.stdout
    assert "Keypoints that begin as its own: snout, leftear, rightear" in result.stdout
    assert skeletons.load("project/skeleton.toml").pairs == MOUSE.pairs
    experiment = load_script(project / "project" / "recipe.py").get_config()
    train, held_out = (RecordSource("project/data", split) for split in ("train", "val"))
    assert (len(train), len(held_out)) == (8, 2)
    assert experiment.codec.input_hw == tuple(int(n / 1.5) for n in train.canvas_hw)
    canvas = "x".join(map(str, train.canvas_hw))
    assert f"--box image --canvas {canvas} --out MORE" in Path("project/recipe.py").read_text()
    assert experiment.batch_size % jax.device_count() == 0
    result = run("init", "mice", "--out", "project")
    assert result.exit_code == 2 and "data exists; choose another folder" in result.stderr
    file = project / "project" / "skeleton.toml"
    file.write_text(file.read_text() + 'sigmas = "uniform:0.05"\n')  # the user's change
    result = run("init", "mice", "--out", "project", "--processes", 1, "--overwrite")
    assert result.exit_code == 0, result.stderr
    assert RecordSource("project/data", "train").skeleton.sigmas is not None


def test_the_recipe_begins_with_the_weights_of_the_package():
    experiment = few_labels(MOUSE, "data", input_hw=(64, 64), batch_size=2, steps=8)
    fresh = drawn.variables(experiment.model, (64, 64))
    found = with_pretrained(experiment, fresh, weights)["params"]
    published = weights("jaxpose-small")
    flat = {"/".join(key.key for key in path): leaf for path, leaf in tree_leaves(found)}
    assert {f"params/{name}" for name in flat} == {n for n in published if n.startswith("params/")}
    for name, leaf in flat.items():
        expected = published[f"params/{name}"].astype(np.float32)
        if name.startswith("head/"):
            leaf, expected = leaf[..., :3], expected[..., [0, 3, 4]]
        np.testing.assert_array_equal(leaf, expected)


def test_several_animals_become_a_project_that_finds_them(project):
    several("cage")
    result = run("init", "cage", "--out", "project", "--processes", 1)
    assert result.exit_code == 0, result.stderr
    assert "Given 10 images = done 10 + left out 0; given 20 people = done 20" in result.stdout
    said = " ".join(result.stdout.split())
    assert "--from project/model --individuals 2 --colors people --out tracked" in said
    assert "the model finds the individuals of whole images" in said and "boxes.json" not in said
    text = Path("project/recipe.py").read_text()
    experiment = load_script(project / "project" / "recipe.py").get_config()
    experiment.task().check()
    source = experiment.task().open("train")
    assert len(source) == 8 and source.samples(np.arange(2))["keypoints"].shape == (2, 2, 4, 2)
    canvas = "x".join(map(str, source.canvas_hw))
    assert f"--layout images --canvas {canvas} --out MORE" in text
    assert tuple(source.canvas_hw) == tuple(int(n * 1.25) for n in experiment.codec.input_hw)
    assert experiment.skeleton.sigmas is not None and experiment.codec.max_people == 20
    result = run("init", "cage", "--out", "boxed", "--box", "labels", "--processes", 1)
    assert "given 20 people = done 20" in result.stdout.lower() and "boxes.json" in result.stdout


def several(folder):
    """A project of DeepLabCut with two animals in each of 10 frames, as in `project`."""
    rng, images = np.random.default_rng(1), []
    for image in read_labels(Path("mice")).images:
        animals = tuple(
            Instance(rng.uniform(20, 60, (4, 2)), np.full(4, 2), "code", name) for name in "ab"
        )
        images.append(replace(image, instances=animals))
        path = Path(folder, "labeled-data", "v", Path(image.name).name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image.path.read_bytes())
    found = Labels("code", Path(folder), MOUSE.keypoints, tuple(images))
    write_deeplabcut(found, MOUSE, Path(folder))


def test_sizes_of_several_animals():
    """An animal has 48 px of the input, and an image counts as its individuals in a batch."""
    four = sizes_of(labels((640, 640), (80, 120), individuals=4, count=40), 8 * GIB)
    assert four.several and not four.whole_image and four.most == 4
    assert four.input_hw == (256, 256) and four.batch_size == 4 and four.steps == 600
    tiny = sizes_of(labels((1000, 1000), (50, 90)), 8 * GIB)
    assert tiny.several and tiny.most == 1 and tiny.input_hw == (512, 512)


@pytest.mark.parametrize(("spread", "most"), [(np.pi, 180.0), (0.4, 30.0)])
def test_animals_in_all_directions_are_turned_in_training(spread, most):
    images = []
    for n, angle in enumerate(np.linspace(-spread, spread, 12)):
        x = np.arange(4.0) * 20
        points = 100 + np.stack([x * np.cos(angle), x * np.sin(angle)], axis=-1)
        one = Instance(points, np.full(4, 2), "code")
        images.append(LabelledImage(Path(f"{n}.png"), f"{n}.png", (one, one), (240, 320)))
    found = Labels("code", Path("code"), MOUSE.keypoints, tuple(images))
    assert sizes_of(found, 8 * GIB).rotation_degrees == most


@pytest.mark.slow
@pytest.mark.parametrize("labelled", ["mice", "cage"])
def test_a_project_trains(labelled, project):
    several("cage")
    result = run("init", labelled, "--out", "project", "--processes", 1)
    commands = [line.split()[1:] for line in result.stdout.splitlines() if line.startswith("  jax")]
    assert [words[0] for words in commands] == ["data", "train", "eval", "convert", "predict"]
    small = ["--set", "steps=2", "--set", "batch_size=8", "--set", "evaluation.every=2"]
    small += ["--set", "evaluation.batch_size=8", "--set", "optimizer.warmup_steps=1"]
    for words in commands[:4]:
        done = run(*words, *(small if words[0] == "train" else []))
        assert done.exit_code == 0, done.stderr
    image = "mice/labeled-data/v/img0.png"
    done = run(*(image if word == "video.mp4" else word for word in commands[4]))
    assert done.exit_code == 0, done.stderr


def test_coco_becomes_a_project(project):
    names = ["nose", "left_ear", "right_ear", "tail"]
    annotations = [
        {
            "id": n,
            "image_id": n,
            "category_id": 1,
            "bbox": [10, 5, 60, 50],
            "area": 1000,
            "iscrowd": 0,
            "num_keypoints": 4,
            "keypoints": [20, 30, 2, 25, 30, 2, 30, 30, 1, 0, 0, 0],
        }
        for n in range(1, 10)
    ]
    content = {
        "images": [
            {"id": n, "file_name": f"img{n}.png", "height": 72, "width": 96} for n in range(1, 10)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "mouse", "keypoints": names, "skeleton": [[1, 4]]}],
    }
    (project / "coco.json").write_text(json.dumps(content))
    folder = "mice/labeled-data/v"
    options = ("--box", "labels", "--held-out", "0.3", "--processes", 1)
    result = run("init", "coco.json", "--images", folder, "--out", "p", *options)
    assert result.exit_code == 0, result.stderr
    assert "box: that of each individual" in result.stdout and "--boxes boxes.json" in result.stdout
    assert skeletons.load("p/skeleton.toml").limbs == (("nose", "tail"),)
    source = RecordSource("p/data", "train")
    assert len(source) == 6 and source.samples(np.arange(1))["visible"][0].tolist() == [2, 2, 1, 0]


def test_too_few_labels_are_named(project):
    table = next(project.rglob("CollectedData_*.csv"))
    table.write_text("\n".join(table.read_text().splitlines()[:4]) + "\n")
    result = run("init", "mice", "--out", "p")
    assert result.exit_code == 2 and "leaves one split empty" in result.stderr
