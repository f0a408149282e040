"""Tracks in space: gaps, windows, refitting, cleaning, the files they become, refusals."""

import copy
import json

import jax
import numpy as np
import pytest

from jaxpose.codecs.lifting import LiftingCodec, Statistics
from jaxpose.errors import InputError
from jaxpose.geometry.axes import y_up
from jaxpose.geometry.cameras import pinhole, project
from jaxpose.models import martinez, videopose3d
from jaxpose.motion.bvh import forward_kinematics, read_bvh
from jaxpose.motion.clean import Cleaning, clean
from jaxpose.motion.root_position import before_camera, levelled, on_floor, tilt_of
from jaxpose.results.motion_files import LiftedTrack, quality, save_lifted
from jaxpose.results.people import People
from jaxpose.results.readers import read_results
from jaxpose.results.writers import JsonLinesWriter, JsonWriter
from jaxpose.skeletons import COCO17, H36M17
from jaxpose.tasks.lifting.track_lifter import TrackLifter, completed, refitted
from jaxpose.tasks.lifting.tracks import Lifting, lift_people, lift_track, tracks_of

WH = (640, 480)


def body(frames: int = 40) -> np.ndarray:
    """`[T, 17, 3]` mm in a camera's frame: stands upright, 4 m away, and waves."""
    rest = {
        "root": (0, 0, 0),
        "spine": (0, -230, 0),
        "thorax": (0, -480, 0),
        "neck_base": (0, -580, 40),
        "head": (0, -690, 20),
        "left_hip": (130, 0, 0),
        "left_knee": (140, 440, 0),
        "left_foot": (140, 880, 30),
        "left_shoulder": (160, -440, 0),
        "left_elbow": (230, -170, 20),
        "left_wrist": (240, 80, -30),
    }
    for name in [n for n in rest if n.startswith("left_")]:
        x, y, z = rest[name]
        rest[name.replace("left", "right")] = (-x, y, z)
    points = np.array([rest[name] for name in H36M17.keypoints], float)
    film = np.tile(points, (frames, 1, 1))
    angle = np.sin(np.arange(frames) / 3)
    elbow, wrist = H36M17.index("left_elbow"), H36M17.index("left_wrist")
    along = np.stack([np.sin(angle), 0 * angle, -np.cos(angle)], axis=-1)
    film[:, wrist] = film[:, elbow] + 250 * along
    return film + np.array([0, 0, 4000])


def pixels(film: np.ndarray, focal: float = 600.0) -> np.ndarray:
    K = [[focal, 0, (WH[0] - 1) / 2], [0, focal, (WH[1] - 1) / 2], [0, 0, 1]]
    return project(pinhole(K, np.eye(3), np.zeros(3)), film.reshape(-1, 3)).reshape(-1, 17, 2)


@pytest.fixture(scope="module")
def lifter() -> TrackLifter:
    """Temporal convolutions over 27 frames with small random weights."""
    model = videopose3d(27, channels=8, strided=True)
    start = np.zeros(model.input_shape(), np.float32)
    variables = jax.jit(model.init)(jax.random.key(0), start)
    framed = 2 * pixels(body()) / WH[0] - np.array([1, WH[1] / WH[0]])
    codec = LiftingCodec(input_statistics=Statistics.of(framed))
    return TrackLifter(model, variables, codec, H36M17)


def test_a_clip_of_any_length(lifter):
    short = lifter(pixels(body(3)), image_wh=WH)
    assert short.shape == (3, 17, 3) and np.isfinite(short).all()
    # A film that stands still gives one pose, wherever the windows end.
    still = lifter(np.tile(pixels(body(1)), (40, 1, 1)), image_wh=WH)
    np.testing.assert_allclose(still, np.tile(still[:1], (40, 1, 1)), atol=1e-3)
    # Frames far from the ends do not know them.
    film = pixels(body(40))
    long, middle = lifter(film, image_wh=WH, refit=False), slice(13, 27)
    part = lifter(film[:38], image_wh=WH, refit=False)
    np.testing.assert_allclose(part[middle][:10], long[middle][:10], atol=1e-3)


