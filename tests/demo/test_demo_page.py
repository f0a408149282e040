"""The page as it is served: `jaxpose demo` in a process of its own, asked by HTTP and by Chromium.

`JAXPOSE_SCREENSHOT=page.png` keeps what Chromium shows, to be looked at.
"""

import csv
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import drawn
import numpy as np
import pytest
from dots import draw_dots
from tiny import get_config

from jaxpose.config import to_json
from jaxpose.convert.release import Card, save_release
from jaxpose.media.image import read_image
from jaxpose.pipeline import Pipeline

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "data" / "video" / "pose.jpg"
CHOOSE = 3  # number of the page's function for the list of models
PATIENCE = 120.0  # seconds, for machines that do other things as well

# What a browser is asked.
CELLS = (
    "return [...document.querySelectorAll('#table [role=row]')].slice(1)"
    ".map(row => [...row.children].map(cell => cell.innerText.trim()))"
)
SIZE = (
    "const i = document.querySelector('#drawn img'); return i && [i.naturalHeight, i.naturalWidth]"
)
REQUEST = "Network.requestWillBeSent"

if importlib.util.find_spec("gradio") is None:
    pytest.skip("Gradio is not installed: pip install 'jaxpose[demo]'", allow_module_level=True)


def until(what: Callable[[], Any]) -> Any:
    """The first value of `what` that counts as true."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if value := what():
            return value
        time.sleep(0.25)
    raise AssertionError("nothing came in time")


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """A model of random weights for 17 keypoints."""
    experiment, out = get_config(), tmp_path_factory.mktemp("release") / "tiny"
    variables = drawn.variables(experiment.model, experiment.input_hw)
    estimator, _ = experiment.task().estimator(variables)
    config = {"estimator": to_json(estimator)}
    save_release(out, variables, config, Card("tiny", "random", "crops", ()))
    return out


@pytest.fixture(scope="module")
def page(release, tmp_path_factory):
    """The page of that model; afterwards nothing of it is left on the disk."""
    folder = tmp_path_factory.mktemp("page")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = ["--from", release, "--port", port, "--max-upload-mb", 2, "--max-film-seconds", 1]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jaxpose", "demo", *map(str, given)],
            cwd=ROOT,
            stderr=log,
            stdout=log,
            env=os.environ | {"TMPDIR": str(folder), "JAXPOSE_MIRROR": "https://nowhere.invalid"},
        )
    try:
        told = until(lambda: process.poll() or "page is at" in (folder / "log").read_text())
        assert told is True, (folder / "log").read_text()
        yield SimpleNamespace(address=f"http://127.0.0.1:{port}", folder=folder, port=port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    told = (folder / "log").read_text()
    assert "Traceback" not in told, told
    assert not [path for path in folder.iterdir() if path.name.startswith("jaxpose-demo-")]


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    """A real photo where there is one."""
    path = tmp_path_factory.mktemp("photo") / "somebody.jpg"
    if REAL.exists():
        shutil.copy(REAL, path)
    else:
        cv2.imwrite(str(path), draw_dots((240, 320), [(100, 80), (200, 150)], 20))
    return path


@pytest.fixture(scope="module")
def expected(release, picture):
    """What the pipeline says of it."""
    return Pipeline.load(release)(read_image(picture))


def post(page, path: str, body: bytes, kind: str = "application/json") -> Any:
    """Status and answer."""
    request = urllib.request.Request(
        f"{page.address}/gradio_api/{path}", body, {"content-type": kind}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def upload(page, content: bytes, name: str = "a.jpg") -> Any:
    head = f'--x\r\ncontent-disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + b"\r\n--x--\r\n"
    return post(page, "upload", body, "multipart/form-data; boundary=x")


def ask(page, path: str, function: int = 0, model: str = "tiny") -> Any:
    """Joins the queue with a file's path: a refusal, or what the page would show."""
    file = {"path": path, "orig_name": "a", "meta": {"_type": "gradio.FileData"}}
    return join(page, [file, 0.0, model], function)


def join(page, data: list[Any], function: int) -> Any:
    """Joins the queue with the inputs of a function of the page."""
    session = f"s{time.monotonic_ns()}"
    event = {"data": data, "fn_index": function, "session_hash": session}
    status, answer = post(page, "queue/join", json.dumps(event).encode())
    if status != 200:
        return status, answer
    stream = f"{page.address}/gradio_api/queue/data?session_hash={session}"
    with urllib.request.urlopen(stream, timeout=PATIENCE) as lines:
        for line in lines:
            message = json.loads(line.removeprefix(b"data: ")) if line.strip() else {}
            if message.get("msg") == "process_completed":
                return message["success"], message["output"]
    raise AssertionError("the stream ended")


