"""Weights by address, from a server on this machine that behaves as well or badly as it is told."""

import errno
import hashlib
import http.server
import json
import os
import socket
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save

from jaxpose.convert import load_state_dict
from jaxpose.convert.reading import files_of
from jaxpose.convert.release import load_release
from jaxpose.download import address_of, local, transfer
from jaxpose.download.address import MIRROR_VARIABLE
from jaxpose.errors import InputError
from jaxpose.paths import CACHE_VARIABLE, cache_folder

BODY = np.random.default_rng(0).bytes(5000)
SHA = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers from `server.plan`: path -> a function of the handler."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        self.server.plan.get(self.path, missing)(self)

    def log_message(self, *_):
        pass


def missing(handler):
    handler.send_error(404)


def whole(content=BODY, **headers):
    def answer(handler):
        handler.send_response(200)
        for name, value in {"Content_Length": len(content), **headers}.items():
            handler.send_header(name.replace("_", "-"), str(value))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def breaks_at(count, *, tag='"one"', resumes=True):
    """Stops after `count` bytes the first time; then answers ranges, or not."""

    def answer(handler):
        asked = handler.headers.get("Range")
        if asked is None and len(handler.server.asked) == 1:
            whole(BODY[:count], ETag=tag, Content_Length=len(BODY))(handler)
            return
        first = int(asked.split("=")[1].rstrip("-")) if asked and resumes else 0
        handler.send_response(206 if first else 200)
        handler.send_header("Content-Length", str(len(BODY) - first))
        handler.end_headers()
        handler.wfile.write(BODY[first:])

    return answer


def leads_to(place):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", place)
        handler.end_headers()

    return answer