def test_mirror_image_gives_mirror_image(lifter):
    film = pixels(body())
    mirrored = film[:, H36M17.flip_permutation] * [-1, 1] + [WH[0] - 1, 0]
    plain, other = (lifter(f, image_wh=(WH[0] - 1, WH[1]), refit=False) for f in (film, mirrored))
    back = other[:, H36M17.flip_permutation] * [-1, 1, 1]
    np.testing.assert_allclose(back, plain, atol=1e-2)


def test_refit_makes_the_film_not_matter(lifter):
    film = pixels(body())
    elsewhere = 2.5 * film + np.array([300, -40])
    expected = lifter(film, image_wh=WH)
    np.testing.assert_allclose(lifter(elsewhere, image_wh=(4000, 300)), expected, atol=0.05)
    assert np.abs(lifter(elsewhere, image_wh=(4000, 300), refit=False) - expected).max() > 1
    # A track as the training's own stays nearly as it was.
    framed = 2 * film / WH[0] - np.array([1, WH[1] / WH[0]])
    assert np.abs(refitted(film, lifter.codec.input_statistics, (0,)) - framed).max() < 0.02


def test_films_of_any_rate(lifter):
    """Every other frame of a film, resampled to the training's rate, gives what the film gives."""
    film = pixels(body(61))
    expected = lifter(film, image_wh=WH, refit=False)[::2]
    slow = copy.copy(lifter)
    slow.trained_fps = 50.0
    found = slow(film[::2], image_wh=WH, refit=False, fps=25)
    plain = lifter(film[::2], image_wh=WH, refit=False, fps=25)
    assert found.shape == expected.shape
    # Straight lines between the frames that are left cut a wave's crests.
    assert np.abs(found - expected).mean() < 0.4 * np.abs(plain - expected).mean()
    assert slow(film[:1], image_wh=WH, fps=25).shape == (1, 17, 3)
    single = martinez(17, 17, channels=8)
    alone = TrackLifter(single, {}, LiftingCodec(fps=50.0), H36M17)
    assert lifter.trained_fps is None and alone.trained_fps is None


def test_missing_keypoints(lifter):
    film, scores = pixels(body()), np.ones((40, 17))
    wrist = H36M17.index("left_wrist")
    film[3:5, wrist] = np.nan
    scores[10:12, wrist] = 0.1
    film[20:29] = np.nan
    joints = lifter(film, scores, image_wh=WH, fps=10, longest_gap=0.5)
    assert np.isfinite(joints[:20]).all() and np.isfinite(joints[29:]).all()
    assert np.isnan(joints[20:29]).all()
    filled, seen = completed(film, scores, names=H36M17.keypoints, min_score=0.3, max_gap=5)
    np.testing.assert_allclose(filled[3, wrist], (2 * film[2, wrist] + film[5, wrist]) / 3)
    np.testing.assert_allclose(filled[10, wrist], (2 * film[9, wrist] + film[12, wrist]) / 3)
    assert seen.sum() == 31 and np.isfinite(filled).all()
    # Faint in every frame: where the detector put it is the best there is.
    faint = np.where(np.arange(17) == wrist, 0.1, 1.0)[None] * np.ones((40, 1))
    kept, _ = completed(pixels(body()), faint, names=H36M17.keypoints, min_score=0.3, max_gap=5)
    np.testing.assert_array_equal(kept, pixels(body()))


def test_refusals(lifter):
    film = pixels(body(4))
    film[:, H36M17.index("left_foot")] = np.nan
    with pytest.raises(InputError, match="left_foot: found in none of 4 frames"):
        lifter(film, image_wh=WH)
    with pytest.raises(InputError, match="width and height must be positive"):
        lifter(pixels(body(4)), image_wh=(0, 480))
    with pytest.raises(InputError, match="positive, not nan"):
        lifter(pixels(body(4)), image_wh=WH, fps=np.nan)
    with pytest.raises(InputError, match=r"\[T, K, 2\] with T > 0"):
        lifter(np.zeros((0, 17, 2)), image_wh=WH)
    blind = TrackLifter.__new__(TrackLifter)
    # On the screen it takes the track as it is; on the image plane it cannot be placed.
    blind.__dict__.update(lifter.__dict__, codec=LiftingCodec())
    assert np.isfinite(blind(pixels(body(4)), image_wh=WH)).all()
    blind.codec = LiftingCodec(frame="image plane")
    with pytest.raises(InputError, match="refit=False"):
        blind(pixels(body(4)), image_wh=WH)
    with pytest.raises(InputError, match="need camera"):
        blind(pixels(body(4)), image_wh=WH, refit=False)


