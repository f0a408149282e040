"""Records of published models: complete, right about the models, one file for each family."""

import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from jaxpose.convert.formats import FORMATS
from jaxpose.convert.load import expected_leaves
from jaxpose.detect.decode import AnchoredConvention, convention_of
from jaxpose.download.address import address_of
from jaxpose.models import abstract_variables
from jaxpose.models.normalisation import IMAGENET_RGB
from jaxpose.models.published.catalogue import (
    ACTION_MODELS,
    BACKBONES,
    CATALOGUE,
    DETECTORS,
    FAMILIES,
    LIFTERS,
    MESH_MODELS,
    UNPUBLISHED,
    find,
    records,
)
from jaxpose.tasks.topdown.augment import IMAGENET_MEAN, IMAGENET_STD

ROOT = Path(__file__).resolve().parents[2]
EVERY = (*CATALOGUE, *DETECTORS, *LIFTERS, *BACKBONES, *ACTION_MODELS, *MESH_MODELS)
# One of each combination of backbone, head and codec that is quick to trace.
TRACED = (
    *("vitpose-s", "vitpose-s-simple", "vitpose-plus-s-aic", "hrnetv2-w18-cofw", "litehrnet-18"),
    *("hourglass-52", "simple-baseline-r50", "simcc-r50", "deeppose-r50", "rle-r50"),
    *("integral-r50-256x256", "mobilenetv2", "rtmpose-t-face", "rtmpose-m-ap10k", "transpose-r-a3"),
    *("simcc-mobilenetv2-direct", "rle-mobilenetv2", "cspnext-t-heatmap", "vitpose-s-simcc"),
    *("rtmw-m", "rtmw3d-l-384x288", "internet-r50", "fan-2d"),
)


@pytest.mark.parametrize("name", TRACED)
def test_a_codec_decodes_what_its_model_gives(name):
    record = find(name)
    model, codec = record.model(), record.codec(record.input_hw)
    variables = abstract_variables(model, record.input_hw)
    images = jax.ShapeDtypeStruct((1, *record.input_hw, 3), jnp.float32)
    outputs = jax.tree.leaves(jax.eval_shape(model.apply, variables, images))
    shapes = tuple(leaf.shape[1:] for leaf in outputs)
    assert shapes in codec.output_shapes(record.num_keypoints)


def test_every_record_states_its_keypoints():
    for record in (*CATALOGUE, *LIFTERS):
        if record.name != "openpose":
            assert record.skeleton is not None, record.name
            assert record.skeleton.num_keypoints == record.num_keypoints, record.name
            assert record.trained_on and record.source, record.name


def test_lifters_have_a_codec_or_say_what_they_cannot_do():
    for record in LIFTERS:
        assert (record.codec is None) == bool(record.limit), record.name
        if record.codec is not None:
            assert record.codec.num_keypoints == record.num_keypoints
            outputs = record.model().head.num_keypoints
            assert outputs == record.num_keypoints - record.codec.drop_root


def test_classifiers_of_actions_have_a_codec_or_say_what_they_cannot_do():
    for record in ACTION_MODELS:
        model = record.model()
        assert (record.codec is None) == bool(record.limit), record.name
        assert model.head.num_classes == record.num_classes
        assert record.frames == model.frames
        if record.codec is not None:
            assert record.codec.input_shape == model.input_shape()[1:], record.name
        if record.skeleton is not None:
            assert record.skeleton.num_keypoints == record.num_keypoints, record.name


def test_addresses_are_whole_and_of_one_model_each():
    weights = {record.name: record.weights for record in EVERY if record.weights is not None}
    assert len(weights) >= 55
    assert len({w.address for w in weights.values()}) == len(weights)
    for name, w in weights.items():
        address = address_of(w.address)
        assert address.url == w.address and address.name == w.file_name, name
        assert w.sha256.startswith(address.sha256), name
        assert find(name).licence, name


def test_outputs_that_models_are_tested_against_are_there():
    with np.load(ROOT / "tests/golden/detectors.npz") as file:
        detectors = {key.split("/")[0] for key in file.files}
    for record in EVERY:
        known = detectors if record.kind == "detector" else set(reference.models())
        assert set(record.golden) <= known, record.name


@pytest.mark.parametrize("name", ["integral-r50-debias-256x256", "vitpose-plus-s-ap10k"])
def test_records_of_the_same_arrays_are_of_different_models(name):
    record = find(name)
    other = find(record.same_arrays_as)
    size = record.input_hw
    one, two = record.model(), other.variant(record.num_keypoints, size)
    assert one != two and expected_leaves(one) == expected_leaves(two)


