"""One-stage models through the converter: the same outputs and people as MMPose 1.3.2."""

from functools import cache

import jax
import numpy as np
import pytest
import reference
from broken import PLACES, with_fault
from reference import FOLDER, TOLERANCE, distance, feature_distance, load
from safetensors.numpy import save_file

from jaxpose import convert
from jaxpose.codecs.one_stage import BoundModule, OneStage, OneStageOutputs, Places
from jaxpose.models.build import count_parameters
from jaxpose.models.coordinate_classifier import CoordinateClassifier
from jaxpose.models.one_stage import OneStageModel, YOLOXPoseHead
from jaxpose.models.published.one_stage import rtmo, rtmo_codec, yolox_pose
from jaxpose.models.published.yolox import yolox

RTMO, YOLOX = "rtmo_s_320x320_calibrated", "yoloxpose_tiny_256x256"
# The model, and the field of each output of the published head.
MODELS = {
    RTMO: (rtmo("s"), ("person", "boxes", None, "visible", "vectors")),
    YOLOX: (yolox_pose("tiny"), ("person", "objectness", "boxes", "keypoints", "visible")),
}
# Parts that the published code does not run when it only predicts, and the classifier, which runs
# on chosen places; `test_the_classifier_is_mmposes` sees it.
UNUSED = r"head\.(head_module\.out_kpt_reg|dcc)\."


@cache
def functions():
    with np.load(FOLDER / "one_stage.npz") as file:
        return dict(file)


def case(name):
    """Arrays of one case, by their names."""
    return {
        key.removeprefix(f"{name}/"): array
        for key, array in functions().items()
        if key.startswith(f"{name}/")
    }


@cache
def forward(name):
    """Compiled: variables and images -> outputs, maps of the backbone and of the neck."""
    model = MODELS[name][0]

    @jax.jit
    def run(variables, images):
        parts = {"backbone", "neck"}
        outputs, state = model.apply(
            variables, images, capture_intermediates=lambda module, _: module.name in parts
        )
        maps = {part: state["intermediates"][part]["__call__"][0] for part in parts}
        return outputs._replace(classifier=None), maps

    return run


def nchw(array):
    return np.asarray(array).transpose(0, 3, 1, 2)


def normalised(images):
    """Images as those of every model here; the golden ones are BGR from 0 to 255."""
    return (images[..., ::-1] - reference_mean()) / reference_std()


def reference_mean():
    return np.array([123.675, 116.28, 103.53], np.float32)


def reference_std():
    return np.array([58.395, 57.12, 57.375], np.float32)


def distances(name, outputs, golden):
    fields = MODELS[name][1]
    for key, expected in golden.outputs.items():
        _, number, level = key.split(".")
        actual = getattr(outputs.levels[int(level)], fields[int(number)])
        yield key, distance(nchw(actual), expected)


@pytest.mark.parametrize("name", MODELS)
def test_outputs_equal_mmposes(name, tmp_path):
    golden = load(name)
    path = tmp_path / "checkpoint.safetensors"
    save_file({key: np.asarray(array) for key, array in golden.state_dict.items()}, path)
    variables = convert.to_variables(convert.load_state_dict(path), MODELS[name][0])
    assert count_parameters(variables) == golden.description["parameters"]
    # Images of unit variance would be lost in the rounding of ImageNet's normalisation, which the
    # model takes back; so the maps are compared from the backbone on.
    outputs, maps = forward(name)(variables, normalised(golden.images))
    for key, summary in golden.description["features"].items():
        part, number = key.split(".")
        assert feature_distance(nchw(maps[part][int(number)]), summary) <= TOLERANCE, key
    found = dict(distances(name, outputs, golden))
    assert len(found) == len(golden.outputs)
    assert max(found.values()) <= TOLERANCE, found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", MODELS)
def test_a_broken_layer_is_seen(name, place):
    golden = load(name)
    layer, broken = with_fault(golden.state_dict, place, UNUSED)
    variables = convert.to_variables(broken, MODELS[name][0])
    outputs, _ = forward(name)(variables, normalised(golden.images))
    assert max(dict(distances(name, outputs, golden)).values()) > TOLERANCE, layer


# Factors of the case on the deterministic arrays, as in its description.
SCALED = {
    "gau.gamma": 11.313708498984761,
    "gau.beta": 5.656854249492381,
    "gau.ln.g": 246.4606826513656,
    "gau.res_scale.scale": 20.0,
    "sigma_fc.2.scale": 3.622576765305643,
}


