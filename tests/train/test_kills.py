"""A slice of `fifty_kills`, which see."""

import subprocess
import sys
from pathlib import Path


def test_three_kills_lose_nothing():
    command = [sys.executable, "-m", "tests.train.fifty_kills", "--warm"]
    command += ["--kills", "3", "--seed", "3", "--steps", "6"]
    done = subprocess.run(
        command, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "ended as the undisturbed run, after 3 kills" in done.stdout