def test_names_of_the_same_arrays_are_names():
    for record in (*EVERY, *UNPUBLISHED):
        assert not record.same_arrays_as or find(record.same_arrays_as) != record


def test_images_are_normalised_as_recorded():
    np.testing.assert_allclose(IMAGENET_MEAN, IMAGENET_RGB.mean, rtol=1e-6)
    np.testing.assert_allclose(IMAGENET_STD, IMAGENET_RGB.std, rtol=1e-6)
    for record in DETECTORS:
        convention = convention_of(record.model())
        if isinstance(convention, AnchoredConvention):  # the models convert it to the record's
            assert (convention.mean, convention.order) == (IMAGENET_RGB.mean, "RGB")
            continue
        assert convention.mean == record.normalisation.mean
        assert convention.order == record.normalisation.order
        assert convention.std == record.normalisation.std


def test_no_two_families_have_a_table_for_one_class():
    for tables in ("mmpose", "mmdet"):
        kinds = [kind for family in FAMILIES for kind in getattr(family, tables)]
        assert len(set(kinds)) == len(kinds)
    names = [known.name for known in FORMATS]
    assert len(set(names)) == len(names)


def test_records_are_found_by_words_and_patterns():
    sizes = ("nano", "tiny", "s", "m")
    assert {r.name for r in records("yolox", "detector")} == {f"yolox-{s}" for s in sizes}
    assert [r.name for r in records("rtmpose-?", "pose")] == [f"rtmpose-{s}" for s in "tsml"]
    assert records("no such model") == [] and records("yolox", "lifter") == []
    assert len(records()) == len(EVERY)


NEW = '''
"""A family of one file."""

import flax.linen as nn

from jaxpose.codecs.heatmap import msra
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.published.record import Family, PublishedPose
from jaxpose.skeletons import COCO17

__all__ = ["NEWNET", "NewNet", "newnet"]


class NewNet(nn.Module):
    """One convolution of stride 4."""

    @nn.compact
    def __call__(self, images, train=False):
        """`[B, H, W, 3]` -> `[B, H / 4, W / 4, 8]`."""
        return nn.Conv(8, (4, 4), (4, 4), padding="VALID", name="patch")(images)


def newnet(num_keypoints=17):
    """NewNet and a 1x1 convolution."""
    return PoseModel(NewNet(), DeconvHead(num_keypoints, ()))


def _mmpose(model):
    """Table from the names of MMPose."""
    return layouts.dense("backbone.patch", "backbone/patch", kernel=layouts.conv)


NEWNET = Family(
    "newnet",
    mmpose={NewNet: _mmpose},
    published=(
        PublishedPose(
            name="newnet",
            make=lambda num_keypoints, input_hw: newnet(num_keypoints),
            codec=msra,
            skeleton=COCO17,
            trained_on=("COCO",),
        ),
    ),
)
'''
USE = """
import sys
import numpy as np
import jaxpose
from pathlib import Path
from jaxpose.config import from_json, to_json
from jaxpose.hub.convert_options import ConvertOptions
from jaxpose.hub.from_checkpoint import release_checkpoint

assert jaxpose.__file__.startswith(sys.argv[1]), jaxpose.__file__
assert jaxpose.list_models("new*") == ["newnet"]
assert "newnet" in dir(jaxpose.models) and jaxpose.models.newnet().head.num_keypoints == 17
arrays = {
    "backbone.patch.weight": np.ones((8, 3, 4, 4), np.float32),
    "backbone.patch.bias": np.zeros(8, np.float32),
    "head.final_layer.weight": np.ones((17, 8, 1, 1), np.float32),
    "head.final_layer.bias": np.zeros(17, np.float32),
}
np.savez("x.npz", **arrays)
release_checkpoint(Path("x.npz"), Path("out"), ConvertOptions())
trained = jaxpose.load("./out")
assert trained.model == jaxpose.models.newnet() and trained.skeleton.name == "coco17"
print(to_json(trained.model)["backbone"])
"""


def test_a_family_is_one_file_and_one_line(tmp_path):
    """A backbone with its constructor, table and record, in a copy of the package."""
    package = tmp_path / "jaxpose"
    shutil.copytree(ROOT / "jaxpose", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "models/newnet.py").write_text(NEW.lstrip())
    families = package / "models/published/families.py"
    line = "from jaxpose.models.newnet import *\n"
    families.write_text(families.read_text() + line)
    done = subprocess.run(
        [sys.executable, "-c", USE, str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "jaxpose.models.newnet.NewNet" in done.stdout
