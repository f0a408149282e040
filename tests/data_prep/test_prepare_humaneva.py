"""HumanEva-I, Human3.6M and MPI-INF-3DHP as motion datasets."""

import json
import pickle

import numpy as np
import pytest

from jaxpose.data.motion import read_motion
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, project


def reprojection(motion) -> np.ndarray:
    """Pixels `[N]` between each frame's keypoints and its joints projected, RMS."""
    cameras = motion.cameras.take(motion.clip_of_frame)
    here = Camera(
        cameras.K,
        np.broadcast_to(np.eye(3), cameras.K.shape),
        np.zeros((len(cameras.K), 3)),
        cameras.distortion,
    )
    joints = np.where(motion.labelled[..., None], motion.joints_mm, [0, 0, 1])
    off = (project(here, joints.astype(np.float64)) - motion.keypoints) ** 2
    return np.sqrt((off.sum(axis=-1) * motion.labelled).sum(axis=-1) / motion.labelled.sum(axis=-1))


def test_humaneva_in_little(prepare, script, tmp_path):
    """Made-up people before the real cameras: places are given, the lens is found."""
    module = script("humaneva")
    rng = np.random.default_rng(0)
    # A room's worth of places, so that the lens is seen up to its edge.
    joints = rng.uniform([-1000, -1000, 0], [1000, 1000, 1800], size=(200, 15, 3))
    K = np.array([[750.0, 0, 300], [0, 752, 230], [0, 0, 1]])
    pixels = []
    for quaternion, place in module.PLACES["S2"]:
        R = module._rotation(np.array(quaternion)).T
        assert np.linalg.det(R) == pytest.approx(1)
        camera = Camera(K, R, -R @ np.array(place), np.array([-0.25, 0.1, 0, 0, 0]))
        pixels.append(project(camera, joints))
    np.savez(
        tmp_path / "flat.npz",
        names=["Train/S2|Box 1 chunk3"],
        p3d_000=joints / 1000,
        p2d_000=np.stack(pixels),
    )
    result = prepare("humaneva", "--source", tmp_path / "flat.npz", "--out", tmp_path / "out.npz")
    assert result.exit_code == 0, result.output
    motion = read_motion(tmp_path / "out.npz")
    assert motion.camera.tolist() == ["C1", "C2", "C3"]
    assert motion.name.tolist() == ["Box 1 chunk3"] * 3
    assert (motion.split == "train").all() and (motion.action == "Box").all()
    np.testing.assert_allclose(motion.K, np.broadcast_to(K, (3, 3, 3)), rtol=1e-6)
    np.testing.assert_allclose(motion.distortion[:, :2], [[-0.25, 0.1]] * 3, atol=1e-5)
    assert reprojection(motion).max() < 1e-3  # float32 of thousands of millimetres


def test_humaneva_itself(prepare, shared, tmp_path):
    source = shared / "data/lifting/humaneva15_flat_nopickle.npz"
    result = prepare("humaneva", "--source", source, "--out", tmp_path / "out.npz")
    assert result.exit_code == 0, result.output
    motion = read_motion(tmp_path / "out.npz")
    assert len(motion.length) == 3 * 77 and motion.length.sum() == 3 * 9577
    assert set(motion.action) == {"Walking", "Jog", "Box", "Gestures", "ThrowCatch"}
    # What remains of the published places: half a pixel at most on average, by subject and camera.
    error = reprojection(motion)
    for subject in ("S1", "S2", "S3"):
        for camera in ("C1", "C2", "C3"):
            own = ((motion.subject == subject) & (motion.camera == camera))[motion.clip_of_frame]
            assert np.sqrt((error[own] ** 2).mean()) < 0.55
    upright = motion.joints_mm[:, 14, 1] < motion.joints_mm[:, 0, 1]  # y points down
    assert upright.mean() > 0.99


def test_a_humaneva_file_of_another_layout_is_named(script, tmp_path):
    np.savez(tmp_path / "a.npz", names=["Train/S9|Box 1 chunk3"])
    with pytest.raises(InputError, match=r"'Train/S9\|Box 1 chunk3'"):
        script("humaneva").read_sequences(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", names=["Train/S1|Box 1 chunk3"])
    with pytest.raises(InputError, match="lacks p3d_000"):
        script("humaneva").read_sequences(tmp_path / "b.npz")


@pytest.fixture
def h36m_cameras(tmp_path):
    angles = [0.0, 1.5, 3.0, 4.5]
    lens = {
        "calibration_matrix": [[1145.0, 0, 512], [0, 1143, 515], [0, 0, 1]],
        "distortion": [-0.2, 0.2, -1e-3, -1e-3, -3e-3],
    }
    names = ("54138969", "55011271", "58860488", "60457274")
    places = {
        name: {
            "R": [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]],
            "t": [[0], [0], [5000]],
        }
        for name, a in zip(names, angles, strict=True)
    }
    path = tmp_path / "cameras.json"
    content = {"intrinsics": dict.fromkeys(names, lens), "extrinsics": {"S9": places}}
    path.write_text(json.dumps(content))
    return path


