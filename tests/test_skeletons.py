"""Keypoint sets: what is published, what a mirror does, and what a user's own file may say."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, Skeleton

SIZES = {
    "coco17": 17,
    "mpii16": 16,
    "lsp14": 14,
    "h36m17": 17,
    "humaneva15": 15,
    "mpi_inf_3dhp17": 17,
    "blazepose33": 33,
    "openpose18": 18,
    "body25": 25,
    "coco_wholebody133": 133,
    "goliath308": 308,
    "ap10k17": 17,
    "hand21": 21,
    "rhd21": 21,
    "hand_region2": 2,
    "face68": 68,
    "face70": 70,
    "face98": 98,
    "face106": 106,
    "facemesh468": 468,
    "holistic543": 543,
    "aflw19": 19,
    "cofw29": 29,
    "halpe26": 26,
    "aic14": 14,
    "crowdpose14": 14,
    "halpe136": 136,
    "humanart21": 21,
    "jhmdb15": 15,
    "object9": 9,
    "posetrack17": 17,
    "interhand42": 42,
    "ntu25": 25,
    "smpl24": 24,
    "animalpose20": 20,
    "animal_kingdom23": 23,
    "atrw15": 15,
    "horse22": 22,
    "fly32": 32,
    "locust35": 35,
    "zebra9": 9,
    "quadruped39": 39,
    "mouse27": 27,
    "deepfashion_full8": 8,
    "deepfashion_upper6": 6,
    "deepfashion_lower4": 4,
    "deepfashion2_294": 294,
}
# Parts of a person, clothes, and animals seen from above: no upper and lower body.
NO_BODY = (
    "object",
    *("hand", "rhd", "interhand", "face", "aflw", "cofw"),
    *("fly", "locust", "zebra", "deepfashion", "quadruped", "mouse27"),
)
# Sigmas that the dataset's or MMPose's evaluation has for each keypoint by itself.
UNEVEN_SIGMAS = {"coco_wholebody133", "aic14", "animalpose20", "atrw15", "goliath308"}
built_in = pytest.mark.parametrize("skeleton", skeletons.BUILT_IN.values(), ids=lambda s: s.name)


def make(**changes) -> Skeleton:
    fields = {
        "name": "toy",
        "keypoints": ("top", "left_hand", "right_hand", "left_foot", "right_foot"),
        "pairs": (("left_hand", "right_hand"), ("left_foot", "right_foot")),
        "limbs": (("top", "left_hand"), ("top", "right_hand")),
        "upper_body": ("top", "left_hand", "right_hand"),
        "lower_body": ("left_foot", "right_foot"),
        "sigmas": (0.1, 0.05, 0.05, 0.05, 0.05),
    }
    return Skeleton(**{**fields, **changes})


def test_the_published_sets_are_there():
    assert {s.name: s.num_keypoints for s in skeletons.BUILT_IN.values()} == SIZES


@built_in
def test_flip_is_an_involution(skeleton):
    flip = skeleton.flip_permutation
    assert flip.dtype == np.int32
    assert sorted(flip) == list(range(skeleton.num_keypoints))
    np.testing.assert_array_equal(flip[flip], np.arange(skeleton.num_keypoints))


@built_in
def test_flip_trades_the_sides_and_keeps_the_centre(skeleton):
    swap = {"left": "right", "right": "left", "centre": "centre"}
    for i, j in enumerate(skeleton.flip_permutation):
        assert skeleton.side(skeleton.keypoints[j]) == swap[skeleton.side(skeleton.keypoints[i])]
        assert (i == j) == (skeleton.side(skeleton.keypoints[i]) == "centre")


@built_in
def test_every_sided_name_is_in_a_pair_of_its_mirror_image(skeleton):
    for name in skeleton.keypoints:
        if name.startswith("left_"):
            assert (name, name.replace("left_", "right_", 1)) in skeleton.pairs
        elif not name.startswith("right_") and skeleton.name not in ("goliath308", "quadruped39"):
            assert skeleton.side(name) == "centre"


@built_in
def test_limbs_exist_once_and_are_coloured(skeleton):
    limbs = skeleton.limb_indices
    assert len({frozenset(limb) for limb in limbs}) == len(limbs)
    assert all(0 <= i < skeleton.num_keypoints for limb in limbs for i in limb)
    assert skeleton.limb_palette.shape == (len(limbs), 3)
    assert skeleton.keypoint_palette.shape == (skeleton.num_keypoints, 3)
    # A mirrored skeleton is the same figure; a hand has one side only, so it trivially is.
    flip = skeleton.flip_permutation
    assert {frozenset((flip[i], flip[j])) for i, j in limbs} == {frozenset(limb) for limb in limbs}


@built_in
def test_every_keypoint_is_on_a_limb_or_a_pupil(skeleton):
    if skeleton.name in ("facemesh468", "holistic543", "goliath308"):
        return  # the limbs are its contours, most points are within
    touched = {name for limb in skeleton.limbs for name in limb}
    alone = {f"{side}_{point}" for side in ("left", "right") for point in ("pupil", "eye_centre")}
    assert alone | {"chin"} >= set(skeleton.keypoints) - touched


@built_in
def test_halves_cover_a_body_and_are_their_own_mirror_image(skeleton):
    upper, lower = skeleton.upper_body_mask, skeleton.lower_body_mask
    whole_body = not skeleton.name.startswith(NO_BODY)
    assert (upper | lower).all() if whole_body else not (upper | lower).any()
    for half in (upper, lower):
        np.testing.assert_array_equal(half, half[skeleton.flip_permutation])


@built_in
def test_survives_json(skeleton):
    text = json.dumps(dataclasses.asdict(skeleton))
    again = Skeleton(**json.loads(text))
    assert again == skeleton
    assert hash(again) == hash(skeleton)


@built_in
def test_says_where_it_comes_from(skeleton):
    assert skeleton.source


def test_sigmas_are_there_exactly_where_published():
    with_sigmas = {s.name for s in skeletons.BUILT_IN.values() if s.sigmas is not None}
    assert with_sigmas == {
        *("coco17", "coco_wholebody133", "ap10k17", "halpe26", "aic14", "crowdpose14"),
        *("halpe136", "humanart21", "animalpose20", "atrw15", "openpose18", "body25"),
        "goliath308",
    }


def test_sigmas_are_equal_within_pairs_except_where_published_otherwise():
    uneven = set()
    for skeleton in skeletons.BUILT_IN.values():
        if skeleton.sigmas is not None:
            sigmas = skeleton.oks_sigmas()
            assert (sigmas > 0).all()
            if not np.array_equal(sigmas, sigmas[skeleton.flip_permutation]):
                uneven.add(skeleton.name)
    assert uneven == UNEVEN_SIGMAS


def test_coco_sigmas_are_those_of_pycocotools():
    params = pytest.importorskip("pycocotools.cocoeval").Params(iouType="keypoints")
    np.testing.assert_allclose(COCO17.oks_sigmas(), params.kpt_oks_sigmas, rtol=1e-15)


def test_coco_matches_its_annotation_files(shared):
    path = next((shared / "data/coco/annotations").glob("person_keypoints_*.json"))
    category = json.loads(path.read_text())["categories"][0]
    assert list(COCO17.keypoints) == category["keypoints"]
    ours = {frozenset(limb) for limb in COCO17.limb_indices}
    assert ours == {frozenset((i - 1, j - 1)) for i, j in category["skeleton"]}


def test_clothes_of_deepfashion2_are_numbered_along_their_outline():
    """Blocks of 25, 33, 31, ... landmarks; partners in the first and the two open ones."""
    clothes = skeletons.DEEPFASHION2_294
    blocks = [name.removeprefix("left_").removeprefix("right_") for name in clothes.keypoints]
    kinds = [name.rpartition("_")[0] for name in blocks]
    counts = [kinds.count(kind) for kind in dict.fromkeys(kinds)]
    assert counts == [25, 33, 31, 39, 15, 15, 10, 14, 8, 29, 37, 19, 19]
    flip = clothes.flip_permutation
    first = {1: 1, 2: 6, 3: 5, 4: 4, 7: 25, 15: 17, 16: 16}
    open_short = {1: 1, 2: 26, 4: 6, 16: 29, 28: 31, 7: 25}
    open_long = {4: 34, 20: 37, 35: 38, 36: 39, 7: 33}
    for start, partners in ((0, first), (25 + 33, open_short), (25 + 33 + 31, open_long)):
        assert {i: flip[start + i - 1] - start + 1 for i in partners} == partners
    # An outline passes from one side to the other through the middle alone.
    for limb in clothes.limbs:
        assert {clothes.side(end) for end in limb} != {"left", "right"}, limb
    assert clothes.keypoints[1] == "right_short_sleeve_top_2"
    assert clothes.keypoints[5] == "left_short_sleeve_top_2"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ap10k17", "ap10k/test_ap10k.json"),
        ("hand21", "freihand/test_freihand.json"),
        ("humanart21", "humanart/test_humanart.json"),
        ("jhmdb15", "jhmdb/test_jhmdb_sub1.json"),
    ],
)
def test_names_are_those_of_the_annotation_files(shared, name, file):
    category = json.loads((shared / "data/samples" / file).read_text())["categories"][0]
    skeleton = skeletons.load(name)
    assert list(skeleton.keypoints) == category["keypoints"]
    ours = {frozenset(limb) for limb in skeleton.limb_indices}
    assert ours == {frozenset((i - 1, j - 1)) for i, j in category["skeleton"]}


def test_rhd_lists_fingers_from_the_tip(shared):
    """The joint of the thumb that is named as its tip is farther from the wrist than the first."""
    path = next((shared / "data/samples/rhd").glob("*.json"))
    hands = [hand["keypoints"] for hand in json.loads(path.read_text())["annotations"]]
    points = np.asarray(hands, float).reshape(-1, 21, 3)[..., :2]
    tip, first = (
        np.linalg.norm(points[:, skeletons.RHD21.index(name)] - points[:, 0], axis=-1)
        for name in ("thumb4", "thumb1")
    )
    assert (tip > first).all()


def test_wholebody_is_put_together_in_the_order_of_its_annotations():
    whole = skeletons.COCO_WHOLEBODY133
    assert whole.keypoints[:17] == COCO17.keypoints
    assert whole.keypoints[17:23:3] == ("left_big_toe", "right_big_toe")
    assert whole.keypoints[23:91] == skeletons.FACE68.keypoints
    assert whole.keypoints[91] == "left_hand_root"
    assert whole.keypoints[112] == "right_hand_root"
    assert whole.keypoints[132] == "right_pinky_finger4"
    assert whole.sigmas[:17] == COCO17.sigmas
    assert whole.sigmas[91:112] == whole.sigmas[112:]
    # First and last value of the feet, the jaw, the inner lips and a hand, as published.
    at = (17, 22, 23, 39, 83, 90, 91, 111)
    assert [whole.sigmas[i] for i in at] == [
        *(0.068, 0.094, 0.042, 0.045),
        *(0.007, 0.008, 0.029, 0.031),
    ]


def test_goliath_has_its_published_keypoints_pairs_and_sigmas():
    """Checksums of the lists of Sapiens' repository, without its teeth; sigmas in thousandths."""
    goliath = skeletons.GOLIATH308
    names = " ".join(goliath.keypoints)
    assert hashlib.sha256(names.encode()).hexdigest()[:16] == "b967aad88aaa71a4"
    assert len(goliath.pairs) == 146 and goliath.num_keypoints == 308
    partners = " ".join(goliath.keypoints[i] for i in goliath.flip_permutation)
    assert hashlib.sha256(partners.encode()).hexdigest()[:16] == "2b4c030f4b78a8de"
    thousandths = " ".join(str(round(1000 * sigma)) for sigma in goliath.sigmas)
    assert hashlib.sha256(thousandths.encode()).hexdigest()[:16] == "9d1616e2aa041c7c"
    at = {name: goliath.sigmas[goliath.index(name)] for name in ("left_wrist", "neck", "nose")}
    assert at == {"left_wrist": 0.062, "neck": 0.079, "nose": 0.026}


