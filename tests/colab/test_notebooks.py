"""Every notebook runs from top to bottom, with fewer steps and people than it has for a reader."""

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).parents[2]
COLAB = ROOT / "colab"
NOTEBOOKS = sorted(COLAB.glob("*.ipynb"))
NOWHERE = "https://nowhere.invalid"
# The quick start's network, small: it compiles in a quarter of the time.
SMALL = [
    "model.backbone.widths=(8,8,8)",
    "model.backbone.depths=(1,1,1)",
    "model.backbone.path_width=8",
    "model.head.deconv_channels=(8,)",
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def outputs_of(name: str, folder: Path, changes: dict[str, str] | None = None) -> list:
    """Runs a notebook in `folder`; everything that its cells show, none of it an error.

    `changes` are made in its cells, as a reader makes them; each must find its place.
    """
    notebook = nbformat.read(COLAB / f"{name}.ipynb", as_version=4)
    for old, new in (changes or {}).items():
        (cell,) = (cell for cell in notebook.cells if old in cell.source)
        cell.source = cell.source.replace(old, new)
    client = nbclient.NotebookClient(
        notebook, timeout=3600, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    client.execute()
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    return outputs


@pytest.mark.slow  # The steps of README train the same recipe.
def test_quickstart_runs_and_shows_its_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("QUICKSTART_STEPS", "20")
    monkeypatch.setenv("QUICKSTART_PEOPLE", "64")
    outputs = outputs_of("quickstart", tmp_path, {'"log_every=20"]': f'"log_every=20", *{SMALL}]'})
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 3  # the loss, the held-out people, the photo
    printed = "".join(o.get("text", "") for o in outputs)
    assert "AP" in printed and "Keypoint(" in printed


@pytest.mark.slow
def test_lift3d_runs_and_shows_its_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("LIFT_STEPS", "30")
    monkeypatch.setenv("LIFT_CLIPS", "20")
    outputs = outputs_of("lift3d", tmp_path)
    kinds = [kind for o in outputs for kind in o.get("data", {}) if kind.startswith("image/")]
    assert kinds == ["image/png", "image/gif"]  # several views of a moment, a turning film
    printed = "".join(o.get("text", "") for o in outputs)
    assert "P-MPJPE" in printed and "mm from the truth" in printed
    # What Blender reads is what was lifted, to the digits of the file.
    assert "largest difference: 0.000" in printed
    assert (tmp_path / "walk.bvh").is_file()


@pytest.mark.slow
def test_actions_trains_on_gestures_and_names_them(tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIONS_CLIPS", "40")
    monkeypatch.setenv("ACTIONS_STEPS", "6")
    outputs = outputs_of("actions", tmp_path)
    kinds = [kind for o in outputs for kind in o.get("data", {}) if kind.startswith("image/")]
    assert kinds == ["image/png"] * 2  # the drawn gestures, those that are confused
    printed = "".join(o.get("text", "") for o in outputs)
    assert "top-1" in printed and " of 8 gestures are right" in printed


@pytest.mark.slow
def test_animals_goes_from_labels_to_a_tracked_video(tmp_path, monkeypatch):
    monkeypatch.setenv("ANIMALS_FRAMES", "48")
    monkeypatch.setenv("ANIMALS_STEPS", "6")
    outputs = outputs_of("animals", tmp_path)
    assert len([o for o in outputs if "image/png" in o.get("data", {})]) == 2  # frame, labels
    assert any("<video" in o.get("data", {}).get("text/html", "") for o in outputs)
    printed = "".join(o.get("text", "") for o in outputs)
    assert "20 labelled frames" in printed and "given 48 frames = done 48 + left out 0" in printed
    error = re.search(r"snout\s+median error\s+([0-9.]+) px", printed)
    assert error is not None and float(error[1]) < 40


@pytest.mark.slow
def test_objects_goes_from_drawn_images_to_scored_poses(tmp_path, monkeypatch):
    monkeypatch.setenv("OBJECTS_IMAGES", "4")
    monkeypatch.setenv("OBJECTS_STEPS", "4")
    monkeypatch.setenv("OBJECTS_COUNT", "64")
    outputs = outputs_of("objects", tmp_path)
    # The drawn image, the sheet of training, and the image with poses.
    assert len([o for o in outputs if {"image/png", "image/jpeg"} & set(o.get("data", {}))]) == 3
    printed = "".join(o.get("text", "") for o in outputs)
    assert "ADD(-S) 0.1d" in printed and "AR_VSD" in printed
    assert re.search(r"(duck|mug|hammer|camera|egg box) +score 0\.\d\d", printed)


@pytest.mark.slow
def test_meshes_trains_bodies_and_surfaces_and_draws_them(tmp_path, monkeypatch):
    monkeypatch.setenv("MESHES_FIRST", "2")
    monkeypatch.setenv("MESHES_STEPS", "2")
    monkeypatch.setenv("MESHES_PEOPLE", "64")
    monkeypatch.setenv("MESHES_HELD_OUT", "8")
    monkeypatch.setenv("SURFACES_STEPS", "2")
    monkeypatch.setenv("SURFACES_PEOPLE", "32")
    outputs = outputs_of("meshes", tmp_path)
    kinds = [kind for o in outputs for kind in o.get("data", {}) if kind.startswith("image/")]
    # Held-out bodies, the image, the turning body; held-out surfaces, the image.
    assert kinds == ["image/png", "image/png", "image/gif", "image/png", "image/png"]
    printed = "".join(o.get("text", "") for o in outputs)
    assert "PVE" in printed and "GPS" in printed and "'betas': (1, 8)" in printed


@pytest.mark.slow
def test_bodies_goes_from_a_drawn_video_to_files_of_meshes(tmp_path, monkeypatch):
    monkeypatch.setenv("BODIES_SECONDS", "0.8")
    outputs = outputs_of("bodies", tmp_path)
    kinds = [kind for o in outputs for kind in o.get("data", {}) if kind.startswith("image/")]
    assert kinds == ["image/png", "image/gif", "image/gif"]  # one frame, its turn, the video
    printed = "".join(o.get("text", "") for o in outputs)
    error = re.search(r"median reprojection error ([0-9.]+) pixels", printed)
    assert error is not None and float(error[1]) < 5
    assert (tmp_path / "bodies.glb").read_bytes()[:4] == b"glTF"
    assert "MOTION" in (tmp_path / "walk.bvh").read_text()


@pytest.mark.slow
def test_scaling_runs_a_study_and_shows_its_law(tmp_path, monkeypatch):
    monkeypatch.setenv("SCALING_PEOPLE", "128")
    monkeypatch.setenv("SCALING_SAMPLES", "192,320,512")
    monkeypatch.setenv("SCALING_WIDTHS", "16,48")
    outputs = outputs_of("scaling", tmp_path)
    shown = (o.get("data", {}).get("text/plain", "") for o in outputs)  # tables are
    printed = "".join(o.get("text", "") for o in outputs) + "".join(shown)
    assert "7 points done" in printed
    assert "joint" in printed and "held out: foretold" in printed
    assert len([o for o in outputs if "image/png" in o.get("data", {})]) == 1


@pytest.mark.slow
def test_predict_shows_photo_film_and_angle(tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    monkeypatch.setenv("JAXPOSE_MIRROR", NOWHERE)  # the models in the package
    monkeypatch.setenv("PREDICT_SECONDS", "1.6")
    outputs = outputs_of("predict", tmp_path)
    printed = "".join(o.get("text", "") for o in outputs)
    assert "jaxpose-small, a smaller model that is part of jaxpose, is used" in printed
    assert "Keypoint(" in printed and "rtmpose-m, " in printed
    assert "4 repetitions" in printed and "degrees" in printed
    shown = [o.data for o in outputs if "image/png" in o.get("data", {})]
    assert len(shown) == 2  # the photo, the angle over time
    assert shown[0]["text/plain"] == "<1 person, coco17, 'photo.jpg', 512 x 600>"
    assert any("<video" in o.get("data", {}).get("text/html", "") for o in outputs)
    frames, keypoints = 40, 17
    table = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    assert len(table) == 1 + frames * keypoints
    assert len((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()) == frames


@pytest.mark.slow
def test_finetune_goes_from_labels_to_an_exported_model(tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_PRETRAINING", "20")
    monkeypatch.setenv("FINETUNE_PEOPLE", "64")
    monkeypatch.setenv("FINETUNE_PHOTOS", "12")
    monkeypatch.setenv("FINETUNE_STEPS", "8")
    outputs = outputs_of("finetune_your_keypoints", tmp_path)
    printed = "".join(o.get("text", "") for o in outputs)
    assert "12 photos to label, 18 held out" in printed
    assert "from people: AP" in printed and "from nothing: AP" in printed
    assert "PCK@0.1 of the crane's size" in printed
    kinds = [kind for o in outputs for kind in o.get("data", {}) if kind.startswith("image/")]
    assert kinds == ["image/png"] * 3  # labels to check, both runs' curves, held-out photos


def test_a_wrong_address_is_named_and_no_other_model_takes_its_place(tmp_path):
    named = f'jaxpose.Pipeline.load("{NOWHERE}/model.pth")'
    with pytest.raises(nbclient.exceptions.CellExecutionError, match=r"nowhere\.invalid"):
        outputs_of("predict", tmp_path, {"pipeline = jaxpose.Pipeline()": f"pipeline = {named}"})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_saved_pictures_in_a_small_file(path):
    cells = nbformat.read(path, as_version=4).cells
    outputs = [o for cell in cells for o in cell.get("outputs", [])]
    if not outputs:
        pytest.skip(f"no outputs: python tests/colab/save_outputs.py {path.stem}")
    assert not [o for o in outputs if o.output_type == "error"]
    assert any("image/jpeg" in o.get("data", {}) for o in outputs)
    assert path.stat().st_size < 500_000
    text = "".join(o.get("text", "") + o.get("data", {}).get("text/plain", "") for o in outputs)
    assert not re.findall(r"/(?:tmp|root|home|work)/", text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_colab_folds_the_code_of_cells_with_a_title(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert cell.source.startswith("# @title") == (cell.metadata.get("cellView") == "form")


def first_cell(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return next(cell.source for cell in cells if cell.cell_type == "code")


def test_first_cells_differ_in_extras_and_settings_only():
    own = ("EXTRAS = ", "# Two runs", "# Many small", "os.environ.set", "import importlib.util")

    def common(path: Path) -> tuple[str, ...]:
        lines = first_cell(path).splitlines()
        return tuple(line for line in lines if line and not line.startswith(own))

    assert len(set(map(common, NOTEBOOKS))) == 1


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """Requests of the first cell to Python, in a separate folder without jaxpose."""
    asked = []

    def run(command):
        asked.append(command[2:])
        return subprocess.CompletedProcess(command, 0)

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(importlib.metadata, "version", absent)
    return asked


PREDICT = COLAB / "predict.ipynb"
THEN = ["jaxpose.requirements", "table"]


def test_where_nothing_is_there_the_first_cell_says_so_and_installs_nothing(pip):
    with pytest.raises(RuntimeError, match=r"no checkout around .* and no wheel in it"):
        exec(first_cell(PREDICT), {})
    assert not pip


def test_the_first_cell_takes_a_wheel_and_before_it_a_checkout(pip, tmp_path):
    wheel = Path.cwd() / "jaxpose-0.1.0-py3-none-any.whl"
    wheel.touch()
    exec(first_cell(PREDICT), {})
    (tmp_path / "jaxpose").mkdir()
    (tmp_path / "jaxpose" / "requirements.py").touch()
    exec(first_cell(PREDICT), {})
    install = ["pip", "install", "-q", "--no-deps"]
    assert pip == [[*install, str(wheel)], THEN, [*install, str(tmp_path)], THEN]


@pytest.mark.parametrize("source", ["git+https://example.org/jaxpose.git", "jaxpose==0.1.0"])
def test_the_first_cell_takes_an_address_and_the_index(pip, source):
    exec(first_cell(PREDICT).replace('SOURCE = ""', f'SOURCE = "{source}"'), {})
    assert pip == [["pip", "install", "-q", "--no-deps", source], THEN]


def test_the_first_cell_ends_where_pip_fails(pip, monkeypatch):
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(subprocess, "run", lambda command: failed)
    with pytest.raises(RuntimeError, match=r"pip install -q --no-deps somewhere failed"):
        exec(first_cell(PREDICT).replace('SOURCE = ""', 'SOURCE = "somewhere"'), {})


@pytest.mark.parametrize("name", ["cpu", "gpu", "tpu"])
def test_the_images_have_what_is_required_or_lack_it_entirely(name):
    """No version of an image is outside the bounds, so pip has no reason to change one."""
    pins, files = {}, [Path(__file__).parent / f"colab-2026-08-{name}.txt"]
    for file in files:
        for line in file.read_text().splitlines():
            if line.startswith("-r "):
                files.append(file.parent / line[3:])
            elif not line.startswith("#"):
                package, version = line.split("==")
                pins[canonicalize_name(package)] = version
    assert pins["jax"] == pins["jaxlib"] == "0.7.2"
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["data"], *extras["table"], *extras["demo"]]
    wanted += extras["notebook"] + ([] if name == "tpu" else extras["tensorflow"])
    for requirement in map(Requirement, wanted):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is None or requirement.specifier.contains(version), requirement
    assert ("tensorflow" in pins) == ("opencv-python-headless" in pins) == (name != "tpu")
