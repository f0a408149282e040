"""Published models by name: listed, fetched from a server on this machine, converted once."""

import hashlib
import http.server
import threading
from dataclasses import replace
from types import SimpleNamespace

import drawn
import jax
import numpy as np
import pytest
from safetensors.numpy import save

import jaxpose
from jaxpose.convert.rules import flatten
from jaxpose.download.transfer import Unreachable
from jaxpose.errors import InputError
from jaxpose.hub import catalogue
from jaxpose.hub.load import load_detector, load_lifter, load_pose, weights
from jaxpose.models.published.catalogue import find
from jaxpose.models.published.record import Weights
from jaxpose.paths import CACHE_VARIABLE
from jaxpose.pipeline import Pipeline


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends the files of `server.files`."""

    def do_GET(self):
        self.server.asked.append(self.path)
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def site(monkeypatch, tmp_path):
    """`publish(name)` puts made-up weights of a record on a server; their digits may be wrong."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.asked = {}, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    published = {}

    def records(pattern=None, kind=None):
        return [published.get(r.name, r) for r in original(pattern, kind)]

    def publish(name, digits=None):
        record = find(name)
        variables = drawn.variables(record.model(), record.input_hw or (1, 1))
        content = save({path: np.array(leaf) for path, leaf in flatten(variables).items()})
        server.files[f"/{name}.safetensors"] = content
        address = f"http://127.0.0.1:{server.server_port}/{name}.safetensors"
        digits = hashlib.sha256(content).hexdigest()[:8] if digits is None else digits
        published[name] = replace(record, weights=Weights(address, digits))
        return variables

    original = catalogue.records
    monkeypatch.setattr(catalogue, "records", records)
    yield SimpleNamespace(publish=publish, asked=server.asked, cache=tmp_path / "cache")
    server.shutdown()
    server.server_close()
    thread.join()


def test_models_are_listed_by_pattern_and_kind():
    every = jaxpose.list_models()
    assert {"rtmpose-s", "yolox-nano", "videopose3d-27"} <= set(every)
    assert jaxpose.list_models("rtmdet-*") == jaxpose.list_models("rtmdet", kind="detector")
    assert jaxpose.list_models("RTMPose-S") == jaxpose.list_models("rtmpose-s") != []
    assert "martinez" in jaxpose.list_models(kind="lifter")
    assert set(jaxpose.list_models(kind="pose")) < set(every)
    with pytest.raises(InputError, match="choose one of 'pose'"):
        jaxpose.list_models(kind="poses")


def test_public_names_are_all_in_dir():
    names = {"models", "codecs", "losses", "metrics", "skeletons", "data"}
    assert names | {"load", "list_models", "Pipeline", "__version__"} <= set(dir(jaxpose))
    for name in names:
        assert getattr(jaxpose, name).__name__ == f"jaxpose.{name}"
    assert jaxpose.Pipeline is Pipeline
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        jaxpose.lode  # noqa: B018


def test_a_name_is_fetched_and_converted_once(site, capsys):
    variables = site.publish("rtmpose-t")
    trained = jaxpose.load("rtmpose-t")
    record = find("rtmpose-t")
    assert trained.model == record.model() and trained.codec == record.codec(record.input_hw)
    assert trained.skeleton == record.skeleton
    jax.tree.map(np.testing.assert_array_equal, trained.variables, variables)
    assert "Converted once" in capsys.readouterr().err
    assert load_pose("rtmpose-t").directory == trained.directory
    assert site.asked == ["/rtmpose-t.safetensors"] and not capsys.readouterr().err
    # `init_from` and the like take the same names.
    state_dict = weights("rtmpose-t")
    np.testing.assert_array_equal(
        state_dict["params/head/x/kernel"], variables["params"]["head"]["x"]["kernel"]
    )


def test_the_name_decides_where_arrays_could_be_of_several_models(site):
    site.publish("mobilenetv2-384x288")
    assert jaxpose.load("mobilenetv2-384x288").codec.input_hw == (384, 288)


