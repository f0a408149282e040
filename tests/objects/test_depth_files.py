"""Depth images come back within half a unit, and wrong ones are named."""

import cv2
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.objects.bop import read_models, read_split
from jaxpose.objects.bop_writing import write_drawn_bop
from jaxpose.objects.depth_files import read_depth, write_depth
from jaxpose.objects.drawn_scenes import SyntheticObjects, draw_scene

DATA = SyntheticObjects(1, seed=4, canvas_hw=(40, 48))


def test_depths_of_a_dataset_come_back(tmp_path):
    write_drawn_bop(tmp_path, DATA)
    (image,), _ = read_split(tmp_path, "test", read_models(tmp_path / "models"))
    scene = draw_scene(DATA.seed, 0, DATA.canvas_hw, DATA.objects)
    found = read_depth(image.depth, image.depth_scale)
    np.testing.assert_allclose(found, scene.depth, atol=0.051)
    assert (found > 0).any() and ((found == 0) == (scene.owner < 0)).all()
    image.depth.unlink()
    (image,), _ = read_split(tmp_path, "test", read_models(tmp_path / "models"))
    assert image.depth is None


def test_wrong_depths_are_named(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match=r"a\.png is damaged or is no depth image"):
        read_depth(path, 1.0)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"a\.png"):
        read_depth(path, 1.0)
    path.write_bytes(b"depth")
    with pytest.raises(InputError, match=r"a\.png"):
        read_depth(path, 1.0)
    with pytest.raises(InputError, match=r"b\.png"):
        read_depth(tmp_path / "b.png", 1.0)
    with pytest.raises(InputError, match=r"needs a depth_scale above 0\.01"):
        write_depth(path, np.full((2, 2), 900.0), 0.01)


def test_a_wrong_depth_scale_is_named(tmp_path):
    write_drawn_bop(tmp_path, DATA)
    cameras = tmp_path / "test/000001/scene_camera.json"
    cameras.write_text(cameras.read_text().replace('"depth_scale": 0.1', '"depth_scale": -1'))
    with pytest.raises(InputError, match="image 0: depth_scale is -1"):
        read_split(tmp_path, "test", read_models(tmp_path / "models"))
