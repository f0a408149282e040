"""GPS and GPSm against their definition, geodesic distances against known lengths."""

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.metrics.oks import THRESHOLDS
from jaxpose.metrics.surface_similarity import (
    CHART_KAPPA,
    SurfaceEstimates,
    SurfacePlaces,
    SurfaceSimilarity,
    geodesic_distances,
    geodesic_similarity,
    mask_overlap,
    masked_similarity,
    surface_ap,
)


def test_similarity_by_hand():
    # exp(-g^2 / (2 0.255^2)): 1 at 0, exp(-1/2) at kappa, 0 where nothing was found.
    assert geodesic_similarity([0.0, 0.255, np.inf]) == pytest.approx((1 + np.exp(-0.5)) / 3)
    assert geodesic_similarity([0.3]) == pytest.approx(0.5, abs=0.001)  # as the paper says
    assert geodesic_similarity([0.1], kappa=0.1) == pytest.approx(np.exp(-0.5))
    assert geodesic_similarity([]) == 0
    assert masked_similarity(0.81, 0.25) == pytest.approx(0.45)
    one, other = np.zeros((2, 4)), np.zeros((2, 4))
    one[0], other[:, 0] = 1, 1
    assert mask_overlap(one, other) == 1 / 5 and mask_overlap(0 * one, 0 * one) == 1


def test_distances_go_along_the_surface():
    # A strip of squares, folded to a U: its ends are near in space and far on the surface.
    outline = np.array([[0.0, 0], [1, 0], [2, 0], [2, 1], [1, 1], [0, 1]])
    vertices = np.concatenate([np.insert(outline, 2, z, axis=1) for z in (0.0, 1.0)])
    low = np.arange(5)
    faces = np.concatenate(
        [np.stack([low, low + 1, low + 6], 1), np.stack([low + 1, low + 7, low + 6], 1)]
    )
    away = geodesic_distances(vertices, faces)
    np.testing.assert_allclose(away[0, :6], np.arange(6))
    # Diagonals run one way only: from 1 to 6, not from 0 to 7.
    np.testing.assert_allclose([away[1, 6], away[0, 7]], [np.sqrt(2), 2], rtol=1e-6)
    np.testing.assert_allclose(away, away.T)
    np.testing.assert_allclose(geodesic_distances(vertices, faces, sources=[3]), away[[3]])
    joined = geodesic_distances(vertices, faces, joins=np.array([[0, 5]]))
    assert joined[0, 5] == 1 and joined[0, 4] == 2


def test_distances_equal_those_of_floyd_and_warshall():
    rng = np.random.default_rng(0)
    vertices, faces = rng.normal(size=(12, 3)), rng.integers(0, 10, (9, 3))  # 10 and 11 are alone
    expected = np.full((12, 12), np.inf)
    np.fill_diagonal(expected, 0)
    for a, b, c in faces:
        for i, j in ((a, b), (b, c), (c, a)):
            expected[i, j] = expected[j, i] = np.linalg.norm(vertices[i] - vertices[j])
    for k in range(12):
        expected = np.minimum(expected, expected[:, [k]] + expected[[k]])
    np.testing.assert_allclose(geodesic_distances(vertices, faces), expected, rtol=1e-6)
    with pytest.raises(InputError, match="mesh of 12 vertices"):
        geodesic_distances(vertices, faces + 5)


