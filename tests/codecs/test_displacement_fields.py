"""PoseNet's codecs and loss: targets back to people, and the decoding against a plain loop."""

import heapq

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.codecs import DisplacementFields, Sample, SinglePersonFields
from jaxpose.codecs.displacement_fields import COCO_TREE, PersonFields
from jaxpose.errors import InputError
from jaxpose.losses import DisplacementFieldLoss

TREE = ((0, 1), (0, 2), (1, 3))
SETTINGS = {"input_hw": (97, 129), "stride": 8, "tree": TREE, "radius": 12.0, "nms_radius": 10.0}
CODEC = DisplacementFields(**SETTINGS, max_people=4, candidates=32)
ONE = SinglePersonFields(**SETTINGS)
PEOPLE = np.array(
    [
        [
            [[30.0, 20.0], [22.0, 40.5], [41.0, 44.0], [20.0, 70.0]],
            [[90.0, 22.0], [81.0, 45.0], [104.0, 40.0], [83.0, 80.0]],
        ]
    ],
    np.float32,
)
encode, decode = jax.jit(CODEC.encode), jax.jit(CODEC.decode)


def sample(points=PEOPLE, visible=None, **known):
    visible = np.full(points.shape[:-1], 2) if visible is None else np.asarray(visible)
    return Sample(jnp.asarray(visible), jnp.asarray(points), **known)


def as_outputs(values, noise=0.0):
    """Probabilities that fall off from each keypoint, so that it is the highest; the vectors."""
    flat = np.asarray(values.offsets).reshape(*values.offsets.shape[:3], 2, -1)
    away = np.linalg.norm(flat, axis=3)
    rng = np.random.default_rng(0)
    near = np.asarray(values.heatmaps) * (4 - 0.2 * away) - 3 * (1 - np.asarray(values.heatmaps))
    shaken = [np.asarray(x) + noise * rng.normal(size=x.shape) for x in (near, *values[1:])]
    return PersonFields(*(jnp.asarray(x, jnp.float32) for x in shaken))


def plain(fields, codec):
    """People by a queue, as the paper has it: for one image, fields without the batch."""
    scores = 1 / (1 + np.exp(-np.asarray(fields.heatmaps, np.float64)[0]))
    offsets, forward, backward = (np.asarray(x, np.float64)[0] for x in fields[1:])
    height, width, count = scores.shape
    s = codec.stride

    def near(place):
        cell = np.floor(place / s + 0.5).astype(int)
        return np.clip(cell, 0, [height - 1, width - 1])

    def vector(field, cell, i):
        half = field.shape[-1] // 2
        return np.array([field[(*cell, i)], field[(*cell, i + half)]])

    queue = []
    for y, x, k in np.ndindex(*scores.shape):
        window = scores[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2, k]
        if scores[y, x, k] >= max(codec.min_score, window.max()):
            heapq.heappush(queue, (-scores[y, x, k], y, x, k))
    found = []
    while queue and len(found) < codec.max_people:
        score, y, x, root = heapq.heappop(queue)
        start = np.array([y, x]) * s + vector(offsets, (y, x), root)
        if any(np.linalg.norm(person[root] - start) <= codec.nms_radius for person, *_ in found):
            continue
        places, values = {root: start}, {root: -score}

        def step(field, edge, source, target, places=places, values=values):
            if source not in places or target in places:
                return
            place = places[source] + vector(field, near(places[source]), edge)
            for _ in range(2):
                place = near(place) * s + vector(offsets, near(place), target)
            places[target], values[target] = place, scores[(*near(place), target)]

        for edge, (parent, child) in reversed(list(enumerate(codec.tree))):
            step(backward, edge, child, parent)
        for edge, (parent, child) in enumerate(codec.tree):
            step(forward, edge, parent, child)
        person = np.array([places[k] for k in range(count)])
        value = np.array([values[k] for k in range(count)])
        new = [
            all(np.linalg.norm(person[k] - other[k]) > codec.nms_radius for other, *_ in found)
            for k in range(count)
        ]
        found.append((person, value, (value * new).sum() / count))
    return [(p[:, ::-1], v) for p, v, total in found if total >= codec.min_person]


def people(decoded):
    there = np.asarray(decoded.valid[0]).any(axis=-1)
    return np.asarray(decoded.keypoints[0])[there], np.asarray(decoded.scores[0])[there]


def test_people_who_were_encoded_are_decoded():
    decoded = decode(as_outputs(encode(sample()).values))
    found, scores = people(decoded)
    assert len(found) == 2 and (scores > 0.5).all()
    order = np.argsort(found[:, 0, 0])
    np.testing.assert_allclose(found[order], PEOPLE[0], atol=1e-3)
    assert (np.asarray(decoded.scores)[~np.asarray(decoded.valid)] == 0).all()


