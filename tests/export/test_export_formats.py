"""Exports run again in their own runtimes, with other batches than they were written with."""

import importlib.util
import json
from dataclasses import replace

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import TOLERANCE, distance
from tiny import get_config
from typer.testing import CliRunner

from jaxpose import export, geometry
from jaxpose.cli.main import app
from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.config import to_json
from jaxpose.convert.release import Card, save_release
from jaxpose.errors import InputError
from jaxpose.export import check, onnx
from jaxpose.export.formats import FORMATS, card_of
from jaxpose.models import videopose3d
from jaxpose.skeletons import COCO17, H36M17
from jaxpose.tasks.lifting.program import window_program
from jaxpose.tasks.topdown.program import image_program

RUNTIMES = {"tflite": "ai_edge_litert", "onnx": "onnxruntime"}


def runs(name):
    """Skips where the format's runtime is not installed."""
    package = RUNTIMES.get(name)
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    return name


def export_command(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


@pytest.fixture(scope="module")
def tiny():
    """One block and a narrow blur: less to trace, the same operations."""
    experiment = get_config()
    backbone = experiment.model.backbone.clone(depth=1)
    experiment = replace(
        experiment,
        model=experiment.model.clone(backbone=backbone),
        codec=replace(experiment.codec, blur_kernel=3),
    )
    return experiment, drawn.variables(experiment.model, experiment.input_hw)


@pytest.fixture(scope="module")
def program(tiny):
    experiment, variables = tiny
    return image_program(experiment.model, variables, experiment.codec, COCO17)


@pytest.fixture(scope="module")
def release(tiny, tmp_path_factory):
    experiment, variables = tiny
    folder = tmp_path_factory.mktemp("release") / "tiny"
    estimator, _ = experiment.task().estimator(variables)
    config = {"name": "tiny", "estimator": to_json(estimator)}
    save_release(folder, variables, config, Card("tiny", "drawn", "crops", COCO17.keypoints))
    return folder


@pytest.fixture(scope="module")
def exports(release, tmp_path_factory):
    """Every format whose runtime is here, written by the command; not compared there."""
    out = tmp_path_factory.mktemp("exports") / "out"
    names = [n for n in FORMATS if n not in RUNTIMES or importlib.util.find_spec(RUNTIMES[n])]
    result = export_command(release, "--to", ",".join(names), "--out", out, "--no-check")
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def expected(program):
    images = program.samples(3)
    return images, check.in_jax(program)(*images)


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_says_what_jax_says(name, exports, expected):
    images, ours = expected
    theirs = export.load(exports / f"model{FORMATS[runs(name)].SUFFIX}")(*images)
    assert set(theirs) == {"keypoints", "scores"}
    assert distance(theirs["keypoints"], ours["keypoints"]) <= TOLERANCE
    assert np.abs(theirs["scores"] - ours["scores"]).max() <= 1e-5


def test_a_card_says_what_goes_in_and_out(exports):
    card = json.loads(card_of(exports / "model.stablehlo").read_text())
    assert [value["name"] for value in card["inputs"]] == ["images"]
    assert card["inputs"][0]["shape"] == ["B", 64, 48, 3]
    assert card["inputs"][0]["dtype"] == "uint8"
    assert "pixels of the crop" in card["outputs"][0]["meaning"]
    assert card["keypoints"] == list(COCO17.keypoints)
    assert card["normalisation"]["included"] and card["flip_test"]
    assert card["crop"] == {"padding": 1.25, "udp": True, "included": False}
    assert card["made"]["from"] == "tiny"


def test_arrays_that_do_not_fit_are_refused(exports):
    loaded = export.load(exports / "model.stablehlo")
    with pytest.raises(InputError, match=r"images is uint8, not float32"):
        loaded(np.zeros((1, 64, 48, 3), np.float32))
    with pytest.raises(InputError, match=r"images is \[B, 64, 48, 3\], not \[1, 48, 64, 3\]"):
        loaded(np.zeros((1, 48, 64, 3), np.uint8))
    with pytest.raises(InputError, match=r"not \[0, 64, 48, 3\]"):
        loaded(np.zeros((0, 64, 48, 3), np.uint8))
    with pytest.raises(InputError, match=r"takes 1 array\(s\): images"):
        loaded()


def test_files_that_are_no_export_are_refused(exports, tmp_path):
    with pytest.raises(InputError, match=r"names end in \.stablehlo"):
        export.load(tmp_path / "model.pt")
    with pytest.raises(InputError, match="does not exist"):
        export.load(tmp_path / "model.stablehlo")
    (tmp_path / "model.stablehlo").write_bytes(b"noise")
    with pytest.raises(InputError, match=r"cannot be read.*it belongs to model\.stablehlo"):
        export.load(tmp_path / "model.stablehlo")
    card_of(tmp_path / "model.stablehlo").write_text('{"inputs": []}')
    with pytest.raises(InputError, match="or is damaged"):
        export.load(tmp_path / "model.stablehlo")


def test_a_photo_is_cut_as_it_is_for_evaluation(tiny, tmp_path):
    """One smaller than the export's, filled up with zeros, with a box that reaches outside."""
    runs("onnx")
    experiment, variables = tiny
    parts = experiment.model, variables, experiment.codec, COCO17
    in_photo = image_program(*parts, level="photo", image_hw=(80, 100), flip_test=False)
    of_crops = image_program(*parts, flip_test=False)
    onnx.write(in_photo, tmp_path / "model.onnx")
    image = np.zeros((80, 100, 3), np.uint8)
    image[:70, :90] = np.random.default_rng(0).integers(0, 256, (70, 90, 3))
    boxes = np.array([[10, 12, 30, 50], [-9, 20, 60, 70], [4, 4, 20, 20]], np.float32)
    theirs = onnx.start(tmp_path / "model.onnx", ("photo", "boxes"))(image, boxes)

    @jax.jit
    def expected(image):
        center, size = geometry.box_to_center_scale(boxes, 1.25)
        matrices = geometry.crop_matrix(
            center, geometry.fix_aspect_ratio(size, 0.75), (64, 48), udp=True
        )
        crops = geometry.warp(jnp.stack([image] * 3), matrices, (64, 48))
        found = of_crops.function(crops)
        return geometry.apply_affine(geometry.invert_affine(matrices), found["keypoints"])

    ours = expected(image[:70, :90])
    assert distance(theirs["keypoints"], np.asarray(ours)) <= TOLERANCE


def test_a_lifter_answers_in_millimetres(tmp_path):
    runs("onnx")
    model = videopose3d(27, channels=8)
    variables = drawn.variables(model, None)
    windows = window_program(model, variables, LiftingCodec(), H36M17)
    assert windows.outputs[0].shape == ("B", 1, 17, 3)
    arrays = windows.samples(3)
    onnx.write(windows, tmp_path / "lifter.onnx")
    found = onnx.start(tmp_path / "lifter.onnx", ("keypoints",))(*arrays)
    assert distance(found["joints"], check.in_jax(windows)(*arrays)["joints"]) <= TOLERANCE
    with pytest.raises(InputError, match="a lifter takes keypoints, not images"):
        window_program(model, variables, LiftingCodec(), H36M17, level="photo")


def test_the_bare_outputs_have_names_of_their_own(tiny):
    experiment, variables = tiny
    bare = image_program(experiment.model, variables, experiment.codec, COCO17, level="model")
    assert [(v.name, v.shape) for v in bare.outputs] == [("output", ("B", 16, 12, 17))]
    assert [(v.dtype, v.shape) for v in bare.inputs] == [("float32", ("B", 64, 48, 3))]
    assert not bare.facts["normalisation"]["included"] and not bare.facts["flip_test"]


def test_what_differs_is_measured(program, expected):
    ours = expected[1]
    moved = {**ours, "keypoints": ours["keypoints"] + np.float32(0.25)}
    found = check.difference(program, moved, ours)
    assert found.pixels == pytest.approx(0.25, abs=1e-4) and found.share == 0
    assert not found.within(check.EXACT) and found.within(check.HALF)
    broken = {**ours, "scores": np.full_like(ours["scores"], np.nan)}
    assert not check.difference(program, broken, ours).within(check.HALF)
    fewer = {name: array[:2] for name, array in ours.items()}
    assert check.difference(program, fewer, ours).pixels == float("inf")


def test_stablehlo_is_for_every_platform_and_batch(exports):
    loaded = jax.export.deserialize(bytearray((exports / "model.stablehlo").read_bytes()))
    assert loaded.platforms == ("cpu", "cuda", "tpu")
    assert [str(size) for size in loaded.in_avals[0].shape] == ["B", "64", "48", "3"]


@pytest.mark.parametrize("name", ["savedmodel", "tflite", "onnx"])
def test_weights_beyond_a_files_limit_are_refused(name, program, tmp_path):
    huge = replace(program, weight_bytes=5 << 29)
    with pytest.raises(
        InputError, match=r"can hold 2 GiB, but the weights are 2\.5 GiB: export st"
    ):
        FORMATS[name].write(huge, tmp_path / "model")
