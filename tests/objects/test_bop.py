"""BOP datasets: what is drawn comes back, and what is wrong is named."""

import json
import shutil

import cv2
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.config.scripts import find_script, load_script
from jaxpose.errors import InputError
from jaxpose.geometry.pnp import project_points, solve_pnp
from jaxpose.geometry.rigid import RigidPose
from jaxpose.geometry.symmetries import symmetric_error
from jaxpose.metrics.object_pose import add_s
from jaxpose.objects.bop import MIRRORED, NO_IMAGE, NO_MODEL, TOO_NEAR, read_models, read_split
from jaxpose.objects.bop_results import BopPose, read_bop_results, write_bop_results
from jaxpose.objects.bop_source import BopObjects
from jaxpose.objects.bop_writing import write_drawn_bop
from jaxpose.objects.drawn import drawn_objects
from jaxpose.objects.drawn_scenes import SyntheticObjects, draw_scene
from jaxpose.objects.model import diameter_of, farthest_points, signed_volume
from jaxpose.objects.ply import PlyMesh, read_ply, write_ply

DATA = SyntheticObjects(3, seed=4, canvas_hw=(64, 80))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bop")
    write_drawn_bop(folder, DATA)
    return folder


@pytest.fixture
def dataset(drawn, tmp_path):
    """A copy that may be changed."""
    return shutil.copytree(drawn, tmp_path / "bop")


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_models_come_back(drawn):
    models = read_models(drawn / "models")
    for model in drawn_objects():
        found = models[model.id]
        np.testing.assert_allclose(found.vertices, model.vertices, atol=1e-4)
        np.testing.assert_array_equal(found.faces, model.faces)
        np.testing.assert_array_equal(found.colors, model.colors)
        assert (found.name, found.symmetric) == (model.name, model.symmetric)
        # The symmetries of the file are those of the surface.
        assert symmetric_error(model.vertices, found.symmetries).max() < 1e-6
        assert signed_volume(model.vertices, model.faces) > 0


def test_images_poses_and_masks_come_back(drawn):
    models = read_models(drawn / "models")
    images, skips = read_split(drawn, "test", models)
    assert len(images) == 3 and not skips
    scene = draw_scene(DATA.seed, 1, DATA.canvas_hw, DATA.objects)
    image = images[1]
    assert (image.scene_id, image.image_id, image.key) == (1, 1, 1_000_001)
    np.testing.assert_allclose(image.camera.K, scene.camera.K)
    for row, each in enumerate(image.objects):
        np.testing.assert_allclose(each.pose.R, scene.poses.R[row])
        np.testing.assert_allclose(each.pose.t, scene.poses.t[row])
        assert each.object_id == scene.objects[row].id
        outline = project_points(each.pose, models[each.object_id].vertices, image.camera)
        # The box is around the whole object, also where the image cuts it off.
        np.testing.assert_allclose(each.box_xywh[:2], outline.min(axis=0), atol=0.51)
        np.testing.assert_allclose(each.box_xywh[2:], np.ptp(outline, axis=0), atol=0.51)


def test_the_visible_share_is_that_of_the_whole_silhouette(tmp_path):
    """Hidden by others or outside the image: pixels of the object drawn alone and farther out."""
    data = SyntheticObjects(6, seed=2, canvas_hw=(64, 64))
    write_drawn_bop(tmp_path, data)
    facts = json.loads((tmp_path / "test/000001/scene_gt_info.json").read_text())
    shares, cut = [], 0
    for number in range(data.count):
        scene = draw_scene(data.seed, number, data.canvas_hw, data.objects)
        for row, fact in enumerate(facts[str(number)]):
            assert fact["px_count_visib"] == (scene.owner == row).sum()
            assert fact["visib_fract"] == fact["px_count_visib"] / fact["px_count_all"]
            assert fact["px_count_visib"] <= fact["px_count_valid"] <= fact["px_count_all"]
            shares.append(fact["visib_fract"])
            model, pose = scene.objects[row], scene.poses.take(row)
            outline = project_points(pose, model.vertices, scene.camera)
            inside = (outline > 0).all() and (outline < 63).all()
            cut += fact["px_count_valid"] < fact["px_count_all"]
            if inside:  # its silhouette is covered by itself or by what hides it
                assert fact["px_count_valid"] == fact["px_count_all"]
            if inside and len(facts[str(number)]) == 1:
                assert fact["visib_fract"] == 1
    assert cut and any(0.05 < share < 0.95 for share in shares) and max(shares) == 1


