"""Every name that can run: fetched from its official address, checked, converted, run.

The hosts are played by a server on this machine (`official_hosts`), the files are made from drawn
weights (`official_files`). The address, the path in the cache, the format and the table are those
of the real files; their checksums cannot be, and the drawn files' take their place.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from official_files import drawn_leaves, write_official_file
from official_hosts import host_of, official_hosts, sha256
from reference import REAL_WEIGHTS

from jaxpose.convert import load_pretrained, load_state_dict, to_variables
from jaxpose.convert.release import load_release
from jaxpose.convert.rules import flatten
from jaxpose.download import transfer
from jaxpose.download.fetch import fetch, place_of
from jaxpose.download.shards import shard_names
from jaxpose.errors import InputError
from jaxpose.hub import catalogue
from jaxpose.hub.addresses import address_for
from jaxpose.hub.load import load, load_detector, load_pose, weights
from jaxpose.models.published.catalogue import find, records
from jaxpose.paths import CACHE_VARIABLE

# Files of phone models have formats that cannot be drawn: their tests serve the real files.
DRAWN = (".pth", ".bin", ".safetensors")
WITH_WEIGHTS = [r for r in records() if r.weights]
RUN = [r.name for r in WITH_WEIGHTS if r.weights.file_name.endswith(DRAWN)]
PHONES = {r.name: r.weights.file_name for r in WITH_WEIGHTS if r.name not in RUN} | {
    **{f"movenet-{size}": f"movenet-{size}.json" for size in ("lightning", "thunder", "multipose")},
    "posenet-mobilenetv1-0.75": "posenet.json",
}
# One of each project's format; the others are marked slow.
QUICK = (
    "rtmpose-t",
    "videopose3d-27-semi",
    "videopose3d-243-coco",
)
HOSTS = sorted({host_of(r.weights.address) for r in WITH_WEIGHTS})


@pytest.fixture
def site(tmp_path, monkeypatch):
    """`publish(name)` puts a drawn file at the address of a record and returns its leaves."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(transfer, "_PAUSE", 0.0)
    monkeypatch.chdir(tmp_path)
    digits = {}

    def known(record):
        address = address_for(record)
        return replace(address, sha256=digits.get(record.name, address.sha256))

    monkeypatch.setattr(catalogue, "address_for", known)
    with official_hosts(tmp_path / "server", HOSTS, monkeypatch) as server:

        def publish(name, other=None):
            record = find(name)
            file = tmp_path / "server" / record.weights.file_name
            leaves = drawn_leaves(find(other or name))
            source = replace(find(other), weights=record.weights) if other else record
            write_official_file(source, leaves, file)
            server.files[record.weights.address] = file
            digits[name] = sha256(file)[:8]
            server.digits = digits
            return leaves

        server.publish = publish
        server.cache = tmp_path / "cache"
        yield server


def left(site, *suffixes):
    """Files in the cache whose names end so, without notes of checksums and partial files."""
    files = (path for path in site.cache.rglob("[!.]*") if path.is_file())
    return [path for path in files if path.suffix in suffixes]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in RUN]
)
def test_a_name_is_fetched_checked_converted_and_run(site, name, capsys):
    record = find(name)
    leaves = site.publish(name)
    if record.kind == "lifter" and record.codec is None:
        folder = catalogue.resolve(name)  # converts, but cannot predict
        with pytest.raises(InputError, match="cannot predict yet"):
            load(name)
        variables, model = load_release(folder).variables, record.model()
    elif record.kind == "detector":
        detector = load_detector(name)
        variables, model = detector.variables, record.model()
        assert detector.name == name and detector.input_hw == record.input_hw
        (found,) = detector([np.full((90, 120, 3), 120, np.uint8)])
        assert np.isfinite(found.boxes_xywh).all() and detector.compilations == 1
    elif record.kind == "backbone":
        model = record.model()
        variables = load_pretrained(model, weights(name))
        with pytest.raises(InputError, match="a backbone with ImageNet weights"):
            load(name)
    else:
        trained = load(name)
        variables, model = trained.variables, trained.model
        assert trained.codec == getattr(record, "codec", None) or record.kind == "pose"
        if record.kind == "pose":
            assert trained.codec == record.codec(record.input_hw)
        assert trained.skeleton == record.skeleton and trained.model == record.model()
    mine = dict(flatten(jax.device_get(variables)))
    assert mine.keys() == leaves.keys()
    for path, leaf in leaves.items():
        np.testing.assert_array_equal(mine[path], leaf, err_msg=path)
    if record.kind != "detector":
        _run(record, model, variables)
    told = capsys.readouterr().err
    assert ("forbids commercial use" in told) == (not record.commercial)
    # The second time nothing is asked of the server.
    count = len(site.asked)
    catalogue.resolve(name)
    assert len(site.asked) == count and host_of(record.weights.address) in site.asked[0][0]


