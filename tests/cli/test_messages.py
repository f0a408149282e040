"""Messages with names and paths: their brackets are printed (see also `test_console`)."""

from types import SimpleNamespace

import numpy as np
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.console import PlainConsole
from jaxpose.convert.reading import RELEASE
from jaxpose.counts import Counts
from jaxpose.train.log import RunLog


def test_brackets_in_a_path_are_printed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "jaxpose.cli.convert.release_checkpoint", lambda *_: ("table", [Counts("arrays", 1)])
    )
    out = tmp_path / "o [x] [red]"
    np.savez(tmp_path / "a.npz", a=np.zeros(1))
    result = CliRunner().invoke(app, ["convert", str(tmp_path / "a.npz"), str(out)])
    assert result.exit_code == 0 and f"Written to {out}: {RELEASE}" in result.output


def test_brackets_in_a_line_of_training_are_printed(capsys):
    log = SimpleNamespace(_console=PlainConsole())
    RunLog.say(log, "samples of [red] data")
    assert "samples of [red] data" in capsys.readouterr().out
