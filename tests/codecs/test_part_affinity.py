"""Part affinity fields: published targets and groupings, round trips, masks, the flip test."""

import functools
import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import PartAffinity, Sample
from jaxpose.codecs.limb_assembly import (
    blur_weights,
    cubic_weights,
    find_peaks,
    match,
    resampled,
)
from jaxpose.codecs.part_affinity import (
    body25_fields,
    fields_of,
    lightweight_fields,
    openpose18_fields,
)
from jaxpose.errors import InputError
from jaxpose.skeletons import BODY25, COCO17, HAND_REGION2, LSP14, OPENPOSE18

SIZE = (184, 240)


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/functions_paf.npz") as file:
        return dict(file)


def nhwc(golden, case):
    arrays = [golden[f"{case}/{name}"].astype(np.float32) for name in ("heatmaps", "pafs")]
    return jnp.asarray(np.concatenate(arrays).transpose(1, 2, 0)[None])


def ids(codec, outputs, published):
    """Groups of peaks in the published numbers of peaks, -1 for none, and all peaks."""
    peaks, groups = jax.jit(codec.grouped)(outputs)
    xy = np.asarray(peaks.xy[0])
    there = (np.asarray(groups.number[0]) >= codec.min_keypoints).nonzero()[0]
    rows = []
    for row in there:
        row = np.asarray(groups.peaks[0, row])
        number = []
        for keypoint, peak in enumerate(row):
            if peak < 0:
                number.append(-1)
                continue
            away = np.abs(published[:, :2] - xy[keypoint, peak]).max(axis=1)
            own = away == 0
            # Peaks of several keypoints may be at one place.
            score = np.abs(published[:, 2] - float(peaks.score[0, keypoint, peak]))
            number.append(int(np.where(own, score, np.inf).argmin()) if own.any() else -2)
        rows.append(number)
    return np.array(sorted(rows)), peaks, groups, there


def test_the_ports_people_are_found(golden):
    case = "pytorch_openpose/assemble"
    published = golden[f"{case}/candidate"]
    codec = openpose18_fields(SIZE)
    rows, peaks, groups, there = ids(codec, nhwc(golden, case), published)
    expected = golden[f"{case}/subset"]
    np.testing.assert_array_equal(rows, np.array(sorted(expected[:, :18].astype(int).tolist())))
    assert int(peaks.there.sum()) == len(published)
    totals = np.sort(np.asarray(groups.total[0])[there])
    np.testing.assert_allclose(totals, np.sort(expected[:, 18]), rtol=1e-5)
    np.testing.assert_array_equal(
        np.sort(np.asarray(groups.number[0])[there]), np.sort(expected[:, 19])
    )
    found = np.sort(np.asarray(peaks.score)[np.asarray(peaks.there)])
    np.testing.assert_allclose(found, np.sort(published[:, 2]), rtol=1e-5)


def test_lightweight_openposes_people_are_found(golden):
    case = "lightweight/group"
    published = golden[f"{case}/keypoints"]
    codec = lightweight_fields(SIZE)
    rows, peaks, *_ = ids(codec, nhwc(golden, case), published)
    expected = golden[f"{case}/pose_entries"]
    np.testing.assert_array_equal(rows, np.array(sorted(expected[:, :18].astype(int).tolist())))
    counts = np.asarray(peaks.there[0]).sum(axis=1)
    np.testing.assert_array_equal(counts, golden[f"{case}/keypoint_counts"])
    found = np.sort(np.asarray(peaks.score)[np.asarray(peaks.there)])
    np.testing.assert_allclose(found, np.sort(published[:, 2]), rtol=1e-5)


def test_lightweight_openposes_targets(golden):
    keypoints = golden["lightweight/targets/keypoints"]
    codec = lightweight_fields(SIZE)
    visible = np.where(keypoints[..., 2] <= 1, 2, 0)
    targets = codec.encode(
        Sample(jnp.asarray(visible)[None], jnp.asarray(keypoints[None, ..., :2]))
    )
    expected = [golden[f"lightweight/targets/{name}"] for name in ("heatmaps", "pafs")]
    values = np.asarray(targets.values)[0].transpose(2, 0, 1)
    np.testing.assert_allclose(values, np.concatenate(expected), rtol=1e-5, atol=1e-6)


def test_limbs_are_matched_as_published(golden):
    case = "lightweight/connections_nms"
    scores = np.full((3, 3), -np.inf, np.float32)
    scores[golden[f"{case}/a_idx"], golden[f"{case}/b_idx"]] = golden[f"{case}/scores"]
    start, end, score = (x[0, 0] for x in match(jnp.asarray(scores)[None, None]))
    used = np.asarray(score) > -np.inf
    for values, name in ((start, "a"), (end, "b"), (score, "s")):
        np.testing.assert_allclose(np.asarray(values)[used], golden[f"{case}/{name}"])


