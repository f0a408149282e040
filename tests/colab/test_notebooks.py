"""Every notebook runs from top to bottom, with fewer steps and people than it has for a reader."""

from pathlib import Path

import nbformat
import pytest

nbclient = pytest.importorskip("nbclient")

COLAB = Path(__file__).parents[2] / "colab"


def outputs_of(name: str, folder: Path) -> list:
    """Runs a notebook in `folder`; everything that its cells show, none of it an error."""
    notebook = nbformat.read(COLAB / f"{name}.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    client.execute()
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    return outputs


def test_quickstart_runs_and_shows_its_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("QUICKSTART_STEPS", "20")
    monkeypatch.setenv("QUICKSTART_PEOPLE", "64")
    outputs = outputs_of("quickstart", tmp_path)
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


def test_predict_says_that_it_is_offline_and_shows_photo_film_and_angle(tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    monkeypatch.setenv("PREDICT_HOME", "https://weights.invalid")
    monkeypatch.setenv("PREDICT_STEPS", "20")
    monkeypatch.setenv("PREDICT_PEOPLE", "64")
    monkeypatch.setenv("PREDICT_SECONDS", "1.6")
    outputs = outputs_of("predict", tmp_path)
    printed = "".join(o.get("text", "") for o in outputs)
    assert "cannot reach weights.invalid" in printed
    assert "2 people" in printed and "Keypoint(" in printed
    assert "repetitions" in printed and "degrees" in printed
    kinds = [kind for o in outputs for kind in o.get("data", {}) if kind.startswith("image/")]
    assert kinds == ["image/png", "image/png"]  # the photo, the angle over time
    assert any("<video" in o.get("data", {}).get("text/html", "") for o in outputs)
    frames, keypoints = 40, 17
    table = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    assert len(table) == 1 + frames * keypoints
    assert len((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()) == frames


@pytest.mark.slow
def test_finetune_goes_from_labels_to_an_exported_model(tmp_path, monkeypatch):
    # The network to start from is as in quickstart and predict: it is compiled once for the three.
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


def test_notebooks_carry_no_outputs():
    for path in COLAB.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            assert not cell.get("outputs"), f"{path.name} holds outputs; clear them"
