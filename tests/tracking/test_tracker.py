"""People keep their ids, duplicates go, and jitter is taken out without lag."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.measure import angle, count_repetitions
from jaxpose.metrics.oks import oks
from jaxpose.motion.smooth import one_euro, savitzky_golay
from jaxpose.results.people import People
from jaxpose.skeletons import BLAZEPOSE33, COCO17, Skeleton
from jaxpose.skeletons.mapping import mapped
from jaxpose.tracking.pose_nms import (
    box_around,
    box_overlap,
    parametric_similarity,
    pose_nms,
    pose_similarity,
    soft_pose_nms,
)
from jaxpose.tracking.smoothing import Smoothing, smooth_people
from jaxpose.tracking.tracker import Tracker, Tracking

# A standing person, 160 pixels tall, about the origin.
BODY = np.array(
    [
        *[(0, -70), (4, -74), (-4, -74), (9, -72), (-9, -72), (18, -50), (-18, -50)],
        *[(24, -25), (-24, -25), (26, 0), (-26, 0), (12, 5), (-12, 5), (13, 42), (-13, 42)],
        *[(13, 80), (-13, 80)],
    ],
    np.float64,
)


def at(*places: tuple[float, float], jitter: float = 0, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, jitter, (len(places), 17, 2)) if jitter else 0
    return np.array([BODY + np.array(place)[None] for place in places]).reshape(-1, 17, 2) + noise


def sure(poses: np.ndarray) -> np.ndarray:
    return np.ones(poses.shape[:2])


def follow(frames, fps: float = 25.0, **options) -> list[list[int]]:
    tracker = Tracker(COCO17, **options)
    return [
        tracker(poses, sure(poses), box_around(poses, sure(poses)), t / fps).tolist()
        for t, poses in enumerate(frames)
    ]


def test_similarity_is_oks_and_symmetric():
    a, b = at((0, 0), (300, 0)), at((5, 3), (300, 1), (0, 900))
    found = pose_similarity(a, b, COCO17, sure(a), sure(b))
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found, pose_similarity(b, a, COCO17, sure(b), sure(a)).T)
    area = 0.53 * np.prod(box_around(a, sure(a))[0, 2:])
    expected = oks(b[0], a[0], np.ones(17), area, COCO17.oks_sigmas())
    assert found[0, 0] == pytest.approx(expected)
    assert found[1, 1] > 0.9 and found[:, 2].max() < 1e-3
    nothing = pose_similarity(a, b, COCO17, 0 * sure(a), sure(b))
    np.testing.assert_array_equal(nothing, np.zeros((2, 3)))
    bare = replace(COCO17, sigmas=None)
    assert pose_similarity(a, a, bare, sure(a), sure(a))[0, 0] == 1


def test_boxes_around_and_their_overlap():
    boxes = box_around(at((100, 100)), sure(at((0, 0))))
    np.testing.assert_allclose(boxes, [[74, 26, 52, 154]])
    wide = box_around(at((100, 100)), sure(at((0, 0))), enlarge=2.0)
    np.testing.assert_allclose(wide, [[48, -51, 104, 308]])
    faint = np.zeros((1, 17))
    faint[0, 3] = 1
    assert np.isnan(box_around(at((0, 0)), faint)).all()
    a = np.array([[0.0, 0, 10, 10], [np.nan] * 4])
    np.testing.assert_allclose(box_overlap(a, np.array([[5.0, 0, 10, 10]])), [[1 / 3], [0]])


def test_duplicates_are_removed_or_lowered():
    poses = at((0, 0), (1, 1), (60, 0))
    alike = pose_similarity(poses, poses, COCO17, sure(poses), sure(poses))
    scores = np.array([0.6, 0.9, 0.5])
    assert pose_nms(alike, scores, 0.8).tolist() == [1, 2]
    assert pose_nms(alike, scores, 1.0).tolist() == [1, 0, 2]
    kept, lowered = soft_pose_nms(alike, scores, 0.5)
    assert kept.tolist() == [1, 2, 0]
    np.testing.assert_allclose(lowered[0], 0.9)
    assert lowered[2] == pytest.approx(0.6 * np.exp(-(alike[0, 1] ** 2 + alike[0, 2] ** 2) / 0.5))
    assert soft_pose_nms(alike, scores, 0.5, min_score=0.3)[0].tolist() == [1, 2]
    assert pose_nms(np.zeros((0, 0)), np.zeros(0)).tolist() == []


def test_two_people_who_cross_keep_their_ids():
    frames = [at((100 + 8 * t, 200), (500 - 8 * t, 215), jitter=1.5, seed=t) for t in range(50)]
    assert follow(frames) == [[1, 2]] * 50


def test_an_id_survives_a_short_occlusion_and_the_order_of_the_people():
    frames = []
    for t in range(60):
        poses = at((100 + 4 * t, 200), (420, 210), jitter=1, seed=t)
        frames.append(poses[1:] if 20 <= t < 35 else poses[:: -1 if t % 2 else 1])
    ids = follow(frames)
    assert ids[0] == [1, 2]
    assert all(found == [2] for found in ids[20:35])
    assert all(found == ([2, 1] if t % 2 else [1, 2]) for t, found in enumerate(ids[35:], 35))


def test_a_long_absence_or_another_place_is_another_person():
    away = [at((100, 200))] * 3 + [at()] * 60 + [at((100, 200))]
    assert follow(away)[-1] == [2]
    assert follow([at((100, 200)), at((900, 200))]) == [[1], [2]]
    assert follow([at(), at((1, 1)), at()]) == [[], [1], []]


def test_fast_motion_at_a_low_rate_is_followed():
    frames = [at((100 + 60 * t, 200)) for t in range(12)]
    assert follow(frames, fps=5) == [[1]] * 12


def test_a_keypoint_that_jumps_does_not_lose_the_person():
    frames = np.concatenate([at((100 + 4 * t, 200), jitter=1, seed=t) for t in range(20)])
    boxes = box_around(frames, sure(frames), enlarge=1.2)
    frames[9, 10] += (900, -1200)
    frames[14, 9] += (-500, 3)
    tracker = Tracker(COCO17)
    ids = [
        tracker(pose[None], np.ones((1, 17)), box[None], t / 5).tolist()
        for t, (pose, box) in enumerate(zip(frames, boxes, strict=True))
    ]
    assert ids == [[1]] * 20
    cut = box_around(frames[9:10], np.ones((1, 17)), within=boxes[9:10])
    assert (cut[0, 2:] <= 1.4 * boxes[9, 2:] + 1e-9).all()


def test_someone_without_certain_keypoints_is_followed_by_the_box():
    tracker = Tracker(COCO17)
    for t in range(5):
        ids = tracker(at((0, 0)), np.zeros((1, 17)), np.array([[t, 0.0, 50, 100]]), t / 10)
        assert ids.tolist() == [1]


def film(poses: np.ndarray, fps: float, ids=None) -> list[People]:
    return [
        People(
            COCO17,
            (480, 640),
            frame[None].astype(np.float32),
            np.ones((1, 17), np.float32),
            np.zeros((1, 4), np.float32),
            np.zeros(1, np.int64),
            source="a.mp4",
            index=t,
            seconds=t / fps,
            track_ids=np.array([1 if ids is None else ids[t]]),
        )
        for t, frame in enumerate(poses)
    ]


def moving(count: int, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """A person who sways at 0.5 Hz by 40 pixels, and the same with 2 pixels of noise."""
    sway = 40 * np.sin(np.pi * np.arange(count) / fps)
    true = BODY[None] + np.stack([sway, 0 * sway], axis=-1)[:, None]
    return true, true + np.random.default_rng(0).normal(0, 2, true.shape)


@pytest.mark.parametrize(("method", "left"), [("one-euro", 0.9), ("savitzky-golay", 0.75)])
def test_smoothing_takes_out_noise(method, left):
    true, noisy = moving(90, 30)
    results = list(smooth_people(film(noisy, 30), Smoothing(method)))
    assert [people.index for people in results] == list(range(90))
    smooth = np.concatenate([people.keypoints for people in results])
    before, after = (np.sqrt(((x - true) ** 2).mean()) for x in (noisy, smooth))
    assert after < left * before

    def shaking(x):
        return np.abs(np.diff(x, 2, axis=0)).mean()

    assert shaking(smooth) < 0.5 * shaking(noisy)


def test_a_film_is_smoothed_as_the_array_is():
    _, noisy = moving(40, 10)
    noisy = noisy.astype(np.float32)
    results = smooth_people(film(noisy, 10), Smoothing("savitzky-golay", window=7))
    streamed = np.concatenate([people.keypoints for people in results])
    np.testing.assert_allclose(streamed, savitzky_golay(noisy, 7, 2), atol=1e-4)
    options = Smoothing("one-euro")
    results = smooth_people(film(noisy, 10), options)
    streamed = np.concatenate([people.keypoints for people in results])
    scale = 300 / box_around(noisy[:1], np.ones((1, 17)))[0, 2:].max()
    expected = one_euro(noisy * scale, 10, min_cutoff=options.min_cutoff, beta=options.beta)
    np.testing.assert_allclose(streamed, expected / scale, atol=1e-3)


@pytest.mark.parametrize("method", ["one-euro", "savitzky-golay"])
def test_a_new_track_and_photos_are_not_mixed_with_the_old(method):
    poses = np.concatenate([np.repeat(at((0, 0)), 9, 0), np.repeat(at((300, 0)), 9, 0)])
    results = list(smooth_people(film(poses, 10, ids=[1] * 9 + [2] * 9), Smoothing(method)))
    np.testing.assert_allclose(np.concatenate([p.keypoints for p in results]), poses, atol=1e-3)
    still = [replace(people, seconds=None, track_ids=None) for people in film(poses, 10)]
    assert list(smooth_people(still, Smoothing(method))) == still
    with pytest.raises(InputError, match="one-euro"):
        Smoothing("median")


def test_two_points_make_no_body():
    dots = Skeleton("dots", keypoints=("a", "b"))
    pose = np.array([[[0.0, 0], [10, 10]]])
    tracker = Tracker(dots)
    assert tracker(pose, np.ones((1, 2)), np.array([[0.0, 0, 10, 10]]), 0.0).tolist() == [1]
    assert tracker(pose + 1, np.ones((1, 2)), np.array([[0.0, 0, 10, 10]]), 0.1).tolist() == [1]


@pytest.mark.parametrize("method", [None, "one-euro", "savitzky-golay"])
def test_a_real_film_keeps_its_person_and_its_repetitions(shared, method):
    """Someone squats: down, up, down, up, down, and the film ends (seen in the film)."""
    path = shared / "data" / "video" / "pose_squats.full.json"
    if not path.is_file():
        pytest.skip("the film's keypoints are not there")
    found = np.array(json.loads(path.read_text()))[:, :, :2]
    poses, _ = mapped(found, np.ones(found.shape[:2]), BLAZEPOSE33, COCO17)
    poses = poses + np.random.default_rng(0).normal(0, 5, poses.shape)
    tracker = Tracker(COCO17)
    ids = [
        tracker(pose[None], np.ones((1, 17)), box_around(pose[None], np.ones((1, 17))), t / 5)[0]
        for t, pose in enumerate(poses)
    ]
    assert set(ids) == {1}
    results = film(poses, 5, ids)
    if method is not None:
        results = list(smooth_people(results, Smoothing(method)))
    points = np.concatenate([people.keypoints for people in results])
    for side in ("left", "right"):
        counted = count_repetitions(angle(points, COCO17, f"{side}_knee"), min_range=30)
        assert (len(counted), counted.unfinished) == (2, True)
        np.testing.assert_allclose(counted.turns, [10, 34], atol=2)


def test_frames_out_of_order_are_refused():
    tracker, none = Tracker(COCO17), np.zeros((0, 17, 2))
    for seconds in (0.0, 0.1, 0.1):
        tracker(none, none[..., 0], np.zeros((0, 4)), seconds)
    for wrong in (0.05, np.nan):
        with pytest.raises(InputError, match="out of order"):
            tracker(none, none[..., 0], np.zeros((0, 4)), wrong)


def test_uncertain_people_continue_tracks_and_begin_none():
    tracker = Tracker(COCO17, Tracking(high_score=0.6))

    def ids(places, levels, second):
        poses = at(*places)
        scores = np.repeat(np.array(levels)[:, None], 17, axis=1)
        return tracker(poses, scores, box_around(poses, sure(poses)), second).tolist()

    assert ids([(0, 0), (300, 0)], [0.9, 0.4], 0.0) == [1, 0]
    # The hidden person is nearer to the track than nothing, and the sure one takes precedence.
    assert ids([(4, 0)], [0.4], 0.1) == [1]
    assert ids([(8, 0), (12, 0)], [0.4, 0.9], 0.2) == [0, 1]
    # By overlap alone: `reach` is for people above the score.
    assert ids([(85, 0)], [0.4], 0.3) == [0]
    assert ids([(85, 0)], [0.9], 0.3) == [1]


def test_tracks_move_with_the_camera():
    pan = np.array([[1.0, 0, 220], [0, 1, -40]])
    people = at((0, 0), (200, 0), (420, 10))
    moved = people + pan[:, 2]
    boxes = [box_around(poses, sure(poses)) for poses in (people, moved)]
    found = {}
    for name, camera in (("still", None), ("follows", pan)):
        tracker = Tracker(COCO17)
        tracker(people, sure(people), boxes[0], 0.0)
        found[name] = tracker(moved, sure(moved), boxes[1], 0.04, camera).tolist()
    assert found["follows"] == [1, 2, 3] and found["still"] != [1, 2, 3]
    # A zoom by 1.5 about the origin, which moves the velocity too.
    tracker, zoom = Tracker(COCO17), np.array([[1.5, 0, 0], [0, 1.5, 0]])
    for t in range(3):
        poses = at((10 * t, 0))
        tracker(poses, sure(poses), box_around(poses, sure(poses)), t / 25)
    poses = 1.5 * at((30, 0))
    assert tracker(poses, sure(poses), box_around(poses, sure(poses)), 3 / 25, zoom) == [1]
    assert tracker._tracks[0].velocity[0] == pytest.approx(1.5 * 250, rel=0.2)


def test_the_parametric_similarity_is_rmpes():
    poses = at((0, 0), (3, 0), (60, 0))
    boxes = box_around(poses, sure(poses))
    found = parametric_similarity(poses, sure(poses), boxes)
    np.testing.assert_allclose(np.diagonal(found), 1)
    wide, high = boxes[0, 2:]
    assert wide / 20 < 3  # too far for a match, so that only the distance counts
    close = np.exp(-(9 / (0.01 * wide * high)))
    np.testing.assert_allclose(found[0, 1], close / (1 + np.tanh(1 / 0.3) ** 2), rtol=1e-9)
    assert found[0, 2] < 0.2
    doubtful = parametric_similarity(poses, 0.1 * sure(poses), boxes)
    assert doubtful[0, 0] < found[0, 0]
    alike = at((0, 0), (1, 0), (60, 0))
    similar = parametric_similarity(alike, sure(alike), box_around(alike, sure(alike)))
    assert pose_nms(similar, np.array([0.8, 0.9, 0.7]), 0.6).tolist() == [1, 2]


def test_a_known_number_of_individuals_keep_their_ids():
    def frame(t):
        poses = at((100 + 2 * t, 200), (500, 210), jitter=1, seed=t)
        if 10 <= t < 110:  # much longer than `patience`
            poses = poses[:1]
        if t in (40, 60, 80):  # found where nobody is
            poses = np.concatenate([poses, at((2500, 1700))])
        return poses

    ids = follow(map(frame, range(120)), options=Tracking(individuals=2))
    assert ids[:10] == [[1, 2]] * 10 and ids[110:] == [[1, 2]] * 10
    assert all(
        found == ([1, 0] if t in (40, 60, 80) else [1]) for t, found in enumerate(ids[10:110], 10)
    )
    assert max(max(found) for found in follow(map(frame, range(120)))) > 2


def test_an_individual_far_away_gets_its_id_after_a_proof():
    frames = [at((100, 200), (300, 200))] * 5 + [at((100, 200), (1500, 900))] * 20
    ids = follow(frames, options=Tracking(individuals=2))
    waits = ids[5:].index([1, 2])
    assert ids[:5] == [[1, 2]] * 5 and ids[5 : 5 + waits] == [[1, 0]] * waits
    assert waits == 8 and ids[5 + waits :] == [[1, 2]] * (20 - waits)  # 0.3 s at 25 frames a second


def test_an_id_passes_to_an_older_track_without_one():
    frames = [at((100, 200))] * 5 + [at((2500, 1700), (1500, 900))] * 20 + [at((2500, 1700))] * 2
    ids = follow(frames, options=Tracking(individuals=1))
    assert ids[4:6] == [[1], [0, 0]] and ids[24:] == [[0, 1], [1], [1]]


def test_a_long_absence_does_not_let_an_individual_jump_anywhere():
    """At 20 seconds the growth alone would allow 30 diagonals."""
    diagonal = np.linalg.norm(box_around(at((0, 0)), sure(at((0, 0))))[0, 2:])
    frames = [at((100, 200), (500, 210))] * 5 + [at((100, 200))] * 500
    far = [at((100, 200), (500 + 5 * diagonal, 210)), at((100, 200))]
    near = [at((100, 200), (500 + 3 * diagonal, 210))]
    ids = follow(frames + far + near, options=Tracking(individuals=2))
    assert ids[-3:] == [[1, 0], [1], [1, 2]]


def test_a_third_of_two_individuals_is_left_out():
    frames = [at((0, 0), (300, 0), (600, 0))] * 3
    assert follow(frames, options=Tracking(individuals=2)) == [[1, 2, 0]] * 3
    with pytest.raises(InputError, match="individuals must be at least 1 or None, not 0"):
        Tracking(individuals=0)


def test_alike_individuals_who_cross_keep_their_ids():
    frames = [at((100 + 8 * t, 200), (500 - 8 * t, 215), jitter=1.5, seed=t) for t in range(50)]
    frames = [poses[:1] if 22 <= t < 28 else poses for t, poses in enumerate(frames)]
    ids = follow(frames, options=Tracking(individuals=2))
    assert ids[:22] == [[1, 2]] * 22 and ids[28:] == [[1, 2]] * 22
