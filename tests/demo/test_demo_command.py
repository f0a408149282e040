"""`jaxpose demo` up to where the page is served: what is told, what is refused."""

import json
import socket
import sys

import pytest
from dots import trained
from typer.testing import CliRunner

from jaxpose.cli import demo as demo_module
from jaxpose.cli.main import app
from jaxpose.demo import page
from jaxpose.demo.limits import Limits
from jaxpose.demo.serve import check_free, is_local
from jaxpose.demo.session import DemoSession
from jaxpose.errors import InputError


@pytest.fixture
def served(monkeypatch, tmp_path):
    """What would be served, with a model that needs no weights."""
    calls = []

    def serve(models, host, port, ready):
        assert models.folder.is_dir()
        ready(f"http://{host}:{port}/")
        calls.append(models)

    monkeypatch.setattr(demo_module, "gradio", lambda: None)
    monkeypatch.setattr(demo_module, "check_free", lambda host, port: None)
    monkeypatch.setattr(demo_module, "load_pose", lambda run, checkpoint, **_: trained())
    monkeypatch.setattr(DemoSession, "warm_up", lambda session: None)
    monkeypatch.setattr(demo_module, "serve", serve)
    return calls


def run(*arguments):
    result = CliRunner().invoke(app, ["demo", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, " ".join(result.output.split())


def test_the_page_is_for_this_machine_unless_told_otherwise(served):
    status, told = run("--from", "runs/secret/dots/#sha256=12", "--max-megapixels", 3)
    assert status == 0 and "The page is at http://127.0.0.1:7860/ until Ctrl-C." in told
    assert "password" not in told
    (one,) = served
    session = one.session("dots")
    assert session.described == "dots: 2 keypoints (dots), each image is taken as one person"
    assert one.limits == Limits(64, 3, 20) and not one.folder.exists() and one.fetch
    assert "secret" not in json.dumps(session.head)
    assert session.head["models"] == {"pose": "dots"}
    status, told = run("--from", "dots", "--host", "0.0.0.0")
    assert status == 0 and "there is no password and no encryption" in told
    assert not served[1].fetch


def test_without_a_model_the_page_begins_with_a_default_pair(served, monkeypatch):
    for kind in ("pose", "detector"):
        loaded = ("small", trained()) if kind == "pose" else ("finder", lambda images: [])
        monkeypatch.setattr(demo_module, f"load_default_{kind}", lambda quality, it=loaded: it)
    status, told = run("--quality", "fast")
    assert status == 0 and "small: 2 keypoints (dots), people found by finder." in told
    (one,) = served
    assert one.first == "fast" and one.session("fast").head["models"]["detector"] == "finder"
    status, told = run("--quality", "fast", "--from", "dots")
    assert status == 2 and "leave one of them out" in told
    status, told = run("--from", "holistic", "--detector", "yolox-s")
    assert status == 2 and "leave --detector out" in told


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", 1), ("127.9.9.9", 1), ("::1", 1), ("localhost", 1), ("0.0.0.0", 0), ("pc", 0)],
)
def test_what_this_machine_alone_reaches(host, local):
    assert is_local(host) == bool(local)


def test_a_port_that_is_taken(monkeypatch):
    monkeypatch.setattr(demo_module, "gradio", lambda: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, told = run("--from", "nothing", "--port", port)
    assert status == 2 and f"port {port} of 127.0.0.1 cannot be used" in told
    other = int(told.split("--port ")[1].split(" ")[0])
    check_free("127.0.0.1", other)
    with pytest.raises(InputError, match=r"nobody can listen on no\.such\.host\.invalid"):
        check_free("no.such.host.invalid", 7860)


def test_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_module, "check_free", lambda host, port: None)
    monkeypatch.setitem(sys.modules, "gradio", None)
    status, told = run("--from", tmp_path)
    assert status == 2 and "pip install 'jaxpose[demo]'" in told
    monkeypatch.setattr(demo_module, "gradio", lambda: None)
    status, told = run("--from", tmp_path / "none")
    assert status == 2 and "none" in told and "Traceback" not in told
    with pytest.raises(InputError, match="demo"):
        page.theme_and_style()
