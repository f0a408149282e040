"""People a second from a photo to keypoints: this package beside PyTorch and onnxruntime.

    python -m tests.benchmarks.predict_throughput [--models vitpose-s vitpose-b rtmpose-s]
        [--batch 8] [--people 8] [--repeats 5] [--bfloat16] [--weights FOLDER] [--json FILE]

`network` is the forward pass alone, on images that lie on the device. `people` is the whole road in
given boxes of a 640 x 480 photo: crop, normalise, forward, flip test if there is one, decode, back
into the photo; of this package through `Predictor`, of PyTorch with the same crops and a plain
highest cell (ours refine it). Networks have random weights; RTMPose-s's are the same in both, and
the outputs are compared. Repetitions alternate, so that a busy machine slows all alike; printed are
the median, slowest and fastest, the ratio of the medians, the CPU-seconds of a repetition, which
depend less on what else the machine does, and the load. `--weights` names a folder with the weights
and ONNX files of YOLOX-nano and RTMDet-nano, which are then measured from photo to boxes.

Of an accelerator: `--bfloat16 --batch 64,256 --people 2048 --models vitpose-b vitpose-l vitpose-h`.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose import geometry
from jaxpose.bench.dummy_inputs import values
from jaxpose.bench.synthetic_video import HW
from jaxpose.convert import to_variables
from jaxpose.data.synthetic import render
from jaxpose.detect import Detector
from jaxpose.detect.letterbox import letterbox
from jaxpose.models import abstract_variables
from jaxpose.models.published.catalogue import find
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.predictor import Predictor
from tests.benchmarks.alternate import measure

try:
    import torch

    from tests.benchmarks.torch_models import ViTPose
    from tests.benchmarks.torch_rtmpose import RTMPoseS
except ImportError:
    torch = None  # type: ignore[assignment]

_MEAN, _STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
_VIT = {"s": (384, 12, 12), "b": (768, 12, 12), "l": (1024, 24, 16), "h": (1280, 32, 16)}
# Weights, ONNX file, its input's name and size, for each detector.
_DETECTORS = {
    "yolox-nano": ("yolox_nano_bnfolded_torchnames.npz", "yolox_nano.onnx"),
    "rtmdet-nano": ("rtmdet_nano_person_bnfolded_mmdetnames.npz", "rtmdet_nano.onnx"),
}


class TorchPredictor:
    """The same road in PyTorch."""

    def __init__(self, network: Any, predictor: Predictor, flip: bool, half: bool) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = network.eval().to(self.device)
        self.like, self.flip, self.half = predictor, flip, half
        self.permutation = torch.as_tensor(COCO17.flip_permutation).long()
        shape = (1, 3, 1, 1)
        self.mean, self.std = (
            torch.tensor(v, dtype=torch.float32, device=self.device).reshape(shape)
            for v in (_MEAN, _STD)
        )

    def forward(self, images: Any) -> tuple[Any, ...]:
        with torch.inference_mode(), torch.autocast(self.device, torch.bfloat16, self.half):
            outputs = self.network(images)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def __call__(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        height, width = self.like.codec.input_hw
        found = []
        for start in range(0, len(boxes), self.like.batch_size):
            part = boxes[start : start + self.like.batch_size]
            crops, back = zip(*(self._cut(image, box, height, width) for box in part), strict=True)
            images = torch.from_numpy(np.stack(crops)).to(self.device).permute(0, 3, 1, 2).float()
            outputs = self._averaged((images - self.mean) / self.std)
            for matrix, points in zip(back, self._decoded(outputs, height, width), strict=True):
                found.append(geometry.apply_affine(matrix, points))
        return np.stack(found)

    def _cut(self, image: np.ndarray, box: np.ndarray, height: int, width: int) -> Any:
        center, size = geometry.box_to_center_scale(box, self.like.padding)
        size = geometry.fix_aspect_ratio(size, width / height)
        matrix = geometry.crop_matrix(center, size, (height, width), udp=self.like.codec.udp)
        return geometry.crop_image(image, matrix, (height, width)), geometry.invert_affine(matrix)

    def _averaged(self, images: Any) -> tuple[Any, ...]:
        if not self.flip:
            return self.forward(images)
        outputs = self.forward(torch.cat([images, images.flip(3)]))
        both = [output.float().chunk(2) for output in outputs]
        mirrored = [second[:, self.permutation] for _, second in both]
        # Of two vectors only x is mirrored, of a map its columns.
        mirrored[0] = mirrored[0].flip(-1)
        return tuple((first + m) / 2 for (first, _), m in zip(both, mirrored, strict=True))

    def _decoded(self, outputs: tuple[Any, ...], height: int, width: int) -> np.ndarray:
        if len(outputs) == 2:
            x, y = (output.argmax(-1) / 2 for output in outputs)
        else:
            (maps,) = outputs
            place, across = maps.flatten(2).argmax(-1), maps.shape[-1]
            x, y = place % across * 4.0, place // across * 4.0
        return torch.stack([x, y], dim=-1).float().cpu().numpy()


def networks(name: str, half: bool) -> tuple[Any, Any, Any]:
    """Our model, its variables, and PyTorch's network, or None without PyTorch."""
    entry = find(name)
    model: Any = entry.model()
    theirs: Any = None
    if name == "rtmpose-s" and torch is not None:
        theirs = RTMPoseS().eval()
        state = {key: array.numpy() for key, array in theirs.state_dict().items()}
        variables = to_variables(state, model)
        _assert_same(model, variables, theirs)
    else:
        variables = values(abstract_variables(model, entry.input_hw))
        if torch is not None and name.startswith("vitpose-"):
            theirs = ViTPose(*_VIT[name.removeprefix("vitpose-")])
    if half:
        parts = {
            part: getattr(model, part).clone(dtype="bfloat16") for part in ("backbone", "head")
        }
        model = model.clone(**parts)
    return model, jax.device_put(variables), theirs


