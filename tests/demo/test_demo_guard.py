"""The page's gate: bounded posts, and no path of the client's own."""

import asyncio
import json

import pytest

from jaxpose.demo.guard import Guard
from jaxpose.demo.limits import Limits

LIMITS = Limits(max_upload_mb=0.1)
JSON = {"content-type": "application/json"}


@pytest.fixture
def ask(tmp_path):
    """Sends a request through the guard: the status, and what came through it."""

    def send(path, body=b"", method="POST", **headers):
        given = {"content-length": str(len(body))} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(k.encode(), v.encode()) for k, v in given.items() if v],
        }
        parts = [body[:10], body[10:]]
        came, statuses = [], []

        async def app(scope, receive, send):
            while True:
                message = await receive()
                came.append(message["body"])
                if not message.get("more_body"):
                    break
            await send({"type": "http.response.start", "status": 200})

        async def receive():
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def answer(message):
            statuses.append(message.get("status"))

        asyncio.run(Guard(app, tmp_path, LIMITS)(scope, receive, answer))
        return statuses[0], b"".join(came)

    return send


def join(path) -> bytes:
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    return json.dumps({"data": [{"any": [file]}, 0.3], "fn_index": 0}).encode()


def test_paths_are_those_of_uploads(ask, tmp_path):
    own = join(str(tmp_path / "ab" / "photo.jpg"))
    status, came = ask("/gradio_api/queue/join", own, **JSON)
    assert status == 200 and json.loads(came) == json.loads(own)
    assert ask("/gradio_api/queue/join", join(None), **JSON)[0] == 200
    (tmp_path / "link").symlink_to("/etc")
    for path in (
        "/etc/passwd",
        "photo.jpg",
        str(tmp_path),
        f"{tmp_path}/../secret",
        f"{tmp_path}/link/passwd",
        f"{tmp_path}-other/a",
        "http://localhost/a.jpg",
        "file:///etc/passwd",
        "a\0b",
        7,
        ["/etc/passwd"],
    ):
        assert ask("/gradio_api/queue/join", join(path), **JSON) == (403, b""), path
    twice = b'{"path": "%s/a", "path": "/etc/passwd"}' % str(tmp_path).encode()
    assert ask("/gradio_api/queue/join", twice, **JSON)[0] == 403


def test_only_what_the_page_posts(ask):
    assert ask("/anything", method="GET") == (200, b"")
    for path in ("/gradio_api/run/predict", "/gradio_api/vibe-edit", "/login", "/"):
        assert ask(path)[0] == 404
    assert ask("/gradio_api/upload", method="PUT")[0] == 404
    # A form of another site could be posted as text without the browser's asking.
    assert ask("/gradio_api/queue/join", b"{}", content_type="text/plain")[0] == 413
    assert ask("/gradio_api/queue/join", b"{}{}{}{}{}{}", **JSON)[0] == 400
    assert ask("/gradio_api/queue/join", b"[" * 60_000, **JSON)[0] == 400
    assert ask("/gradio_api/queue/join", b"1" * 70_000, **JSON)[0] == 413
    assert ask("/gradio_api/queue/join", b"1" * 70_000, **JSON, content_length="9")[0] == 400


def test_uploads_are_bounded_one_by_one_and_together(ask, tmp_path):
    form = {"content_type": "multipart/form-data; boundary=x"}
    assert ask("/gradio_api/upload", b"x" * 100_000, **form) == (200, b"x" * 100_000)
    assert ask("/gradio_api/upload", b"x", **form, content_length="")[0] == 411
    assert ask("/gradio_api/upload", b"x", **form, content_length="-5")[0] == 411
    assert ask("/gradio_api/upload", b"x", **form, content_length="170000")[0] == 413
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "full").write_bytes(bytes(1_590_000))
    assert ask("/gradio_api/upload", b"x" * 20_000, **form) == (503, b"")