def test_samples_are_cut_out_with_their_camera(drawn):
    source = BopObjects(str(drawn), "test", canvas_hw=(96, 96)).open()
    batch = source.samples(np.arange(len(source)))
    for row, (image, each) in enumerate(source.rows):
        model = source.models[each.object_id]
        # The pose projects with the canvas's K to the keypoints, and PnP finds it.
        camera = image.camera._replace(K=batch["K"][row])
        pose = solve_pnp(model.keypoints, batch["keypoints"][row], camera)
        assert add_s(pose, each.pose, model.points) < 0.5
        # The canvas shows the same pixels as the image.
        in_image = geometry.apply_affine(batch["photo_from_canvas"][row], batch["keypoints"][row])
        alike = RigidPose(pose.R, pose.t)
        expected = project_points(alike, model.keypoints, image.camera)
        np.testing.assert_allclose(in_image, expected, atol=0.1)
        seen = np.argwhere(batch["object_mask"][row] > 0)[:, ::-1].mean(axis=0)
        x, y, w, h = batch["box_xywh"][row]
        assert x < seen[0] < x + w and y < seen[1] < y + h
    assert (
        source.fingerprint()
        == BopObjects(str(drawn), "test", canvas_hw=(96, 96)).open().fingerprint()
    )


def test_records_have_the_keypoints(drawn, tmp_path):
    script = load_script(find_script("data_prep/bop.py", "data_prep"))
    annotated, skips = script.objects(drawn, "test", "models", 0.1)
    assert not skips and len(annotated) == 3
    first = annotated[0].people[0]
    (image, *_), _ = read_split(drawn, "test", read_models(drawn / "models"))
    model = {m.id: m for m in drawn_objects()}[image.objects[0].object_id]
    pose = solve_pnp(model.keypoints, first.keypoints, image.camera)
    assert add_s(pose, image.objects[0].pose, model.points) < 0.5


def test_results_come_back(tmp_path):
    scene = draw_scene(0, 0, (64, 64), (1, 5))
    rows = [
        BopPose(1, 7, m.id, 0.5, scene.poses.take(i), 0.25) for i, m in enumerate(scene.objects)
    ]
    write_bop_results(tmp_path / "a.csv", rows)
    head, first, *_ = (tmp_path / "a.csv").read_text().splitlines()
    assert head == "scene_id,im_id,obj_id,score,R,t,time" and first.count(" ") == 8 + 2
    for found, row in zip(read_bop_results(tmp_path / "a.csv"), rows, strict=True):
        np.testing.assert_allclose(found.pose.R, row.pose.R, atol=1e-7)
        np.testing.assert_allclose(found.pose.t, row.pose.t, rtol=1e-7)
        assert found[:4] == row[:4] and found.seconds == row.seconds


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2,3,0.5,1 0 0 0 1 0 0 0 1,0 0,-1", "line 2: seven columns with nine numbers of R"),
        ("1,2,3,0.5,1 0 0 0 1 0 0 0 -1,0 0 1,-1", "line 2: R is not a rotation"),
        ("1,2,3,nan,1 0 0 0 1 0 0 0 1,0 0 1,-1", "line 2: R is not a rotation, or a number"),
    ],
)
def test_wrong_results_are_named(tmp_path, line, message):
    (tmp_path / "a.csv").write_text(f"scene_id,im_id,obj_id,score,R,t,time\n{line}\n")
    with pytest.raises(InputError, match=message):
        read_bop_results(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("scene,image\n")
    with pytest.raises(InputError, match="not the columns scene_id,im_id"):
        read_bop_results(tmp_path / "a.csv")


def test_a_dataset_without_models_says_where_they_are(dataset):
    shutil.rmtree(dataset / "models")
    with pytest.raises(InputError, match=r"has no models_info\.json. .* NAME_models\.zip"):
        BopObjects(str(dataset), "test").open()


def test_other_units_and_mirrored_models_are_named(dataset):
    folder = dataset / "models"
    mesh = read_ply(folder / "obj_000001.ply")

    def refused(vertices, match, info=None):
        write_ply(folder / "obj_000001.ply", mesh._replace(vertices=vertices))
        if info is not None:
            change(folder / "models_info.json", lambda c: c["1"].update(info))
        with pytest.raises(InputError, match=match):
            read_models(folder)

    refused(mesh.vertices / 1000, "The model is in metres: multiply it by 1000")
    refused(mesh.vertices * 3, "diameter of .* says")
    refused(mesh.vertices * [1, 1, -1], "is mirrored or inside out")
    refused(mesh.vertices / 1000, "are its lengths in metres", {"diameter": 0.1253})
    refused(mesh.vertices, "the diameter of model 1 is 'x'", {"diameter": "x"})
    mirror = {"diameter": 125.3, "symmetries_discrete": [np.diag([-1.0, 1, 1, 1]).ravel().tolist()]}
    refused(mesh.vertices, "model 1: a matrix of symmetries_discrete mirrors", mirror)


def test_objects_that_cannot_be_used_are_counted(dataset):
    scene = dataset / "test/000001"
    models = read_models(dataset / "models")
    whole, _ = read_split(dataset, "test", models)
    total = sum(len(image.objects) for image in whole)

    def edit(content):
        content["0"][0]["cam_t_m2c"] = [v / 1000 for v in content["0"][0]["cam_t_m2c"]]
        content["1"][0]["cam_R_m2c"][0] += 1
        content["2"][0]["obj_id"] = 99

    change(scene / "scene_gt.json", edit)
    images, skips = read_split(dataset, "test", models)
    assert {skip.reason for skip in skips} == {TOO_NEAR, MIRRORED, NO_MODEL}
    assert sum(len(image.objects) for image in images) + len(skips) == total
    (scene / "rgb/000002.png").unlink()
    images, skips = read_split(dataset, "test", models)
    assert [skip.who for skip in skips if skip.reason == NO_IMAGE] == ["image 2 of scene 000001"]
    with pytest.raises(InputError, match=r"has no split 'tset'\. Did you mean 'test'"):
        read_split(dataset, "tset", models)


def test_a_negative_focal_length_is_refused(dataset):
    change(
        dataset / "test/000001/scene_camera.json",
        lambda c: c["1"].update(cam_K=[-500, 0, 40, 0, 500, 32, 0, 0, 1]),
    )
    with pytest.raises(InputError, match=r"image 1: .* fx, fy > 0"):
        BopObjects(str(dataset), "test").open()


def test_a_missing_mask_is_named(dataset):
    for path in (dataset / "test/000001/mask_visib").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="masks of what is seen"):
        BopObjects(str(dataset), "test").open().samples([0])


