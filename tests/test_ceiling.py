"""The best score the road allows: the truth itself sent through crop, codec and evaluator.

Real COCO photos are prepared, cropped without rotation at 256x192, their keypoints encoded as
targets, decoded as if a perfect network had answered, mapped back to the photo and scored by
pycocotools against the annotations as they were downloaded.
"""

import contextlib
import dataclasses
import io
import json

import jax
import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.codecs.heatmap import msra, udp
from jaxpose.codecs.sample import Sample
from jaxpose.codecs.simcc import SimCC
from jaxpose.config import override
from jaxpose.data.source import Records
from jaxpose.geometry import apply_affine, invert_affine
from jaxpose.tasks.topdown.augment import center_crop
from jaxpose.tasks.topdown.estimate import coco_results, estimate_all
from jaxpose.tasks.topdown.score import score
from jaxpose.train.mesh import make_mesh
from jaxpose.train.recipe import load_recipe


@pytest.fixture(scope="module", params=["train", "val"])
def prepared(request, shared, tmp_path_factory):
    """(annotation file, prepared dataset) of real COCO photos."""
    split, coco = request.param, shared / "data" / "coco"
    annotations = coco / "annotations" / f"person_keypoints_{split}2017.json"
    out = tmp_path_factory.mktemp("ceiling") / split
    command = ["prepare", "coco", "--annotations", str(annotations), "--split", split]
    command += ["--images", str(coco / f"{split}2017"), "--out", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return annotations, Records(str(out), split)


def truth_through(codec, records, padding):
    """Estimates of a perfect network with this codec, and the experiment they belong to."""
    experiment = dataclasses.replace(
        override(load_recipe("coco_vitpose_b"), ["evaluation.batch_size=8"]),
        codec=codec,
        eval_data=records,
        padding=padding,
    )

    @jax.jit
    def oracle(variables, batch):
        _, keypoints, visible, input_from_canvas = center_crop(
            batch, input_hw=codec.input_hw, udp=codec.udp, padding=padding
        )
        targets, _ = codec.encode(Sample(visible, keypoints))
        decoded = codec.decode(targets)
        return apply_affine(invert_affine(input_from_canvas), decoded.keypoints), decoded.scores, {}

    mesh = make_mesh(experiment.mesh)
    estimates, _ = estimate_all(oracle, {}, records.open(), experiment, mesh)
    return estimates, experiment


def pycocotools_ap(annotations, results):
    coco_module = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_module.COCO(str(annotations))
        judge = evaluation.COCOeval(truth, truth.loadRes(results), "keypoints")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats[0]


@pytest.mark.parametrize(
    ("codec", "padding", "floor"),
    [(udp(), 1.5, 0.99), (udp(), 1.25, 0.98), (SimCC(), 1.5, 0.99), (msra(), 1.5, 0.96)],
    ids=["udp", "udp-published-padding", "simcc", "msra-quarter-pixel"],
)
def test_ground_truth_survives_the_road(prepared, codec, padding, floor):
    """With the published padding of 1.25 the ceiling is lower: some labels lie outside the crop."""
    annotations, records = prepared
    estimates, experiment = truth_through(codec, records, padding)
    report = score(estimates, experiment, False)
    official = pycocotools_ap(annotations, coco_results(estimates))
    print(f"ceiling AP {report.metrics['AP']:.4f}, pycocotools {official:.4f}")
    assert report.metrics["AP"] >= floor
    assert official >= floor
    labelled = sum(
        person["num_keypoints"] > 0 and not person["iscrowd"]
        for person in json.loads(annotations.read_text())["annotations"]
    )
    assert report.people == labelled


def test_udp_is_exact_where_keypoints_lie_inside_the_crop(prepared):
    _, records = prepared
    estimates, _ = truth_through(udp(), records, 1.25)
    # A peak of 1 to within a cell: the keypoint, and what DARK looks at, is inside the map.
    inside = (estimates.visible > 0) & (estimates.scores > 0.88)
    assert inside.sum() > 0.95 * (estimates.visible > 0).sum()
    distance = np.linalg.norm(estimates.keypoints - estimates.truth, axis=-1)
    size = np.sqrt(estimates.area)[:, None]
    assert np.quantile((distance / size)[inside], 0.95) < 1e-4
