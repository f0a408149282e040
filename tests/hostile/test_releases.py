"""Releases whose configuration was changed: a sentence, and no memory that a stranger chooses."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from doc_stand_ins import pose_release
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.errors import InputError
from jaxpose.hub.load import load


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "tiny"
    pose_release(folder)
    return folder


def changed(release: Path, folder: Path, **estimator) -> Path:
    """A copy whose estimator has other values, by dotted keys with `__` for dots."""
    shutil.copytree(release, folder / "changed")
    file = folder / "changed" / "config.json"
    config = json.loads(file.read_text())
    for key, value in estimator.items():
        node = config["estimator"]
        *path, last = key.split("__")
        for part in path:
            node = node[part]
        node[last] = value
    file.write_text(json.dumps(config))
    return folder / "changed"


def test_an_input_of_terabytes_is_refused(release, tmp_path):
    where = changed(release, tmp_path, codec__input_hw=[10**6, 10**6])
    with pytest.raises(InputError, match="1000000 x 1000000 pixels are more than the limit"):
        load(where)


def test_a_billion_keypoints_are_refused(release, tmp_path):
    where = changed(release, tmp_path, model__head__num_keypoints=10**9)
    image = tmp_path / "a.png"
    cv2.imwrite(str(image), np.zeros((32, 24, 3), np.uint8))
    options = ["--from", str(where), "--boxes", "full", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["predict", str(image), *options])
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert "the weights do not have the shapes that the configuration states" in said


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', "[" * 5000])
def test_a_damaged_configuration_is_named(release, tmp_path, text):
    where = changed(release, tmp_path)
    (where / "config.json").write_text(text)
    with pytest.raises(InputError, match="changed"):
        load(where)


def test_a_release_without_its_weights_says_so(release, tmp_path):
    folder = changed(release, tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"is a release without its model\.safetensors"):
        load(folder)
    (folder / "config.json").write_text('{"model_type": "mine"}')
    (folder / "pytorch_model.bin").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"files of weights \(pytorch_model\.bin\): give the path"):
        load(folder)
    with pytest.raises(InputError, match=r"nowhere does not exist"):
        load(tmp_path / "nowhere")


def test_a_config_py_beside_the_weights_is_not_read(release, tmp_path):
    """The user's own settings lie beside the weights; nothing of them is run."""
    trace = tmp_path / "trace"
    code = f"open({str(trace)!r}, 'w').close()\nclass Config:\n    lr = 1\n"
    folder = changed(release, tmp_path)
    for name in ("config.py", "__init__.py", "modeling_mine.py"):
        (folder / name).write_text(code)
    assert load(folder).skeleton.name == "coco17"
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"files of weights \(model.safetensors\): give") as found:
        load(folder)
    assert "config.py, are not read" in str(found.value)
    (folder / "model.safetensors").rename(folder / "best.pth")
    cv2.imwrite(str(folder / "a.png"), np.zeros((32, 24, 3), np.uint8))
    out = ["--out", tmp_path / "out"]
    for command in (
        ["convert", folder, tmp_path / "new"],
        ["predict", folder / "a.png", "--from", folder, *out],
    ):
        result = CliRunner().invoke(app, [str(word) for word in command])
        assert result.exit_code == 2 and "(best.pth): give the path" in result.output
    assert not trace.exists()
