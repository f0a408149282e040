"""The pages' commands and Python run on tiny stand-ins; links lead to files.

Each page's steps run in the page's order in a folder of its own. `doc_stand_ins` makes the files
that they name, SHRUNK makes them small. A step that cannot run here is in NOT_RUN, with the reason;
of its command the options are checked. A new step on a page runs, or is put into one of the tables.
"""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import typer
from doc_pages import PAGES, ROOT, Step, steps, strings
from doc_stand_ins import (
    SMALL_PYRAMID,
    SMALL_QUICKSTART,
    SMALL_VIT,
    invoke,
    provide,
    remove,
)

from jaxpose.cli import demo as demo_module
from jaxpose.cli.main import app
from jaxpose.config import override
from jaxpose.config.scripts import load_script
from jaxpose.demo.session import DemoSession
from jaxpose.detect import Detector
from jaxpose.paths import CACHE_VARIABLE
from jaxpose.skeletons import H36M17
from jaxpose.train.recipe import load_recipe

MAX_PICTURE_BYTES = 200 * 1024
BRIEF = [
    "steps=2",
    "batch_size=8",
    "evaluation.every=2",
    "checkpoint_every=2",
    "optimizer.warmup_steps=1",
]


def _set(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


# The beginning of a command (a pattern) and the words that are appended to make it small. All that
# match are appended; of an option that is given twice the last counts.
OWN_MODEL = (
    *("train_data.count=16", "eval_data.count=8", "evaluation.batch_size=8", "batch_size=8"),
    *("model.backbone.width=8", "optimizer.warmup_steps=1"),
)
# A part of the network, without the package's weights.
SMALL_MOUSE = (
    *("init_keypoints=null", "init_from=null", "model.backbone.trunk.widen=0.25"),
    *("model.backbone.width=8", "codec.input_hw=(64,64)", "codec.heatmap_hw=(16,16)"),
    *("optimizer.frozen=()", "optimizer.warmup_steps=1", "steps=2", "checkpoint_every=2"),
    *("evaluation.every=2", "evaluation.batch_size=8", "batch_size=8"),
)
SMALL_CAGE = (
    *(change for change in SMALL_MOUSE if not change.startswith("init_")),
    *("init_from=null", "reset_head=false"),
)
SHRUNK: list[tuple[str, list[str]]] = [
    (r"train quickstart", _set(*SMALL_QUICKSTART)),
    (r"train crane\.py", _set(*SMALL_PYRAMID, "model.head.deconv_channels=(8,)")),
    (r"train coco_vitpose_b", _set(*SMALL_VIT, *BRIEF, "evaluation.batch_size=8")),
    (r"train lsp", _set(*SMALL_PYRAMID, "evaluation.batch_size=8")),
    (r"train my_model\.py.* steps=2000", _set("steps=3", *OWN_MODEL)),
    (r"train my_model\.py(?!.* steps=2000)", _set("steps=2", *OWN_MODEL)),
    (r"train project/recipe\.py", _set(*SMALL_MOUSE)),
    (r"train cage/recipe\.py", _set(*SMALL_CAGE)),
    (r"init ", ["--processes", "1"]),
    (r"suggest-frames", ["--count", "2"]),
    (r"predict .*--from mouse .*deeplabcut", ["--min-score", "0"]),  # hardly trained
    (r"fit out/predictions\.json", ["--min-score", "0"]),
    (r"lift out/predictions\.json walk\.json", ["--min-score", "0"]),
    (r"measure out/predictions\.json", ["--min-score", "0"]),
    (
        r"train actions_synthetic",
        _set(*BRIEF, "train_data.clips=8", "eval_data.clips=8", "model.backbone.units=(1,)"),
    ),
    (
        r"train refiner_synthetic",
        _set(*BRIEF, "train_data.clips=4", "eval_data.clips=2", "model.backbone.width=16"),
    ),
    (
        r"train meshes_synthetic_first",
        _set(*BRIEF, "evaluation.batch_size=8", "train_data.count=8", "eval_data.count=8"),
    ),
    (
        r"train meshes_synthetic ",
        _set(
            *(*BRIEF, "evaluation.batch_size=8", "train_data.count=8", "eval_data.count=8"),
            *("model.head.depth=1", "model.head.width=16"),
        ),
    ),
    (
        r"train densepose_synthetic",
        _set(
            *(*BRIEF, "evaluation.batch_size=8", "train_data.count=8", "eval_data.count=8"),
            "model.head.width=8",
        ),
    ),
    (
        r"train densepose_coco",
        _set(
            *(*BRIEF, "evaluation.batch_size=8", "init_from=null", "reset_head=false"),
            *("train_data.canvas_hw=(96,72)", "eval_data.canvas_hw=(96,72)"),
            *("model.backbone.dim=16", "model.backbone.depth=1", "model.backbone.heads=2"),
            *("model.backbone.input_hw=(64,48)", "codec.input_hw=(64,48)"),
            *("model.head.convs=1", "model.head.width=8"),
        ),
    ),
    (
        r"train objects_synthetic",
        _set(
            *(*BRIEF, "evaluation.batch_size=8", "train_data.count=8", "eval_data.count=8"),
            "model.backbone.widths=(8,8,16,16)",
        ),
    ),
    (r"objects draw", ["--count", "2", "--size", "64"]),
    (r"objects predict", ["--threshold", "9"]),  # hardly trained
    (r"train my_actions\.py", _set(*BRIEF, "model.backbone.units=(1,)")),
    (r"train my_recipe\.py", _set("steps=2", "evaluation.every=2")),
    (
        r"train humaneva_temporal",
        _set(*BRIEF, "model.backbone.channels=8", "evaluation.batch_size=32"),
    ),
    (r"prepare (coco|lsp|mpii|labels)", ["--processes", "1"]),
    (r"prepare pose_prior", ["--components", "1"]),
    (r"bench (step|data|eval) coco_vitpose_b", _set(*SMALL_VIT)),
    (r"bench step", ["--batch-size", "8", "--steps", "1"]),
    (r"bench data", ["--batch-size", "4", "--rounds", "1", "--seconds", "0.01"]),
    (r"bench eval", ["--people", "8", "--batch-size", "8", "--rounds", "1"]),
    (r"bench predict", ["--frames", "6", "--people", "1"]),
    (r"compile", ["--devices", "8", "--mesh", "data=2,fsdp=4"]),
    (r"compile coco_vitpose_b", _set(*SMALL_VIT, "batch_size=8")),
    (r"plan-run coco_vitpose_b", _set(*SMALL_VIT, "batch_size=16")),
    (r"compile humaneva_temporal", _set("model.backbone.channels=8", "batch_size=8")),
    (r"scaling plan", ["--width", "16,32", "--flops", "6e8,9e8", "--max-epochs", "99"]),
    (r"scaling plan .*--held-out", ["--width", "48", "--flops", "2e9"]),
    (r"scaling (fit|plot|recommend)", ["--resamples", "50"]),
    (r"scaling recommend", ["--flops", "2e13"]),
]

# Steps that are not run, by the beginning of a command or of a block (a pattern), with the reason.
NOT_RUN: dict[str, str] = {
    r"python3 -m venv": "makes an environment",
    r"(\.venv/bin/)?pip install": "fetches packages",
    r"\.venv/bin/pytest": "runs this suite",
    r"(taskset \S+ \S+ )?python -m tests\.benchmarks": "measures for minutes",
    r"jaxpose predict .*--from https://": "fetches weights from another machine",
    r"jaxpose predict image\.jpg$": "fetches the default models",
    r"trained = jaxpose\.load\(\"hf:": "fetches a repository",
    r"jaxpose predict .*--from holistic": "needs the weights of four published models",
    r"holistic = jaxpose\.Holistic\.load": "needs the weights of four published models",
    r"jaxpose train .*--coordinator": "needs several processes",
    r"jaxpose (train|eval) .*gs://": "needs a bucket",
    r"jaxpose bench step .*attention=cudnn": "needs an NVIDIA GPU",
    r"jaxpose (convert|train|predict) .*hmr2": "needs HMR 2.0's weights and SMPL's file",
    r"jaxpose fit data/mine .*--body": "needs SMPL's file",
    r"jaxpose (convert|predict|fit) .*(hamer|MANO_RIGHT)": "needs MANO's file",
    r"jaxpose convert cat\.pth": "needs PVNet's weights",
    r"jaxpose objects predict lm ": "needs PVNet's weights, and LINEMOD",
    r"jaxpose compile .*--chips": "needs libtpu, and compiles for minutes",
    r"jaxpose (train|bench step) \w*hrnet_w32": "compiles for a minute",
    r"jaxpose train coco_vitpose_b .*(mesh|rate|dtype)": "compiles what README's training does",
    r"TopDownExperiment\(": "shows a part of a recipe",
}
COMMANDS_NOT_RUN = 42

# Code of the pages that is replaced to make it small.
SHRUNK_PYTHON = {'vitpose("B"': 'vitpose("S"'}


def given() -> dict[str, object]:
    """Names that blocks of Python use as the reader's own."""
    rng = np.random.default_rng(0)
    walker = load_script(ROOT / "tests" / "multiview" / "walker.py")
    return {
        "crops": rng.integers(0, 256, (2, 64, 48, 3), np.uint8),
        "photo": rng.integers(0, 256, (480, 640, 3), np.uint8),
        "image": rng.integers(0, 256, (480, 640, 3), np.uint8),
        "boxes": np.array([[20, 10, 200, 220]], np.float32),
        "images": rng.normal(size=(1, 256, 192, 3)).astype(np.float32),
        "keypoints": walker.seen(walker.ring(3), walker.motion(4)),
        "scores": np.ones((3, 4, 17)),
        "skeleton": H36M17,
    }


def reason(step: Step) -> str | None:
    """Why a step is not run; None for one that is."""
    return next((why for pattern, why in NOT_RUN.items() if re.match(pattern, step.text)), None)


def parse(arguments: list[str]) -> None:
    """Parses without running, through groups down to the command."""
    name, command, context = "jaxpose", typer.main.get_command(app), None
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, list(arguments), parent=context)
        rest = [*context._protected_args, *context.args]
        name, command, arguments = command.resolve_command(context, rest)
    command.make_context(name, list(arguments), parent=context)


