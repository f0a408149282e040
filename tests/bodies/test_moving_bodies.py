"""Files of motion: glTF skins and BVH give again the vertices and joints that were written."""

import json
import struct
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from jaxpose.bodies import drawn_body, drawn_faces, pose_body
from jaxpose.bodies.gltf import save_animated_glb, save_glb
from jaxpose.bodies.saving import save_bvh
from jaxpose.bodies.scene import BodyScene
from jaxpose.bodies.scene_files import image_step, save_scene
from jaxpose.errors import InputError
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.motion.bvh import forward_kinematics, read_bvh
from jaxpose.viz.meshes import turning_meshes

FRAMES, UP = 6, np.array([1.0, -1, -1])
TYPES = {5126: np.float32, 5125: np.uint32, 5123: np.uint16}
SIZES = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def scene(frames, ids, **changes):
    """Bodies of random poses; those of one track have one shape."""
    rng, count = np.random.default_rng(0), len(frames)
    shapes = rng.standard_normal((9, 8))
    values = {
        "body": drawn_body(),
        "faces": drawn_faces(),
        "source": "a.mp4",
        "shape": shapes[np.array(ids)],
        "rotations": matrix_from_axis_angle(rng.standard_normal((count, 17, 3))),
        "translation": rng.uniform([-1000, -1000, 3000], [1000, 1000, 5000], (count, 3)),
        "people": np.zeros(count, int),
        "frames": np.array(frames),
        "seconds": np.array(frames) / 30,
        "track_ids": np.array(ids),
        "fps": 30.0,
    }
    return BodyScene(**{**values, **changes})


@pytest.fixture(scope="module")
def one():
    return scene(range(FRAMES), [3] * FRAMES)


def posed(one):
    return pose_body(one.body, *map(jnp.asarray, (one.shape, one.rotations, one.translation)))


def read_glb(path):
    """JSON, and a function from the index of an accessor to its array."""
    data = path.read_bytes()
    magic, version, total, length = struct.unpack_from("<4sIII", data)
    assert (magic, version, total) == (b"glTF", 2, len(data))
    content = json.loads(data[20 : 20 + length])
    buffer = data[28 + length :]
    assert len(buffer) == content["buffers"][0]["byteLength"]

    def array(index):
        accessor = content["accessors"][index]
        view = content["bufferViews"][accessor["bufferView"]]
        part = buffer[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        found = np.frombuffer(part, TYPES[accessor["componentType"]])
        return found.reshape(accessor["count"], SIZES[accessor["type"]]).squeeze()

    return content, array


def skinned(content, array, skin_node, frame):
    """Vertices in metres of a skinned node at a frame, by the file's numbers alone."""
    nodes, node = content["nodes"], content["nodes"][skin_node]
    skin = content["skins"][node["skin"]]
    now = {j: dict(nodes[j]) for j in skin["joints"]}
    animation = content["animations"][0]
    for channel in animation["channels"]:
        target, sampler = channel["target"], animation["samplers"][channel["sampler"]]
        if target["node"] in now and target["path"] != "scale":
            now[target["node"]][target["path"]] = array(sampler["output"])[frame]
    above = {child: j for j in now for child in nodes[j].get("children", [])}
    world = {}
    for j in skin["joints"]:
        own = np.eye(4)
        own[:3, :3] = Rotation.from_quat(now[j]["rotation"]).as_matrix()
        own[:3, 3] = now[j]["translation"]
        world[j] = world[above[j]] @ own if j in above else own
    inverse = array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).astype(float).swapaxes(1, 2)
    moves = np.stack([world[j] for j in skin["joints"]]) @ inverse
    part = content["meshes"][node["mesh"]]["primitives"][0]["attributes"]
    rest = np.insert(array(part["POSITION"]).astype(float), 3, 1, axis=1)
    blend = np.einsum("vk,vkab->vab", array(part["WEIGHTS_0"]), moves[array(part["JOINTS_0"])])
    return np.einsum("vab,vb->va", blend, rest)[:, :3]