@pytest.mark.parametrize(
    ("case", "weights"),
    [
        ("cv2_cubic_x4", lambda n: cubic_weights(n, 4)),
        ("gaussian_filter_sigma3", lambda n: blur_weights(n, 3.0)),
    ],
)
def test_resampling_is_opencvs_and_scipys(golden, case, weights):
    image = golden[f"resample/{case}/image"]
    rows, columns = map(weights, image.shape)
    ours = resampled(jnp.asarray(image)[None, ..., None], rows, columns)[0, ..., 0]
    expected = golden[f"resample/{case}/value"]
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_the_enlarged_nose_is_the_published_one(golden):
    case = "lightweight/group"
    codec = lightweight_fields(SIZE)
    rows, columns = (cubic_weights(n, 4) for n in codec.heatmap_hw)
    ours = resampled(nhwc(golden, case)[..., :1], rows, columns)[0, ..., 0]
    np.testing.assert_allclose(ours, golden[f"{case}/upsampled_nose"], rtol=1e-5, atol=1e-5)


def people(seed, number, count, size=SIZE):
    """Keypoints `[1, number, count, 2]` of people side by side."""
    rng = np.random.default_rng(seed)
    wide = size[1] / number
    points = rng.uniform([0.15 * wide, 10], [0.85 * wide, size[0] - 10], (number, count, 2))
    points[..., 0] += wide * np.arange(number)[:, None]
    return jnp.asarray(points[None], jnp.float32)


@functools.cache
def again(codec):
    """Decodes what it encodes."""
    return jax.jit(lambda sample: codec.decode(codec.encode(sample).values))


CODECS = {"openpose18": (openpose18_fields, OPENPOSE18), "body25": (body25_fields, BODY25)}


@pytest.mark.parametrize("name", CODECS)
def test_people_are_found_again(name):
    make, skeleton = CODECS[name]
    codec = make(SIZE, max_people=5, min_keypoints=3)
    truth = people(1, 2, skeleton.num_keypoints)
    visible = jnp.full(truth.shape[:3], 2)
    found = again(codec)(Sample(visible, truth))
    there = np.asarray(found.valid[0].any(axis=-1))
    assert there.sum() == 2
    order = np.argsort(np.asarray(found.keypoints[0])[there].mean(axis=(1, 2)))
    ours = np.asarray(found.keypoints[0])[there]
    ours = ours[np.argsort(ours[..., 0].mean(axis=1))]
    right = np.abs(ours - truth[0]).max(axis=-1) <= 2
    assert right.mean() >= 0.95 and len(order) == 2


def test_a_missing_keypoint_is_no_keypoint():
    codec = openpose18_fields(SIZE, max_people=5, min_keypoints=3)
    truth = people(3, 2, 18)[:, :1]
    truth = jnp.concatenate([truth, truth], axis=1)
    visible = np.full((1, 2, 18), 2)
    visible[:, 1] = 0
    visible[..., 4] = 0  # a wrist: nothing hangs on it
    found = again(codec)(Sample(jnp.asarray(visible), truth.at[0, 0, 4].set(jnp.nan)))
    assert not found.valid[0, 0, 4] and found.scores[0, 0, 4] == 0
    assert int(found.valid[0, 0].sum()) >= 15
    known = np.asarray(found.valid[0, 0])
    middle = np.asarray(found.keypoints[0, 0])[known].mean(axis=0)
    np.testing.assert_allclose(found.keypoints[0, 0, 4], middle, rtol=1e-5)


@pytest.mark.slow
def test_nobody_and_people_of_one_keypoint_are_no_people():
    codec = openpose18_fields(SIZE, max_people=5, min_keypoints=3)
    visible = np.zeros((2, 2, 18), int)
    visible[1, 0, 3] = 2
    points = jnp.full((2, 2, 18, 2), 20.0)
    targets = codec.encode(Sample(jnp.asarray(visible), points))
    assert float(targets.values[0, ..., :18].max()) == 0
    assert float(targets.values[1, ..., 3].max()) > 0.5
    assert float(jnp.abs(targets.values[..., 19:]).max()) == 0
    for row in (0, 1):
        one = Sample(jnp.asarray(visible[row : row + 1]), points[:1])
        assert not again(codec)(one).valid.any()


