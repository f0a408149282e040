"""BVH, TRC and C3D: what is written comes back."""

import re
import struct
import tracemalloc

import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.geometry.axes import y_up
from jaxpose.motion import bvh as bvh_module
from jaxpose.motion.armature import bvh_from_points, parents_of
from jaxpose.motion.bvh import forward_kinematics, read_bvh, write_bvh
from jaxpose.motion.markers import write_c3d, write_trc
from jaxpose.skeletons.coco17 import COCO17
from jaxpose.skeletons.h36m17 import H36M17

SMALL = """HIERARCHY
ROOT hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT knee
  {
    OFFSET 0 -10 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -5 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.04
1 2 3 0 0 0 0 0 0
0 0 0 90 0 0 0 90 0
"""


def walk(frames: int = 6) -> np.ndarray:
    """`[T, 17, 3]` mm, z up: rigid bones, pelvis and chest rigid, limbs that swing and turn."""
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(0)
    parents = parents_of(H36M17)
    rest = rng.normal(size=(17, 3))
    rest *= 250 / np.linalg.norm(rest, axis=-1, keepdims=True)
    points = np.zeros((frames, 17, 3))
    points[:, 0] = rng.normal(size=(frames, 3)) * 300
    pelvis = Rotation.random(frames, random_state=1).as_matrix()
    chest = Rotation.random(frames, random_state=2).as_matrix()
    for joint in range(1, 17):
        start = parents[joint]
        if (parents == start).sum() > 1:
            bone = (pelvis if start == 0 else chest) @ rest[joint]
        else:
            bone = Rotation.random(frames, random_state=joint).as_matrix() @ rest[joint]
        points[:, joint] = points[:, start] + bone
    return points


def test_small_file_by_hand(tmp_path):
    (tmp_path / "a.bvh").write_text(SMALL)
    bvh = read_bvh(tmp_path / "a.bvh")
    assert bvh.names == ("hips", "knee", "knee_end") and bvh.parents == (-1, 0, 1)
    found = forward_kinematics(bvh)
    np.testing.assert_allclose(found[0], [[1, 2, 3], [1, -8, 3], [1, -13, 3]], atol=1e-12)
    # A quarter turn about z lays the thigh along +x; the knee's about its own x then points along
    # the old -z.
    np.testing.assert_allclose(found[1], [[0, 0, 0], [10, 0, 0], [10, 0, -5]], atol=1e-12)


def test_positions_survive_bvh(tmp_path):
    points = walk()
    write_bvh(tmp_path / "walk.bvh", bvh_from_points(points, H36M17, fps=25))
    bvh = read_bvh(tmp_path / "walk.bvh")
    order = [bvh.names.index(name) for name in H36M17.keypoints]
    found = 10.0 * forward_kinematics(bvh)[:, order]
    # Six decimals of degrees and centimetres, down five bones.
    np.testing.assert_allclose(found, y_up(points), atol=1e-3)
    assert bvh.frame_time == pytest.approx(0.04)
    assert bvh.names.count("left_wrist_end") == 1


def test_real_motion_is_nearly_rigid(shared, tmp_path):
    with np.load(shared / "data" / "lifting" / "h36m_fk17_10hz.npz") as clips:
        points = 1000.0 * clips["S9/walking_1"][:50]
    bvh = bvh_from_points(points, H36M17, fps=10, up="y")
    order = [bvh.names.index(name) for name in H36M17.keypoints]
    found = 10.0 * forward_kinematics(bvh)[:, order]
    # The chest of Human3.6M bends between its joints; one rigid piece stands for it.
    assert np.linalg.norm(found - points, axis=-1).mean() < 25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("HIERARCHY", "HELLO"), "'HIERARCHY' expected"),
        (("90 0\n", "\n"), "but 16 numbers"),
        (("Frames: 2", ""), "'Frames:' expected"),
        (("Xposition", "Wposition"), "unknown channels"),
        (("OFFSET 0 -10 0", "OFFSET 0 a 0"), "could not convert"),
        (("1 2 3 0", "1 2 3 zero"), "could not convert"),
        (("Site", "Site { End Site"), "End Site is below an end site"),
    ],
)
def test_what_is_no_bvh(tmp_path, change, message):
    (tmp_path / "a.bvh").write_text(SMALL.replace(*change))
    with pytest.raises(InputError, match=message):
        read_bvh(tmp_path / "a.bvh")


