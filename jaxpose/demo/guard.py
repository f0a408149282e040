"""Middleware before the page's own server: lets only requests of the page through."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from jaxpose.demo.limits import Limits
from jaxpose.demo.temp_files import stored

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PREFIX = "/gradio_api"
_UPLOAD = f"{_PREFIX}/upload"
_JSON = frozenset(f"{_PREFIX}/{name}" for name in ("queue/join", "cancel", "reset"))
_JSON_BYTES = 65_536
_FORM_BYTES = 65_536  # what a form adds to its file


class Guard:
    """ASGI middleware: limits what is posted, and refuses paths that are not those of uploads.

    Gradio's pages name files by paths on the server, which a client can make up, and take
    addresses in their place, which the server would fetch.
    """

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], folder: Path, limits: Limits
    ) -> None:
        """Wraps `app`, whose uploads are in `folder`."""
        self._app = app
        self._folder = folder.resolve()
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses a request, or passes it on."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        length = headers.get(b"content-length", "")
        kind = headers.get(b"content-type", "").split(";")[0].strip().lower()
        path = scope["path"].rstrip("/")
        if scope["method"] != "POST" or path not in {_UPLOAD, *_JSON}:
            await _refuse(send, 404, "the page has no such address")
        elif not length.isdecimal():
            await _refuse(send, 411, "the length of what is posted must be told")
        elif path == _UPLOAD:
            refused = self._no_room_for(int(length))
            if refused:
                await self._read_past(receive)
                await _refuse(send, *refused)
            else:
                await self._app(scope, receive, send)
        elif kind != "application/json" or int(length) > _JSON_BYTES:
            await _refuse(send, 413, "a short JSON text is posted here")
        else:
            await self._checked(scope, receive, send)

    def _no_room_for(self, length: int) -> tuple[int, str] | None:
        """Status and message where an upload of so many bytes is refused."""
        if length > self._limits.upload_bytes + _FORM_BYTES:
            return 413, f"at most {self._limits.max_upload_mb:g} MB are taken"
        if stored(self._folder) + length > self._limits.stored_bytes:
            return 503, "there is no room for further uploads; try again in some minutes"
        return None

    async def _read_past(self, receive: Receive) -> None:
        """Reads the rest of a body, up to a limit: until then the client reads no response."""
        left, more = 2 * self._limits.upload_bytes, True
        while more and left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
            more = message.get("more_body", False)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes JSON on, as it was parsed here, if its paths are those of uploads."""
        body, more = b"", True
        while more and len(body) <= _JSON_BYTES:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            content = json.loads(body)
            allowed = _paths_within(content, self._folder)
        except (ValueError, RecursionError):
            await _refuse(send, 400, "this is not JSON")
            return
        if not allowed:
            await _refuse(send, 403, "only what was uploaded here is read")
            return
        whole: list[Message] = [{"type": "http.request", "body": json.dumps(content).encode()}]

        async def again() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, again, send)


def _paths_within(content: Any, folder: Path) -> bool:
    """True if every `path` anywhere in a JSON value lies below `folder`."""
    if isinstance(content, list):
        return all(_paths_within(one, folder) for one in content)
    if not isinstance(content, dict):
        return True
    path = content.get("path")
    if path is not None and not (
        isinstance(path, str) and "\0" not in path and folder in Path(path).resolve().parents
    ):
        return False
    return all(_paths_within(one, folder) for one in content.values())


async def _refuse(send: Send, status: int, message: str) -> None:
    body = f"{message[0].upper()}{message[1:]}.".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