def test_a_detector_has_a_name_too(site):
    site.publish("yolox-nano")
    detector = load_detector("yolox-nano", threshold=0.4)
    assert detector.name == "yolox-nano" and detector.input_hw == (416, 416)
    with pytest.raises(InputError, match="is a detector"):
        jaxpose.load("yolox-nano")


def test_a_damaged_file_is_refused(site):
    site.publish("rtmpose-t", digits="00000000")
    with pytest.raises(InputError, match="damaged or another file"):
        jaxpose.load("rtmpose-t")
    assert not list(site.cache.rglob("*.safetensors"))


def test_a_folder_of_the_name_comes_first_and_a_note_says_so(site, tmp_path, capsys):
    (tmp_path / "rtmpose-t").mkdir()
    with pytest.raises(InputError, match="Rename the folder to use the published model"):
        catalogue.resolve("rtmpose-t")
    (tmp_path / "rtmpose-t" / "model.safetensors").touch()
    assert catalogue.resolve("rtmpose-t") == "rtmpose-t"
    assert "is a published model, too" in capsys.readouterr().err
    assert not site.asked


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rtmpose-ss", r"no published model of that name\. Did you mean 'rtmpose-s'"),
        ("poseformer-9", r"address .* is not known.*jaxpose convert FILE OUT --model poseformer-9"),
        ("vitpose-ti", r"No weights of vitpose-ti are published"),
        ("mobilenetv2-0.5", r"No weights of mobilenetv2-0\.5 are published"),
        ("RTMPose-S", r"Did you mean 'rtmpose-s'"),
        ("", r"The name of the model is empty: give a published name, a path"),
        ("none.pth", r"There is no checkpoint file none\.pth"),
    ],
)
def test_names_without_weights_are_refused(name, message, site):
    with pytest.raises(InputError, match=message):
        jaxpose.load(name)


@pytest.mark.parametrize("where", ["a/b", "./rtmpose-t", "https://x.org/a.pth", "gs://x/rtmpose-t"])
def test_paths_and_addresses_are_left_as_they_are(where):
    assert catalogue.resolve(where) == where


@pytest.mark.parametrize(
    ("load", "name", "message"),
    [
        (Pipeline.load, "rtmdet-nano-person", "rtmdet-nano-person is a detector. Pass it with"),
        (load_pose, "videopose3d-27", "videopose3d-27 is a lifter, which takes keypoints"),
        (load_lifter, "rtmpose-t", "rtmpose-t is a model for keypoints in images"),
        (load_detector, "rtmpose-t", "rtmpose-t is a model for keypoints in images"),
        (jaxpose.load, "yolox-nano", "yolox-nano is a detector"),
    ],
)
def test_a_name_of_another_kind_is_refused_before_the_download(load, name, message, site):
    site.publish(name)
    with pytest.raises(InputError, match=message):
        load(name)
    assert not site.asked


def test_a_release_of_a_pose_model_is_no_detector(site):
    site.publish("rtmpose-t")
    folder = jaxpose.load("rtmpose-t").directory
    with pytest.raises(InputError, match="is not a detector but a model for keypoints") as error:
        load_detector(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("rtmpose-t.pth", ""),
        ("model.json", ", and beside it the .bin files that it lists"),
        ("model.xml", ", and beside it the .bin of the same name"),
    ],
)
def test_without_a_network_the_message_says_what_to_do(site, monkeypatch, name, others):
    address = f"https://127.0.0.1:1/{name}"
    record = replace(find("rtmpose-t"), weights=Weights(address, "00000000"))
    monkeypatch.setattr(catalogue, "records", lambda *_: [record])
    message = (
        rf"cannot reach .*Download {address} elsewhere .*begins with 00000000.*put the file at"
        rf".*{name}{others}[,;]"
    )
    with pytest.raises(Unreachable, match=message):
        jaxpose.load("rtmpose-t")
