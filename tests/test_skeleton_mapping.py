"""Joints made of other sets' keypoints."""

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.skeletons import (
    BLAZEPOSE33,
    COCO17,
    FACE68,
    H36M17,
    HUMANEVA15,
    LSP14,
    MPI_INF_3DHP17,
    MPII16,
    Skeleton,
    pairs_by_name,
)
from jaxpose.skeletons.mapping import mapped, mapping

SOURCES = (COCO17, BLAZEPOSE33, MPII16, LSP14, MPI_INF_3DHP17, H36M17, HUMANEVA15)


@pytest.mark.parametrize("target", (H36M17, HUMANEVA15), ids=lambda s: s.name)
@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.name)
def test_rows_are_means_and_sides_stay(source, target):
    matrix = mapping(source, target)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    # Whatever is mirrored before is mirrored after.
    mirrored = matrix[target.flip_permutation][:, source.flip_permutation]
    np.testing.assert_allclose(mirrored, matrix, atol=1e-12)
    for name in ("left_knee", "right_wrist"):
        row = matrix[target.index(name)]
        assert row[source.index(name)] == 1 and np.count_nonzero(row) == 1


def test_middle_of_the_body():
    points = np.random.default_rng(0).normal(size=(3, 17, 2))
    found, _ = mapped(points, None, COCO17, H36M17)
    hips = points[:, [COCO17.index("left_hip"), COCO17.index("right_hip")]].mean(axis=1)
    shoulders = points[:, [COCO17.index("left_shoulder"), COCO17.index("right_shoulder")]].mean(1)
    np.testing.assert_allclose(found[:, H36M17.index("root")], hips)
    spine = found[:, H36M17.index("spine")]
    np.testing.assert_allclose(spine, hips + 0.53 * (shoulders - hips))
    ankle, foot = COCO17.index("left_ankle"), H36M17.index("left_foot")
    np.testing.assert_array_equal(found[:, foot], points[:, ankle])


def test_real_poses_agree(shared):
    """H36M's joints made of HumanEva's made of H36M's: only the head and the trunk move."""
    with np.load(shared / "data" / "lifting" / "h36m_fk17_10hz.npz") as clips:
        points = 1000.0 * clips["S9/walking_1"]
    there, _ = mapped(points, None, H36M17, HUMANEVA15)
    back, _ = mapped(there, None, HUMANEVA15, H36M17)
    error = np.linalg.norm(back - points, axis=-1).mean(axis=0)
    moved = {name for name, e in zip(H36M17.keypoints, error, strict=True) if e > 1e-6}
    assert moved <= {"spine", "neck_base", "head"} and error.max() < 100


def test_scores_and_missing_points():
    points, scores = np.zeros((17, 2)), np.ones(17)
    points[COCO17.index("left_hip")] = np.nan
    scores[COCO17.index("right_shoulder")] = 0.25
    found, certain = mapped(points, scores, COCO17, H36M17)
    lost = np.isnan(found[:, 0])
    # The thorax lies on the line from the hips to the shoulders.
    names = [n for n, gone in zip(H36M17.keypoints, lost, strict=True) if gone]
    assert names == ["root", "left_hip", "spine", "thorax", "neck_base", "head"]
    assert certain[H36M17.index("thorax")] == 0.25 and certain[H36M17.index("left_knee")] == 1


def test_refusals():
    with pytest.raises(InputError, match=r"no keypoints for root, right_hip"):
        mapping(FACE68, H36M17)
    names = tuple(n for n in COCO17.keypoints if "wrist" not in n)
    handless = Skeleton("handless", names, pairs_by_name(names))
    with pytest.raises(InputError, match="no keypoints for left_wrist, right_wrist"):
        mapping(handless, H36M17)
    with pytest.raises(InputError, match="which has 17"):
        mapped(np.zeros((3, 16, 2)), None, COCO17, H36M17)
    with pytest.raises(InputError, match="scores of shape"):
        mapped(np.zeros((3, 17, 2)), np.zeros(17), COCO17, H36M17)
