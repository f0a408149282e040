"""PP-TinyPose from its OpenVINO file, against that runtime's outputs on real people."""

import json
from types import SimpleNamespace

import cv2
import jax
import numpy as np
import pytest

from jaxpose.convert import load_pretrained, load_state_dict
from jaxpose.convert.choose import Clues, choose
from jaxpose.convert.identify import identify
from jaxpose.convert.load import plan_for, recognise
from jaxpose.convert.reading import input_hw_of
from jaxpose.media.image import read_image
from jaxpose.metrics.oks import oks
from jaxpose.models.published.catalogue import CATALOGUE, find
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import normalize
from jaxpose.tasks.topdown.predictor import Predictor

RECORD = find("tinypose")


@pytest.fixture(scope="module")
def tinypose(shared):
    folder = shared / "weights" / "tinypose_256x192"
    model = RECORD.model()
    with np.load(folder / "golden.npz") as file:
        golden = dict(file)
    return SimpleNamespace(
        folder=folder,
        model=model,
        variables=load_pretrained(model, folder / "model.xml"),
        golden=golden,
    )


def test_every_array_of_the_file_is_used(tinypose):
    source, state_dict = recognise(load_state_dict(tinypose.folder / "model.xml"))
    plan = plan_for(source, state_dict, tinypose.model)
    assert plan.fits and len(state_dict) == 2 * 269 + len(plan.dropped)
    # 26 pairs of scales of the nearest enlargements, 3 numbers against rounding of the others.
    assert len(plan.dropped) == 29


def test_the_file_is_recognised_with_its_size(tinypose):
    source = tinypose.folder / "model.xml"
    state_dict = load_state_dict(source)
    fits = identify(state_dict, CATALOGUE, input_hw=input_hw_of(source))
    assert [fit.entry.name for fit in choose(fits, Clues(source.name))] == ["tinypose"]
    small = choose(identify(state_dict, CATALOGUE, input_hw=(128, 96)), Clues())
    assert [fit.entry.name for fit in small] == ["tinypose-128x96"]


def test_maps_and_keypoints_are_the_runtimes(tinypose):
    golden, codec = tinypose.golden, RECORD.codec((256, 192))
    crops = cv2.imread(str(tinypose.folder / "inputs.webp"))[..., ::-1].reshape(12, 256, 192, 3)
    run = jax.jit(lambda variables, x: tinypose.model.apply(variables, normalize(x)))
    maps = np.asarray(run(tinypose.variables, crops))

    # The runtime's maps are kept for the first crop; 4e-6 is measured, at a range of 1.05.
    expected = golden["out_conv2d_441.tmp_1__first1"].transpose(0, 2, 3, 1)
    assert np.abs(maps[:1] - expected).max() < 1e-3 * expected.std()
    # Their highest pixels are kept for all twelve, and so are the values there.
    flat = maps.reshape(12, -1, 17)
    np.testing.assert_array_equal(flat.argmax(1), golden["out_argmax_0.tmp_0"])
    scores = golden["keypoints_xy_score"][..., 2]
    assert np.abs(flat.max(1) - scores).max() < 1e-3 * expected.std()

    found = codec.decode(maps)
    scale = golden["roi_xywh"][:, None, 2:] / [192, 256]
    in_image = golden["roi_xywh"][:, None, :2] + (np.asarray(found.keypoints) + 0.5) * scale - 0.5
    error = np.abs(in_image - golden["keypoints_xy_score"][..., :2]) / scale
    # On a ridge the curvature is near zero, and the step is arbitrary; prediction bounds it.
    bounded = np.asarray(codec.bounded().decode(maps).keypoints)
    sharp = (bounded == np.asarray(found.keypoints)).all(-1)
    assert (~sharp).sum() == 1
    assert error[sharp].max() < 0.1  # pixels of the crop; 0.064 is measured


@pytest.mark.slow
def test_people_are_found_as_well_as_by_the_runtime(tinypose, shared):
    """Mean OKS over 100 people of COCO with their annotated boxes: 0.822 there, 0.818 here.

    The runtime's crops were averaged before they were made smaller, ours are bilinear.
    """
    coco, golden = shared / "data" / "coco", tinypose.golden
    annotations = {
        annotation["id"]: annotation
        for file in (coco / "annotations").glob("person_keypoints_*.json")
        for annotation in json.loads(file.read_text())["annotations"]
    }
    people = [annotations[key] for key in golden["eval100_ann_id"]]
    by_file: dict[str, list[dict]] = {}
    for file, person in zip(golden["eval100_file"], people, strict=True):
        by_file.setdefault(str(file), []).append(person)
    predictor = Predictor(
        tinypose.model,
        tinypose.variables,
        RECORD.codec((256, 192)),
        COCO17,
        flip_test=False,
        padding=RECORD.padding,
    )
    items = ((read_image(coco / f), [p["bbox"] for p in found]) for f, found in by_file.items())
    scores = []
    for found, there in zip(predictor.stream(items, full=True), by_file.values(), strict=True):
        truth = np.array([person["keypoints"] for person in there], float).reshape(-1, 17, 3)
        areas = np.array([person["area"] for person in there])
        scores += oks(found.keypoints, truth[..., :2], truth[..., 2], areas, COCO17.sigmas).tolist()
    assert len(scores) == 100
    assert np.mean(scores) == pytest.approx(golden["eval100_oks"].mean(), abs=0.005)