@pytest.mark.parametrize("noise", [1.0, 4.0])
def test_decoding_is_that_of_a_plain_loop(noise):
    fields = as_outputs(encode(sample()).values, noise)
    found, scores = people(decode(fields))
    expected = plain(fields, CODEC)
    assert len(found) == len(expected) >= 2
    np.testing.assert_allclose(found, [p for p, _ in expected], atol=1e-3)
    np.testing.assert_allclose(scores, [v for _, v in expected], atol=1e-5)


def test_a_person_near_another_one_has_no_vectors_of_its_own_there():
    close = PEOPLE.copy()
    close[0, 1] = close[0, 0] + [8.0, 0.0]
    targets, weights = encode(sample(close))
    y, x = 3, 4  # the pixel (32, 24): the first nose is 2 pixels away in x, the second 6
    np.testing.assert_allclose(targets.offsets[0, y, x, [0, 4]], [20 - 24, 30 - 32])
    np.testing.assert_allclose(targets.forward[0, y, x, [0, 3]], [20.5, -8.0])
    assert weights.forward[0, y, x, 0] == 1 and weights.backward[0, y, x, 0] == 0


@pytest.mark.parametrize("known", ["valid", "crowd"])
def test_padded_people_and_crowds_change_no_target(known):
    alone = encode(sample(PEOPLE[:, :1]))
    both = encode(sample(**{known: jnp.asarray([[known == "valid", known != "valid"]])}))
    for ours, theirs in zip(jax.tree.leaves(both), jax.tree.leaves(alone), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_is_not_labelled_weighs_nothing():
    points = PEOPLE.copy()
    points[0, 0, 1] = np.nan
    counted = np.ones((1, *CODEC.heatmap_hw), bool)
    counted[:, :, 9:] = False
    visible = np.full((1, 2, 4), 2)
    visible[0, 0, 1] = 0
    targets, weights = encode(sample(points, visible, counted=jnp.asarray(counted)))
    assert all(np.isfinite(x).all() for x in (*targets, *weights))
    assert not weights.offsets[:, :, :, 1].any() and not weights.backward[..., 0].any()
    assert all(not np.asarray(x)[:, :, 9:].any() for x in weights)
    loss = jax.jit(DisplacementFieldLoss(TREE, radius=12.0))
    outputs = as_outputs(targets)
    wrong = jax.tree.map(lambda x: x.at[:, :, 9:].add(7.0), outputs)
    np.testing.assert_allclose(loss(wrong, targets, weights), loss(outputs, targets, weights))


def test_one_person_of_a_crop_is_encoded_decoded_and_weighed():
    points = PEOPLE[:, 0]
    visible = np.array([[2, 2, 0, 1]])
    targets, weights = jax.jit(ONE.encode)(sample(points, visible))
    assert weights.tolist() == [[1, 1, 0, 1]]
    found = jax.jit(ONE.decode)(as_outputs(targets))
    np.testing.assert_allclose(found.keypoints[0, [0, 1, 3]], points[0, [0, 1, 3]], atol=1e-3)
    # The same loss as with the weights of many people, of whom there is one.
    loss = DisplacementFieldLoss(TREE, radius=12.0)
    outputs = jax.tree.map(lambda x: x + 1.0, as_outputs(targets))
    many, dense = encode(sample(points[:, None], visible[:, None]))
    _, ours = jax.jit(loss.with_terms)(outputs, targets, weights)
    _, theirs = jax.jit(loss.with_terms)(outputs, many, dense)
    for name in ("offsets", "displacements"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)
        assert float(ours[name]) > 0


def test_mirrored_outputs_come_back():
    permutation = np.array([0, 2, 1, 3])
    tree = ((0, 1), (0, 2), (0, 3))
    codec = DisplacementFields(**{**SETTINGS, "tree": tree})
    points = PEOPLE[:, :, permutation]
    points[..., 0] = 128 - points[..., 0]
    encode = jax.jit(codec.encode)
    values, mirrored = encode(sample()).values, encode(sample(points)).values
    back = jax.jit(lambda fields: codec.flip_back(fields, permutation))(mirrored)
    for ours, theirs in zip(back, values, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    with pytest.raises(InputError, match="not the same after exchanging left and right"):
        CODEC.flip_back(mirrored, permutation)


def test_the_tree_of_coco_is_its_own_mirror_image():
    fields = PersonFields(*(jnp.zeros((1, 25, 25, n)) for n in (17, 34, 32, 32)))
    permutation = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])
    back = DisplacementFields().flip_back(fields, permutation)
    assert {x.shape[1:] for x in back} == set(DisplacementFields().output_shapes(17)[0])
    assert len(COCO_TREE) == 16 and DisplacementFields().output_shapes(16) == ()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"input_hw": (384, 385)}, "1 more than multiples of stride 16"),
        ({"max_people": 0}, "max_people must be at least 1"),
        ({"radius": 0.0}, "must be positive"),
        ({"tree": ((0, 1), (2, 3))}, r"the edge \(2, 3\), whose parent is not reached"),
        ({"tree": ((0, 1), (0, 3))}, "must join the keypoints 0 to K - 1"),
    ],
)
def test_settings_without_sense_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        DisplacementFields(**wrong)