def test_cleaning_is_rigid_and_smooth():
    rng = np.random.default_rng(0)
    truth = body(40) - [0, 0, 4000]
    noisy = truth + 15 * rng.normal(size=truth.shape)
    noisy[7] = np.nan
    found = clean(noisy, H36M17, fps=30)
    assert np.isnan(found[7]).all() and quality(noisy, H36M17).bone_spread > 0.05
    assert quality(found, H36M17).bone_spread < 1e-9
    known = np.arange(40) != 7
    errors = [np.linalg.norm((x - truth)[known], axis=-1).mean() for x in (noisy, found)]
    assert errors[1] < 0.8 * errors[0]
    off = clean(noisy, H36M17, 30, Cleaning(0.0, rigid=False))
    np.testing.assert_array_equal(off, noisy)
    with pytest.raises(InputError, match="positive, not 0"):
        clean(noisy, H36M17, fps=0)


def test_standing_and_placed():
    film = body(6)
    film[3:, :, 1] -= 250  # about the root: where it is tells nothing
    feet = y_up(on_floor(film), "-y")[..., 1].min(axis=1)
    np.testing.assert_allclose(feet, 0, atol=1e-9)
    # A camera that looks down 30 degrees is nearer to heads than to feet.
    down = np.array([0, np.cos(np.pi / 6), 0.5])
    np.testing.assert_allclose(levelled(down, 30), [0, 1, 0], atol=1e-12)
    track = LiftedTrack(H36M17, levelled(film - film[:, :1], -30), np.arange(6), 25, tilt=30)
    np.testing.assert_allclose(track.standing(), on_floor(film - film[:, :1]), atol=1e-9)
    assert tilt_of(track.joints_mm, H36M17) == pytest.approx(30, abs=2)
    assert tilt_of(track.joints_mm[..., [1, 0, 2]], H36M17) == 0  # lies
    assert tilt_of(film * np.nan, H36M17) == 0
    camera = pinhole([[600, 0, 319.5], [0, 600, 239.5], [0, 0, 1]], np.eye(3), np.zeros(3))
    about_root, seen = film - film[:, :1], pixels(film)
    np.testing.assert_allclose(before_camera(camera, about_root, seen), film, atol=1e-6)
    weights = np.ones((6, 17))
    seen[0, 4], weights[0, 4], seen[1, 5] = 1e4, 0, np.nan
    seen[2, 1:] = np.nan
    found = before_camera(camera, about_root, seen, weights)
    np.testing.assert_allclose(found[[0, 1, 3]], film[[0, 1, 3]], atol=1e-6)
    assert np.isnan(found[2]).all()
    with pytest.raises(InputError, match="have to be"):
        before_camera(camera, about_root, seen[:5])


def results(frames: int = 8, tracked: bool = True) -> list[People]:
    """Two people of a film as COCO's keypoints; the second comes late and leaves for a while."""
    film = np.random.default_rng(0).uniform(100, 300, (frames, 2, 17, 2)).astype(np.float32)
    found = []
    for i, points in enumerate(film):
        rows = [0] if i < 2 or i in (4, 5) else [1, 0]
        found.append(
            People(
                COCO17,
                (WH[1], WH[0]),
                points[rows],
                np.ones((len(rows), 17), np.float32),
                np.zeros((len(rows), 4), np.float32),
                np.arange(len(rows)),
                source="film.mp4",
                index=3 * i,
                seconds=0.1 * i,
                track_ids=np.array(rows) + 7 if tracked else None,
            )
        )
    return found


def test_tracks_of_a_film():
    first, second = tracks_of(results())
    assert (first.number, second.number) == (7, 8) and first.fps == pytest.approx(10)
    np.testing.assert_array_equal(second.people, [0, 0, -1, -1, 0, 0])
    np.testing.assert_array_equal(second.frames, [6, 9, 12, 15, 18, 21])
    assert np.isnan(second.keypoints[2:4]).all() and (second.scores[2:4] == 0).all()
    with pytest.raises(InputError, match="no track ids"):
        tracks_of(results(tracked=False))
    with pytest.raises(InputError, match="out of order"):
        tracks_of(results()[::-1])


