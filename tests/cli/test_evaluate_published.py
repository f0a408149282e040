"""`jaxpose eval` of PP-TinyPose on 60 of COCO's images, against its own runtime and pycocotools."""

import json

import numpy as np
import pytest
from coco_problem import pycocotools_stats
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.metrics.oks import METRICS
from jaxpose.paths import CACHE_VARIABLE


@pytest.fixture(scope="module")
def files(shared, tmp_path_factory):
    """Arguments for the 28 and 32 images together, and their annotations."""
    model = shared / "weights/tinypose_256x192/model.xml"
    if not model.is_file():
        pytest.skip("PP-TinyPose is not among the shared weights")
    both = {"images": [], "annotations": []}
    for split in ("train2017", "val2017"):
        path = shared / f"data/coco/annotations/person_keypoints_{split}.json"
        document = json.loads(path.read_text())
        both["categories"] = document["categories"]
        both["annotations"] += document["annotations"]
        for image in document["images"]:
            both["images"].append({**image, "file_name": f"{split}/{image['file_name']}"})
    path = tmp_path_factory.mktemp("coco") / "people.json"
    path.write_text(json.dumps(both))
    return [str(model), "--data", str(shared / "data/coco"), "--annotations", str(path)], both


@pytest.mark.slow
@pytest.mark.parametrize("found", [False, True], ids=["annotated boxes", "RTMDet-nano"])
def test_tinypose_on_sixty_images(shared, files, found, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    arguments, document = files
    options = ["--no-flip-test", "--out", str(tmp_path / "out")]
    if found:
        weights = shared / "weights/rtmdet_nano_person_bnfolded_mmdetnames.npz"
        options += ["--detector", str(weights)]
    result = CliRunner().invoke(app, ["eval", *arguments, *options])
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "out/report.json").read_text())["metrics"]
    stats = pycocotools_stats(document, json.loads((tmp_path / "out/results.json").read_text()))
    np.testing.assert_allclose([figures[n] for n in METRICS], stats, rtol=0, atol=1e-9)
    if found:
        assert figures["AP"] > 0.45
    else:
        # OpenVINO on crops of the unclipped boxes: 0.8224.
        assert figures["mean OKS (8+)"] == pytest.approx(0.8224, abs=0.005)