def test_padding_and_crowds_weigh_nothing():
    codec = openpose18_fields((64, 64))
    points = people(0, 3, 18, (64, 64))
    visible = jnp.full((1, 3, 18), 2)
    counted = jnp.ones((1, 8, 8), bool).at[0, :4].set(False)
    valid = jnp.array([[True, False, True]])
    crowd = jnp.array([[False, False, True]])
    targets = codec.encode(Sample(visible, points, valid=valid, crowd=crowd, counted=counted))
    alone = codec.encode(Sample(visible[:, :1], points[:, :1]))
    np.testing.assert_array_equal(targets.values, alone.values)
    np.testing.assert_array_equal(targets.weights, counted.astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("name", CODECS)
def test_flipping_back_the_mirrored_persons_targets(name):
    make, skeleton = CODECS[name]
    # Fields are drawn at corners of cells, so that only their mirrored half cell differs.
    codec = replace(make(SIZE), thickness=2.0)
    truth = people(2, 1, skeleton.num_keypoints)
    visible = jnp.full(truth.shape[:3], 2)
    permutation = skeleton.flip_permutation
    mirrored = truth.at[..., 0].set(SIZE[1] - 1 - truth[..., 0])[:, :, permutation]
    plain = codec.encode(Sample(visible, truth)).values
    back = codec.flip_back(codec.encode(Sample(visible, mirrored)).values, permutation)
    count = skeleton.num_keypoints + 1
    np.testing.assert_allclose(back[..., :count], plain[..., :count], atol=1e-4)
    both = (jnp.abs(back[..., count:]) > 0) & (jnp.abs(plain[..., count:]) > 0)
    assert both.sum() > 500
    np.testing.assert_allclose(back[..., count:][both], plain[..., count:][both], atol=1e-4)


def test_crossing_limbs_are_averaged_or_drawn_over():
    limbs = ((0, 1),)
    points = jnp.array([[[[4.0, 28], [60, 28]], [[32, 4], [32, 60]]]])
    sample = Sample(jnp.full((1, 2, 2), 2), points)
    mean, last = (
        PartAffinity(limbs, (64, 64), crossing=how).encode(sample).values[0, 3, 4, 3:]
        for how in ("mean", "last")
    )
    np.testing.assert_allclose(mean, [0.5, 0.5])
    np.testing.assert_allclose(last, [0, 1])


def test_a_peak_near_a_higher_one_is_left_out():
    maps = jnp.zeros((1, 20, 20, 1)).at[0, 5, 5, 0].set(0.9).at[0, 5, 9, 0].set(0.8)
    assert find_peaks(maps, maps, 4, 0.1, 0.0).there.sum() == 2
    near = find_peaks(maps, maps, 4, 0.1, 6.0)
    assert near.there.sum() == 1 and near.xy[0, 0, 0].tolist() == [5, 5]


def test_outputs_that_are_not_numbers_are_seen():
    codec = PartAffinity(((0, 1),), (16, 16), candidates=3, max_people=2)
    outputs = jnp.zeros((2, 2, 2, 5)).at[1, 0, 0, 4].set(jnp.nan)
    found = jax.jit(codec.decode)(outputs)
    assert np.isfinite(found.raw[0]).all() and np.isnan(found.raw[1]).all()
    assert not found.valid.any()


def test_bad_settings_are_refused():
    for changes, words in (
        ({"limbs": ()}, "needs limbs"),
        ({"limbs": ((0, 0),)}, "two different"),
        ({"input_hw": (4, 64)}, "multiple of stride"),
        ({"sigma": 0.0}, "positive"),
        ({"max_people": 0}, "at least 1"),
        ({"overlap": "mean"}, "overlap"),
        ({"order": (0, 0)}, "once"),
        ({"bridging": (5,)}, "bridging"),
    ):
        with pytest.raises(InputError, match=words):
            PartAffinity(**{"limbs": ((0, 1), (1, 2)), "input_hw": (64, 64), **changes})
    with pytest.raises(InputError, match="has none"):
        fields_of(replace(COCO17, limbs=()), (64, 64))
    with pytest.raises(InputError, match="no limb to"):
        fields_of(
            HAND_REGION2 if not HAND_REGION2.limbs else replace(LSP14, limbs=LSP14.limbs[:2]),
            (64, 64),
        )
    with pytest.raises(InputError, match="flip test"):
        PartAffinity(((0, 1),), (64, 64)).flip_back(jnp.zeros((1, 8, 8, 7)), np.array([2, 1, 0, 3]))
    assert openpose18_fields((64, 64)).output_shapes(17) == ()
    assert fields_of(COCO17, (64, 64)).output_shapes(17) == (((8, 8, 18 + 38),),)


def test_the_published_pairs():
    data = json.dumps(OPENPOSE18.limb_indices)
    assert data.startswith("[[1, 8], [8, 9], [9, 10], [1, 11]")
    codec = body25_fields((64, 64))
    assert [codec.limbs[i] for i in codec.order][:5] == [(1, 8), (1, 2), (1, 5), (2, 3), (3, 4)]
    assert [codec.limbs[i] for i in codec.order][-6:] == [
        *((14, 19), (19, 20), (14, 21), (11, 22), (22, 23), (11, 24)),
    ]
