"""Names of earlier versions still lead to what they named, with a warning."""

import importlib
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from jaxpose.config import config_fields, to_json
from jaxpose.deprecations import MODULES, NAMES, moved
from jaxpose.train.recipe import load_recipe

HERE = Path(__file__).resolve().parent
OLD_RECIPES = sorted((HERE / "frozen" / "recipes-0.1.0").glob("*.py"))
LISTED = json.loads((HERE / "frozen" / "classes-0.1.0.json").read_text())["configurable"]


def at(path: str):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("recipe", OLD_RECIPES, ids=lambda recipe: recipe.stem)
def test_a_recipe_of_0_1_0_is_what_the_shipped_one_is_now(recipe):
    with pytest.warns(DeprecationWarning, match=r"jaxpose\.\S+ is now jaxpose\.\S+;") as caught:
        old = load_recipe(str(recipe))
    assert to_json(old) == to_json(load_recipe(recipe.stem))
    ours = [w for w in caught if str(w.message).startswith("jaxpose.")]
    assert {Path(w.filename) for w in ours} == {recipe}


def test_every_recipe_of_0_1_0_is_here():
    assert len(OLD_RECIPES) == 17


def test_every_place_of_today_is_there():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a place of today is not itself an old one
        for new in MODULES.values():
            importlib.import_module(new)
        for new in NAMES.values():
            assert at(new) is not None, new
    assert not set(MODULES.values()) & MODULES.keys()
    assert not set(NAMES.values()) & NAMES.keys()


@pytest.mark.parametrize("path", sorted(NAMES))
def test_an_old_name_is_the_new_one(path):
    with pytest.warns(DeprecationWarning, match=f"{path} is now"):
        assert at(path) is at(moved(path))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_an_old_module_is_importable(module):
    public = next(n for n in vars(importlib.import_module(MODULES[module])) if n[0].isalpha())
    with pytest.warns(DeprecationWarning, match=f"{module}.{public} is now"):
        assert getattr(importlib.import_module(module), public) is not None
    with pytest.raises(AttributeError):
        importlib.import_module(module).no_such_name  # noqa: B018


@pytest.mark.parametrize("path", sorted(LISTED))
def test_every_configurable_class_of_0_1_0_has_a_class_today(path):
    cls = at(moved(path))
    assert cls.__module__ + "." + cls.__qualname__ == moved(path)
    assert config_fields(cls) is not None


def test_what_never_was_is_still_an_error():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("jaxpose.no_such_module")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("jaxpose.infer.no_such_module")
    with pytest.raises(ImportError, match="no_such_name"):
        exec("from jaxpose.config import no_such_name")


def test_a_user_sees_the_warning_on_the_command_line(tmp_path):
    recipe = tmp_path / "mine.py"
    recipe.write_text(OLD_RECIPES[-2].read_text())
    assert "from jaxpose.augment import" in recipe.read_text()
    run = subprocess.run(
        [sys.executable, "-m", "jaxpose", "config", str(recipe)],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{recipe}:" in run.stderr and "jaxpose.augment.Augmentation is now" in run.stderr


def test_import_stays_light():
    probe = (
        "import sys, jaxpose; print([m for m in ('jax', 'flax', 'numpy') if m in sys.modules]);"
        "from importlib.util import find_spec; print(find_spec('jaxpose.photo') is not None)"
    )
    out = subprocess.run(
        [sys.executable, "-c", probe], cwd=HERE.parent, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert out[:2] == ["[]", "True"]


@pytest.mark.parametrize("name", ["codecs", "losses", "geometry", "detect", "config"])
def test_the_helper_of_old_names_is_not_public(name):
    assert "moved_names" not in dir(importlib.import_module(f"jaxpose.{name}"))