def shrunk(arguments: list[str]) -> list[str]:
    text = shlex.join(arguments)
    more = [words for pattern, words in SHRUNK if re.match(pattern, text)]
    return [*arguments, *(word for words in more for word in words)]


class Sandbox:
    """A page's folder, in which its steps run one after the other."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.names = given()
        self.provided: set[str] = set()

    def run(self, step: Step) -> None:
        """Runs a step; the test fails with the step and what it printed, if that fails."""
        if step.kind == "file":
            (self.folder / step.name).write_text(step.text)
        elif step.kind == "python":
            self._python(step)
        else:
            self._command(step)

    def _python(self, step: Step) -> None:
        code = step.text
        for old, new in SHRUNK_PYTHON.items():
            code = code.replace(old, new)
        self.provide(strings(code))
        try:
            exec(compile(code, f"{step.page}:{step.line}", "exec"), self.names)
        except Exception as error:
            pytest.fail(f"{step}\n{type(error).__name__}: {error}")

    def _command(self, step: Step) -> None:
        arguments = step.arguments
        assert arguments is not None, f"{step}: run it, or name it in NOT_RUN"
        inputs, outputs = _places(arguments)
        for place in outputs & self.provided:  # made here, and now by the page itself
            remove(self.folder / place)
            self.provided.discard(place)
        if arguments[:2] == ["scaling", "run"]:  # a finished study: training is tested elsewhere
            remove(self.folder / "study")
        self.provide(inputs)
        with self.monkeypatch.context() as patch:
            for name, value in step.variables:
                patch.setenv(name, value)
            result = invoke(shrunk(arguments))
        # The stand-in of LSP has few of its images, which the exit status states.
        if result.exit_code != (arguments[:2] == ["prepare", "lsp"]):
            raised = result.exception
            told = "" if isinstance(raised, SystemExit) else f"\n{type(raised).__name__}: {raised}"
            pytest.fail(f"{step}\nstatus {result.exit_code}\n{result.output}{told}")

    def provide(self, words: Iterable[str]) -> None:
        """Puts what `words` stand for into the folder."""
        for word in words:
            self.provided.update(provide(word, self.folder))


def _places(arguments: list[str]) -> tuple[list[str], set[str]]:
    """The words of a command that may name files it reads, and those that name what it writes."""
    inputs, outputs = [], set()
    for before, word in zip(["", *arguments], arguments, strict=False):
        if before in ("--out", "--workdir", "--json"):
            outputs.add(word)
        elif before == "--set":
            inputs.append(word.partition("=")[2])
        else:
            inputs.append(word)
    if arguments[:2] == ["scaling", "plan"]:
        inputs.remove("study")
    return inputs, outputs


@pytest.fixture(scope="module")
def detectors():
    """`Detector.load` that loads and compiles a detector once, whatever its folder."""
    load, kept = Detector.load.__func__, {}

    def load_once(cls, where, **options):
        key = (Path(where).name, *sorted(options.items()))
        if key not in kept:
            kept[key] = load(cls, where, **options)
        return kept[key]

    return classmethod(load_once)


@pytest.fixture
def sandbox(tmp_path, detectors, monkeypatch):
    def serve(models, host, port, ready):
        ready(f"http://{host}:{port}/")

    monkeypatch.setattr(Detector, "load", detectors)
    monkeypatch.setattr(demo_module, "check_free", lambda host, port: None)
    monkeypatch.setattr(demo_module, "serve", serve)
    monkeypatch.setattr(DemoSession, "warm_up", lambda session: None)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    folder = tmp_path / "page"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Sandbox(folder, monkeypatch)


# The other pages repeat these commands with more options.
_NORMAL = ("README",)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[] if page.stem in _NORMAL else [pytest.mark.slow])
        for page in PAGES
    ],
)
def test_every_step_of_a_page_runs(page, sandbox):
    for step in steps(page):
        if reason(step) is None:
            sandbox.run(step)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_step_that_is_not_run_is_well_formed(page, sandbox):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for step in steps(page):
        if reason(step) is None:
            continue
        if step.kind == "python":
            ast.parse(step.text.replace("\n    ...", ""))
        elif step.arguments is not None:
            try:
                parse(step.arguments)
                if recipe := re.match(r"jaxpose (?:train|bench step) ([a-z]\w+)", step.text):
                    words = step.arguments
                    changes = [w for i, w in enumerate(words[1:]) if words[i] == "--set"]
                    sandbox.provide(change.partition("=")[2] for change in changes)
                    override(load_recipe(recipe[1]), changes)
            except Exception as error:
                pytest.fail(f"{step}: {error}")
        elif module := re.search(r"-m (tests\.\S+)", step.text):
            source = (ROOT / f"{module[1].replace('.', '/')}.py").read_text()
            for option in re.findall(r" (--[\w-]+)", step.text):
                assert f'add_argument("{option}"' in source, step
        for names in re.findall(r"(?:jaxpose|\.)\[([\w,]+)\]", step.text):
            assert set(names.split(",")) <= set(extras["optional-dependencies"]), step


def test_few_commands_are_not_run():
    commands = [step for page in PAGES for step in steps(page) if step.kind == "command"]
    skipped = [str(step) for step in commands if reason(step)]
    assert len(skipped) <= COMMANDS_NOT_RUN, "\n".join(skipped)
    assert len(commands) - len(skipped) >= 60
    every = [step.text for page in PAGES for step in steps(page)]
    for pattern in NOT_RUN:
        assert any(re.match(pattern, text) for text in every), f"{pattern}: no page has it"
    for pattern, _ in SHRUNK:
        assert any(re.match(f"(.*/)?jaxpose {pattern}", text) for text in every), pattern


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target:
            file = (page.parent / target).resolve()
            assert file.exists(), f"{page.name}: {target}"
            if file.suffix in {".png", ".jpg", ".gif"}:
                assert file.stat().st_size <= MAX_PICTURE_BYTES, target


def test_every_page_is_linked_and_has_a_picture():
    readme = PAGES[0].read_text()
    for page in PAGES[1:]:
        assert f".github/docs/{page.name}" in readme, page.name
        assert re.search(r"!\[[^\]]+\]\(", page.read_text()), page.name


def test_a_misspelt_option_would_be_found():
    with pytest.raises(Exception, match="No such option: --bokses"):
        parse(["predict", "photo.jpg", "--from", "x", "--out", "y", "--bokses", "full"])


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("command", "jaxpose predict photo.jpg --from MODEL --out out --formt csv", "--formt"),
        ("command", "jaxpose predict photo.jpg --from MODEL --out out --format cvs", "'csv'"),
        ("command", "jaxpose export MODEL --to onx --out exported", "'onnx'"),
        ("command", "jaxpose convert nowhere.pth out", "nowhere.pth"),
        ("python", "import jaxpose\njaxpose.lood('MODEL')", "lood"),
    ],
)
def test_a_broken_step_fails(kind, text, message, sandbox):
    with pytest.raises(pytest.fail.Exception, match=f"(?s)broken.md, line 7.*{message}"):
        sandbox.run(Step("broken.md", 7, kind, text))
