"""Skeleton files from names and limbs: pairs by the names, and what is refused."""

import json

import pytest

from jaxpose import skeletons
from jaxpose.errors import InputError
from jaxpose.labels.skeleton import coco_skeleton
from jaxpose.skeletons import BUILT_IN, Skeleton
from jaxpose.skeletons.from_names import pairs_of_names, skeleton_from_names, to_toml


@pytest.mark.parametrize(
    "names",
    [
        ("left_ear", "right_ear"),
        ("leftear", "rightear"),
        ("ear_L", "ear_R"),
        ("earLeft", "earRight"),
        ("L ear", "R ear"),
        ("EAR.LEFT", "EAR.RIGHT"),
    ],
)
def test_pairs_are_found_by_the_names(names):
    left, right = names
    assert pairs_of_names([right, "nose", left]) == [(left, right)]
    assert skeleton_from_names("a", ["nose", *names]).flip_permutation.tolist() == [0, 2, 1]


def test_names_without_a_side_are_no_pairs():
    assert pairs_of_names(["nose", "left_paw", "cleft", "crest"]) == []


def test_a_side_without_a_partner_moves_to_the_end():
    skeleton = skeleton_from_names("a", ["left_paw", "nose"], [("left_paw", "nose")])
    assert skeleton.keypoints == ("paw_left", "nose") and skeleton.limbs == (("paw_left", "nose"),)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_file_is_the_skeleton(name, tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(to_toml(BUILT_IN[name]), encoding="utf-8")
    read = skeletons.load(path)
    for field in ("name", "keypoints", "pairs", "limbs", "upper_body", "lower_body", "sigmas"):
        assert getattr(read, field) == getattr(BUILT_IN[name], field)
    assert read.keypoint_palette.tolist() == BUILT_IN[name].keypoint_palette.tolist()


def test_names_of_other_scripts_and_quotes(tmp_path):
    path = tmp_path / "a.toml"
    skeleton = Skeleton("mäuse", ('the "tip"', "코", "a\\b"))
    path.write_text(to_toml(skeleton), encoding="utf-8")
    assert skeletons.load(path) == skeleton


@pytest.fixture
def coco(tmp_path):
    """Function that writes COCO JSON with these categories and returns its path."""

    def write(*categories):
        path = tmp_path / "a.json"
        path.write_text(json.dumps({"categories": categories}))
        return path

    return write


CATEGORY = {"name": "mouse", "keypoints": ["snout", "ear_l", "ear_r"], "skeleton": [[1, 2], [1, 3]]}


def test_the_command_writes_a_category(coco, tmp_path, run):
    path = coco({"name": "box"}, CATEGORY)
    out = tmp_path / "mouse.toml"
    result = run("skeleton", "from-coco", path, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "3 keypoints, 2 limbs" in result.stdout and "ear_l and ear_r" in result.stdout
    skeleton = skeletons.load(out)
    assert skeleton.name == "mouse" and skeleton.pairs == (("ear_l", "ear_r"),)
    assert skeleton.limbs == (("snout", "ear_l"), ("snout", "ear_r"))
    result = run("skeleton", "from-coco", path, "--out", out)
    assert result.exit_code == 2 and "exists" in result.stderr


def test_the_real_annotations(shared):
    path = shared / "data" / "coco" / "annotations" / "person_keypoints_val2017.json"
    skeleton = coco_skeleton(path, "coco17")
    ours = skeletons.COCO17
    assert skeleton.keypoints == ours.keypoints and skeleton.pairs == ours.pairs
    assert set(map(frozenset, skeleton.limbs)) == set(map(frozenset, ours.limbs))


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([], "no category has keypoints"),
        ([CATEGORY, {"name": "rat", "keypoints": ["a"]}], "mixed skeletons: .* --category"),
        ([{**CATEGORY, "skeleton": [[0, 1]]}], r"the limb \[0, 1\]; a limb is two places from 1"),
        ([{**CATEGORY, "skeleton": [[1, "2"]]}], "a limb is two places"),
        ([{**CATEGORY, "keypoints": [1]}], "are no names"),
        ([{**CATEGORY, "keypoints": ["a", "a"], "skeleton": []}], "'a' occurs twice"),
    ],
)
def test_categories_that_are_none(categories, message, coco):
    with pytest.raises(InputError, match=message):
        coco_skeleton(coco(*categories), "a")


def test_one_of_several_categories(coco):
    path = coco(CATEGORY, {"name": "rat", "keypoints": ["a"]})
    assert coco_skeleton(path, "rat", "rat").keypoints == ("a",)
    with pytest.raises(InputError, match="no category 'cat'"):
        coco_skeleton(path, "cat", "cat")
