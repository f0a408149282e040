"""Sources of recipes: what is kept, how it is imported, and what is remembered as one's own."""

import os
import sys
from pathlib import Path

import pytest

from jaxpose.config.recipe_source import (
    RecipeSource,
    class_path,
    joined,
    read_recipe,
    source_of,
    stored_recipe,
)
from jaxpose.config.trust import (
    classes_for,
    find_class,
    is_own,
    outside_paths,
    record_as_own,
    seal,
)
from jaxpose.errors import InputError
from jaxpose.paths import cache_folder
from jaxpose.train.recipe import load_recipe

CONFIG = {"class": "jaxpose.x.Y", "loss": {"class": "recipe:mine.Own"}, "parts": [1, None]}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXPOSE_CACHE", str(tmp_path / "cache"))


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        file = folder / (name.replace("__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "mine.py"


def test_all_that_is_imported_from_beside_is_kept_and_nothing_else(tmp_path):
    main = written(
        tmp_path,
        mine="import json, os.path\nimport first\nfrom parts.deep import two\nimport jaxpose\n",
        first="import mine_not_there\nfrom second import x as y\n",
        second="x = 2\n",
        parts__one="value = 1\n",
        parts__deep__two="from ..one import value\nfrom . import three\n",
        parts__deep__three="import second\nvalue = second.x + 1\n",
        unused="raise SystemExit\n",
        json="raise SystemExit\n",  # the standard library comes first
        jaxpose="raise SystemExit\n",
    )
    (tmp_path / "parts" / "deep" / "__init__.py").write_text("text = 'deep'\n")
    source = read_recipe(main)
    assert set(source.files) == {
        *("mine.py", "first.py", "second.py", "parts/one.py"),
        *("parts/deep/__init__.py", "parts/deep/two.py", "parts/deep/three.py"),
    }
    assert source.main == "mine.py" and source.folder == tmp_path


def test_imports_find_files_beside_the_recipe_also_late_and_relative(tmp_path):
    main = written(
        tmp_path,
        mine=(
            "import json\nimport parts.one\nimport parts.one as one\nfrom parts import two\n"
            "from . import near\n"
            "def late():\n    import near as again\n    return again.value\n"
        ),
        near="value = 'near'\n",
        parts__one="value = 1\n",
        parts__two="from .one import value as one\nvalue = one + 1\n",
    )
    module = read_recipe(main).module()
    assert module.parts.one.value == module.one.value == 1 and module.two.value == 2
    assert module.near.value == module.late() == "near"
    assert module.json is sys.modules["json"] and module.__file__ == str(main)
    assert not {"mine", "near", "parts"} & set(sys.modules)
    assert not list(tmp_path.rglob("__pycache__"))


def test_two_recipes_with_files_of_one_name_do_not_meet(tmp_path):
    classes = []
    for value in ("1", "2"):
        folder = tmp_path / value
        text = "import near\nclass Own:\n    value = near.value\n"
        classes.append(
            read_recipe(written(folder, mine=text, near=f"value = {value}\n")).module().Own
        )
    assert [cls.value for cls in classes] == [1, 2]
    assert {class_path(cls) for cls in classes} == {"recipe:mine.Own"}
    with pytest.raises(InputError, match=r"Two recipes with different files named 'near\.py'"):
        joined([source for cls in classes if (source := source_of(cls))])


def test_the_same_source_in_two_places_is_one_module(tmp_path):
    first = read_recipe(written(tmp_path / "a", mine="class Own: pass\n"))
    second = read_recipe(written(tmp_path / "b", mine="class Own: pass\n"))
    assert first.module().Own is second.module().Own
    assert joined([first, second]).files == first.files and joined([]) is None


def test_a_stored_source_is_the_source(tmp_path):
    source = read_recipe(written(tmp_path / "a", mine="import parts.one\n", parts__one="x = 1\n"))
    source.write(tmp_path / "run")
    entry = source.to_json()
    again = stored_recipe(entry, tmp_path / "run" / "recipe", "config.json")
    assert again.digest == source.digest and again.to_json() == entry
    assert stored_recipe(None, tmp_path, "config.json") is None
    for damaged in ([], {"main": "mine.py"}, {"main": "other.py", "files": entry["files"]}):
        with pytest.raises(InputError, match=r"config\.json is damaged"):
            stored_recipe(damaged, tmp_path, "config.json")


def test_definitions_do_not_see_comments_docstrings_and_get_config(tmp_path):
    text = 'import os\n\nRATE = 1\n\nclass Own:\n    """Words."""\n    rate = RATE\n'
    source = RecipeSource("mine.py", {"mine.py": text.encode()}, tmp_path)
    same = text.replace("Words.", "Other words.").replace("import os\n", "import os  # so\n\n")
    same += "\ndef get_config():\n    return 3\n"
    other = text.replace("rate = RATE", "rate = 2 * RATE")
    (before,) = source.definitions().values()
    assert set(before) == {"imports", "RATE", "Own"}
    for changed, expected in ((same, set()), (other, {"Own"})):
        new = RecipeSource("mine.py", {"mine.py": changed.encode()}, tmp_path).definitions()
        assert {name for name in before if new["mine.py"][name] != before[name]} == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(:\n", r"mine\.py, line 1 is not valid Python"),
        ("x = (1 2)\n", r"not valid Python: .*Perhaps you forgot a comma\?$"),
        ("x = 1\n", r"has no get_config\(\)"),
        ("def get_config():\n    return 3\n", "returned int, not an experiment"),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load_recipe(str(written(tmp_path, mine=text)))


def test_a_broken_file_beside_the_recipe_is_named(tmp_path):
    main = written(tmp_path, mine="import near\n", near="x = = 1\n")
    with pytest.raises(InputError, match=r"near\.py, line 1 is not valid Python"):
        read_recipe(main)


def test_what_this_user_wrote_is_remembered_word_for_word(tmp_path):
    source = read_recipe(written(tmp_path, mine="class Own: pass\n"))
    assert outside_paths(CONFIG) == ["recipe:mine.Own"]
    assert not is_own(CONFIG, source)
    record_as_own(CONFIG, source, "RUN")
    assert is_own(CONFIG, source)
    assert not is_own(CONFIG, None)
    assert not is_own(CONFIG | {"parts": [2, None]}, source)
    other = RecipeSource("mine.py", {"mine.py": b"class Own: ...\n"}, tmp_path)
    assert not is_own(CONFIG, other)
    # One name more, and the border between two files moved: other digests.
    moved = RecipeSource("mine.py", {"mine.py": b"class Own: pass", "x.py": b"\n"}, tmp_path)
    assert len({seal(CONFIG, s) for s in (source, other, moved, None)}) == 4


def test_nothing_is_recorded_for_jaxposes_own_classes():
    record_as_own({"class": "jaxpose.x.Y"}, None, "RUN")
    assert not cache_folder().exists()


def test_a_cache_that_cannot_be_written_remembers_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAXPOSE_CACHE", str(tmp_path / "file"))
    record_as_own(CONFIG, None, "RUN")
    assert not is_own(CONFIG, None)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners of files on this system")
def test_a_record_that_others_may_write_does_not_count():
    record_as_own(CONFIG, None, "RUN")
    (file,) = (cache_folder() / "trusted-runs").iterdir()
    assert file.read_text() == "RUN\n" and is_own(CONFIG, None)
    file.chmod(0o666)
    assert not is_own(CONFIG, None)


def test_classes_are_found_only_with_trust(tmp_path):
    source = read_recipe(written(tmp_path, mine="class Own: pass\nnumber = 3\n"))
    closed = classes_for(CONFIG, lambda: source, "RUN", trust_recipe=False)
    with pytest.raises(InputError, match=r"RUN needs code .*recipe:mine\.Own.*--trust-recipe"):
        closed("recipe:mine.Own")
    with pytest.raises(InputError, match="--trust-recipe"):
        closed("pathlib.Path")
    trusted = classes_for(CONFIG, lambda: source, "RUN", trust_recipe=True)
    assert trusted("recipe:mine.Own") is source.module().Own
    assert trusted("pathlib.Path") is Path
    assert trusted("recipe:mine.number") is None and trusted("recipe:mine.nothing") is None
    with pytest.raises(InputError, match="does not contain a module 'other'"):
        trusted("recipe:other.Own")


def test_a_source_that_fails_is_said(tmp_path):
    source = read_recipe(written(tmp_path, mine="raise KeyError('boom')\n"))
    with pytest.raises(InputError, match=r"recipe:mine\.Own, which cannot be imported: KeyError"):
        find_class("recipe:mine.Own", source, "RUN")
