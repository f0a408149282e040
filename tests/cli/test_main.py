"""The command line as a whole: help, speed, and how faults are told."""

import os
import subprocess
import sys
import time

import pytest
import typer
from typer.testing import CliRunner

import jaxpose
from jaxpose.cli import main
from jaxpose.cli.faults import plain_faults
from jaxpose.errors import InputError

COMMANDS = ("prepare", "train", "eval", "predict", "data", "models", "doctor")


def invoke(*arguments: str):
    return CliRunner().invoke(main.app, list(arguments))


def process(*arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "jaxpose", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_help_names_every_command():
    result = invoke("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f" {command} " in result.output


@pytest.mark.parametrize("command", [*COMMANDS, "data check"])
def test_every_command_has_help(command):
    result = invoke(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_version():
    assert invoke("--version").output.strip() == f"jaxpose {jaxpose.__version__}"


def test_help_imports_nothing_heavy_and_is_fast():
    check = (
        "import sys; from jaxpose.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('jax', 'cv2', 'tensorflow', 'flax', 'matplotlib', 'numpy')"
        " if m in sys.modules])"
    )
    begin = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip().endswith("[]")
    assert time.perf_counter() - begin < 5  # 0.2 s on an idle machine


def app_that(raises: BaseException) -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    @plain_faults
    def command() -> None:
        """Fails."""
        raise raises

    return app


def test_bad_input_is_one_message_and_status_2(monkeypatch):
    monkeypatch.delenv("JAXPOSE_TRACEBACK", raising=False)
    fault = InputError("boxes[3] in a [b] file is wrong; take another")
    result = CliRunner().invoke(app_that(fault))
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: boxes[3] in a [b] file is wrong; take another\n")
    assert "JAXPOSE_TRACEBACK=1" in result.stderr
    assert result.stdout == ""


def test_the_traceback_can_be_had(monkeypatch):
    monkeypatch.setenv("JAXPOSE_TRACEBACK", "1")
    result = CliRunner().invoke(app_that(InputError("x")))
    assert isinstance(result.exception, InputError)


def test_our_own_faults_keep_their_traceback():
    result = CliRunner().invoke(app_that(ZeroDivisionError("ours")))
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "Stopped"),
        (OSError(28, "No space left on device", "out/a.png"), 2, "out/a.png: No space left"),
        (PermissionError(13, "Permission denied", "out"), 2, "out: Permission denied; choose"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"),
            2,
            "too little",
        ),
    ],
)
def test_what_the_world_does_to_a_command(monkeypatch, fault, status, words):
    monkeypatch.delenv("JAXPOSE_TRACEBACK", raising=False)
    result = CliRunner().invoke(app_that(fault))
    assert result.exit_code == status
    assert words in result.output


def test_in_a_process_of_its_own(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "JAXPOSE_TRACEBACK"}
    result = process("eval", str(tmp_path / "nowhere"), env=environment)
    assert result.returncode == 2
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr
    result = process("train", "no_such_recipe", "--workdir", str(tmp_path), env=environment)
    assert result.returncode == 2
    assert "no_such_recipe" in result.stderr
    result = process("predict", "a.jpg", "--from", "no-such-model", env=environment)
    assert result.returncode == 2
    assert "no-such-model" in result.stderr


def test_a_closed_pipe_is_quiet():
    script = (
        "import typer; from jaxpose.cli.faults import plain_faults\n"
        "def talk():\n"
        "    for _ in range(100000): print('line')\n"
        "app = typer.Typer(); app.command()(plain_faults(talk)); app()"
    )
    result = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "$0" | head -1; echo ${{PIPESTATUS[0]}}', script],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["line", "141"]
    assert result.stderr == ""