@pytest.mark.parametrize(
    ("name", "partners"),
    [
        # Symmetric landmarks by number: jaw, chin, brows, eyes, nostrils, mouth.
        ("face68", {0: 16, 8: 8, 17: 26, 36: 45, 37: 44, 39: 42, 41: 46, 31: 35, 48: 54, 61: 63}),
        (
            "face106",
            {0: 32, 16: 16, 33: 46, 38: 50, 55: 65, 66: 79, 74: 83, 84: 90, 91: 95, 96: 100},
        ),
        ("aflw19", {0: 5, 2: 3, 6: 11, 8: 9, 12: 14, 15: 17, 13: 13, 18: 18}),
        ("cofw29", {0: 1, 4: 6, 5: 7, 8: 9, 12: 14, 13: 15, 16: 17, 22: 23, 28: 28}),
        ("face98", {0: 32, 16: 16, 33: 46, 38: 50, 60: 72, 64: 68, 67: 73, 76: 82, 87: 83, 96: 97}),
    ],
)
def test_face_partners_by_number(name, partners):
    flip = skeletons.load(name).flip_permutation
    for i, j in partners.items():
        assert (flip[i], flip[j]) == (j, i)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("face68", "300w"), ("face98", "wflw"), ("aflw19", "aflw"), ("cofw29", "cofw")],
)
def test_partners_on_a_real_face_lie_across_it(shared, name, folder):
    """All lines from the right partner to the left one are about parallel, left to the right."""
    file = shared / "data/samples" / folder / f"test_{folder}.json"
    skeleton = skeletons.load(name)
    for annotation in json.loads(file.read_text())["annotations"]:
        points = np.array(annotation["keypoints"]).reshape(-1, 3)[:, :2]
        pairs = [(skeleton.index(left), skeleton.index(right)) for left, right in skeleton.pairs]
        across = np.array([points[i] - points[j] for i, j in pairs])
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        assert (across @ across.mean(axis=0)).min() > 0.8
        assert across.mean(axis=0)[0] > 0.8


