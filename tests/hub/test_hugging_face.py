"""Repositories `hf:ORG/REPO` and folders of transformers, from a hub on this machine."""

import hashlib
import http.server
import json
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import reference
from official_files import drawn_leaves, official_state_dict
from safetensors.numpy import save, save_file

import jaxpose
from jaxpose.convert import load_pretrained, load_state_dict
from jaxpose.convert.rules import flatten
from jaxpose.download.transfer import Unreachable
from jaxpose.errors import InputError
from jaxpose.hub import hugging_face
from jaxpose.hub.load import load_detector, load_pose, weights
from jaxpose.models import DeconvHead, PoseModel, SAMViT
from jaxpose.models.published.catalogue import find
from jaxpose.paths import CACHE_VARIABLE
from jaxpose.pipeline import Pipeline

constants = pytest.importorskip("huggingface_hub.constants")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
VITPOSE = {"model_type": "vitpose", "architectures": ["VitPoseForPoseEstimation"]}
BERT = {"model_type": "bert", "architectures": ["BertForMaskedLM"]}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does: `/ORG/REPO/resolve/REVISION/FILE`, with its headers."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.server.asked.append((self.command, self.path))
        repository, _, rest = self.path.strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        files = self.server.repositories.get(repository)
        if files is None:
            return self.refuse(401 if repository == "me/gated" else 404, "RepoNotFound")
        if revision not in ("main", "v1", COMMIT):
            return self.refuse(404, "RevisionNotFound")
        if name not in files:
            return self.refuse(404, "EntryNotFound")
        content = files[name]
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)
        return None

    def refuse(self, status, code):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """`repositories`: name -> files by name; caches are folders of their own."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.repositories, server.asked = {}, []
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))

    def stop():
        server.shutdown()
        server.server_close()
        thread.join()

    yield SimpleNamespace(repositories=server.repositories, asked=server.asked, stop=stop)
    if thread.is_alive():
        stop()


@pytest.fixture(scope="module")
def small():
    """Arrays of ViTPose-S of Hugging Face, and the leaves that they become."""
    from dataclasses import replace

    record = find("vitpose-s")
    record = replace(record, weights=find("vitpose-b-hf").weights)
    leaves = drawn_leaves(record)
    arrays = official_state_dict(record, leaves)
    return {key: np.ascontiguousarray(array) for key, array in arrays.items()}, leaves


def sharded(arrays, count=3):
    """Files of a repository whose weights are in several files."""
    names = [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    parts = [dict(list(arrays.items())[i::count]) for i in range(count)]
    index = {
        "metadata": {},
        "weight_map": {k: n for n, p in zip(names, parts, strict=True) for k in p},
    }
    files = {name: save(part) for name, part in zip(names, parts, strict=True)}
    return files | {"model.safetensors.index.json": json.dumps(index).encode()}


def repository(config, arrays, **more):
    return {"config.json": json.dumps(config).encode(), "model.safetensors": save(arrays), **more}


def write(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_repository_is_a_model_by_its_name(hub, small, capsys, monkeypatch):
    arrays, leaves = small
    card = b"---\nlicense: cc-by-nc-4.0\n---\n# A model\n"
    hub.repositories["me/vitpose"] = repository(VITPOSE, arrays) | {"README.md": card}
    trained = load_pose("hf:me/vitpose")
    assert trained.model == find("vitpose-s").model() and trained.skeleton.name == "coco17"
    mine = dict(flatten(trained.variables))
    for path, leaf in leaves.items():
        np.testing.assert_array_equal(mine[path], leaf)
    assert "hf:me/vitpose, cc-by-nc-4.0, forbids commercial use" in capsys.readouterr().err
    assert "hf:me/vitpose@0123456789ab" in (trained.directory / "README.md").read_text()
    state_dict = weights("hf:me/vitpose@v1")  # as init_from reads it
    assert "backbone.layernorm.weight" in state_dict
    hub.stop()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # it would try again for 20 seconds
    assert load_pose("hf:me/vitpose").directory == trained.directory  # from the cache


def test_a_backbone_in_a_repository_starts_a_model(hub):
    golden = reference.load("hf_sam_tiny_128x128", "backbones")
    hub.repositories["me/sam"] = repository({"model_type": "sam_vision_model"}, golden.state_dict)
    backbone = SAMViT((128, 128), 48, 4, 3, window=3, sections=2, neck=32)
    model = PoseModel(backbone, DeconvHead(5, ()))
    loaded = load_pretrained(model, weights("hf:me/sam"), reset_head=True)
    kernel = golden.state_dict["vision_encoder.layers.3.mlp.lin1.weight"].T
    np.testing.assert_array_equal(
        loaded["params"]["backbone"]["block_3"]["mlp"]["fc1"]["kernel"], kernel
    )
    with pytest.raises(InputError, match="backbone without a pose head"):
        load_pose("hf:me/sam")


def test_shards_load_like_one_file(hub, small, tmp_path):
    arrays, _ = small
    files = sharded(arrays) | {"config.json": json.dumps(VITPOSE).encode()}
    hub.repositories["me/large"] = files
    local = write(tmp_path / "large", files)
    assert load_pose("hf:me/large").directory == load_pose(local).directory
    state_dict = load_state_dict(local)
    assert state_dict.keys() == arrays.keys()
    (local / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no model-00002-of-00003\.safetensors, which"):
        load_pose(local)
    index = json.loads(files["model.safetensors.index.json"])
    index["weight_map"]["x"] = "../secret.safetensors"
    (local / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="names files outside of its folder"):
        load_pose(local)
    (local / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(InputError, match="has no map from arrays to files"):
        load_pose(local)


def test_a_release_in_a_repository_is_used_as_it_is(hub, small, tmp_path):
    arrays, _ = small
    release = load_pose(write(tmp_path / "local", repository(VITPOSE, arrays))).directory
    files = {file.name: file.read_bytes() for file in release.iterdir()}
    hub.repositories["me/release"] = files
    trained = load_pose("hf:me/release")
    assert trained.directory.parent.name == "snapshots"
    assert trained.model == find("vitpose-s").model()


@pytest.mark.parametrize("load", [jaxpose.load, load_pose, load_detector, weights, Pipeline.load])
def test_a_folder_of_another_model_is_refused(hub, tmp_path, load):
    arrays = {"bert.embeddings.weight": np.zeros((3, 4), np.float32)}
    hub.repositories["me/bert"] = repository(BERT, arrays)
    message = r"has the weights of BertForMaskedLM \(model type 'bert' of transformers\)"
    with pytest.raises(InputError, match=message) as error:
        load("hf:me/bert")
    assert "hf:me/bert@0123456789ab" in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(InputError, match=message):
        load(str(write(tmp_path / "bert", hub.repositories["me/bert"])))


def test_a_pose_model_is_no_detector(hub, small):
    hub.repositories["me/vitpose"] = repository(VITPOSE, small[0])
    with pytest.raises(InputError, match="is not a detector but a model for keypoints"):
        load_detector("hf:me/vitpose")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf:me", "is not a repository of Hugging Face: expected hf:ORG/REPO"),
        ("hf:me/none", "there is no repository me/none"),
        ("hf:me/gated", "there is no repository me/gated on Hugging Face, or it is private"),
        ("hf:me/empty", r"has no config\.json"),
        ("hf:me/empty@none", "has no revision 'none'"),
        ("hf:me/pickle", r"has no model\.safetensors and no .*pytorch_model\.bin, can be"),
        ("hf:me/half", r"lists the file model-00001-of-00003\.safetensors .*, and has none"),
    ],
)
def test_repositories_that_are_refused(hub, small, name, message):
    config = {"config.json": json.dumps(VITPOSE).encode()}
    hub.repositories |= {"me/empty": {}, "me/pickle": config | {"pytorch_model.bin": b"x"}}
    hub.repositories["me/half"] = config | {
        key: content for key, content in sharded(small[0]).items() if "00001-of" not in key
    }
    with pytest.raises(InputError, match=message):
        jaxpose.load(name)


def test_offline_a_repository_that_is_not_in_the_cache_is_unreachable(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Unreachable, match=r"cannot reach .* for hf:me/vitpose.*path of the folder"):
        jaxpose.load("hf:me/vitpose")


def test_what_is_a_folder_of_a_model(tmp_path):
    arrays = {"x": np.zeros(3, np.float32)}
    folder = tmp_path / "timm"
    folder.mkdir()
    save_file(arrays, folder / "model.safetensors")
    assert not hugging_face.is_model_folder(folder)
    (folder / "config.json").write_text(json.dumps({"architecture": "resnet50"}))
    assert hugging_face.is_model_folder(folder)
    hugging_face.check_model(folder)  # by its arrays
    (folder / "config.json").write_text(json.dumps({"format": "jaxpose 3"}))
    assert not hugging_face.is_model_folder(folder)
