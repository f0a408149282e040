"""`jaxpose models`: the list, and the record of one model."""

import json

import pytest
from typer.testing import CliRunner

from jaxpose import list_models
from jaxpose.cli.main import app
from jaxpose.download.fetch import place_of
from jaxpose.hub.addresses import address_for
from jaxpose.models.published.catalogue import find
from jaxpose.paths import CACHE_VARIABLE
from jaxpose.scaling import count


def models(*arguments, columns=100, **env):
    env = {"COLUMNS": str(columns), **env}
    return CliRunner().invoke(app, ["models", *map(str, arguments)], env=env)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path


def put(cache, name):
    """Weights in the cache under the address of a record, as if they had been fetched."""
    place = place_of(address_for(find(name)))
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    digits = find(name).weights.sha256
    place.with_name(f"{place.name}.sha256").write_text(f"{digits:0<64}  {place.name}\n")


def test_the_list_is_of_80_columns_and_has_a_line_for_each_name(cache):
    put(cache, "yolox-nano")
    result = models(columns=60)
    assert result.exit_code == 0, result.output
    printed = result.stdout.splitlines()
    assert max(map(len, printed)) <= 80
    first = [line.split()[0] for line in printed if line]
    assert set(list_models()) <= set(first)
    (row,) = (line for line in printed if line.startswith("yolox-nano "))
    assert row.split() == ["yolox-nano", "416x416", "80", "0.9", "box", "AP", "25.8", "here"]
    (row,) = (line for line in printed if line.startswith("rtmpose-m "))
    assert row.split() == ["rtmpose-m", "256x192", "coco17", "13.6", "AP", "75.8", "fetch"]


def test_nothing_is_traced_for_the_list(monkeypatch):
    """It answers at once: counting 155 networks took most of a minute."""
    monkeypatch.setattr(count, "cost", None)
    assert models().exit_code == 0


def test_filters(cache):
    put(cache, "rtmpose-t")
    put(cache, "rtmdet-nano-hand")

    def names(*arguments):
        return [row["name"] for row in json.loads(models(*arguments, "--json").stdout)]

    assert set(names("--cached")) == {
        *("rtmdet-nano-hand", "rtmpose-t"),
        *("jaxpose-finder", "jaxpose-small"),  # part of the package
    }
    assert set(names("--cached", "--task", "body")) == {"jaxpose-small", "rtmpose-t"}
    assert names("rtmpose", "--task", "face") == [f"rtmpose-{s}-face" for s in "tsm"]
    assert set(names("--skeleton", "hand21")) == {
        *("rtmpose-m-hand", "hrnetv2-w18-onehand10k"),
        *("hand-landmark-lite", "hand-landmark-full", "openpose-hand21"),
    }
    assert "posec3d-ntu60" in names("--task", "action")
    assert "martinez" in names("--task", "lifter")
    assert "hrnet-w32-udp-regress" in names("--unsupported")
    assert names("rtmpose-m") == ["rtmpose-m"]  # a whole name is one model
    for arguments, message in (
        (("--skeleton", "hand12"), "Did you mean 'hand21'"),
        (("yolox", "--task", "face"), "no model with 'yolox' in its name for --task face"),
    ):
        result = models(*arguments)
        assert result.exit_code == 2 and message in " ".join(result.output.split())


def test_json_has_all_facts(cache):
    put(cache, "rtmpose-t")
    (row,) = json.loads(models("rtmpose-t", "--json").stdout)
    assert row["skeleton"] == "coco17" and row["licence"] == "Apache-2.0" and row["here"]
    assert row["sha256"] == "cfc8f33d" and row["address"].endswith("cfc8f33d_20230126.pth")
    assert row["place"].startswith(str(cache)) and row["status"] == "here"
    assert row["codec"] == "SimCC" and row["normalisation"]["order"] == "RGB"


def test_what_cannot_run_is_a_table_of_its_own_with_reasons():
    printed = models("--unsupported", columns=80).stdout
    assert "Its head gives a heatmap and two offsets for each keypoint" in printed
    assert "  hrnet-w32-udp-regress " in printed and "Apache-2.0" in printed
    one = models("hrnet-w32-udp-regress")
    assert one.exit_code == 0 and "9c0b77b4" in one.stdout and "no codec" in one.stdout


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (
            "rtmpose-t-face",
            (
                "face106",
                "SimCC(",
                "256x256",
                "Apache-2.0",
                "Face6",
                "NME 1.67",
                "df79d9a5_20230529",
            ),
        ),
        ("martinez", ("h36m17", "frame='pixels'", "Human3.6M", "MPJPE 43.4", "martinez_h36m")),
        ("rtmdet-nano-person", ("BGR, mean 103.53", "person AP 40.3", "Objects365", "320x320")),
        ("motionbert-lite-243", ("none here", "units of the image", "address not known")),
        ("rtmpose-t", ("3.34 (3.34) M", "SHA-256 begins with cfc8f33d", "put the file at")),
        ("movenet-lightning", ("and beside it the .bin files that it lists",)),
    ],
)
def test_a_whole_name_prints_the_record(name, facts):
    result = models(name)
    assert result.exit_code == 0, result.output
    lines = [line.strip("│ ") for line in result.stdout.splitlines()]
    text = " ".join(part.strip() for line in lines for part in line.split("│"))
    for fact in facts:
        assert fact in text or fact in text.replace(" ", ""), fact


def test_an_unknown_name_names_the_nearest():
    result = models("rtmpos-s")
    assert result.exit_code == 2
    assert "Did you mean 'rtmpose-s'" in " ".join(result.output.split())


def test_a_lifter_that_cannot_predict_is_marked():
    (row,) = (x for x in models("MotionBERT").stdout.splitlines() if "motionbert-243 " in x)
    assert row.split()[-2:] == ["no", "3D"]
