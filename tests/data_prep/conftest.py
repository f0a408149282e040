"""Running `jaxpose prepare` as a person does, and loading a shipped script."""

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.config.scripts import find_script, load_script


@pytest.fixture
def prepare():
    """Runs `jaxpose prepare ARGUMENTS`; the result has `exit_code`, `stdout` and `stderr`."""

    def run(*arguments):
        return CliRunner().invoke(app, ["prepare", *map(str, arguments)])

    return run


@pytest.fixture
def script():
    """The module of a shipped dataset script, by its bare name."""
    return lambda name: load_script(find_script(name, "data_prep"))


@pytest.fixture
def write_photo():
    """Writes a grey photo of (height, width) at a path, making its folder."""

    def write(path, hw=(60, 50)):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((*hw, 3), 128, np.uint8))

    return write