def test_h36m_of_videopose3d(prepare, h36m_cameras, tmp_path):
    world = np.random.default_rng(0).normal(scale=0.4, size=(6, 32, 3))
    np.savez(tmp_path / "3d.npz", positions_3d={"S9": {"Walking 1": world}})
    detected = [np.full((8, 17, 2), 100.0 + i) for i in range(4)]
    np.savez(tmp_path / "2d.npz", positions_2d={"S9": {"Walking 1": detected}})
    arguments = ["--videopose3d", tmp_path / "3d.npz", "--cameras", h36m_cameras]
    result = prepare("h36m", *arguments, "--out", tmp_path / "out.npz")
    assert result.exit_code == 0, result.output
    motion = read_motion(tmp_path / "out.npz")
    assert motion.length.tolist() == [6] * 4 and (motion.split == "test").all()
    assert motion.action.tolist() == ["Walking"] * 4 and motion.name[0] == "Walking 1"
    assert motion.image_wh.tolist() == [[1000, h] for h in (1002, 1000, 1000, 1002)]
    kept = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
    first = world[:, kept] * 1000 + [0, 0, 5000]
    np.testing.assert_allclose(motion.joints_mm[:6], first, atol=0.01)
    assert reprojection(motion).max() < 0.01
    result = prepare(
        "h36m", *arguments, "--detections", tmp_path / "2d.npz", "--out", tmp_path / "out.npz"
    )
    assert result.exit_code == 0, result.output
    seen = read_motion(tmp_path / "out.npz").keypoints
    np.testing.assert_array_equal(seen[:, 0, 0], np.repeat(np.arange(100, 104), 6))


def test_h36m_samples_in_mmposes_layout(prepare, shared, tmp_path):
    samples = shared / "data/samples/h36m"
    result = prepare(
        "h36m", "--mmpose", samples / "test_h36m_body3d.npz", "--cameras", samples / "cameras.pkl",
        "--out", tmp_path / "out.npz",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    motion = read_motion(tmp_path / "out.npz")
    assert motion.subject.tolist() == ["S1", "S5", "S7", "S8"]
    assert motion.camera.tolist() == ["54138969", "54138969", "55011271", "55011271"]
    assert reprojection(motion).max() < 0.2  # the samples' own rounding


def test_h36m_poses_of_no_camera(prepare, shared, tmp_path):
    source = shared / "data/lifting/h36m_fk17_10hz.npz"
    result = prepare("h36m", "--poses", source, "--out", tmp_path / "out.npz")
    assert result.exit_code == 0, result.output
    motion = read_motion(tmp_path / "out.npz")
    assert motion.frame == "world" and motion.keypoints is None
    assert motion.joints_mm.shape == (86062, 17, 3)
    assert set(motion.subject[motion.split == "test"]) == {"S9", "S11"}


def test_3dhp_samples(prepare, shared, tmp_path):
    samples = shared / "data/samples/mpi_inf_3dhp"
    result = prepare(
        "mpi_inf_3dhp", "--train", samples / "test_3dhp_train.npz", "--test",
        samples / "test_3dhp_test.npz", "--cameras-train", samples / "cameras_train.pkl",
        "--cameras-test", samples / "cameras_test.pkl", "--out", tmp_path / "out.npz",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    motion = read_motion(tmp_path / "out.npz")
    assert motion.subject.tolist() == ["S4", "S8", "TS1", "TS2"]
    assert motion.image_wh.tolist() == [[2048, 2048]] * 4
    assert reprojection(motion).max() < 3  # of 2,048: the data's own


def test_frames_out_of_order_are_named_and_gaps_start_a_new_clip(script, tmp_path):
    module = script("h36m")

    def write(numbers):
        names = [f"S1_Walking_1.54138969_{n:06d}.jpg" for n in numbers]
        joints = np.random.default_rng(0).normal(size=(len(numbers), 17, 4))
        joints[..., 2] += 5
        joints[..., 3] = 1
        part = np.ones((len(numbers), 17, 3))
        np.savez(tmp_path / "a.npz", imgname=names, part=part, S=joints)
        return module.mmpose_clips(tmp_path / "a.npz", None)

    clips = write([1, 6, 11, 21, 26])
    assert [len(clip.joints_mm) for clip in clips] == [3, 2]
    assert clips[0].fps == 10 and clips[0].action == "Walking_1"
    with pytest.raises(InputError, match="out of order: 2 follows 3"):
        write([1, 3, 2])
    (tmp_path / "c.pkl").write_bytes(pickle.dumps({("S5", "54138969"): {}}))
    with pytest.raises(InputError, match=r"no camera \('S1', '54138969'\)"):
        module.mmpose_clips(tmp_path / "a.npz", tmp_path / "c.pkl")


def test_exactly_one_source_is_asked_for(prepare, tmp_path):
    result = prepare("h36m", "--out", tmp_path / "out.npz")
    assert result.exit_code == 2 and "exactly one of" in result.stderr