@pytest.mark.slow
@pytest.mark.parametrize("name", PHONES)
def test_a_phone_model_is_fetched_from_its_official_address(site, name):
    """The real file, from the package that has it, with the published checksum where one is known.

    TensorFlow.js' files are served under the names in the package, which their `model.json` lists.
    """
    record, path = find(name), real_file(PHONES[name], find(name).weights.sha256)
    address, _, query = record.weights.address.partition("?")
    query = f"?{query}" if query else ""
    site.files[f"{address}{query}"] = path
    for shard in shard_names(path) if path.suffix == ".json" else ():
        site.files[f"{address.rpartition('/')[0]}/{shard}{query}"] = path.with_name(shard)
    loaded = load_detector(name) if record.kind == "detector" else load_pose(name)
    expected = dict(flatten(to_variables(load_state_dict(path), record.model())))
    mine = dict(flatten(jax.device_get(loaded.variables)))
    assert mine.keys() == expected.keys() and len(site.asked) == len(site.files)
    for key, leaf in expected.items():
        np.testing.assert_array_equal(mine[key], leaf, err_msg=key)


def real_file(name, digits):
    """File whose SHA-256 begins so, among the real weights or beside this checkout."""
    folder = os.environ.get(REAL_WEIGHTS, "")
    beside = Path(__file__).resolve().parents[3] / "shared" / "weights"
    for root in filter(None, (folder, beside)):
        for path in sorted(Path(root).rglob(name)):
            if sha256(path).startswith(digits):
                return path
    pytest.skip(f"{name} is not under the folder that {REAL_WEIGHTS} names ({folder or 'none'})")


def _run(record, model, variables):
    if record.kind == "lifter":
        features = model.backbone.in_features
        inputs = np.zeros((1, record.frames, record.num_keypoints, features), np.float32)
    else:
        inputs = np.zeros((1, *record.input_hw, 3), np.float32)
    outputs = jax.jit(model.apply)(variables, inputs)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(outputs))
    if record.kind == "pose":
        decoded = record.codec(record.input_hw).decode(outputs)
        assert decoded.keypoints.shape == (1, record.num_keypoints, 2)


def test_without_the_drawn_digits_the_published_checksum_refuses(site):
    site.publish("rtmpose-t")
    site.digits.clear()
    with pytest.raises(InputError, match=r"SHA-256 .* states cfc8f33d.*damaged or another file"):
        load_pose("rtmpose-t")
    assert not left(site, ".pth", ".safetensors")


def test_a_cut_connection_is_resumed(site):
    """Cut twice: the ranges that follow begin where the bytes ended."""
    site.publish("rtmpose-t")
    address = find("rtmpose-t").weights.address
    stops = [3_000_000, 5_000_001]

    def cut(handler, file):
        handler.send_file(file, stops.pop(0) if stops else None)

    site.faults[address] = cut
    load_pose("rtmpose-t")
    ranges = [asked for where, asked in site.asked if where == address]
    assert ranges == [None, "bytes=3000000-", "bytes=5000001-"]


def test_a_connection_that_stays_cut_leaves_nothing(site):
    site.publish("rtmpose-t")
    site.faults[find("rtmpose-t").weights.address] = lambda h, file: h.send_file(file, 1000)
    with pytest.raises(InputError, match=r"broke off .* put the file at"):
        load_pose("rtmpose-t")
    assert not left(site, ".pth", ".safetensors") and not list(site.cache.rglob(".*.pth.*"))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda h, file: h.send_page(), "is a web page, not a checkpoint"),
        (
            lambda h, file: h.redirect("http://portal.example.org/login"),
            "redirects to http://portal",
        ),
        (lambda h, file: h.redirect("https://portal.example.org/login"), "cannot reach"),
        (lambda h, file: h.redirect("file:///etc/passwd"), "redirect"),
        (lambda h, file: h.send_error(503), "with 503"),
        (lambda h, file: h.send_file(h.server.other), "damaged or another file"),
    ],
)
def test_what_is_not_the_file_is_refused(site, tmp_path, fault, message):
    """A captive portal's page, redirects to elsewhere, an error, another file: nothing is kept."""
    site.publish("rtmpose-t")
    address = find("rtmpose-t").weights.address
    other = tmp_path / "other.pth"
    other.write_bytes(b"PK" + bytes(5000))

    def misbehave(handler, file):
        handler.server.other = other
        fault(handler, file)

    site.faults[address] = misbehave
    with pytest.raises(InputError, match=message):
        load_pose("rtmpose-t")
    assert not left(site, ".pth", ".safetensors")
    del site.faults[address]
    load_pose("rtmpose-t")  # and the next time it is fetched


