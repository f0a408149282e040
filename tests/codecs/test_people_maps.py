"""Maps of many people: Gaussians, peaks, people beyond the places, and what helps crowds."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import (
    AssociativeEmbedding,
    CenterOffsets,
    Displacements,
    InstanceHeatmaps,
    Sample,
)
from jaxpose.codecs.associative_embedding import TagMaps
from jaxpose.codecs.displacement_fields import DisplacementFields, PersonFields
from jaxpose.codecs.part_affinity import fields_of
from jaxpose.codecs.people_maps import exact_gaussians, local_peaks, rounded_gaussians
from jaxpose.codecs.refine import opencv_taps
from jaxpose.skeletons import COCO17

SIZE = (64, 64)
CODECS = {
    "fields": fields_of(COCO17, SIZE, stride=4, enlargement=2, sigma=3.0, candidates=8),
    "tags": AssociativeEmbedding(SIZE, unbiased=True, enlargement=1, candidates=8),
    "displacements": Displacements(SIZE, min_extent=0.0),
    "instances": InstanceHeatmaps(SIZE, unbiased=True),
    "centers": CenterOffsets(SIZE, (16, 16), sigma=1.0, radius=1.5, window=3),
    # Says only that there were more.
    "walks": DisplacementFields((65, 65), stride=8, radius=8.0, nms_radius=6.0),
}


def four_people():
    """One person in each quarter of the image, `[1, 4, 17, 2]`."""
    rng = np.random.default_rng(3)
    corner = np.array([[2, 2], [34, 2], [2, 34], [34, 34]], np.float32)
    return (corner[:, None] + rng.uniform(4, 22, (4, 17, 2)).astype(np.float32))[None]


def outputs_of(codec, points):
    batch, people, count = points.shape[:3]
    values = codec.encode(Sample(jnp.full((batch, people, count), 2), jnp.asarray(points))).values
    if isinstance(codec, DisplacementFields):
        return PersonFields(20.0 * values.heatmaps - 10.0, *values[1:])
    if not isinstance(codec, AssociativeEmbedding):
        return values
    height, width = codec.heatmap_hw
    row, column = np.mgrid[:height, :width]
    cell = np.asarray(values.cell)
    away = np.square(row[..., None, None] - cell[0] // width) + np.square(
        column[..., None, None] - cell[0] % width
    )
    return TagMaps(values.heatmaps, jnp.asarray(10.0 * away.argmin(axis=2))[None], values.fine)


@pytest.mark.slow
@pytest.mark.parametrize("name", CODECS)
def test_people_without_a_place_are_counted(name):
    codec, points = replace(CODECS[name], max_people=2), four_people()
    decode = jax.jit(codec.decode)
    for people, lost in ((2, 0), (4, 1 if name == "walks" else 2)):
        values = outputs_of(codec, points[:, :people])
        if name == "instances":
            values = values._replace(instances=values.instances[:, :2], score=values.score[:, :2])
        found = decode(values)
        assert found.valid.any(axis=-1).sum() == 2 and found.lost.tolist() == [lost]


def test_peaks_without_a_place_are_counted():
    for name in ("fields", "tags"):
        codec = replace(CODECS[name], candidates=3)
        found = jax.jit(codec.decode)(outputs_of(codec, four_people()))
        assert found.lost.tolist() == [1]


def test_a_peak_between_equal_pixels_is_one_peak():
    maps = np.zeros((1, 9, 9, 1), np.float32)
    maps[0, 3:5, 3:5] = 1.0
    maps[0, 7, 7] = 0.5
    peaks = np.asarray(local_peaks(jnp.asarray(maps), 5))[0, ..., 0]
    assert np.argwhere(peaks > 0.1).tolist() == [[3, 3], [7, 7]]


def test_gaussians_are_on_pixels_or_between_them():
    points, labelled = jnp.array([[[[5.3, 6.0]]]]), jnp.ones((1, 1, 1), bool)
    row, column = np.mgrid[:12, :12]
    for draw, x in ((rounded_gaussians, 5.0), (exact_gaussians, 5.3)):
        maps = draw(points, labelled, (12, 12), 1.0)[0, ..., 0]
        expected = np.exp(-((column - x) ** 2 + (row - 6.0) ** 2) / 2)
        expected[(np.abs(column - 5) > 3) | (np.abs(row - 6) > 3)] = 0
        np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-7)
    # Focal losses count pixels of exactly 1; the ratios of pixels stay.
    whole = exact_gaussians(points, labelled, (12, 12), 1.0, whole_peaks=True)[0, ..., 0]
    assert np.argwhere(np.asarray(whole) == 1.0).tolist() == [[6, 5]] and whole.max() == 1.0
    np.testing.assert_allclose(whole, maps / maps[6, 5], rtol=1e-5, atol=1e-7)


def test_short_kernels_are_those_of_opencv():
    cv2 = pytest.importorskip("cv2")
    for size in (1, 3, 5, 7, 11, 17):
        expected = cv2.getGaussianKernel(size, 0)[:, 0]
        np.testing.assert_allclose(opencv_taps(size), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["tags", "instances", "fields"])
def test_places_between_pixels_survive(name):
    codec = CODECS[name]
    if name == "fields":
        codec = replace(codec, between=True)
    points = four_people()
    found = jax.jit(codec.decode)(outputs_of(codec, points))
    people = np.asarray(found.keypoints[0])[np.asarray(found.valid[0]).any(axis=-1)]
    near = np.abs(people[:, None] - points[0]).mean(axis=(2, 3)).argmin(axis=0)
    away = np.abs(people[near] - points[0])
    # A sixteenth of a cell; enlarged maps are not exact.
    assert np.median(away) < (0.25 if name != "fields" else 0.5)


def test_one_person_owns_a_pixel_if_displacements_are_exclusive():
    rng = np.random.default_rng(0)
    small = rng.uniform(26, 38, (17, 2))
    points = jnp.asarray(np.stack([small, 2.5 * (small - 32) + 33])[None], jnp.float32)
    visible = np.full((1, 2, 17), 2)
    visible[0, 0, 3] = 0  # the smaller person lacks a keypoint
    found = {}
    for exclusive in (False, True):
        codec = Displacements(SIZE, min_extent=0.0, exclusive=exclusive)
        values = codec.encode(Sample(jnp.asarray(visible), points)).values
        center = points[0, 0][visible[0, 0] > 0].mean(axis=0) / 4
        x, y = (int(v) for v in jnp.trunc(center + 0.5))
        lead = np.asarray(values[1][0, y, x]).reshape(17, 2)
        found[exclusive] = np.abs(lead + np.array([x, y]) - points[0, 0] / 4).max(axis=-1)
    labelled = visible[0, 0] > 0
    assert found[True][labelled].max() < 1e-4
    # As published, the larger person takes all keypoints from the missing one on.
    assert found[False][:3].max() < 1e-4 and found[False][4:].min() > 0.1


def test_a_keypoint_is_not_taken_from_another_person_if_only_near_tags_count():
    points = four_people()
    visible = np.full((1, 4, 17), 2)
    visible[0, 0, 9] = 0  # the others have this wrist
    codec = CODECS["tags"]
    values = codec.encode(Sample(jnp.asarray(visible), jnp.asarray(points))).values
    tags = outputs_of(codec, points).tags
    tags = tags.at[..., 9].set(jnp.where(tags[..., 9] == 0, 10.0, tags[..., 9]))
    for near_only in (False, True):
        found = jax.jit(replace(codec, near_only=near_only).decode)(TagMaps(values.heatmaps, tags))
        away = np.abs(np.asarray(found.keypoints[0])[:4] - points[0, 0]).mean(axis=(1, 2))
        row = int(away.argmin())
        assert bool(found.valid[0, row, 9]) != near_only
        assert (found.scores[0, row, 9] < 0.1) == near_only
        assert found.valid[0, :4].sum() == 4 * 17 - near_only


def test_a_new_person_displaces_nobody_if_far_tags_are_capped():
    # The first of two people lacks the second keypoint, and a third person has only that one.
    maps = np.zeros((1, 16, 16, 17), np.float32)
    tags = np.zeros((1, 16, 16, 17), np.float32)
    for keypoint, x, tag in ((0, 2, 20), (0, 6, 10), (1, 6, 10.6), (1, 12, 0)):
        maps[0, 8, x, keypoint], tags[0, :, x - 1 : x + 2, keypoint] = 1.0 - 0.01 * x, tag
    outputs = TagMaps(jnp.asarray(maps), jnp.asarray(tags))
    people = {}
    for capped in (False, True):
        codec = AssociativeEmbedding(
            SIZE, enlargement=1, max_people=4, candidates=4, near_only=capped
        )
        found = jax.jit(codec.decode)(outputs)
        people[capped] = int(found.valid.any(axis=-1).sum())
    assert people == {False: 4, True: 3}