def _assert_same(model: Any, variables: Any, theirs: Any) -> None:
    images = np.random.default_rng(0).standard_normal((1, 256, 192, 3), np.float32)
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    for ours, other in zip(jax.jit(model.apply)(variables, images), expected, strict=True):
        error = np.abs(np.asarray(ours) - other.numpy()).max() / other.numpy().std()
        assert error < 1e-4, f"not the same network: {error:.1e}"


def photo_and_boxes(people: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo full of drawn people, and boxes about them."""
    sprite = np.asarray(render(0, 0)["image"])
    image = np.resize(sprite, (*HW, 3)).astype(np.uint8)
    rng = np.random.default_rng(0)
    boxes = rng.uniform([0, 0, 120, 160], [400, 240, 200, 240], (people, 4))
    return image, boxes.astype(np.float32)


def of_pose(name: str, batch: int, options: argparse.Namespace) -> dict[str, dict[str, dict]]:
    """Rates of the networks alone, and of the whole road with and without flip test."""
    entry = find(name)
    model, variables, theirs = networks(name, options.bfloat16)
    codec: Any = entry.codec(entry.input_hw)
    image, boxes = photo_and_boxes(options.people)
    rates = {}
    images = np.random.default_rng(0).standard_normal((batch, *entry.input_hw, 3), np.float32)
    forward = jax.jit(model.apply)
    here = jax.device_put(jnp.asarray(images))
    rivals: dict[str, Callable] = {
        "jaxpose": lambda: jax.block_until_ready(forward(variables, here))
    }
    for flip in (None, False, True):
        if flip is not None:
            ours = Predictor(model, variables, codec, COCO17, flip_test=flip, batch_size=batch)
            ours.warm_up()
            rivals = {"jaxpose": lambda ours=ours: ours(image, boxes)}
        else:
            ours = Predictor(model, variables, codec, COCO17, batch_size=batch)
        if theirs is not None:
            other = TorchPredictor(theirs, ours, bool(flip), options.bfloat16)
            rivals["PyTorch"] = lambda other=other: other(image, boxes)
            if flip is None:
                # Channels last, as crops come and as its convolutions like them.
                there = torch.from_numpy(images).to(other.device).permute(0, 3, 1, 2)
                rivals["PyTorch"] = lambda other=other, x=there: _waited(other.forward(x))
        kind = {None: "network", False: "people", True: "people, flip test"}[flip]
        count = batch if flip is None else options.people
        rates[f"{name}, batch {batch}: {kind}"] = measure(rivals, count, options.repeats)
    return rates


def _waited(outputs: Any) -> Any:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return outputs


def of_detector(name: str, folder: Path, repeats: int) -> dict[str, dict[str, dict]]:
    """Photos a second from pixels to boxes."""
    import onnxruntime

    from tests.golden.extract_detectors import YOLOXNano
    from tests.suppression import plain

    weights, file = _DETECTORS[name]
    detector = Detector.load(folder / weights)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = _cores()
    session = onnxruntime.InferenceSession(str(folder / file), options)
    (full_image, _), count = photo_and_boxes(1), 16
    detector([full_image])

    def published() -> None:
        for _ in range(count):
            canvas = letterbox(full_image, detector.input_hw).canvas
            if name == "yolox-nano":
                found = YOLOXNano.places(_Holds(session), canvas)  # type: ignore[arg-type]
                plain(*found, detector.convention.threshold, 0.65, 100)
            else:
                image = (canvas[..., ::-1] - _MEAN[::-1]) / _STD[::-1]
                feed = image.astype(np.float32).transpose(2, 0, 1)[None]
                session.run(None, {session.get_inputs()[0].name: feed})

    rivals = {"jaxpose": lambda: detector([full_image] * count), "onnxruntime": published}
    return {f"{name}, photo to boxes": measure(rivals, count, repeats)}


class _Holds:
    """What `YOLOXNano.places` needs of itself."""

    input_hw = (416, 416)

    def __init__(self, session: Any) -> None:
        self.session = session


def _cores() -> int:
    """Those that this process may use: `taskset` gives it fewer."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", default=["vitpose-s", "vitpose-b", "rtmpose-s"])
    parser.add_argument("--batch", default="8", help="one or several, with commas between")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--weights", type=Path, help="folder of the detectors' files")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    if torch is not None:
        torch.set_num_threads(_cores())
    rates: dict[str, dict[str, dict]] = {}
    for name in options.models:
        for batch in map(int, options.batch.split(",")):
            rates |= of_pose(name, batch, options)
    for name in _DETECTORS if options.weights else ():
        rates |= of_detector(name, options.weights, options.repeats)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    kind = jax.devices()[0].device_kind
    table = Table(title=f"per second, {kind}, {_cores()} cores, load {load:.1f}")
    for title in ("what", "library", "median", "slowest to fastest", "ratio", "CPU-s"):
        table.add_column(title, justify="left" if title in ("what", "library") else "right")
    for what, measured in rates.items():
        for library, figures in measured.items():
            spread = f"{figures['slowest']:.2f} to {figures['fastest']:.2f}"
            ratio = figures["median"] / measured[list(measured)[-1]]["median"]
            cpu = f"{figures['cpu_seconds']:.2f}"
            told = f"{ratio:.2f}" if library == "jaxpose" and len(measured) > 1 else ""
            table.add_row(what, library, f"{figures['median']:.2f}", spread, told, cpu)
    Console(width=110).print(table)
    if options.json:
        options.json.write_text(json.dumps(rates, indent=1) + "\n")


if __name__ == "__main__":
    main()
