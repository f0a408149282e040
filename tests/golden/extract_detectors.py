"""Record what the published detectors' ONNX files make of a photo.

    python tests/golden/extract_detectors.py ../shared

Needs onnx and onnxruntime. `detectors.npz` beside this script then holds, for each detector, boxes
and scores of every seventh place before suppression (corners in pixels of the canvas), the boxes
that are left after it, and a checksum of the canvas, so that tests without onnxruntime have
something to compare with.
"""

import sys
import zlib
from pathlib import Path

import numpy as np

from jaxpose.detect.letterbox import letterbox
from jaxpose.media.image import read_image

STEP = 7
PHOTO = "data/video/three_people.jpg"
# RTMDet's tensors before suppression, which its file does not give out by itself.
_BOXES, _SCORES = "y.28", "y.24"
_MEAN = np.array([103.53, 116.28, 123.675], np.float32)
_STD = np.array([57.375, 57.12, 58.395], np.float32)


def session(path: Path, *tensors: str):
    """An onnxruntime session that also gives out `tensors`."""
    import onnx
    import onnxruntime

    model = onnx.load(str(path))
    for name in tensors:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


class YOLOXNano:
    """The published file of YOLOX-nano: raw numbers out, which are decoded here."""

    name, weights, input_hw = "yolox", "yolox_nano_bnfolded_torchnames.npz", (416, 416)

    def __init__(self, shared: Path) -> None:
        self.session = session(shared / "weights/yolox_nano.onnx")

    def places(self, canvas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """RGB uint8 `[h, w, 3]` -> boxes `[N, 4]` (x1, y1, x2, y2) and persons' scores `[N]`."""
        image = canvas[..., ::-1].astype(np.float32).transpose(2, 0, 1)[None]
        (numbers,) = self.session.run(None, {"images": image})
        corners, strides = [], []
        for stride in (8, 16, 32):
            height, width = (side // stride for side in self.input_hw)
            grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2)
            corners.append(grid)
            strides.append(np.full((len(grid), 1), stride))
        stride = np.concatenate(strides)
        centre = (numbers[0, :, :2] + np.concatenate(corners)) * stride
        half = np.exp(numbers[0, :, 2:4]) * stride / 2
        return np.concatenate([centre - half, centre + half], 1), numbers[0, :, 4] * numbers[
            0, :, 5
        ]

    def left(self, canvas: np.ndarray) -> None:
        """The file does not suppress."""
        del canvas


class RTMDetNano:
    """The published file of RTMDet-nano for persons: threshold 0.05, IoU 0.6."""

    name, weights, input_hw = "rtmdet", "rtmdet_nano_person_bnfolded_mmdetnames.npz", (320, 320)

    def __init__(self, shared: Path) -> None:
        self.session = session(shared / "weights/rtmdet_nano.onnx", _BOXES, _SCORES)

    def places(self, canvas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As YOLOX-nano's."""
        boxes, scores = self._run(canvas)[2:]
        return boxes[0], scores[0, :, 0]

    def left(self, canvas: np.ndarray) -> np.ndarray:
        """Boxes and scores `[P, 5]` after the file's own suppression."""
        found = self._run(canvas)[0][0]
        return found[found[:, 4] > 0]

    def _run(self, canvas: np.ndarray) -> list[np.ndarray]:
        image = (canvas[..., ::-1].astype(np.float32) - _MEAN) / _STD
        return self.session.run(None, {"input": image.transpose(2, 0, 1)[None]})


def main(shared: Path) -> None:
    """Write `detectors.npz`."""
    arrays = {}
    image = read_image(shared / PHOTO)
    for kind in (YOLOXNano, RTMDetNano):
        canvas = letterbox(image, kind.input_hw).canvas
        published = kind(shared)
        boxes, scores = published.places(canvas)
        arrays[f"{kind.name}/canvas_crc32"] = np.array(zlib.crc32(canvas.tobytes()))
        arrays[f"{kind.name}/boxes"] = boxes[::STEP].astype(np.float32)
        arrays[f"{kind.name}/scores"] = scores[::STEP].astype(np.float32)
        left = published.left(canvas)
        if left is not None:
            arrays[f"{kind.name}/left"] = left
    np.savez_compressed(Path(__file__).parent / "detectors.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