ASCII = """ply
format ascii 1.0
comment by hand
element vertex 4
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
element face 2
property list uchar int vertex_indices
end_header
0 0 0 1 2 3
10 0 0 1 2 3
10 10 0 1 2 3
0 10 5 200 2 3
4 0 1 2 3
3 0 2 3
"""


def test_text_and_polygons_are_read(tmp_path):
    path = tmp_path / "a.ply"
    path.write_text(ASCII)
    mesh = read_ply(path)
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [0, 2, 3], [0, 2, 3]])
    np.testing.assert_array_equal(mesh.vertices[3], [0, 10, 5])
    assert mesh.colors[3, 0] == 200
    assert diameter_of(mesh.vertices) == pytest.approx(np.sqrt(225))
    write_ply(path, PlyMesh(mesh.vertices, mesh.faces, None))
    assert read_ply(path).colors is None
    for broken, message in (
        (path.read_bytes()[:-3], "damaged PLY file .*ends within 'face'"),
        (b"solid x", "is not a PLY file"),
        (b"ply\nformat ascii 1.0\n", "no end of its header"),
        (ASCII.replace("3 0 2 3", "3 0 2 4").encode(), "vertices that are not there"),
        (ASCII.replace("10 10 0", "10 nan 0").encode(), "not finite"),
    ):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=message):
            read_ply(path)


def test_keypoints_are_far_from_each_other():
    corners = np.array([[x, y, z] for x in (0, 9) for y in (0, 9) for z in (0, 9)], float)
    inner = np.random.default_rng(0).uniform(2, 7, (50, 3))
    found = farthest_points(np.concatenate([inner, corners]), 8)
    assert {tuple(p) for p in found} == {tuple(p) for p in corners}
    with pytest.raises(InputError, match="8 keypoints need as many vertices"):
        farthest_points(corners[:5], 8)


def test_masks_and_depths_are_those_of_the_pose():
    scene = draw_scene(1, 2, (64, 64), (2,))
    assert cv2.countNonZero((scene.owner == 0).astype(np.uint8)) > 100
    y, x = np.argwhere(scene.owner == 0)[0]
    assert abs(scene.depth[y, x] - scene.poses.t[0, 2]) < scene.objects[0].diameter
    assert (scene.depth > 0).sum() == (scene.owner >= 0).sum()
