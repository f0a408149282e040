"""References that are kept beside the tests: complete, compared, unchanged, small enough."""

import importlib.util
import inspect
import json
import sys
import zlib
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import reference

from jaxpose.models.published import catalogue
from jaxpose.models.published.catalogue import ACTION_MODELS, LIFTERS

TESTS = Path(__file__).parent
FOLDER = TESTS / "golden"

# A test takes the name of a case of golden/*.npz as its parameter of this name.
PARAMETER = "golden_case"
COMPARED_IN = (
    "codecs/test_heatmap.py",
    "codecs/test_megvii.py",
    "codecs/test_regression.py",
    "codecs/test_simcc.py",
    "geometry/test_planar.py",
    "losses/test_coordinates.py",
    "losses/test_heatmap_loss.py",
    "losses/test_simcc_loss.py",
    "metrics/test_error.py",
    "metrics/test_mpjpe.py",
    "metrics/test_oks.py",
    "metrics/test_pck.py",
)

# Kept for lifters whose names convert reads beside MMPose's.
OFFICIAL_LIFTERS = (
    "official_videopose3d_27",
    "official_videopose3d_27_causal",
    "official_videopose3d_27_traj",
    "official_motionbert_lite",
    "poseformer_9",
)


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def extract() -> ModuleType:
    return load_module(FOLDER / "extract.py")


@cache
def arrays() -> dict[str, np.ndarray]:
    """Every array of the functions' references, by name."""
    found = {}
    for room in extract().KEPT:
        with np.load(FOLDER / f"{room}.npz") as file:
            found |= dict(file)
    return found


def case_of(array: str) -> str:
    return array.rsplit("/", 1)[0]


@cache
def comparisons() -> dict[str, tuple[ModuleType, object, dict]]:
    """By case: the module and the test that compare it, and the test's arguments."""
    found = {}
    for file in COMPARED_IN:
        sys.path.insert(0, str((TESTS / file).parent))  # its neighbours
        try:
            module = load_module(TESTS / file)
        finally:
            sys.path.pop(0)
        for _, test in inspect.getmembers(module, inspect.isfunction):
            for arguments in argument_sets(test):
                case = arguments[PARAMETER]
                assert case not in found, f"{case} is compared twice"
                found[case] = (module, test, arguments)
    return found


def argument_sets(test) -> list[dict]:
    """One set of arguments for each golden case of a test, from its table of parameters."""
    sets: list[dict] = [{}]
    for mark in getattr(test, "pytestmark", ()):
        names, values = mark.args[:2] if mark.name == "parametrize" else ((), ())
        names = names.split(",") if isinstance(names, str) else names
        rows = [row if len(names) > 1 else (row,) for row in values]
        if PARAMETER not in names:
            rows = rows[:1]
        if rows:
            sets = [known | dict(zip(names, row, strict=True)) for known in sets for row in rows]
    return [arguments for arguments in sets if PARAMETER in arguments]


def test_every_case_is_compared():
    """The cases that the tests' tables of parameters name are those that are kept."""
    cases = {case_of(name) for name in arrays()}
    assert len(cases) == 52
    assert set(comparisons()) == cases


def changed(name: str) -> np.ndarray:
    """The array `name`, a little different: noise of 5 % of its spread, or each 0 a 1."""
    array = arrays()[name]
    if np.isin(array, (0, 1)).all():
        return ~array if array.dtype == bool else 1 - array
    amount = 0.05
    if name.startswith("metric/pck/"):  # counts what passes a threshold
        if name.endswith("/norm"):
            return array / 10
        amount = 1.0
    spread = np.nanstd(array) or np.abs(array).max()
    drawn = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(array.shape)
    return (array + amount * spread * drawn).astype(array.dtype)


@pytest.mark.parametrize("array", sorted(arrays()))
def test_a_changed_array_is_seen(array, monkeypatch):
    """Each comparison fails when one array of its case is not what it was."""
    module, test, arguments = comparisons()[case_of(array)]
    monkeypatch.setattr(module, "GOLDEN", arrays() | {array: changed(array)})
    with pytest.raises(AssertionError):
        test(**arguments)