def test_a_skin_is_the_body(one, tmp_path):
    save_animated_glb(tmp_path / "a.glb", one.body, one.faces, one.tracks())
    content, array = read_glb(tmp_path / "a.glb")
    node = next(n for n, node in enumerate(content["nodes"]) if "skin" in node)
    expected = np.asarray(posed(one).vertices, np.float64) * UP
    for frame in range(FRAMES):
        found = 1000 * skinned(content, array, node, frame)
        assert np.abs(found - expected[frame]).max() < 5e-3  # mm; of float32 in metres
    times = array(content["animations"][0]["samplers"][0]["input"])
    np.testing.assert_allclose(times, np.arange(FRAMES) / 30, atol=1e-6)
    part = content["meshes"][0]["primitives"][0]
    np.testing.assert_array_equal(array(part["indices"]).reshape(-1, 3), one.faces)


def test_static_meshes_are_the_vertices(one, tmp_path):
    meshes = one.meshes(np.arange(2))
    save_glb(tmp_path / "a.glb", meshes, one.faces, ["a", "b"])
    content, array = read_glb(tmp_path / "a.glb")
    assert [node["name"] for node in content["nodes"]] == ["a", "b"]
    for number, vertices in enumerate(meshes):
        part = content["meshes"][number]["primitives"][0]["attributes"]
        np.testing.assert_allclose(1000 * array(part["POSITION"]), vertices * UP, atol=1e-3)
        normals = array(part["NORMAL"])
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert "animations" not in content and "skins" not in content


