"""`jaxpose config`, and the folder of compiled programs."""

import os
from dataclasses import dataclass
from pathlib import Path

import jax
import pytest
from typer.testing import CliRunner

from jaxpose.cli import compiled
from jaxpose.cli.config import meaning_of_fields, rows
from jaxpose.cli.main import app
from jaxpose.config import override
from jaxpose.train.recipe import load_recipe


def printed(*words: str) -> list[str]:
    result = CliRunner().invoke(app, ["config", *words])
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_every_key_stands_on_a_line_with_its_type_and_value():
    lines = printed("quickstart")
    assert lines[0] == "jaxpose.tasks.topdown.experiment.TopDownExperiment"
    assert "steps = 1400  [int]" in "\n".join(lines)
    assert any(line.startswith("model.head.num_keypoints = 17  [int]") for line in lines)
    assert any(
        line.startswith("padding = 1.25  [float]  # Factor from the size of the box to that of")
        for line in lines
    )
    assert any(line.startswith("codec: codecs.heatmap.Heatmap  # ") for line in lines)


@pytest.mark.parametrize(
    "recipe", ["quickstart", "coco_vitpose_b", "coco_rtmpose_s", "bottomup_synthetic", "h36m_mlp"]
)
def test_each_key_of_a_part_has_its_own_comment(recipe):
    seen: dict[tuple[str, str], str] = {}
    for key, kind, _, meaning in rows(load_recipe(recipe), ""):
        if kind and meaning:
            other = seen.setdefault((key.rpartition(".")[0], meaning), key)
            assert other == key, f"{other} and {key} have the same comment"


def test_what_is_printed_can_be_set():
    """Each line is an assignment: made, it changes nothing."""
    experiment = load_recipe("quickstart")
    listed = [(key, value) for key, kind, value, _ in rows(experiment, "") if kind]
    whole = [f"{key}={value}" for key, value in listed if not value.endswith("...")]
    assert len(whole) > 60
    assert override(experiment, whole) == experiment


def test_overrides_come_first():
    lines = printed(
        *("quickstart", "--set", "skeleton=ap10k17", "--set", "dtype=bfloat16"),
    )
    text = "\n".join(lines)
    assert "model.head.num_keypoints = 17  [int]" in text and "skeletons.skeleton" in text
    assert text.count(".dtype = 'bfloat16'") == 2 and ".dtype = 'float32'" not in text


def test_a_wrong_key_is_refused():
    result = CliRunner().invoke(app, ["config", "quickstart", "--set", "stepz=1"])
    assert result.exit_code == 2 and "Did you mean 'steps'" in result.output


def test_meanings_are_read_from_comments_and_docstrings():
    @dataclass(frozen=True)
    class Part:
        """A part.

        Attributes:
          width, depth: of the network,
            in channels and layers.
        """

        width: int
        depth: int = 2
        # Seconds between two reports,
        # at least.
        every: float = 1.0
        plain: int = 0  # not this one

    assert meaning_of_fields(Part) == {
        "width": "of the network, in channels and layers.",
        "depth": "of the network, in channels and layers.",
        "every": "Seconds between two reports, at least.",
    }


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["config", "--help"], True),
        (["train", "--help"], True),
        (["bench", "step", "--help"], False),
        (["compile", "--help"], False),
    ],
)
def test_programs_are_kept_unless_compiling_is_measured(words, kept, monkeypatch):
    calls = []
    monkeypatch.setattr("jaxpose.cli.main.keep_compiled", lambda: calls.append(words))
    assert CliRunner().invoke(app, words).exit_code == 0
    assert calls == ([words] if kept else [])


def test_the_folder_of_programs_is_jaxs_own_if_it_names_one(tmp_path, monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("JAXPOSE_CACHE", str(tmp_path))
    monkeypatch.setenv(compiled.VARIABLE, "/somewhere/else")
    compiled.keep_compiled()
    assert os.environ[compiled.VARIABLE] == "/somewhere/else"
    assert jax.config.jax_compilation_cache_dir == before
    monkeypatch.delenv(compiled.VARIABLE)
    try:
        compiled.keep_compiled()
        folder = Path(jax.config.jax_compilation_cache_dir)
        assert folder.parent == tmp_path / "compiled"
        assert os.environ[compiled.VARIABLE] == str(folder)
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_the_oldest_programs_go_first(tmp_path):
    for i in range(4):
        (tmp_path / f"{i}").write_bytes(bytes(100))
        os.utime(tmp_path / f"{i}", (i, i))
    compiled._drop_oldest(tmp_path, 400)
    assert len(list(tmp_path.iterdir())) == 4
    compiled._drop_oldest(tmp_path, 250)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2", "3"]
    compiled._drop_oldest(tmp_path / "absent", 0)
