"""Refinement of whole tracks and of videos, with a model that returns its input and with others."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxpose.codecs.tracks import TrackCodec
from jaxpose.errors import InputError
from jaxpose.media.prefetch import StageTimer
from jaxpose.models.track_refiner import pose_mixer, smoothnet
from jaxpose.pipeline.options import Options
from jaxpose.pipeline.refining import checked, open_refiner, refine_people
from jaxpose.results.people import People
from jaxpose.skeletons import COCO17, H36M17
from jaxpose.tasks.refining.track_refiner import TrackRefiner

T = 8
CODEC = TrackCodec(T, fps=(20.0, 60.0))
MODEL = smoothnet(T, width=8, blocks=1)
FRESH = jax.jit(MODEL.init)(jax.random.key(0), np.zeros((1, T, 17, 3), np.float32))
# Parameters that change every coordinate.
OTHER = jax.tree.map(lambda a: a + 0.02, FRESH)


def track(frames, seed=0):
    rng = np.random.default_rng(seed)
    body = rng.uniform(100, 300, (1, 17, 2))
    return body + np.cumsum(rng.normal(0, 3, (frames, 17, 2)), axis=0)


def refiner(variables=FRESH, **options):
    return TrackRefiner(MODEL, variables, CODEC, COCO17, **options)


@pytest.mark.parametrize("frames", [1, 3, T, 30])
@pytest.mark.parametrize("fps", [30.0, 90.0])
def test_a_fresh_model_changes_no_track_of_any_length(frames, fps):
    points = np.linspace(0, 50, frames)[:, None, None] + track(1)
    np.testing.assert_allclose(refiner()(points, fps=fps), points, atol=1e-3)


def test_missing_keypoints_are_estimated_where_a_window_sees_them():
    points = np.repeat(track(1), 30, axis=0)
    scores = np.ones((30, 17))
    given = points.copy()
    given[10:14, 3] = np.nan
    given[20:22] += 500  # wrong, and the model of images knows it
    scores[20:22] = 0.1
    given[:, 5] = np.nan
    given[14:, 7] = np.nan
    found = refiner()(given, scores, fps=30)
    line = np.arange(17) != 5
    np.testing.assert_allclose(found[:14][:, line], points[:14][:, line], atol=1e-3)
    np.testing.assert_allclose(found[20:22, [0, 1, 2]], points[20:22, [0, 1, 2]], atol=1e-3)
    # One that no window sees stays missing.
    assert np.isnan(found[:, 5]).all()
    assert np.isfinite(found[14 : 13 + T, 7]).all() and np.isnan(found[13 + T :, 7]).all()
    nothing = np.full((4, 17, 2), np.nan)
    assert np.isnan(refiner()(nothing)).all()


def test_one_frame_alone_is_that_of_the_whole_track():
    points = track(25)
    whole = refiner(OTHER)(points, fps=30)
    assert np.abs(whole - points).max() > 1
    reach = refiner().reach(30)
    assert reach == T - 1 and refiner().reach(90) == 11
    for place in (0, 4, 12, 24):
        low, high = max(0, place - reach), min(25, place + reach + 1)
        one = refiner(OTHER)(points[low:high], fps=30, only=place - low)
        np.testing.assert_allclose(one[place - low], whole[place], atol=1e-3)


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (np.zeros((0, 17, 2)), {}, r"\[T, 17, 2\] with T > 0"),
        (np.zeros((5, 15, 2)), {}, r"not \[5, 15, 2\]"),
        (np.zeros((5, 17, 3)), {}, r"not \[5, 17, 3\]"),
        (np.zeros((5, 17, 2)), {"fps": 0.0}, "must be positive"),
        (np.zeros((5, 17, 2)), {"scores": np.ones((5, 3))}, r"needs scores \[5, 17\]"),
    ],
)
def test_tracks_that_do_not_fit_are_refused(points, options, message):
    with pytest.raises(InputError, match=message):
        refiner()(points, **options)


def test_a_model_of_all_keypoints_takes_its_skeleton_only():
    mixer = pose_mixer(17, T, width=8, blocks=1)
    variables = jax.jit(mixer.init)(jax.random.key(0), np.zeros((1, T, 17, 3), np.float32))
    with pytest.raises(InputError, match="trained on all keypoints of 'h36m17' together"):
        TrackRefiner(mixer, variables, CODEC, H36M17, source=COCO17)
    known = TrackRefiner(mixer, variables, CODEC, COCO17)
    points = track(10)
    np.testing.assert_allclose(known(points), points, atol=1e-2)
    wide = jax.tree.map(lambda a: np.full_like(a, np.nan), variables)
    with pytest.raises(InputError, match="did its training diverge"):
        TrackRefiner(mixer, wide, CODEC, COCO17)(points)


def video(points, source="a.mp4", fps=30.0, drop=()):
    return [
        People(
            COCO17,
            (480, 640),
            frame[None].astype(np.float32),
            np.ones((1, 17), np.float32),
            np.zeros((1, 4), np.float32),
            np.zeros(1, np.int64),
            source=source,
            index=t,
            seconds=t / fps,
            fps=fps,
            track_ids=np.array([1]),
        )
        for t, frame in enumerate(points)
        if t not in drop
    ]


def test_a_video_is_refined_as_its_tracks_are():
    one, two = track(25), track(5, 1)
    frames = [*video(one), *video(two, "b.mp4")]
    stages = StageTimer()
    results = list(refine_people(frames, refiner(OTHER), stages))
    assert stages.by_name["refine"].items == len(frames)
    assert [(p.source, p.index) for p in results] == [(p.source, p.index) for p in frames]
    found = np.concatenate([people.keypoints for people in results])
    np.testing.assert_allclose(found[:25], refiner(OTHER)(one, fps=30), atol=2e-3)
    np.testing.assert_allclose(found[25:], refiner(OTHER)(two, fps=30), atol=2e-3)
    still = [replace(people, seconds=None, track_ids=None) for people in video(two)]
    assert list(refine_people(still, refiner(OTHER), StageTimer())) == still


def test_a_missing_frame_counts_as_a_missing_person():
    points = np.repeat(track(1), 30, axis=0)
    results = list(refine_people(video(points, drop=(11, 12)), refiner(), StageTimer()))
    assert len(results) == 28
    for people in results:
        np.testing.assert_allclose(people.keypoints[0], points[people.index], atol=2e-3)


def test_a_refiner_beside_a_filter_or_without_tracks_is_refused():
    with pytest.raises(InputError, match="takes the place of a filter"):
        open_refiner("runs/none", COCO17, Options(smooth="one-euro"))
    with pytest.raises(InputError, match="needs track=True"):
        open_refiner("runs/none", COCO17, Options(track=False))


def test_a_refiner_of_other_keypoints_than_the_pose_models_is_refused():
    checked(refiner(), COCO17, Options())
    with pytest.raises(InputError, match="of 'h36m17', but the pose model finds 'coco17'"):
        checked(refiner(source=H36M17), COCO17, Options())
    with pytest.raises(InputError, match="not int"):
        checked(3, COCO17, Options())
    with pytest.raises(InputError, match="track=True"):
        checked(refiner(), COCO17, Options(track=False))