@pytest.mark.parametrize("frames", [16_666_667, 10**12])
def test_a_bvh_has_a_bounded_number_of_positions(tmp_path, frames):
    """Joints without channels need no numbers in the file: the header alone states the memory."""
    path = tmp_path / "a.bvh"
    still = re.sub(r" *CHANNELS .*\n", "", SMALL.partition("MOTION")[0])
    path.write_text(f"{still}MOTION\nFrames: {frames}\nFrame Time: 0.04\n")
    tracemalloc.start()
    with pytest.raises(InputError, match=f"a.bvh has {frames:,} frames of 3 joints; .* 50,000,000"):
        read_bvh(path)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
    path.write_text(f"{still}MOTION\nFrames: 1000000\nFrame Time: 0.04\n")
    assert read_bvh(path).motion.shape == (1_000_000, 0)


def test_long_motion_is_read_and_moved_in_pieces(tmp_path, monkeypatch):
    bvh = bvh_from_points(walk(50), H36M17, fps=25)
    write_bvh(tmp_path / "walk.bvh", bvh)
    whole = read_bvh(tmp_path / "walk.bvh")
    positions = forward_kinematics(whole)
    for piece in (1, 7, 1000):
        monkeypatch.setattr(bvh_module, "_PIECE", piece)
        monkeypatch.setattr(bvh_module, "_TURNS", piece)
        again = read_bvh(tmp_path / "walk.bvh")
        assert (again.motion == whole.motion).all()
        assert (forward_kinematics(again) == positions).all()


def test_rig_refusals():
    points = walk()
    with pytest.raises(InputError, match="not a tree"):
        bvh_from_points(points, COCO17, 25)
    with pytest.raises(InputError, match="metres"):
        bvh_from_points(points / 1000, H36M17, 25)
    with pytest.raises(InputError, match="fill the gaps"):
        bvh_from_points(np.where(np.arange(17)[None, :, None] == 3, np.nan, points), H36M17, 25)
    with pytest.raises(InputError, match="up is"):
        y_up(points, "w")


def test_trc(tmp_path):
    points = walk()[:, :3]
    points[1, 2] = np.nan
    write_trc(tmp_path / "a.trc", points, ("a", "b", "c"), 25.0)
    lines = (tmp_path / "a.trc").read_text().splitlines()
    assert lines[0] == "PathFileType\t4\t(X/Y/Z)\ta.trc"
    assert lines[2].split("\t")[2:5] == ["6", "3", "mm"]
    assert lines[3].split("\t") == ["Frame#", "Time", "a", "", "", "b", "", "", "c"]
    row = lines[7].split("\t")
    assert row[:2] == ["2", "0.040000"] and row[8:] == ["", "", ""]
    np.testing.assert_allclose([float(v) for v in row[2:8]], points[1, :2].ravel(), atol=1e-5)


def test_c3d(tmp_path):
    points = walk()
    points[1, 2] = np.nan
    write_c3d(tmp_path / "a.c3d", points, H36M17.keypoints, 25.0)
    content = (tmp_path / "a.c3d").read_bytes()
    assert len(content) % 512 == 0 and content[:2] == bytes([2, 0x50])
    count, _, first, last, _, scale, start, _, fps = struct.unpack("<HHHHHfHHf", content[2:24])
    assert (count, first, last, scale, fps) == (17, 1, 6, -1.0, 25.0)
    data = np.frombuffer(content, "<f4", 6 * 17 * 4, (start - 1) * 512).reshape(6, 17, 4)
    known = np.isfinite(points[..., 0])
    np.testing.assert_array_equal(data[..., 3], np.where(known, 0, -1))
    np.testing.assert_allclose(data[known][:, :3], points[known], rtol=1e-6)
    assert content.find(b"LABELS") > 0 and content.find(b"right_wrist") > 0


def test_c3d_is_read_by_others(tmp_path):
    c3d = pytest.importorskip("c3d")
    points = walk()
    write_c3d(tmp_path / "a.c3d", points, H36M17.keypoints, 25.0)
    with open(tmp_path / "a.c3d", "rb") as handle:
        reader = c3d.Reader(handle)
        frames = [frame[1] for frame in reader.read_frames()]
    assert [label.strip() for label in reader.point_labels] == list(H36M17.keypoints)
    np.testing.assert_allclose(np.stack(frames)[..., :3], points, rtol=1e-6)


def test_marker_shapes(tmp_path):
    with pytest.raises(InputError, match=r"\[T, K, 3\]"):
        write_trc(tmp_path / "a.trc", np.zeros((2, 3, 3)), ("a",), 25)
    with pytest.raises(InputError, match="255 markers"):
        write_c3d(tmp_path / "a.c3d", np.zeros((1, 300, 3)), ("a",) * 300, 25)