def test_limb_colours_follow_the_side():
    left, right, centre = COCO17.side_colors
    colors = dict(zip(COCO17.limbs, map(tuple, COCO17.limb_palette.tolist()), strict=True))
    assert colors["left_hip", "left_knee"] == left
    assert colors["nose", "right_eye"] == right
    assert colors["left_hip", "right_hip"] == centre
    hand = skeletons.HAND21
    thumb, little = hand.limb_palette[0].tolist(), hand.limb_palette[-1].tolist()
    assert thumb == hand.keypoint_palette[4].tolist() != little


@pytest.mark.parametrize("name", ["coco17", "COCO-17", "Coco_17", "coco_wholebody133", "face-68"])
def test_load_by_name(name):
    assert skeletons.load(name).name.replace("_", "") == name.lower().translate({45: "", 95: ""})


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(InputError, match=r"unknown skeleton 'coco71'.*Did you mean 'coco17'"):
        skeletons.load("coco71")
    with pytest.raises(InputError, match="no such skeleton file"):
        skeletons.load("nowhere/dog.toml")


def test_index_and_side():
    assert COCO17.index("left_hip") == 11
    assert COCO17.side("nose") == "centre"
    with pytest.raises(InputError, match=r"unknown keypoint 'left_hipp'.*Did you mean 'left_hip'"):
        COCO17.index("left_hipp")
    with pytest.raises(InputError, match="unknown keypoint"):
        COCO17.side("tail")


