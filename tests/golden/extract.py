"""Cut what the tests need out of the reference outputs of other projects.

    python tests/golden/extract.py ../shared/golden

The source holds inputs and outputs of MMPose 1.3.2 functions (`functions.npz`) and, for each
model, a state dict's names and shapes (`NAME.json`) and its outputs (`NAME.npz`); its own README
says how they were made. Small copies are written beside this script, so that a bare clone can run
the tests: one file of functions per folder of tests, and `models/NAME.npz` with

    description       UTF-8 JSON of NAME.json, less what no test reads
    output/KEY        every n-th value of the flattened output, float32 as it was; `stored` of the
                      description gives n and the whole output's shape, mean and standard deviation
    state/KEY         arrays of the state dict that the recipe does not fill (see `reference.py`)
"""

import json
import sys
from math import gcd
from pathlib import Path

import numpy as np

KEPT = {
    "geometry": ("crop/",),
    "codecs": (
        "encode/msra_heatmap",
        "decode/msra_heatmap",
        "encode/udp_heatmap",
        "decode/udp_heatmap",
        "encode/megvii_heatmap",
        "decode/megvii_heatmap",
        "encode/simcc_",
        "decode/simcc_",
        "encode/regression",
        "encode/integral_regression",
    ),
    "losses": ("loss/",),
    "metrics": ("metric/",),
}

# The same for other files of functions: name here, name there, cases.
MORE = {
    "composite_fields": ("functions_pifpaf", ("",)),
    "one_stage": (
        "functions_bottomup",
        (
            *("yoloxpose/predict/0.01_0.65", "yoloxpose/simota_assign", "yoloxpose/loss"),
            *("rtmo/dcc", "rtmo/priors", "rtmo/predict/0.65", "loss/oks/", "loss/iou/"),
            *("loss/varifocal/", "loss/mlecc/", "loss/bce/mean", "decode/edpose"),
        ),
    ),
}

MODELS = (
    # ViTPose and ImageNet's ViT under the names of four projects.
    "vitpose_s_256x192",
    "vitpose_b_simple_256x192",
    "vitpose_h_256x192",
    "hf_vitpose_small",
    "hf_vitpose_base_simple",
    "hf_vitpose_plus_small",
    "official_vitpose_s",
    "timm_vit_small_patch16_224",
    # Convolutional networks.
    "hrnet_w32_256x192",
    "hrnetv2_w18_wflw_256x256",
    "timm_hrnet_w18_small",
    "litehrnet18_256x192",
    "hourglass52_256x256",
    "simplebaseline_r50_256x192",
    "simcc_r50_256x192",
    "deeppose_r50_256x192",
    "rle_r50_256x192",
    "timm_resnet50",
    "rtmpose_s_256x192_calibrated",
    "rtmpose_m_hand5_256x256",
    "rtmpose_m_face106_256x256",
    "rtmw_m_256x192",
    "rtmw3d_l_384x288",
    "internet_r50_256x256",
    # One stage.
    "rtmo_s_320x320_calibrated",
    "yoloxpose_tiny_256x256",
    "yolov8n_pose_256x192",
    "yolo11n_pose_256x192",
    "yolo26n_pose_256x192",
    # Many people in one image, and OpenPose's hand and face.
    "openpose_coco18_vgg",
    "openpose_body25",
    "openpose_hand_vgg",
    "openpose_face70",
    "lightweight_openpose_mobilenet",
    "ae_hrnet_w32_512x512",
    "higherhrnet_w32_256x256",
    "dekr_hrnet_w32_256x256",
    "cid_hrnet_w32_256x256",
    "edpose_r50_256x256",
    "pifpaf_shufflenetv2k16",
    # Several frames of a video.
    "dcpose_hrnet48_128x96",
    "posewarper_neck",
    # Lifters.
    "martinez_h36m",
    "videopose3d_27",
    "motionbert_243",
    "official_videopose3d_27",
    "official_videopose3d_27_causal",
    "official_videopose3d_27_traj",
    "official_motionbert_lite",
    "poseformer_9",
    # Classifiers of actions.
    "stgcn_ntu",
    "stgcn_openpose",
    "agcn_ntu",
    "ctrgcn_ntu",
    "stgcnpp_ntu",
    "posec3d_slowonly_r50",
    "official_motionbert_action",
    # Objects.
    "pvnet_resnet18",
)

# Measurements of the references themselves, and settings of the projects that made them.
LEFT_OUT = {
    *("backbone", "codec", "conditioning", "influence", "inputs", "sensitivity", "test_cfg"),
    *("without_influence", "kept", "last_layers"),
}

# Values of one output that are stored.
MOST = 8192


def stride_of(size: int) -> int:
    """The least n that stores at most `MOST` of `size` values and no fixed place of a row.

    It has no divisor in common with `size`, so it passes through every channel and column.
    """
    stride = -(-size // MOST)
    while gcd(stride, size) > 1:
        stride += 1
    return stride


def pack(golden: Path, name: str) -> dict[str, np.ndarray]:
    """The arrays of `models/<name>.npz`."""
    source = json.loads((golden / f"{name}.json").read_text())
    description = {key: value for key, value in source.items() if key not in LEFT_OUT}
    arrays, stored = {}, {}
    with np.load(golden / f"{name}.npz") as file:
        for key in source.get("kept", ()):
            arrays[f"state/{key}"] = file[f"state/{key}"]
        for key, shape in source["outputs"].items():
            output = file[key]
            if output.dtype == np.int64:  # positions in pixels
                output = output.astype(np.float32)
            whole = key not in source.get("stored_subset", ())
            assert output.dtype == np.float32, (name, key)
            assert list(output.shape) == list(shape) or not whole, (name, key)
            stride = stride_of(output.size)
            arrays[f"output/{key}"] = output.ravel()[::stride]
            stored[key] = {
                "shape": list(output.shape),
                "stride": stride,
                "mean": float(output.mean(dtype=np.float64)),
                "std": float(output.std(dtype=np.float64)),
            }
        left = set(file.files) - set(source["outputs"]) - {k for k in arrays if "state/" in k}
        assert not left, f"{name}: {left} would be lost"
    del description["outputs"]
    text = json.dumps(description | {"stored": stored}, separators=(",", ":"))
    return {"description": np.frombuffer(text.encode(), np.uint8), **arrays}


def main(golden: Path) -> None:
    """Write `<name>.npz` for each entry of `KEPT`, and `models/<name>.npz` for each of `MODELS`."""
    here = Path(__file__).parent
    with np.load(golden / "functions.npz") as functions:
        for name, prefixes in KEPT.items():
            arrays = {key: functions[key] for key in functions.files if key.startswith(prefixes)}
            np.savez_compressed(here / f"{name}.npz", **arrays)
    for name, (file, prefixes) in MORE.items():
        with np.load(golden / f"{file}.npz") as functions:
            arrays = {key: functions[key] for key in functions.files if key.startswith(prefixes)}
            np.savez_compressed(here / f"{name}.npz", **arrays)
    (here / "models").mkdir(exist_ok=True)
    for name in MODELS:
        np.savez_compressed(here / "models" / f"{name}.npz", **pack(golden, name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