@pytest.fixture(scope="module")
def classifier():
    golden = load(RTMO)
    prefix = "head.dcc."
    state_dict = dict(golden.state_dict)
    for key, array in golden.state_dict.items():
        name = key.removeprefix(prefix)
        if key == name or name in ("x_bins", "y_bins", "spe.dim_t"):
            continue
        drawn = reference.tensor(name, array.shape)
        state_dict[key] = drawn * np.float32(SCALED.get(name, 1))
    variables = convert.to_variables(state_dict, MODELS[RTMO][0])
    own = {kind: tree["head"]["classifier"] for kind, tree in variables.items()}
    return BoundModule(CoordinateClassifier(17), own)


def test_the_classifier_is_mmposes(classifier):
    known = case("rtmo/dcc")
    middle, size = known["bbox_cs"][:, :2], known["bbox_cs"][:, 2:] / 1.25
    boxes = np.concatenate([middle - size / 2, middle + size / 2], axis=-1)
    found = jax.jit(classifier)(known["pose_vecs"][None], boxes[None], known["grids"][None])
    # The logits of this case reach hundreds: the published distributions are 4e-4 away from those
    # in float64, and these here as far.
    for ours, theirs, tolerance in (
        (found.keypoints, "keypoints", TOLERANCE),
        (found.x, "x_heatmaps", 10 * TOLERANCE),
        (found.y, "y_heatmaps", 10 * TOLERANCE),
        (found.deviation, "sigmas", TOLERANCE),
    ):
        assert distance(np.asarray(ours[0]), known[theirs]) <= tolerance, theirs
    np.testing.assert_allclose(known["x_bins"], np.linspace(-0.5, 0.5, 192), atol=1e-7)


def test_people_of_rtmo_are_mmposes(classifier):
    known = case("rtmo/predict/0.65")
    levels = tuple(
        Places(
            *(
                known[f"raw_{name}_{i}"].transpose(0, 2, 3, 1)
                for name in ("cls", "bbox", "kpt_vis")
            ),
            vectors=known[f"raw_pose_vec_{i}"].transpose(0, 2, 3, 1),
        )
        for i in range(2)
    )
    codec = rtmo_codec((128, 128))
    priors = case("rtmo/priors")["priors"]
    ours = OneStage((256, 256), strides=(16, 32), origin="pixels").places()
    np.testing.assert_array_equal(np.column_stack([ours[0], ours[1], ours[1]]), priors)
    check_people(jax.jit(codec.decode)(OneStageOutputs(levels, classifier)), known)


def test_people_of_yolox_pose_are_mmposes():
    known = case("yoloxpose/predict/0.01_0.65")
    fields = ("cls", "bbox", "kpt_vis", "kpt_offset", "obj")
    levels = tuple(
        Places(*(known[f"raw_{name}_{i}"].transpose(0, 2, 3, 1) for name in fields))
        for i in range(3)
    )
    found = jax.jit(OneStage((128, 128), threshold=0.01).decode)(OneStageOutputs(levels))
    check_people(found, known)
    # Another origin is seen.
    shifted = jax.jit(OneStage((128, 128), origin="pixels").decode)(OneStageOutputs(levels))
    assert np.abs(shifted.keypoints[0, :3] - known["keypoints"]).max() > 1


def check_people(found, known):
    count = len(known["scores"])
    assert int(found.valid[0, :, 0].sum()) == count > 1
    visible = np.asarray(jax.nn.sigmoid(found.raw[0, :count]))
    np.testing.assert_allclose(visible, known["keypoint_scores"], atol=1e-6)
    np.testing.assert_allclose(
        found.scores[0, :count] / visible,
        known["scores"][:, None] + np.zeros_like(visible),
        atol=1e-5,
    )
    np.testing.assert_allclose(found.keypoints[0, :count], known["keypoints"], rtol=1e-5, atol=1e-3)
    assert not np.asarray(found.scores[0, count:]).any()


@pytest.mark.slow
def test_a_detectors_backbone_begins_a_pose_model(shared):
    """Weights of YOLOX for boxes fill the backbone; neck and head are drawn."""
    state_dict = convert.load_state_dict(shared / "weights/yolox_nano_bnfolded_torchnames.npz")
    nano = yolox("nano")
    head = YOLOXPoseHead(17, 64, nano.head.style)
    model = OneStageModel(nano.backbone, head, nano.neck)
    variables = convert.load_pretrained(model, state_dict, reset_head=True)
    known = convert.to_variables(state_dict, nano)
    kernel = variables["params"]["backbone"]["stem"]["conv"]["kernel"]
    np.testing.assert_array_equal(kernel, known["params"]["backbone"]["stem"]["conv"]["kernel"])
    fresh = variables["params"]["neck"]["reduce_0"]["conv"]["kernel"]
    assert fresh.shape == known["params"]["neck"]["reduce_0"]["conv"]["kernel"].shape
    assert np.asarray(fresh).std() > 0
    assert "visible_0" in variables["params"]["head"]