def test_a_client_without_a_browser(page, picture, expected):
    status, (path,) = upload(page, picture.read_bytes())
    assert status == 200
    done, output = ask(page, path)
    assert done, output
    _, told, _, _, _, table, *files = output["data"]
    assert told.startswith("1 person, 17 of 17 keypoints score 0.00 or more; ")
    rows = [{**row, "source": "photo"} for row in expected.rows()]
    assert [row[1] for row in table["data"]] == [row["keypoint"] for row in rows]
    numbers = [[row["x"], row["y"], row["score"]] for row in rows]
    np.testing.assert_allclose([row[2:] for row in table["data"]], numbers, atol=0.02)
    urls = [file["value"]["url"] for file in files]
    with urllib.request.urlopen(urls[0]) as answer:
        drawn_picture = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR)
    assert drawn_picture.shape[:2] == expected.image_hw
    with urllib.request.urlopen(urls[2]) as answer:
        lines = list(csv.DictReader(answer.read().decode().splitlines()))
    assert [line["x"] for line in lines] == [f"{row[2]}" for row in table["data"]]


def test_what_cannot_be_shown_is_said_in_a_sentence(page):
    for content, function, message in (
        (b"\xff\xd8\xff" + bytes(99), 0, "⚠ The JPEG is cut off"),
        (b"#EXTM3U\nfile:///etc/passwd", 1, "⚠ This is not a video in MP4"),
    ):
        status, (path,) = upload(page, content)
        assert status == 200
        done, output = ask(page, path, function)
        assert done and output["data"][1].startswith(message), output
        assert str(page.folder) not in output["data"][1]
        assert output["data"][5]["data"] == []


def test_a_model_is_chosen_by_name(page, picture):
    done, output = join(page, ["tiny", None, 0.0], CHOOSE)
    assert done and output["data"][1] == "tiny is loaded. Upload an image or a video."
    assert output["data"][9].startswith("tiny: 17 keypoints (")
    done, output = join(page, ["hrnet-w48", None, 0.0], CHOOSE)
    told = output["data"][1]
    assert told.startswith("⚠ The weights of hrnet-w48 are not in the cache: cannot reach nowhere")
    assert told.endswith("Choose a model that is on this machine.")
    offered = {name: label for label, name in output["data"][10]["choices"]}
    assert offered["jaxpose-small"] == "jaxpose-small (coco17)"
    assert offered["hrnet-w48"] == "hrnet-w48 (coco17; to be fetched)"
    _, (path,) = upload(page, picture.read_bytes())
    done, output = ask(page, path, model="../../etc/passwd")
    assert done and output["data"][1] == "⚠ The page has no such model."


def test_nothing_but_uploads_of_some_size_is_read(page):
    for path in ("/etc/passwd", "http://127.0.0.1/a.jpg", "/gradio_api/file=/etc/passwd"):
        status, answer = ask(page, path)
        assert status == 403 and "only what was uploaded here" in answer.lower()
    status, answer = upload(page, bytes(2_200_000))
    assert status == 413 and "2 MB" in answer
    for path in ("file=/etc/passwd", f"file={ROOT}/README.md"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{page.address}/gradio_api/{path}", timeout=PATIENCE)


@pytest.fixture
def browser(tmp_path):
    """Chromium without a screen, and with no way to other machines."""
    pytest.importorskip("selenium")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("Chromium or its driver is not installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        *("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
        *("disable-dev-shm-usage", "window-size=1280,1180", f"user-data-dir={tmp_path}/profile"),
        "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(f"--{flag}")
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path)})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.mark.slow
def test_in_a_browser(page, picture, expected, browser, tmp_path):
    def parts(selector: str) -> list[Any]:
        return browser.find_elements("css selector", selector)

    def told() -> str:
        return "".join(part.text for part in parts("#told"))

    browser.get(page.address)
    until(lambda: parts("#photo input[type=file]"))[0].send_keys(str(picture))
    until(lambda: "1 person, " in told())
    slider = parts("#min_score input[type=number]")[0]
    slider.send_keys("\ue009a\ue000", "0\n")  # Ctrl-A, then the number
    until(lambda: "17 of 17 keypoints score 0.00" in told())
    until(lambda: len(browser.execute_script(CELLS)) == 17)
    shown = browser.execute_script(CELLS)
    rows = list(expected.rows())
    assert [cells[:2] for cells in shown] == [["0", row["keypoint"]] for row in rows]
    numbers = [[row["x"], row["y"], row["score"]] for row in rows]
    np.testing.assert_allclose([[float(v) for v in r[2:]] for r in shown], numbers, atol=0.02)
    until(lambda: browser.execute_script(SIZE) == list(expected.image_hw))
    for name, file in (("csv", "predictions.csv"), ("picture", "drawn_0.00.jpg")):
        parts(f"#{name}")[0].click()
        until((tmp_path / file).exists)
    with (tmp_path / "predictions.csv").open() as file:
        assert [[line["x"], line["y"]] for line in csv.DictReader(file)] == [
            cells[2:4] for cells in shown
        ]
    assert read_image(tmp_path / "drawn_0.00.jpg").shape[:2] == expected.image_hw
    browser.save_screenshot(os.environ.get("JAXPOSE_SCREENSHOT", str(tmp_path / "page.png")))
    log = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in log if e["method"] == REQUEST]
    own = (page.address, "data:", "blob:", "chrome:")
    assert len(asked) > 10 and [url for url in asked if not url.startswith(own)] == []