def test_people_get_joints(lifter):
    people, lifted = lift_people(results(), lifter, Lifting(cleaning=Cleaning(0, rigid=False)))
    assert [t.track for t in lifted] == [7, 8] and lifted[0].quality.seen == 1
    np.testing.assert_allclose(people[3].joints[1], lifted[0].joints_mm[3], rtol=1e-6)
    np.testing.assert_allclose(people[3].joints[0], lifted[1].joints_mm[1], rtol=1e-6)
    assert people[0].joint_skeleton == H36M17
    assert set(people[0][0].to_dict()["joints_mm"]) == set(H36M17.keypoints)


def test_results_from_files(lifter, tmp_path):
    writers = (
        JsonWriter(tmp_path / "a.json", {"jaxpose": "0"}),
        JsonLinesWriter(tmp_path / "a.jsonl"),
    )
    for writer in writers:
        for people in results():
            writer.write(people)
        writer.close()
    expected = tracks_of(results())
    for name in ("a.json", "a.jsonl"):
        found = tracks_of(read_results(tmp_path / name))
        for track, other in zip(found, expected, strict=True):
            assert (track.number, track.source, track.skeleton) == (
                other.number,
                "film.mp4",
                COCO17,
            )
            np.testing.assert_allclose(track.keypoints, other.keypoints, atol=0.01)
    bare = pixels(body(4))
    (tmp_path / "b.json").write_text(json.dumps(bare.tolist()))
    (track,) = tracks_of(read_results(tmp_path / "b.json", skeleton=H36M17, image_wh=WH), fps=25)
    assert track.fps == 25 and track.image_wh == WH
    np.testing.assert_allclose(track.keypoints, bare, rtol=1e-6)
    lifted = lift_track(track, lifter, Lifting(focal=600, cleaning=Cleaning(0, rigid=False)))
    assert lifted.placed and np.abs(lifted.joints_mm[:, 0]).max() > 100


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "neither JSON nor JSON lines"),
        ("[]", "has no list `people`"),
        ('{"photos": [{"people": [{"score": 1}]}]}', "has another form"),
        ("[[[1, 2]]]", "give its skeleton and image size"),
    ],
)
def test_files_that_are_no_results(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_results(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"b\.json does not exist"):
        read_results(tmp_path / "b.json")


def test_what_is_written_comes_back(tmp_path):
    film = clean(body(10) - [0, 0, 4000], H36M17, 25)
    film[4] = np.nan
    track = LiftedTrack(H36M17, film, np.arange(10) + 5, 25.0, 3)
    standing = y_up(track.without_gaps(), "-y")
    for suffix in (".json", ".bvh", ".trc", ".c3d", ".png", ".gif", ".mp4"):
        save_lifted(tmp_path / f"a{suffix}", track)
    bvh = read_bvh(tmp_path / "a.bvh")
    order = [bvh.names.index(name) for name in H36M17.keypoints]
    found = 10.0 * forward_kinematics(bvh)[:, order]
    known = np.arange(10) != 4  # a pose between two is on bones a little shorter
    np.testing.assert_allclose(found[known], standing[known], atol=1e-3)
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["fps"] == 25 and document["skeleton"]["name"] == "h36m17"
    (only,) = document["tracks"]
    assert only["frames"][0] == 5 and only["joints_mm"][4] is None
    np.testing.assert_allclose(only["joints_mm"][0], film[0], atol=0.006)
    row = (tmp_path / "a.trc").read_text().splitlines()[6].split("\t")
    np.testing.assert_allclose(np.array(row[2:], float).reshape(17, 3), standing[0], atol=1e-4)
    with pytest.raises(InputError, match=r"written as .json, .bvh"):
        save_lifted(tmp_path / "a.fbx", track)
    nobody = LiftedTrack(H36M17, film * np.nan, np.arange(10), 25.0)
    with pytest.raises(InputError, match="too few keypoints"):
        save_lifted(tmp_path / "b.bvh", nobody)