def test_missing_sigmas_ask_for_a_choice():
    bare = make(sigmas=None)
    assert bare.describe_sigmas() == "none"
    with pytest.raises(InputError, match=r"'toy': no OKS sigmas.*uniform:0\.05"):
        bare.oks_sigmas()
    chosen = bare.with_uniform_sigma(0.05)
    assert chosen.describe_sigmas() == "uniform 0.05"
    assert chosen == bare.with_sigmas(0.05) == bare.with_sigmas("uniform:0.05")
    np.testing.assert_array_equal(chosen.oks_sigmas(), np.full(5, 0.05))
    assert bare.with_sigmas([0.1, 0.2, 0.3, 0.4, 0.5]).sigmas == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert bare.with_sigmas(np.full(5, 0.25)) == bare.with_uniform_sigma(0.25)
    assert COCO17.describe_sigmas() == "coco17 (0.025 to 0.107)"


FAULTS = [
    ({"pairs": [("left_hand", "right_hnd")]}, "unknown keypoint 'right_hnd'.*'right_hand'"),
    (
        {"pairs": [("left_hand", "right_hand"), ("left_foot", "right_hand")]},
        "'right_hand' is in two pairs",
    ),
    ({"pairs": [("top", "top")]}, "'top' is paired with itself"),
    ({"pairs": [("right_hand", "left_hand")]}, "wrong way round"),
    ({"pairs": [("left_hand", "right_hand")]}, "'left_foot' is in no pair"),
    ({"pairs": [("left_hand",)]}, r"`pairs` must hold pairs of names; one is \('left_hand',\)"),
    ({"pairs": "left_hand"}, "`pairs` must be a list of pairs"),
    ({"limbs": [("top", "left_hnd")]}, "'left_hnd' in `limbs.*'left_hand'"),
    ({"limbs": [("top", "top")]}, "joins 'top' to itself"),
    ({"limbs": [(1, 2)]}, "`limbs` must hold pairs of names"),
    ({"sigmas": (0.1,) * 4}, "4 sigmas for 5 keypoints"),
    ({"sigmas": (0.1, 0.1, 0.0, 0.1, 0.1)}, "sigma of 'right_hand' is 0.0"),
    ({"sigmas": (0.1, 0.1, float("nan"), 0.1, 0.1)}, "sigma of 'right_hand' is nan"),
    ({"sigmas": (0.1, "x", 0.1, 0.1, 0.1)}, "sigma of 'left_hand' is 'x'"),
    ({"sigmas": 0.1}, "`sigmas` must be a list"),
    (
        {"keypoints": ("top", "left_hand", "right_hand", "left_foot", "top")},
        "'top' occurs twice in `keypoints`",
    ),
    ({"keypoints": ()}, "0 keypoints|`keypoints` is empty"),
    ({"keypoints": "top"}, "`keypoints` must be a list of names"),
    ({"upper_body": ("topp",)}, "'topp' in `upper_body`.*'top'"),
    ({"upper_body": ("top", "left_foot")}, "'left_foot' is in `upper_body` and in `lower_body`"),
    ({"side_colors": ((0, 0, 0),)}, "`side_colors` has 1 colours; 3 are needed"),
    ({"keypoint_colors": ((0, 0, 0),)}, "`keypoint_colors` has 1 colours; 5 are needed"),
    ({"side_colors": ((0, 0, 256), (0, 0, 0), (0, 0, 0))}, "whole numbers 0-255"),
    ({"name": ""}, "`name` is empty"),
    ({"name": 3}, "`name` must be text"),
]


