"""`jaxpose prepare`: finding the script, passing options on, errors without tracebacks."""

import json
import os
import subprocess
import sys

import pytest

from jaxpose.data.records import RecordSource


def test_help_is_the_scripts(prepare):
    result = prepare("coco", "--help")
    assert result.exit_code == 0
    assert "--annotations" in result.stdout and "jaxpose prepare coco" in result.stdout


def test_an_unknown_script_names_the_nearest(prepare):
    result = prepare("cocoo")
    assert result.exit_code == 2
    assert "Did you mean 'coco'?" in result.stderr and "Traceback" not in result.stderr


def test_an_unknown_or_missing_option_is_named(prepare, tmp_path):
    result = prepare("coco", "--anotations", "x")
    assert result.exit_code == 2 and "--anotations" in result.stderr
    result = prepare("coco", "--images", tmp_path)
    assert result.exit_code == 2 and "--annotations" in result.stderr


def test_bad_input_is_one_message(prepare, tmp_path):
    result = prepare(
        "coco", "--annotations", tmp_path / "no.json", "--images", tmp_path, "--out", "o"
    )
    assert result.exit_code == 2
    assert "no.json does not exist" in result.stderr and "Traceback" not in result.stderr


def test_ones_own_script_runs_by_its_path(prepare, tmp_path):
    (tmp_path / "mine.py").write_text(
        "def prepare(number: int = 3) -> None:\n    print('prepared', number)\n"
    )
    result = prepare(tmp_path / "mine.py", "--number", "7")
    assert result.exit_code == 0 and result.stdout == "prepared 7\n"
    (tmp_path / "empty.py").write_text("")
    result = prepare(tmp_path / "empty.py")
    assert result.exit_code == 2 and "has no function `prepare`" in result.stderr


@pytest.mark.slow
def test_two_runs_of_the_command_write_the_same_bytes(shared, tmp_path):
    """Processes of their own, other numbers of workers, other hash seeds: real photos."""
    coco = shared / "data" / "coco"
    for name, processes in (("a", 1), ("b", 3)):
        command = [sys.executable, "-c", "from jaxpose.cli.main import app; app()"]
        command += ["prepare", "coco"]
        command += ["--annotations", str(coco / "annotations" / "person_keypoints_val2017.json")]
        command += ["--images", str(coco / "val2017"), "--out", str(tmp_path / name)]
        command += ["--split", "val", "--canvas", "96x72", "--processes", str(processes)]
        environment = {**os.environ, "PYTHONHASHSEED": str(processes)}
        subprocess.run(command, check=True, capture_output=True, env=environment)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name
    source = RecordSource(tmp_path / "a", "val")
    assert len(source) == 68 and source.canvas_hw == (96, 72)
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert summary["splits"]["val"]["skipped"] == {"crowd": 1, "no labelled keypoint": 24}