@pytest.fixture
def site(monkeypatch, tmp_path):
    """`at(path, answer)` puts an answer at an address; the cache is a folder of its own."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(transfer, "_PAUSE", 0.0)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.plan, server.asked = {}, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    root = f"http://127.0.0.1:{server.server_port}"

    def at(path, answer):
        server.plan[path] = answer
        return root + path

    yield SimpleNamespace(at=at, asked=server.asked, cache=tmp_path / "cache")
    server.shutdown()
    server.server_close()
    thread.join()


def left(site):
    """Names of all files in the cache."""
    return sorted(path.name for path in site.cache.rglob("*") if path.is_file())


def test_what_an_address_says():
    assert address_of("weights/x.pth") is None and address_of(Path("/a/x.pth")) is None
    assert address_of("C:/weights/x.pth") is None
    site = "https://download.openmmlab.com/mmpose"
    named = {
        "rtmpose-s_coco-256x192-fcb2599b_20230126.pth": "fcb2599b",
        "resnet50-11ad3fa6.pth": "11ad3fa6",
        "hrnet_w32-20230126.pth": "",
        "vitpose-b.pth": "",
        "yolox_s_8x8_300e_coco_20211121_095711-4592a793.pth": "4592a793",
    }
    for name, digits in named.items():
        for where in (f"{site}/{name}", Path(f"{site}/{name}"), f"{site}/{name}?download=1"):
            address = address_of(where)
            assert (address.name, address.sha256, address.pinned) == (name, digits, False)
            assert address.url.startswith("https://download.openmmlab.com/mmpose/")
    pinned = address_of(f"{site}/x-fcb2599b.pth#sha256={SHA.upper()}")
    assert (pinned.sha256, pinned.pinned, pinned.url) == (SHA, True, f"{site}/x-fcb2599b.pth")
    folder = address_of(f"https://host/me/rtmpose-s/resolve/main/#sha256={SHA}")
    assert folder.is_folder and folder.host == "host"
    inside = folder.inside("model.safetensors")
    assert inside.url == "https://host/me/rtmpose-s/resolve/main/model.safetensors"
    assert inside.pinned and not folder.inside("config.json").sha256
    assert address_of("https://host/a%2F..%2Fb c/x y.pth").name == "x_y.pth"
    assert address_of(f"http://host/x.pth#sha256={SHA}").pinned


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("http://host/x.pth", "can be changed on its way"),
        ("http://host/x-fcb2599b.pth", "can be changed on its way"),
        ("ftp://host/x.pth", "not ftp://"),
        ("file:///etc/passwd", "not file://"),
        ("https://host/x.pth#md5=1", "sha256= and 64 digits"),
    ],
)
def test_addresses_that_are_refused(where, message):
    with pytest.raises(InputError, match=message):
        address_of(where)


def test_a_mirror_keeps_host_path_and_query(monkeypatch):
    address = address_of("https://host.org/a/x-fcb2599b.pth?download=1")
    monkeypatch.setenv(MIRROR_VARIABLE, "https://mirror.org/models/")
    assert address.request_url == "https://mirror.org/models/host.org/a/x-fcb2599b.pth?download=1"
    assert address.sha256 == "fcb2599b"
    assert address_of("http://127.0.0.1:9/x.pth").request_url == "http://127.0.0.1:9/x.pth"
    monkeypatch.setenv(MIRROR_VARIABLE, "http://mirror.org")
    with pytest.raises(InputError, match=r"JAXPOSE_MIRROR is 'http://mirror\.org'; it must be"):
        address.request_url  # noqa: B018


def test_a_file_is_fetched_once(site, capsys):
    url = site.at("/x.pth", whole())
    path = local(url)
    assert path.read_bytes() == BODY and path.name == "x.pth"
    told = capsys.readouterr().err
    assert f"#sha256={SHA}" in told
    assert local(url) == local(f"{url}#sha256={SHA}") == path
    assert len(site.asked) == 1 and not capsys.readouterr().err
    assert left(site) == ["x.pth", "x.pth.sha256"]
    # Another file at the same address, for one who pinned the first, is fetched and refused.
    site.at("/x.pth", whole(BODY[1:]))
    path.unlink()
    with pytest.raises(InputError, match="another file than the one that was pinned"):
        local(f"{url}#sha256={SHA}")
    assert len(site.asked) == 2 and "x.pth" not in left(site)


def test_a_file_that_was_replaced_by_hand_is_checked_again(site, capsys):
    url = site.at("/x.pth", whole())
    path = local(url)
    note = path.with_name("x.pth.sha256")
    path.write_bytes(BODY[1:])
    later = note.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))
    with pytest.raises(InputError, match=rf"put there by hand .*, not {SHA}"):
        local(f"{url}#sha256={SHA}")
    assert local(url) == path and len(site.asked) == 1
    assert note.read_text().startswith(hashlib.sha256(BODY[1:]).hexdigest())


def test_the_name_of_a_file_promises_its_checksum(site, capsys):
    good = site.at(f"/rtmpose-{SHA[:8]}_20230126.pth", whole())
    assert local(good).read_bytes() == BODY and not capsys.readouterr().err
    bad = site.at("/rtmpose-0123abcd_20230126.pth", whole())
    with pytest.raises(InputError, match=f"states 0123abcd.*#sha256={SHA}"):
        local(bad)
    assert local(f"{bad}#sha256={SHA}").read_bytes() == BODY


@pytest.mark.parametrize(("tag", "ranges"), [('"one"', "bytes=2000-"), ('W/"one"', None)])
def test_a_connection_that_breaks_is_taken_up(site, tag, ranges):
    path = local(site.at("/x.npz", breaks_at(2000, tag=tag)))
    assert path.read_bytes() == BODY
    assert [asked for _, asked in site.asked] == [None, ranges]


def test_a_server_without_ranges_begins_anew(site):
    path = local(site.at("/x.npz", breaks_at(2000, resumes=False)))
    assert path.read_bytes() == BODY


def test_a_connection_that_always_breaks_leaves_nothing(site):
    url = site.at("/x.pth", whole(BODY[:9], Content_Length=5000))
    with pytest.raises(InputError, match="broke off after 9 of 5,000 bytes, 4 times"):
        local(url)
    assert left(site) == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (missing, "responds to .* with 404: Not Found"),
        (lambda handler: handler.send_error(403), "needs a login"),
        (whole(b"\n<!doctype html>"), "is a web page"),
        (leads_to("file:///etc/passwd"), "a redirect"),
        (leads_to("http://example.org/x.pth"), "need https://"),
        (leads_to("/x.pth"), "a redirect"),
        (whole(Content_Length=10**18), "more than 16 GiB"),
        (whole(Content_Length=15 * 2**30), "room for 1"),
    ],
)
def test_what_is_not_let_in(site, monkeypatch, answer, message):
    usage = SimpleNamespace(free=1_000_000)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match=message):
        local(site.at("/x.pth", answer))
    assert left(site) == []


def test_too_much_without_a_length_is_cut(site, monkeypatch):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(BODY)

    url = site.at("/x.pth", endless)
    assert local(url).read_bytes() == BODY
    monkeypatch.setattr(transfer, "MAX_BYTES", 4000)
    with pytest.raises(InputError, match="too large for a pose model"):
        local(site.at("/y.pth", endless))


def test_offline_it_says_so_and_what_is_there_still_works(site, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match=rf"cannot reach 127.0.0.1:{port}: .*elsewhere and give"):
        local(f"http://127.0.0.1:{port}/x.pth")

    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(InputError, match=r"cannot reach download\.openmmlab\.com: Name or"):
        local("https://download.openmmlab.com/x.pth")
    assert left(site) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_full_disk_and_ctrl_c_leave_nothing(site, monkeypatch, error):
    def failing(address, path):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(sys.modules["jaxpose.download.fetch"], "receive", failing)
    raised = InputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(raised):
        local("https://host/x.pth")
    assert left(site) == []


def test_checkpoints_and_releases_are_read_by_address(site, tmp_path):
    arrays = {"params/head/bias": np.arange(3, dtype=np.float32)}
    np.savez(tmp_path / "x.npz", **arrays)
    url = site.at("/x.npz", whole((tmp_path / "x.npz").read_bytes()))
    np.testing.assert_array_equal(load_state_dict(Path(url))["params/head/bias"], [0, 1, 2])
    site.at("/me/s/config.json", whole(json.dumps({"format": "jaxpose 1", "name": "s"}).encode()))
    folder = site.at("/me/s/model.safetensors", whole(save(arrays))).rpartition("/")[0]
    release = load_release(local(folder))
    assert release.config == {"name": "s", "estimator": None}
    np.testing.assert_array_equal(load_state_dict(folder + "/")["params/head/bias"], [0, 1, 2])
    with pytest.raises(InputError, match="not a release folder"):
        local(site.at("/me", missing))


def test_weight_files_of_a_tensorflow_js_model_come_with_it(site):
    kernel = np.arange(4, dtype=np.float32)
    entry = {"name": "kernel", "shape": [4], "dtype": "float32"}
    manifest = [{"paths": ["a b.bin"], "weights": [entry]}]
    content = json.dumps({"modelTopology": {}, "weightsManifest": manifest}).encode()
    url = site.at("/net/model.json?format=file", whole(content))
    site.at("/net/a%20b.bin?format=file", whole(kernel.tobytes()))
    np.testing.assert_array_equal(load_state_dict(url)["kernel"], kernel)
    load_state_dict(url)
    assert [path for path, _ in site.asked] == [
        "/net/model.json?format=file",
        "/net/a%20b.bin?format=file",
    ]
    assert [file.name for file in files_of(local(url))] == ["model.json", "a b.bin"]
    outside = content.replace(b"a b.bin", b"../b.bin")
    with pytest.raises(InputError, match="which is not in its folder"):
        local(site.at("/net/outside.json", whole(outside)))


def test_the_weights_of_an_openvino_model_come_with_it(site):
    kernel = np.arange(4, dtype=np.float32)
    graph = b"""<net version="11"><layers><layer id="0" name="a.kernel" type="Const"><data
        element_type="f32" shape="4" offset="0" size="16"/></layer></layers></net>"""
    url = site.at("/a%20net/my%20model.xml?format=file", whole(graph))
    with pytest.raises(InputError, match=r"is two files, and .*my%20model\.bin\?.* with 404"):
        local(url)
    site.at("/a%20net/my%20model.bin?format=file", whole(kernel.tobytes()))
    np.testing.assert_array_equal(load_state_dict(url)["a.kernel"], kernel)
    assert [file.name for file in files_of(local(url))] == ["my_model.xml", "my_model.bin"]
    site.at("/a%20net/my%20model.bin?format=file", missing)
    load_state_dict(url)  # from the cache


def test_the_cache_is_where_the_system_keeps_such_things(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, "~/mine")
    assert cache_folder() == Path.home() / "mine"
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder() == tmp_path / "jaxpose"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == Path.home() / "Library/Caches/jaxpose"