def test_an_independent_reader_finds_the_same_meshes(one, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    meshes = one.meshes(np.arange(2))
    save_glb(tmp_path / "a.glb", meshes, one.faces, ["a", "b"])
    found = trimesh.load(tmp_path / "a.glb", process=False)
    for name, vertices in zip("ab", meshes, strict=True):
        np.testing.assert_allclose(found.geometry[name].vertices * 1000, vertices * UP, atol=1e-3)
        np.testing.assert_array_equal(found.geometry[name].faces, one.faces)


def test_people_are_hidden_where_they_were_not_seen(tmp_path):
    # Track 1 appears late, is away for 2 seconds, and is gone before the end.
    frames = range(0, 130, 10)
    ids = [1 if 10 <= f <= 20 or 80 <= f <= 100 else 2 for f in frames]
    found = scene(frames, ids, fps=None)
    save_animated_glb(tmp_path / "a.glb", found.body, found.faces, found.tracks())
    content, array = read_glb(tmp_path / "a.glb")
    animation = content["animations"][0]
    scales = {
        content["nodes"][c["target"]["node"]]["name"]: animation["samplers"][c["sampler"]]
        for c in animation["channels"]
        if c["target"]["path"] == "scale"
    }
    sampler = scales["track_1_pelvis"]
    assert sampler["interpolation"] == "STEP"
    np.testing.assert_allclose(30 * array(sampler["input"]), [0, 10, 30, 80, 110], atol=1e-4)
    np.testing.assert_array_equal(array(sampler["output"])[:, 0], [0, 1, 0, 1, 0])


def test_bvh_has_the_joints_of_the_body(one, tmp_path):
    save_bvh(tmp_path / "a.bvh", one.body, one.tracks()[0], one.fps)
    bvh = read_bvh(tmp_path / "a.bvh")
    assert bvh.frame_time == pytest.approx(1 / 30) and len(bvh.motion) == FRAMES
    order = [bvh.names.index(name) for name in one.body.joints]
    found = 10 * forward_kinematics(bvh)[:, order]
    assert np.abs(found - np.asarray(posed(one).joints) * UP).max() < 1e-2  # mm
    # At rest the body stands, its left at +x.
    rest = dict(zip(one.body.joints, one.tracks()[0].joints, strict=True))
    assert rest["head"][1] > rest["pelvis"][1] + 400 > rest["left_ankle"][1] + 1000
    assert rest["left_wrist"][0] > 400 > -400 > rest["right_wrist"][0]


def test_bvh_fills_frames_that_are_missing(tmp_path):
    found = scene([0, 1, 3], [1, 1, 1])
    save_bvh(tmp_path / "a.bvh", found.body, found.tracks()[0])
    bvh = read_bvh(tmp_path / "a.bvh")
    assert len(bvh.motion) == 4 and bvh.frame_time == pytest.approx(1 / 30)
    order = [bvh.names.index(name) for name in found.body.joints]
    joints = 10 * forward_kinematics(bvh)[:, order]
    expected = np.asarray(posed(found).joints) * UP
    assert np.abs(joints[[0, 1, 3]] - expected).max() < 1e-2
    np.testing.assert_allclose(joints[2, 0], (expected[1, 0] + expected[2, 0]) / 2, atol=1e-2)


def test_the_camera_moves_around_meshes(one):
    meshes = one.meshes(np.arange(1))
    views = list(turning_meshes([meshes, [], meshes, meshes], one.faces, size_wh=(60, 80)))
    floors = list(turning_meshes([[], meshes], one.faces, size_wh=(60, 80)))
    assert [view.shape for view in views] == [(80, 60, 3)] * 4
    # Frames with the person differ from the empty floor and, by their sides, from each other.
    body = [int((np.ptp(view.astype(int), axis=-1) > 20).sum()) for view in views]
    assert min(body[0], body[2], body[3]) > 100 and body[1] == 0
    assert (views[0] != views[2]).any() and (floors[0] != views[0]).any()
    with pytest.raises(InputError, match="nothing to draw"):
        list(turning_meshes([[], []], one.faces))


def test_moments_hold_the_last_bodies_for_half_a_second():
    found = scene([0, 0, 2, 30, 31], [1, 2, 1, 1, 1])
    rows, fps = found.moments()
    assert fps == pytest.approx(30) and len(rows) == 32
    expected = [[0, 1], [0, 1], *[[2]] * 16, *[[]] * 12, [3], [4]]
    assert [own.tolist() for own in rows] == expected
    with pytest.raises(InputError, match="is an image"):
        replace(found, frames=None, seconds=None).moments()


def test_of_frames_of_one_time_the_later_is_shown(tmp_path):
    found = scene([0, 1, 1, 2, 3, 3], [1, 1, 2, 1, 1, 2], seconds=np.array([0, 1, 1, 1, 2, 2]) / 30)
    first, second = found.tracks()
    np.testing.assert_allclose(30 * first.seconds, [0, 1, 2])
    np.testing.assert_allclose(first.root, np.asarray(posed(found).joints)[[0, 3, 4], 0] * UP)
    np.testing.assert_allclose(30 * second.seconds, [1, 2])  # it is not in frame 2
    assert [own.tolist() for own in found.moments()[0]] == [[0], [3], [4, 5]]
    save_scene(tmp_path / "a.glb", found)
    read, array = read_glb(tmp_path / "a.glb")
    for sampler in read["animations"][0]["samplers"]:
        assert (np.diff(array(sampler["input"])) > 0).all()
    save_bvh(tmp_path / "a.bvh", found.body, first)
    assert len(read_bvh(tmp_path / "a.bvh").motion) == 3


def test_a_suffix_chooses_what_is_written(one, tmp_path):
    save_scene(tmp_path / "a.obj", one, 2)
    lines = (tmp_path / "a.obj").read_text().splitlines()
    vertices = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    np.testing.assert_allclose(1000 * vertices, one.meshes([2])[0] * UP, atol=0.01)
    save_scene(tmp_path / "a.gif", replace(one, fps=None, seconds=np.arange(FRAMES) / 60))
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 2  # every third one: at most 25 a second
    assert image_step(tmp_path / "a.gif", 10_000, 30) == 20  # at most 500
    assert image_step(tmp_path / "a.mp4", 10_000, 30) == 1
    for path, found, message in (
        ("a.fbx", one, "can be written as .obj, .glb"),
        ("a.bvh", scene([0, 1], [1, 2]), "has the tracks 1, 2"),
        ("a.glb", scene([0, 0], [1, 1], track_ids=None), "no track ids"),
    ):
        with pytest.raises(InputError, match=message):
            save_scene(tmp_path / path, found)


def test_motion_needs_a_video_and_tracks(one):
    with pytest.raises(InputError, match="is an image"):
        replace(one, frames=None, seconds=None, track_ids=None).tracks()
    with pytest.raises(InputError, match="no track ids"):
        scene([0, 0], [1, 1], track_ids=None).tracks()
    with pytest.raises(InputError, match="of its bodies; a track is one person"):
        scene([0, 0], [1, 1]).tracks()
    back = scene([0, 1, 2], [1, 1, 1], seconds=np.array([0, 1, 0.5]) / 30)
    with pytest.raises(InputError, match=r"run backwards after 0\.033 s"):
        back.tracks()
    with pytest.raises(InputError, match="run backwards"):
        back.moments()
    with pytest.raises(InputError, match="no body in frame 99"):
        one.rows(99)
    assert [t.number for t in scene([0, 1], [1, 2], track_ids=None).tracks()] == [0]
