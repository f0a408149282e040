"""HTTPS server on this machine that plays the official hosts, under their own names and paths.

Names are looked up here for the length of a `with`, and a certificate authority made for the test
signs for all of them. What the server does with a path can be changed: `faults`.
"""

import contextlib
import hashlib
import http.server
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

CDN = "cas-bridge.xethub.hf.co"
"""Host to which Hugging Face's redirects its files."""


def certificates(folder: Path, hosts: list[str]) -> tuple[Path, Path, Path]:
    """A certificate authority's certificate, and one for `hosts` with its key, made by openssl.

    Returns:
      Paths of the authority, the certificate and the key.
    """
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificates, is not on this machine")
    names = ",".join([*(f"DNS:{host}" for host in hosts), "DNS:localhost", "IP:127.0.0.1"])
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    key, usual = ["-CA", "ca.pem", "-CAkey", "ca.key"], ["openssl", "req", "-x509", "-days", "2"]
    for command in (
        [*usual, *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority"],
        [
            *[
                *usual,
                *curve,
                *key,
                "-keyout",
                "host.key",
                "-out",
                "host.pem",
                "-subj",
                "/CN=hosts",
            ],
            *["-addext", f"subjectAltName={names}", "-addext", "basicConstraints=CA:FALSE"],
        ],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this openssl does not make such certificates: {done.stderr[-200:]}")
    return folder / "ca.pem", folder / "host.pem", folder / "host.key"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        host = self.headers["Host"].partition(":")[0]
        path = self.path
        if host in ("127.0.0.1", "localhost"):  # a mirror, which keeps host and path
            _, host, rest = path.split("/", 2)
            path = f"/{rest}"
        self.address = f"https://{host}{path}"
        self.server.asked.append((self.address, self.headers.get("Range")))
        if host == "huggingface.co":
            self.redirect(f"https://{CDN}{path}")
            return
        place = self.address.replace(CDN, "huggingface.co")
        file = self.server.files.get(place)
        fault = self.server.faults.get(place)
        if fault is not None:
            fault(self, file)
        elif file is None:
            self.send_error(404)
        else:
            self.send_file(file)

    def redirect(self, where: str):
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file(self, file: Path, stop: int | None = None, chunk: int = 2**20):
        """Send a file or the rest of it; the connection breaks at byte `stop` of the file."""
        size, first = file.stat().st_size, 0
        tag = f'"{file.stat().st_mtime_ns}"'
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range") in (None, tag):
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if first else 200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(size - first))
        self.end_headers()
        with file.open("rb") as content:
            content.seek(first)
            left = size - first if stop is None else stop - first
            while left > 0 and (block := content.read(min(chunk, left))):
                self.wfile.write(block)
                left -= len(block)
        if stop is not None:
            self.close_connection = True

    def send_page(self):
        page = b"<!doctype html><title>Sign in to the hotel</title>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def official_hosts(folder: Path, hosts: list[str], monkeypatch) -> Iterator[SimpleNamespace]:
    """Serve `files` (address -> file) as `hosts`; `faults` (address -> function) misbehave.

    Yields:
      `files`, `faults`, `asked` (address and range of each request), `port`, `authority`, and
      `elsewhere`, names that do not lead here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hosts = sorted({*hosts, CDN})
    authority, certificate, key = certificates(folder, hosts)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.files, server.faults, server.asked = {}, {}, []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # clients that hang up
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    look_up: Callable = socket.getaddrinfo

    def here(host, port, *rest, **more):
        if host in hosts:
            return look_up("127.0.0.1", server.server_port, *rest, **more)
        if host not in ("127.0.0.1", "localhost"):
            raise socket.gaierror(-2, "Name or service not known")
        return look_up(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    try:
        yield SimpleNamespace(
            files=server.files,
            faults=server.faults,
            asked=server.asked,
            port=server.server_port,
            authority=authority,
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def host_of(address: str) -> str:
    return urlsplit(address).netloc


def sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
