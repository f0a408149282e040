"""Names of files that are not UTF-8, or look like markup: escaped wherever they leave."""

import csv
import json
import os

import numpy as np
import pytest

from jaxpose.results.people import People
from jaxpose.results.writers import writer
from jaxpose.skeletons import COCO17
from jaxpose.viz.text import caption_strip, draw_label

NOT_UTF8 = os.fsdecode(b"caf\xe9.jpg")


@pytest.fixture
def people() -> People:
    keypoints = np.zeros((1, 17, 2), np.float32)
    return People(
        COCO17,
        (20, 30),
        keypoints,
        np.ones((1, 17), np.float32),
        np.array([[1, 2, 3, 4]], np.float32),
        np.arange(1),
        source=NOT_UTF8,
    )


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "coco", "openpose"])
def test_results_are_written_and_read(people, tmp_path, kind):
    one = writer(kind, tmp_path, COCO17, {})
    one.write(people)
    one.close()
    (path,) = (file for file in tmp_path.rglob("*") if file.is_file())
    if kind == "csv":
        rows = list(csv.DictReader(path.open(encoding="utf-8")))
        assert rows[0]["source"] == r"caf\udce9.jpg" and len(rows) == 17
    elif kind == "jsonl":
        assert json.loads(path.read_text())["file"] == NOT_UTF8
    else:
        json.loads(path.read_text())


def test_names_are_drawn():
    strip = caption_strip(NOT_UTF8, 200, 24, 0)
    assert strip.shape == (24, 200, 3) and strip.any()
    image = np.zeros((40, 200, 3), np.uint8)
    draw_label(image, NOT_UTF8, (5, 35), 10)
    assert image.any()
