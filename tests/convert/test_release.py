"""Releases: written whole or not at all, and read back by everything that loads weights."""

import json

import jax
import numpy as np
import pytest

from jaxpose import convert
from jaxpose.convert.release import Card, load_release, save_release
from jaxpose.convert.rules import flatten
from jaxpose.errors import InputError
from jaxpose.models import DeconvHead, PoseModel, ViT, init_variables

CARD = Card(
    "tiny", "made up", "RGB, 48 x 64 pixels", ("nose", "left_eye"), metrics={"AP": 0.5, "APM": -1.0}
)


def model(num_keypoints=2, input_hw=(64, 48)):
    return PoseModel(
        ViT(input_hw=input_hw, dim=8, depth=2, heads=2), DeconvHead(num_keypoints, (4,))
    )


@pytest.fixture(scope="module")
def variables():
    return jax.device_get(init_variables(model(), jax.random.key(0), (64, 48)))


def equal(a, b) -> bool:
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def test_variables_and_configuration_come_back(variables, tmp_path):
    save_release(tmp_path / "out", variables, {"model": {"class": "x"}}, CARD)
    release = load_release(tmp_path / "out")
    assert release.config == {"model": {"class": "x"}}
    assert equal(release.variables, variables)
    card = (tmp_path / "out" / "README.md").read_text()
    for words in (
        "# tiny",
        "made up",
        "48 x 64 pixels",
        "nose, left_eye",
        "| AP | 0.5 |",
        "| APM | nothing to measure |",
        "Licence",
    ):
        assert words in card
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_release_is_a_checkpoint_like_any_other(variables, tmp_path):
    save_release(tmp_path / "out", variables, {}, CARD)
    for path in (tmp_path / "out", tmp_path / "out" / "model.safetensors"):
        assert equal(convert.load_pretrained(model(), path), variables)
    larger = convert.load_pretrained(model(5, (128, 96)), tmp_path / "out", reset_head=True)
    assert larger["params"]["backbone"]["position_embedding"].shape == (48, 8)
    assert larger["params"]["head"]["final"]["bias"].shape == (5,)
    blocks = larger["params"]["backbone"]["blocks"], variables["params"]["backbone"]["blocks"]
    assert equal(*blocks)


def test_half_stores_parameters_as_float16(variables, tmp_path):
    wide = {**variables, "batch_stats": {"head": {"var": np.full(3, 1e6, np.float32)}}}
    save_release(tmp_path / "full", wide, {}, CARD)
    save_release(tmp_path / "half", wide, {}, CARD, half=True)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.7 * sizes[0]
    loaded = flatten(load_release(tmp_path / "half").variables)
    for path, leaf in flatten(wide).items():
        assert loaded[path].dtype == np.float32
        np.testing.assert_allclose(loaded[path], leaf, rtol=1e-3, atol=1e-7, err_msg=path)
    assert loaded["batch_stats/head/var"][0] == 1e6
    wide["params"] = {**wide["params"], "scale": np.full(3, 1e6, np.float32)}
    with pytest.raises(InputError, match="float16 cannot store"):
        save_release(tmp_path / "other", wide, {}, CARD, half=True)
    assert not (tmp_path / "other").exists()


def test_nothing_is_overwritten_unasked(variables, tmp_path):
    save_release(tmp_path / "out", variables, {"a": 1}, CARD)
    with pytest.raises(InputError, match="exists"):
        save_release(tmp_path / "out", variables, {"a": 2}, CARD)
    save_release(tmp_path / "out", variables, {"a": 2}, CARD, overwrite=True)
    assert load_release(tmp_path / "out").config == {"a": 2}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="is not a release and is not replaced"):
        save_release(tmp_path / "mine", variables, {}, CARD, overwrite=True)


def test_what_fails_half_way_leaves_nothing(variables, tmp_path):
    with pytest.raises(TypeError):
        save_release(tmp_path / "out", variables, {"a": object()}, CARD)
    assert list(tmp_path.iterdir()) == []


def test_damaged_and_later_releases_are_refused(variables, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="is not a release"):
        load_release(out)
    save_release(out, variables, {}, CARD)
    (out / "config.json").write_text(json.dumps({"format": "jaxpose 9", "schema": 9}))
    with pytest.raises(InputError, match="newer version of jaxpose: it has schema 9"):
        load_release(out)
    (out / "config.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        load_release(out)


def test_keypoints_of_the_same_name_are_copied(variables, tmp_path):
    rows = convert.shared_keypoints(("tail", "left_eye", "nose"), ("nose", "left_eye"))
    assert rows == {1: 1, 2: 0}
    fresh = jax.device_get(init_variables(model(3), jax.random.key(1), (64, 48)))
    loaded = convert.load_pretrained(model(3), flatten(variables), variables=fresh, keypoints=rows)
    source, target = variables["params"]["head"], loaded["params"]["head"]
    kernel = target["final"]["kernel"]
    np.testing.assert_array_equal(kernel[..., 1], source["final"]["kernel"][..., 1])
    np.testing.assert_array_equal(kernel[..., 2], source["final"]["kernel"][..., 0])
    np.testing.assert_array_equal(
        kernel[..., 0], fresh["params"]["head"]["final"]["kernel"][..., 0]
    )
    np.testing.assert_array_equal(target["deconv_0"]["kernel"], source["deconv_0"]["kernel"])
    with pytest.raises(InputError, match="row 7"):
        convert.load_pretrained(model(3), flatten(variables), keypoints={0: 7})
    with pytest.raises(InputError, match="not both"):
        convert.load_pretrained(model(3), flatten(variables), keypoints=rows, reset_head=True)
    with pytest.raises(InputError, match="same name"):
        convert.shared_keypoints(("a",), ("b",))
