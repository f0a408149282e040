"""Every official address of the shared list: a name, a row of `not_runnable`, or a duplicate."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from jaxpose.download.address import address_of
from jaxpose.models.published import not_runnable as table
from jaxpose.models.published.catalogue import records
from jaxpose.models.published.record import OPENMMLAB, Weights, forbids_commerce

ROWS = Path(__file__).resolve().parents[3] / "shared/weights/catalogue.tsv"

# Rows with the weights of another row in another container, and that row. A row NAME_onnx whose
# file is a zip of MMDeploy's SDK has those of the row NAME.
DUPLICATES = {
    "dwpose-ll_ucoco_384_onnx_hf": "dwpose-l_384x288",
    "dwpose-ll_ucoco_384_pth_hf": "dwpose-l_384x288",
    "movenet_thunder_onnx_hf": "movenet_thunder_tflite_f16",
    "movenet_lightning_onnx_hf": "movenet_lightning_tflite_f16",
    "tinypose_256x192_inference": "tinypose_256x192_pdparams",
    "tinypose_128x96_inference": "tinypose_128x96_pdparams",
    "tinypose_256x192_onnx": "tinypose_256x192_pdparams",
    "tinypose_128x96_onnx": "tinypose_128x96_pdparams",
    "efficientnet_lite0_tpu": "efficientnet_lite0_timm",
    "efficientnet_lite0_pypi": "efficientnet_lite0_timm",
}


# Addresses that MMPose's model index states beyond the list, without their common beginning.
MMPOSE_INDEX = (
    "posewarper/hrnet_w48_posetrack18_384x288_posewarper_stage2-4abf88db_20211130",
    "swin/swin_t_p4_w7_coco_256x192-eaefe010_20220503",
    "swin/swin_b_p4_w7_coco_256x192-7432be9e_20220705",
    "swin/swin_b_p4_w7_coco_384x288-3abf54f9_20220705",
    "swin/swin_l_p4_w7_coco_256x192-642a89db_20220705",
    "swin/swin_l_p4_w7_coco_384x288-c36b7845_20220705",
    "pvt/pvt_small_coco_256x192-4324a49d_20220501",
    "hrformer/hrformer_small_coco_256x192-5310d898_20220316",
    "hrformer/hrformer_small_coco_384x288-98d237ed_20220316",
    "hrformer/hrformer_base_coco_256x192-6f5f1169_20220316",
    "hrformer/hrformer_base_coco_384x288-ecf0758d_20220316",
    "resnext/resnext50_coco_256x192-dcff15f6_20200727",
    "resnext/resnext50_coco_384x288-412c848f_20200727",
    "resnext/resnext101_coco_256x192-c7eba365_20200727",
    "resnext/resnext101_coco_384x288-f5eabcd6_20200727",
    "resnext/resnext152_coco_256x192-102449aa_20200727",
    "resnext/resnext152_coco_384x288-806176df_20200727",
    "seresnet/seresnet50_coco_256x192-25058b66_20200727",
    "seresnet/seresnet50_coco_384x288-bc0b7680_20200727",
    "seresnet/seresnet101_coco_256x192-83f29c4d_20200727",
    "seresnet/seresnet101_coco_384x288-48de1709_20200727",
    "seresnet/seresnet152_coco_256x192-1c628d79_20200727",
    "seresnet/seresnet152_coco_384x288-58b23ee8_20200727",
    "scnet/scnet50_coco_256x192-6920f829_20200709",
    "scnet/scnet50_coco_384x288-9cacd0ea_20200709",
    "scnet/scnet101_coco_256x192-6d348ef9_20200709",
    "scnet/scnet101_coco_384x288-0b6e631b_20200709",
    "resnest/resnest50_coco_256x192-6e65eece_20210320",
    "resnest/resnest50_coco_384x288-dcd20436_20210320",
    "resnest/resnest101_coco_256x192-2ffcdc9d_20210320",
    "resnest/resnest101_coco_384x288-80660658_20210320",
    "resnest/resnest200_coco_256x192-db007a48_20210517",
    "resnest/resnest200_coco_384x288-b5bb76cb_20210517",
    "resnest/resnest269_coco_256x192-2a7882ac_20210517",
    "resnest/resnest269_coco_384x288-b142b9fb_20210517",
    "mspn/mspn50_coco_256x192-8fbfb5d0_20201123",
    "mspn/2xmspn50_coco_256x192-c8765a5c_20201123",
    "mspn/3xmspn50_coco_256x192-e348f18e_20201123",
    "mspn/4xmspn50_coco_256x192-7b837afb_20201123",
    "vipnas/vipnas_res50_wholebody_256x192-49e1c3a4_20211112",
    "vipnas/vipnas_res50_wholebody_256x192_dark-67c0ce35_20211112",
    "vipnas/vipnas_mbv3_coco_wholebody_256x192-0fee581a_20211205",
    "vipnas/vipnas_mbv3_coco_wholebody_256x192_dark-e2158108_20211205",
)
# The same of version 1, between "v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_" and ".pth".
MMPOSE_INDEX_V1 = (
    "shufflenetv1_8xb64-210e_coco-256x192-7a7ea4f4_20221013",
    "shufflenetv1_8xb64-210e_coco-384x288-8342f8ba_20221013",
    "shufflenetv2_8xb64-210e_coco-256x192-51fb931e_20221014",
    "shufflenetv2_8xb64-210e_coco-384x288-d30ab55c_20221014",
    "cpm_8xb64-210e_coco-256x192-0e978875_20220920",
    "cpm_8xb32-210e_coco-384x288-165487b8_20221011",
    "rsn18_8xb32-210e_coco-256x192-9049ed09_20221013",
    "rsn50_8xb32-210e_coco-256x192-c35901d5_20221013",
    "2xrsn50_8xb32-210e_coco-256x192-9ede341e_20221013",
    "3xrsn50_8xb32-210e_coco-256x192-c3e3c4fe_20221013",
    "vipnas-mbv3_8xb64-210e_coco-256x192-e0987441_20221010",
    "vipnas-res50_8xb64-210e_coco-256x192-35d4bff9_20220917",
)


# Addresses of MMPose's own pages, beyond the list and the index.
MMPOSE_PAGES = (
    "v1/wholebody_3d_keypoint/rtmw3d/rtmw3d-l_8xb64_cocktail14-384x288-794dbc78_20240626",
    "v1/wholebody_3d_keypoint/rtmw3d/rtmw3d-x_8xb64_cocktail14-384x288-b0a0eab7_20240626",
    "v1/hand_3d_keypoint/internet/interhand3d/internet_res50_interhand3d-d6ff20d6_20230913",
)

# Addresses that other projects' code states.
OTHERS = (
    "https://www.adrianbulat.com/downloads/python-fan/2DFAN4-11f355bf06.pth.tar",
    "https://www.adrianbulat.com/downloads/python-fan/3DFAN4-7835d9f11d.pth.tar",
    "https://huggingface.co/mwmathis/DeepLabCutModelZoo-SuperAnimal-Quadruped/resolve/main/"
    "superanimal_quadruped_hrnet_w32.pt",
    "https://huggingface.co/mwmathis/DeepLabCutModelZoo-SuperAnimal-TopViewMouse/resolve/main/"
    "superanimal_topviewmouse_hrnet_w32.pt",
)


def rows():
    if not ROWS.is_file():
        pytest.skip(f"the shared list of addresses is not at {ROWS}")
    with ROWS.open(newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file, delimiter="\t")}


def test_every_official_address_has_a_place():
    listed = rows()
    assert len(listed) == 169
    runs = {_listed(r): r for r in records() if r.weights}
    waits = {row.weights.address: row for row in table._ROWS}
    lost = []
    for name, row in listed.items():
        other = DUPLICATES.get(name, name.removesuffix("_onnx"))
        if other != name:
            assert listed[other]["url"] in runs or listed[other]["url"] in waits, name
            continue
        mine = runs.get(row["url"]) or waits.get(row["url"])
        if mine is None:
            lost.append(name)
            continue
        assert mine.weights.sha256.startswith(row["sha256_prefix"]), name
        assert mine.licence == row["licence"].partition(" (")[0], name
    assert not lost
    # Addresses that are here and in no list were typed wrong.
    addresses = {row["url"] for row in listed.values()}
    addresses |= {f"{OPENMMLAB}/top_down/{file}.pth" for file in MMPOSE_INDEX}
    start = f"{OPENMMLAB}/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_"
    addresses |= {f"{start}{file}.pth" for file in MMPOSE_INDEX_V1}
    addresses |= {f"{OPENMMLAB}/{file}.pth" for file in MMPOSE_PAGES}
    addresses |= set(OTHERS)
    assert not [r.name for r in (*runs.values(), *waits.values()) if _unlisted(r, addresses)]


def _listed(record):
    # The list has TensorFlow Hub's page of a TensorFlow.js model, the record the file there.
    return record.weights.address.removesuffix("/model.json?tfjs-format=file")


def _unlisted(record, addresses):
    return _listed(record) not in addresses


def test_published_scores_are_those_of_the_list():
    runs = {r.weights.address: r for r in (*records(), *table._ROWS) if r.weights}
    compared = 0
    for row in rows().values():
        record, score = runs.get(row["url"]), row["published_score"]
        # This one's figure is of another test set here.
        if record is None or not score or record.name == "rtmpose-m-hand":
            continue
        number = float(score.split()[0]) * (100 if score.startswith("0.") else 1)
        words = record.score.removeprefix("box ").replace(",", " ").split()
        known = float(words[1]) if words else record.box_ap or record.person_ap
        assert known == pytest.approx(number, abs=1e-6), record.name
        compared += 1
    assert compared > 100


def test_a_row_is_left_out_once_a_record_has_its_address(monkeypatch):
    before = [row.name for row in table.not_runnable()]
    assert len(set(before)) == len(before) and not set(before) & {r.name for r in records()}
    assert table.not_runnable("Regress")[0].name == "hrnet-w32-udp-regress"
    address = "https://storage.googleapis.com/mediapipe-assets/iris_landmark.tflite"
    new = replace(records()[0], name="my-iris", weights=Weights(address))
    monkeypatch.setattr(table, "records", lambda: [*records(), new])
    assert set(before) - {row.name for row in table.not_runnable()} == {"mediapipe-iris"}


def test_every_row_says_why_and_has_a_whole_address():
    for row in table.not_runnable():
        assert row.reason.endswith(".") and row.task and row.licence and row.commercial
        assert address_of(row.weights.address).url == row.weights.address


@pytest.mark.parametrize(
    ("licence", "forbidden"),
    [("Apache-2.0", False), ("CC BY-NC 4.0", True), ("MIT", False), ("CC-BY-NC-SA", True)],
)
def test_licences_that_forbid_commercial_use(licence, forbidden):
    assert forbids_commerce(licence) == forbidden