@pytest.mark.parametrize(("changes", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
def test_a_faulty_skeleton_says_what_is_wrong(changes, fault):
    with pytest.raises(InputError, match=fault):
        make(**changes)


@pytest.mark.parametrize("sigmas", ["0.05", "uniform:", "uniform:x", "even:0.05", "uniform:-1"])
def test_a_faulty_choice_of_sigmas(sigmas):
    with pytest.raises(InputError, match="sigma"):
        make().with_sigmas(sigmas)
    with pytest.raises(InputError, match="must be a number"):
        make().with_uniform_sigma("0.05")


CANE = """
keypoints = ["grip", "left_hand", "right_hand", "tip"]
limbs = [["grip", "tip"]]
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_toml_with_little_in_it(tmp_path):
    cane = skeletons.load(write(tmp_path, "cane.toml", CANE))
    assert cane.name == "cane"
    assert cane.pairs == (("left_hand", "right_hand"),)
    assert cane.sigmas is None
    assert not cane.upper_body_mask.any()


def test_toml_with_everything(tmp_path):
    text = f"""
    name = "cane4"
    {CANE}
    pairs = [["left_hand", "right_hand"]]
    upper_body = ["grip"]
    lower_body = ["tip"]
    sigmas = [0.1, 0.2, 0.2, 0.1]
    side_colors = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    source = "ours"
    """
    cane = skeletons.load(str(write(tmp_path, "any.toml", text)))
    assert cane.name == "cane4"
    assert cane.sigmas == (0.1, 0.2, 0.2, 0.1)
    np.testing.assert_array_equal(cane.keypoint_palette[:2], [[7, 8, 9], [1, 2, 3]])


@pytest.mark.parametrize("sigmas", ['"uniform:0.05"', "0.05", "[0.05, 0.05, 0.05, 0.05]"])
def test_toml_sigmas(tmp_path, sigmas):
    cane = skeletons.load(write(tmp_path, "cane.toml", f"{CANE}\nsigmas = {sigmas}"))
    assert cane.sigmas == (0.05,) * 4


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("keypoints = [", "not valid TOML"),
        ("name = 'x'", "`keypoints`, the list of names, is missing"),
        ("keypoints = 'grip'", "`keypoints` must be a list"),
        (f"{CANE}\nlimb = []", "unknown key 'limb'.*Did you mean 'limbs'"),
        (f"{CANE}\nsigmas = [0.1]", "1 sigmas for 4 keypoints"),
        (f"{CANE}\nsigmas = 2024-01-01", "`sigmas` must be a list"),
        (f"{CANE}\nsigmas = 'wide'", "`sigmas` is 'wide'"),
        (f"{CANE}\npairs = [['left_hand', 'tipp']]", "unknown keypoint 'tipp'.*'tip'"),
        ("keypoints = ['left_hand', 'tip']", "'left_hand' is in no pair"),
    ],
)
def test_a_faulty_toml_file_is_named(tmp_path, text, fault):
    with pytest.raises(InputError, match=rf"dog\.toml: .*{fault}"):
        skeletons.load(write(tmp_path, "dog.toml", text))


def test_toml_that_is_not_text(tmp_path):
    (tmp_path / "dog.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"dog\.toml: not valid TOML"):
        skeletons.load(tmp_path / "dog.toml")


def test_python_file(tmp_path):
    text = "from jaxpose.skeletons import COCO17\nMINE = COCO17.with_uniform_sigma(0.05)\n"
    mine = skeletons.load(write(tmp_path, "mine.py", text))
    assert mine.keypoints == COCO17.keypoints
    assert mine.describe_sigmas() == "uniform 0.05"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = 1", "must define exactly one `Skeleton`, but defines 0"),
        (
            "from jaxpose.skeletons import Skeleton as S\n"
            "A, B = S(name='a', keypoints=('x',)), S(name='b', keypoints=('y',))",
            "defines 2 \\('a', 'b'\\)",
        ),
        ("\nx = (", r", line 2: SyntaxError"),
        ("\n\nimport nowhere_to_be_found", r", line 3: ModuleNotFoundError"),
        (
            "from jaxpose.skeletons import Skeleton\nSkeleton(name='a', keypoints=('left_x',))",
            ": skeleton 'a': 'left_x' is in no pair",
        ),
    ],
)
def test_a_faulty_python_file_is_named(tmp_path, text, fault):
    with pytest.raises(InputError, match=rf"mine\.py.*{fault}"):
        skeletons.load(write(tmp_path, "mine.py", text))