def test_functions_are_kept_as_they_were(shared):
    cases = json.loads((shared / "golden/functions.json").read_text())["cases"]
    assert {f"{case['name']}/{array}" for case in cases for array in case["arrays"]} == set(
        arrays()
    )
    with np.load(shared / "golden/functions.npz") as functions:
        for name, array in arrays().items():
            np.testing.assert_array_equal(array, functions[name], err_msg=name)


@pytest.mark.parametrize("name", extract().MODELS)
def test_models_are_kept_as_they_were(name, shared):
    expected = extract().pack(shared / "golden", name)
    with np.load(FOLDER / "models" / f"{name}.npz") as kept:
        assert set(kept.files) == set(expected)
        for key, array in expected.items():
            np.testing.assert_array_equal(kept[key], array, err_msg=key)


# One tensor of each kind.
RECIPE = (
    ("a.weight", (4, 3, 3, 3)),
    ("a.weight", (7,)),
    ("a.bias", (5,)),
    ("a.running_mean", (6,)),
    ("a.running_var", (6,)),
    ("a.num_batches_tracked", ()),
    ("scale", ()),
)
CHECKSUM = 0x1491CAF


def test_the_recipe_is_the_one_that_made_them(shared):
    recipe = load_module(shared / "golden/recipe.py")
    for name, shape in RECIPE:
        for seed in (0, 3):
            expected = recipe.tensor(name, shape, seed)
            actual = reference.tensor(name, shape, seed)
            assert actual.dtype == expected.dtype
            np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(reference.noise((1, 3, 8, 6), 2), recipe.image((1, 3, 8, 6), 2))


def test_this_numpy_draws_the_recipes_numbers():
    """Parity fails everywhere if NumPy's streams change, and this test says so."""
    drawn = [reference.tensor(name, shape).tobytes() for name, shape in RECIPE]
    drawn.append(reference.noise((1, 3, 4, 4)).tobytes())
    assert zlib.crc32(b"".join(drawn)) == CHECKSUM, "another NumPy, other stand-in weights"


def test_every_model_that_is_named_is_kept():
    published = [*catalogue.CATALOGUE, *LIFTERS, *ACTION_MODELS]
    named = {name for entry in published for name in entry.golden}
    assert named <= set(reference.models()) == set(extract().MODELS)


@pytest.mark.parametrize("name", OFFICIAL_LIFTERS)
def test_a_lifters_state_dict_is_filled(name):
    golden = reference.load(name)
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    arrays = {k: a for k, a in golden.state_dict.items() if not k.endswith(buffers)}
    assert sum(array.size for array in arrays.values()) == golden.description["parameters"]
    assert list(golden.images.shape) == golden.description["input_shape"]
    for output in golden.outputs.values():
        assert len(output.values) == -(-np.prod(output.shape) // output.stride)
        assert np.isfinite(output.values).all() and output.std > 0


def test_an_output_is_compared_where_it_is_stored_and_as_a_whole():
    rng = np.random.default_rng(0)
    array = rng.standard_normal((3, 50)).astype(np.float32)
    output = reference.Output((3, 50), 7, array.ravel()[::7], array.mean(), array.std())
    assert reference.distance(array, output) < 1e-6
    stored, whole, broken = array.copy(), array.copy(), array.copy()
    stored[0, 7] += 1
    whole.ravel()[np.arange(150) % 7 > 0] += 0.01
    broken[0, 1] = np.nan
    assert reference.distance(stored, output) == pytest.approx(1 / array.std(), rel=1e-5)
    assert 0.005 < reference.distance(whole, output) < 0.02
    for other in (broken, array.T, array[:2]):
        assert reference.distance(other, output) == np.inf


def test_references_stay_small():
    sizes = {path: path.stat().st_size for path in FOLDER.rglob("*.npz")}
    assert sum(sizes.values()) < 6.5 * 2**20
    assert max(sizes.values()) < 2 * 2**20