def test_average_precision_is_that_of_the_definition():
    """One person an image: precision at a recall is a maximum over the ranks, by plain loops."""
    rng = np.random.default_rng(3)
    count = 30
    distances = [rng.uniform(0, 0.5, 5) * rng.uniform(0, 1) for _ in range(count)]
    overlap, scores = rng.uniform(0.5, 1, count), rng.uniform(0, 1, count)
    figures = SurfaceSimilarity()(
        SurfaceEstimates(distances, overlap, scores, np.full(count, 5000.0))
    )
    gps = np.array([np.exp(-(d**2) / (2 * 0.255**2)).mean() for d in distances])
    gpsm = np.sqrt(gps * overlap)
    assert figures["GPS"] == pytest.approx(gps.mean())
    assert figures["GPSm"] == pytest.approx(gpsm.mean())
    assert figures["IoU"] == pytest.approx(overlap.mean())
    order = np.argsort(-scores)
    means = []
    for threshold in THRESHOLDS:
        hits = np.cumsum(gpsm[order] >= threshold)
        precision, recall = hits / np.arange(1, count + 1), hits / count
        reached = [precision[recall >= r - 1e-12].max(initial=0) for r in np.linspace(0, 1, 101)]
        means.append(np.mean(reached))
    assert figures["AP"] == pytest.approx(np.mean(means))
    assert figures["AP50"] == pytest.approx(means[0]) and figures["AP75"] == pytest.approx(means[5])
    empty = SurfaceEstimates([], *[np.zeros(0)] * 3)
    assert set(SurfaceSimilarity()(empty).values()) == {-1.0}


def test_a_prediction_takes_the_most_similar_person_of_its_image():
    # Two people in image 7, one in image 8; the best prediction of image 7 matches person 1.
    table = {(0, 0): 0.6, (0, 1): 0.9, (1, 0): 0.8, (1, 1): 0.85, (2, 2): 0.3}
    asked = []

    def similarity(found, true):
        asked.extend(zip(found.tolist(), true.tolist(), strict=True))
        return np.array([table[pair] for pair in zip(found.tolist(), true.tolist(), strict=True)])

    image = np.array([7, 7, 8])
    figures = surface_ap(image, np.full(3, 5000.0), image, np.array([0.9, 0.8, 0.7]), similarity)
    assert set(asked) == set(table)
    # Two of three are found at 0.5 and at 0.75: recall 2/3, precision 1 up to there.
    assert figures["AR50"] == pytest.approx(2 / 3) and figures["AR75"] == pytest.approx(2 / 3)
    assert figures["AP50"] == pytest.approx(67 / 101)


def test_each_chart_has_its_own_kappa():
    # Torso and a hand, both 20 cm away; the second person has no mask.
    distances = [np.array([0.2, 0.2]), np.array([0.0])]
    parts = [np.array([[1, 1], [3, 20]]), np.array([[24, 24]])]
    given = SurfaceEstimates(
        distances, np.array([0.64, np.nan]), np.array([0.9, 0.8]), np.full(2, 5e3), parts
    )
    figures = SurfaceSimilarity(kappa=CHART_KAPPA)(given)
    torso, hand = (np.exp(-(0.2**2) / (2 * kappa**2)) for kappa in (0.351, 0.107))
    assert figures["GPS"] == pytest.approx(((torso + hand) / 2 + 1) / 2)
    assert figures["GPSm"] == pytest.approx(np.sqrt((torso + hand) / 2 * 0.64) / 2)
    assert figures["IoU"] == pytest.approx(0.64)
    with pytest.raises(InputError, match="kappa needs one number, or 25, not 3"):
        SurfaceSimilarity(kappa=(1.0, 2.0, 3.0))
    unknown = SurfaceEstimates(None, np.ones(1), np.ones(1), np.ones(1))
    with pytest.raises(InputError, match="needs distances"):
        SurfaceSimilarity()(unknown)


def test_charts_and_places_at_points():
    parts = [np.array([[1, 1], [3, 4], [7, 7]]), np.array([[2, 0]])]
    uv = [
        np.array([[[0.1, 0.2], [0.4, 0.6]], [[0, 0], [1, 1]], [[0.5, 0.5]] * 2]),
        np.ones((1, 2, 2)),
    ]
    given = SurfaceEstimates(None, np.array([np.nan, 0.5]), np.ones(2), np.ones(2), parts, uv)
    figures = SurfacePlaces()(given)
    assert figures == pytest.approx({"parts": 0.5, "UV": 0.25, "mask IoU": 0.5})
    none = SurfaceEstimates(None, *[np.zeros(0)] * 3)
    assert set(SurfacePlaces()(none).values()) == {-1.0}
