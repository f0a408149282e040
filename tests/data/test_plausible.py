"""Well-formed but implausible data, each kind made on purpose, and real data that shows none."""

import copy
import json

import numpy as np
import pytest
from annotated import HEIGHT, WIDTH, codes, edit, finding, good_document, table_of

from jaxpose.data.lint.check import check_annotations
from jaxpose.skeletons import COCO17, LSP14, Skeleton


@pytest.fixture
def document() -> dict:
    return good_document()


@pytest.mark.parametrize("split", ["train", "val"])
def test_real_coco_has_no_errors(shared, split):
    path = shared / f"data/coco/annotations/person_keypoints_{split}2017.json"
    images = shared / f"data/coco/{split}2017"
    findings = check_annotations(json.loads(path.read_text()), COCO17, images)
    assert codes(findings, "error") == set()
    assert {"crowd", "unlabelled-people", "label-rate", "scale"} <= codes(findings, "info")


def test_real_coco_validation_people_have_no_errors(shared):
    path = shared / "data/metrics/coco_val538_ann/person_keypoints_val2017_538imgs.json"
    document = json.loads(path.read_text())
    findings = check_annotations(document, COCO17)
    assert codes(findings, "error") == set()
    # Mirrored without exchanging left and right, the same people show it.
    widths = {image["id"]: image["width"] for image in document["images"]}
    for entry in document["annotations"]:
        table, width = table_of(entry), widths[entry["image_id"]]
        table[:, 0] = np.where(table[:, 2] > 0, width - table[:, 0], 0)
        entry["keypoints"] = table.ravel().tolist()
        entry["bbox"][0] = width - entry["bbox"][0] - entry["bbox"][2]
    assert codes(check_annotations(document, COCO17), "error") == {"sides-inverted"}


@pytest.mark.parametrize("folder", ["lsp", "lspet"])
def test_real_leeds_sports_people_have_no_side_errors(shared, folder):
    scipy_io = pytest.importorskip("scipy.io")
    joints = scipy_io.loadmat(shared / "data" / folder / "joints.mat")["joints"]
    if folder == "lsp":
        points, flags = joints[:2].transpose(2, 1, 0), np.full((2000, 14), 2)
    else:
        points, flags = joints[:, :2].transpose(2, 0, 1), joints[:, 2].T * 2
    document = leeds_document(points, flags)
    faults = codes(check_annotations(document, LSP14), "error", "warning")
    assert faults <= {"keypoints-outside-photo"}
    points = points * [-1, 1] + [10_000, 0]
    assert "sides-inverted" in codes(check_annotations(leeds_document(points, flags), LSP14))


def leeds_document(points, flags) -> dict:
    points = np.where(flags[..., None] > 0, points, np.nan)
    low, high = np.nanmin(points, axis=1), np.nanmax(points, axis=1)
    points = np.nan_to_num(points)
    people = [
        {
            "id": i,
            "image_id": 1,
            "category_id": 1,
            "bbox": [*low[i].tolist(), *(high[i] - low[i] + 1).tolist()],
            "area": float(np.prod(high[i] - low[i] + 1)),
            "keypoints": np.concatenate([points[i], flags[i][:, None]], axis=1).ravel().tolist(),
        }
        for i in range(len(points))
    ]
    categories = [{"id": 1, "name": "person", "keypoints": list(LSP14.keypoints)}]
    return {"images": [{"id": 1}], "annotations": people, "categories": categories}


def test_unlabelled_people(document):
    def blank(table, box):
        return table * 0, box

    for entry in document["annotations"]:
        del entry["num_keypoints"]
    edit(document, blank, slice(0, 10))
    found = finding(check_annotations(document, COCO17), "unlabelled-people")
    assert (found.severity, found.count) == ("info", 10)
    edit(document, blank, slice(0, 30))
    assert finding(check_annotations(document, COCO17), "unlabelled-people").severity == "warning"
    edit(document, blank)
    findings = check_annotations(document, COCO17)
    assert finding(findings, "unlabelled-people").severity == "error"


def test_keypoint_never_labelled(document):
    def without_ears(table, box):
        table[[3, 4]] = 0
        return table, box

    edit(document, without_ears)
    found = finding(check_annotations(document, COCO17), "keypoint-never-labelled")
    assert found.examples == ("left_ear", "right_ear")


def scaled(table, factor):
    return np.concatenate([table[:, :2] * factor, table[:, 2:]], axis=1)


