"""Stand-in batches of `jaxpose bench` for the tasks of images."""

import jax
import numpy as np
import pytest

from jaxpose.bench import dummy_inputs
from jaxpose.train.mesh import make_mesh
from jaxpose.train.recipe import load_recipe


@pytest.mark.parametrize(
    ("recipe", "labels"),
    [
        ("quickstart", {"keypoints", "visible", "box_xywh"}),
        ("bottomup_synthetic", {"keypoints", "visible"}),
        ("small_finder", set()),
    ],
)
def test_a_batch_has_the_arrays_of_its_task(recipe, labels):
    experiment = load_recipe(recipe)
    shapes = experiment.task().abstract_batch(make_mesh(experiment.mesh, jax.devices()[:1]))
    batch = dummy_inputs.batch(shapes)
    assert {name: (x.shape, x.dtype) for name, x in batch.items()} == {
        name: (x.shape, x.dtype) for name, x in shapes.items()
    }
    assert batch.keys() >= {"image", "mask"} | labels
    assert np.asarray(batch["image"]).std() > 50 and np.asarray(batch["mask"]).all()
    if "keypoints" in labels:
        height, width = batch["image"].shape[1:3]
        keypoints = np.asarray(batch["keypoints"])
        assert (keypoints > 0).all() and (keypoints < [width, height]).all()
