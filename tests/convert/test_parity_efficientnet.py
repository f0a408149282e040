"""EfficientNet-Lite0 from the published checkpoint, against PyTorch's features and classes."""

from types import SimpleNamespace

import cv2
import jax
import numpy as np
import pytest
from reference import real_weights

from jaxpose.convert import load_pretrained, load_state_dict
from jaxpose.models import efficientnet_classifier, efficientnet_pose
from jaxpose.models.published.efficientnet import EFFICIENTNET
from jaxpose.tasks.topdown.augment import normalize

FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# Of the standard deviation; 1e-5 is measured.
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def lite0(shared):
    """The classifier, the photos, and the runtime's outputs."""
    folder = shared / "weights" / "efficientnet_lite0"
    state_dict = load_state_dict(real_weights(FILE, SHA256))
    model = efficientnet_classifier()
    images = cv2.imread(str(folder / "inputs.webp"))[..., ::-1].reshape(5, 224, 224, 3)
    with np.load(folder / "golden.npz") as file:
        golden = dict(file)

    @jax.jit
    def run(variables, images):
        features, state = model.apply(
            variables,
            normalize(images),
            capture_intermediates=lambda module, _: module.name == "backbone",
        )
        return features, state["intermediates"]["backbone"]["__call__"][0]

    return SimpleNamespace(
        state_dict=state_dict, model=model, images=images, golden=golden, run=run
    )


def distance(features, expected):
    return np.abs(np.moveaxis(np.asarray(features), -1, 1) - expected).max() / expected.std()


def test_features_and_classes_are_those_of_pytorch(lite0):
    variables = load_pretrained(lite0.model, lite0.state_dict)
    logits, features = lite0.run(variables, lite0.images)
    assert distance(features[:1], lite0.golden["full_weights_block15"]) < TOLERANCE
    probabilities = np.asarray(jax.nn.softmax(logits))
    best = np.argsort(-probabilities, axis=1)[:, :5]
    np.testing.assert_array_equal(best, lite0.golden["top5_class"])
    found = np.take_along_axis(probabilities, best, 1)
    np.testing.assert_allclose(found, lite0.golden["top5_prob"], atol=1e-4)


def test_features_of_weights_that_were_stored_as_float16(lite0):
    """The runtime's features of all five photos are from kernels that were rounded once."""
    rounded = {
        key: array.astype(np.float16).astype(np.float32) if array.ndim > 1 else array
        for key, array in lite0.state_dict.items()
    }
    _, features = lite0.run(load_pretrained(lite0.model, rounded), lite0.images)
    assert distance(features, lite0.golden["block15"]) < TOLERANCE


def test_a_pose_model_starts_from_the_backbone(lite0):
    model = efficientnet_pose(3)
    start = load_pretrained(model, lite0.state_dict, reset_head=True)
    whole = load_pretrained(lite0.model, lite0.state_dict)
    for kind in ("params", "batch_stats"):
        for a, b in zip(
            jax.tree.leaves(start[kind]["backbone"]),
            jax.tree.leaves(whole[kind]["backbone"]),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


def test_both_projects_names_lead_to_the_same_arrays():
    model = efficientnet_classifier()
    targets = [
        {
            rule.target
            for part in (model.backbone, model.head)
            for rule in known.tables[type(part)](part)
        }
        for known in EFFICIENTNET.formats
    ]
    assert len(targets) == 2 and targets[0] == targets[1]