def test_a_redirect_to_another_https_host_is_followed_and_its_file_checked(site, tmp_path):
    site.publish("rtmpose-t")
    address = find("rtmpose-t").weights.address
    elsewhere = "https://github.com/elsewhere/file.pth"
    site.files[elsewhere] = site.files[address]
    site.faults[address] = lambda handler, file: handler.redirect(elsewhere)
    load_pose("rtmpose-t")
    assert [where for where, _ in site.asked] == [address, elsewhere]


def test_a_mirror_keeps_host_and_path(site, monkeypatch):
    site.publish("rtmpose-t")
    monkeypatch.setenv("JAXPOSE_MIRROR", f"https://127.0.0.1:{site.port}/")
    load_pose("rtmpose-t")


def test_a_file_put_by_hand_serves_the_name(site, capsys):
    site.publish("rtmpose-t")
    address = catalogue.address_for(find("rtmpose-t"))
    place = place_of(address)
    place.parent.mkdir(parents=True)
    content = site.files[address.url].read_bytes()
    place.write_bytes(content[:-1])
    with pytest.raises(InputError, match=r"put there by hand .*damaged, incomplete or another"):
        load_pose("rtmpose-t")
    place.write_bytes(content)
    assert load_pose("rtmpose-t").model == find("rtmpose-t").model()
    assert not site.asked


@pytest.mark.slow
def test_weights_of_another_size_under_a_name_are_refused(site):
    for other in ("rtmpose-s", "rtmpose-t-halpe26"):
        site.publish("rtmpose-t", other=other)
        message = "does not have the arrays of rtmpose-t: it is of another size or model"
        with pytest.raises(InputError, match=message) as error:
            load_pose("rtmpose-t")
        assert "\n" not in str(error.value)
        shutil.rmtree(site.cache)


FETCH = """
import sys
import jaxpose
from jaxpose.hub import catalogue
from dataclasses import replace
from jaxpose.hub.addresses import address_for
digits = sys.argv[1]
catalogue.address_for = lambda record: replace(address_for(record), sha256=digits)
{before}
try:
    trained = jaxpose.load("rtmpose-t")
except jaxpose.errors.InputError as error:
    print("InputError:", error)
    sys.exit(2)
import numpy as np
print("loaded", trained.directory)
"""


def start(site, before=""):
    """Another process that loads rtmpose-t from the server, as a mirror."""
    environment = os.environ | {
        "JAXPOSE_MIRROR": f"https://127.0.0.1:{site.port}",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-c", FETCH.format(before=before), site.digits["rtmpose-t"]]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_two_processes_at_once_and_one_that_is_killed(site):
    """Both load the whole model; a process that is killed in the middle leaves nothing in use."""
    leaves = site.publish("rtmpose-t")
    address = find("rtmpose-t").weights.address
    slow = {"first": True}

    def hang(handler, file):
        """The first request stops in the middle and stays open until its process is killed."""
        if slow.pop("first", False):
            handler.send_response(200)
            handler.send_header("Content-Length", str(file.stat().st_size))
            handler.end_headers()
            handler.wfile.write(file.read_bytes()[:2_000_000])
            handler.wfile.flush()
            half.kill()
            half.wait()
            return
        handler.send_file(file)

    site.faults[address] = hang
    half = start(site)
    half.communicate()
    assert half.returncode == -signal.SIGKILL
    assert not left(site, ".pth", ".safetensors")
    both = [start(site), start(site)]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    trained = load_pose("rtmpose-t")
    mine = dict(flatten(jax.device_get(trained.variables)))
    for path, leaf in leaves.items():
        np.testing.assert_array_equal(mine[path], leaf)
    assert len(left(site, ".pth")) == 1 and len(left(site, ".safetensors")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("work", ["download", "conversion"])
def test_a_disk_that_fills_up_leaves_nothing_half_written(site, work):
    """No file can grow over 4 MB."""
    site.publish("rtmpose-t")
    if work == "conversion":
        fetch(catalogue.address_for(find("rtmpose-t")))
    before = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000))"
    )
    process = start(site, before)
    printed, errors = process.communicate()
    assert process.returncode == 2, errors
    assert re.search(r"InputError: .* cannot be (stored|written).*File too large", printed)
    assert not left(site, ".safetensors")
    assert len(left(site, ".pth")) == (work == "conversion")
    assert not list(site.cache.rglob(".*.pth.*")) and not list(site.cache.rglob(".new-*"))
    load_pose("rtmpose-t")  # with room again
