"""LSP and LSP-Extended: axis order, meaning of the flag, splits, boxes."""

import numpy as np
import pytest
from scipy.io import savemat

from jaxpose import geometry
from jaxpose.data.records import RecordSource
from jaxpose.errors import InputError


@pytest.fixture
def folders(tmp_path, write_photo):
    """Both datasets in little: all joints, and a few photos at the ends of the splits."""
    rng = np.random.default_rng(0)
    joints = rng.uniform(10, 40, (3, 14, 2000))
    joints[2] = 0
    joints[2, 3, 0] = 1  # occluded
    savemat(_made(tmp_path / "lsp") / "joints.mat", {"joints": joints})
    for number in (1, 1000, 1001, 2000):
        write_photo(tmp_path / "lsp" / "images" / f"im{number:04d}.jpg")
    extended = rng.uniform(10, 40, (14, 3, 10))
    extended[:, 2] = 1
    extended[5, :, 0] = -30, -20, 0  # not labelled: the origin of another photo
    savemat(_made(tmp_path / "lspet") / "joints.mat", {"joints": extended})
    write_photo(tmp_path / "lspet" / "images" / "im00001.jpg")
    return tmp_path / "lsp", tmp_path / "lspet", joints, extended


def _made(folder):
    folder.mkdir()
    return folder


def test_the_two_files_differ_in_axes_and_flags(script, folders):
    lsp, lspet, joints, extended = folders
    module = script("lsp")
    first = module.lsp_people(lsp / "joints.mat")[0]
    np.testing.assert_array_equal(first.keypoints, joints[:2, :, 0].T - 1)
    np.testing.assert_array_equal(first.visible, [2, 2, 2, 1] + [2] * 10)
    other = module.lspet_people(lspet / "joints.mat")[0]
    np.testing.assert_array_equal(other.keypoints, extended[:, :2, 0] - 1)
    np.testing.assert_array_equal(other.visible, [2] * 5 + [0] + [2] * 8)


def test_splits_and_ids(prepare, folders, tmp_path):
    lsp, lspet, joints, _ = folders
    out = tmp_path / "out"
    options = ["--canvas", "48x48", "--processes", 1, "--out", out]
    result = prepare("lsp", "--lsp", lsp, "--lspet", lspet, *options)
    assert result.exit_code == 1, result.stderr
    assert "Given 2,010 people = done 5 + left out 2,005 (image missing: 2,005)." in result.stdout
    train, test = RecordSource(out, "train"), RecordSource(out, "test")
    batch = train.samples([0, 1, 2])
    np.testing.assert_array_equal(batch["annotation_id"], [1, 1000, 100_001])
    assert train.image_names([2]) == ["im00001.jpg"] and len(train) == 3
    np.testing.assert_array_equal(test.samples([0, 1])["annotation_id"], [1001, 2000])
    image = geometry.apply_affine(batch["photo_from_canvas"], batch["keypoints"])
    np.testing.assert_allclose(image[1], joints[:2, :, 999].T - 1, atol=1e-3)
    np.testing.assert_array_equal(batch["keypoints"][2, 5], 0)
    assert train.summary["splits"]["train"]["skipped"] == {"image missing": 998 + 9}


def test_the_box_is_the_enlarged_extent_of_labelled_joints(script):
    points = np.array([[0.0, 0.0], [10.0, 20.0], [500.0, 500.0]])
    box = script("lsp").box_of_joints(points, np.array([True, True, False]))
    np.testing.assert_allclose(box, [-0.75, -1.5, 11.5, 23.0])
    np.testing.assert_array_equal(script("lsp").box_of_joints(points, np.zeros(3, bool)), 0)


def test_files_mixed_up_are_named(script, folders):
    lsp, lspet, _, _ = folders
    module = script("lsp")
    with pytest.raises(InputError, match="This is LSP-Extended's file"):
        module.lsp_people(lspet / "joints.mat")
    with pytest.raises(InputError, match="This is LSP's file"):
        module.lspet_people(lsp / "joints.mat")


def test_wrong_files_are_named(script, tmp_path):
    module = script("lsp")
    with pytest.raises(InputError, match=r"joints\.mat does not exist"):
        module.lsp_people(tmp_path / "joints.mat")
    (tmp_path / "joints.mat").write_text("not a matrix, but long enough to hold a header " * 10)
    with pytest.raises(InputError, match="cannot be read as a MATLAB file"):
        module.lsp_people(tmp_path / "joints.mat")
    savemat(tmp_path / "joints.mat", {"joint": np.zeros(3)})
    with pytest.raises(InputError, match=r"no variable 'joints'. Did you mean 'joint'"):
        module.lsp_people(tmp_path / "joints.mat")
    savemat(tmp_path / "joints.mat", {"joints": "text"})
    with pytest.raises(InputError, match="does not contain numbers"):
        module.lsp_people(tmp_path / "joints.mat")
    savemat(tmp_path / "joints.mat", {"joints": np.zeros((3, 14, 7))})
    with pytest.raises(InputError, match=r"is \(3, 14, 2000\), not \(3, 14, 7\)"):
        module.lsp_people(tmp_path / "joints.mat")


def test_real_joints(script, shared):
    module = script("lsp")
    lsp = module.lsp_people(shared / "data" / "lsp" / "joints.mat")
    assert len(lsp) == 2000
    visible = np.stack([person.visible for person in lsp])
    assert (visible == 1).sum() == 2044 and not (visible == 0).any()
    extended = module.lspet_people(shared / "data" / "lspet" / "joints.mat")
    assert len(extended) == 10_000
    visible = np.stack([person.visible for person in extended])
    assert (visible == 0).sum() == 16_787 and (visible == 2).sum() == 123_213
    # An unlabelled joint lies outside the photo, at one and the same point.
    places = np.stack([person.keypoints for person in extended])[visible == 0]
    assert (places <= 0).any(axis=1).all()
    # Left and right are the person's own: on most photos, taken from the front, the right
    # shoulder (8) is left of the left one (9).
    points = np.stack([person.keypoints for person in lsp])
    assert (points[:, 8, 0] < points[:, 9, 0]).mean() > 0.55
