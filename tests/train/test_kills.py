"""A slice of `fifty_kills`, which see: of a lifter with batch norm, which is traced soonest."""

import subprocess
import sys
from pathlib import Path

import pytest
from motion_clips import clip

from jaxpose.data.motion import motion_of, write_motion
from jaxpose.skeletons import HUMANEVA15


@pytest.mark.slow
def test_three_kills_lose_nothing(tmp_path):
    file = tmp_path / "motion.npz"
    write_motion(file, motion_of(HUMANEVA15, [clip(40, 0), clip(20, 1, split="validate")]))
    command = [sys.executable, "-m", "tests.train.fifty_kills", "--warm", "--kills", "3"]
    command += ["--seed", "3", "--steps", "8", "--recipe", "tests/tiny_lifter.py"]
    command += ["--set", f"train_data.path={file}", "--set", f"eval_data.path={file}"]
    done = subprocess.run(
        command, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "ended as the undisturbed run, after 3 kills" in done.stdout