SYSTEMS = {
    "keypoints-normalised": lambda t, b: (scaled(t, [1 / WIDTH, 1 / HEIGHT]), b),
    "boxes-normalised": lambda t, b: (t, b / [WIDTH, HEIGHT, WIDTH, HEIGHT]),
    "keypoints-swapped-xy": lambda t, b: (t[:, [1, 0, 2]], b),
    "keypoints-relative-to-box": lambda t, b: (t - [*b[:2], 0], b),
    "boxes-xyxy": lambda t, b: (t, np.concatenate([b[:2], b[:2] + b[2:]])),
    "boxes-from-centre": lambda t, b: (t, np.concatenate([b[:2] + b[2:] / 2, b[2:]])),
    "boxes-swapped-xy": lambda t, b: (t, b[[1, 0, 3, 2]]),
}


@pytest.mark.parametrize("code", SYSTEMS)
def test_wrong_units_and_frames(document, code):
    edit(document, SYSTEMS[code])
    findings = check_annotations(document, COCO17)
    assert code in codes(findings, "error")
    # The cause, not a list of its consequences.
    others = set(SYSTEMS) - {code}
    assert not codes(findings, "error") & (others | {"keypoints-outside-box"})


def test_parts_of_the_box_and_parts_of_everything(document):
    whole = copy.deepcopy(document)
    edit(document, lambda t, b: (scaled(t - [*b[:2], 0], 1 / b[2:]), b))
    assert (
        "of the box" in finding(check_annotations(document, COCO17), "keypoints-normalised").message
    )
    edit(
        whole, lambda t, b: (scaled(t, [1 / WIDTH, 1 / HEIGHT]), b / [WIDTH, HEIGHT, WIDTH, HEIGHT])
    )
    assert {"keypoints-normalised", "boxes-normalised"} <= codes(
        check_annotations(whole, COCO17), "error"
    )


def test_keypoints_of_another_photo_size(document):
    edit(document, lambda t, b: (scaled(t, 2), b * 2))
    findings = check_annotations(document, COCO17)
    assert {"box-beyond-edge", "keypoints-outside-photo"} <= codes(findings, "error")


def test_keypoints_of_other_people(document):
    boxes = [entry["bbox"] for entry in document["annotations"]]
    for entry, box in zip(document["annotations"], boxes[7:] + boxes[:7], strict=True):
        entry["bbox"] = box
    found = finding(check_annotations(document, COCO17), "keypoints-outside-box")
    assert found.severity == "error"
    assert found.count > 20


def test_same_person_twice(document):
    document["annotations"].append(document["annotations"][5] | {"id": 99})
    found = finding(check_annotations(document, COCO17), "same-person-twice")
    assert found.examples == ("annotation 99 in 2.jpg",)


def test_everybody_inverted(document):
    permutation = COCO17.flip_permutation
    edit(document, lambda t, b: (t[permutation], b))
    findings = check_annotations(document, COCO17)
    assert finding(findings, "sides-inverted").severity == "error"
    assert finding(findings, "sides-inverted").count == 40


def test_one_pair_of_columns_exchanged(document):
    def exchange(table, box):
        table[[13, 14]] = table[[14, 13]]
        return table, box

    edit(document, exchange)
    found = finding(check_annotations(document, COCO17), "pair-swapped")
    assert found.examples[0].startswith("left_knee / right_knee")
    assert len(found.examples) == 1


def test_sides_of_a_few_people(document):
    permutation = COCO17.flip_permutation
    edit(document, lambda t, b: (t[permutation], b), slice(0, 2))
    found = finding(check_annotations(document, COCO17), "sides-suspect")
    assert (found.severity, found.count) == ("info", 2)
    edit(document, lambda t, b: (t[permutation], b), slice(2, 8))
    assert finding(check_annotations(document, COCO17), "sides-suspect").severity == "warning"


def test_sides_that_disagree_within_a_person(document):
    torso_only = Skeleton(
        name="torso", keypoints=("left_shoulder", "right_shoulder", "left_hip", "right_hip"),
        pairs=(("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")),
    )  # fmt: skip
    document["categories"][0]["keypoints"] = list(torso_only.keypoints)
    for place, entry in enumerate(document["annotations"]):
        table = table_of(entry)[[5, 6, 11, 12]]
        if place % 4 == 0:
            table[[2, 3]] = table[[3, 2]]
        entry["keypoints"], entry["num_keypoints"] = table.ravel().tolist(), 4
    found = finding(check_annotations(document, torso_only), "sides-disagree")
    assert (found.severity, found.count) == ("warning", 10)
