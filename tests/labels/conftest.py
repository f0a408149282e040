"""Labels with their images: several images and individuals, gaps, a frame without labels."""

import cv2
import numpy as np
import pytest
from tool_labels import HW, MOUSE, instance
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.labels.labels import LabelledImage, Labels


@pytest.fixture
def run():
    """Runs `jaxpose ARGUMENTS`; the result has `exit_code`, `stdout` and `stderr`."""
    return lambda *arguments: CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def made(tmp_path):
    """Function that makes labels with their images in a folder `images`, and returns both."""

    def make(individuals=("anna", "bert"), boxed=True, names=None):
        rng = np.random.default_rng(3)
        folder = tmp_path / "images"
        names = names or ["film1/img001.png", "film1/img002.png", "film2/img001.png"]
        images = []
        for place, name in enumerate(names):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / name), np.full((*HW, 3), 90 + place, np.uint8))
            present = individuals[: len(individuals) - (place == 2)] if place != 1 else ()
            found = tuple(instance(rng, one, boxed) for one in present)
            if place == 2 and not found:
                found = (instance(rng, individuals[0], boxed),)
            images.append(LabelledImage(folder / name, name, found, HW))
        labels = Labels("code", tmp_path, MOUSE.keypoints, tuple(images), MOUSE.limbs)
        return labels, folder

    return make
