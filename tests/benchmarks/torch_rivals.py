"""ViTPose and HRNet by others, in PyTorch: `transformers` and `timm` where they are installed.

Where they are not, the plain networks of `torch_models` stand in. All take images [B, 3, H, W] and
give heatmaps [B, 17, H / 4, W / 4]. Each is compiled, with bfloat16 autocast; a training step is
forward, squared error, backward and AdamW, without augmentation.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from jaxpose.bench.timing import Timing, timed
from tests.benchmarks.torch_models import HRNetPose, ViTPose

KEYPOINTS = 17

# A library that does not fit the installed PyTorch fails in its own ways.
_ABSENT = (ImportError, RuntimeError, OSError)


class Rival(NamedTuple):
    """A network and whose it is."""

    module: nn.Module
    origin: str


def vitpose(input_hw: tuple[int, int], dim: int, depth: int, heads: int) -> Rival:
    """A ViTPose with the classic head."""
    try:
        from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation
    except _ABSENT:
        return Rival(ViTPose(dim, depth, heads, input_hw), "plain PyTorch")
    config = VitPoseConfig(
        backbone_config=VitPoseBackboneConfig(
            image_size=list(input_hw),
            hidden_size=dim,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            out_indices=[depth],
        ),
        num_labels=KEYPOINTS,
        use_simple_decoder=False,
        scale_factor=4,
    )
    return Rival(_Heatmaps(VitPoseForPoseEstimation(config)), "transformers")


class _Heatmaps(nn.Module):
    """The heatmaps alone of a model of `transformers`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(pixel_values=images).heatmaps


def hrnet(width: int) -> Rival:
    """HRNet for poses; timm's is that for classification, cut after its last exchange."""
    try:
        import timm
    except _ABSENT:
        return Rival(HRNetPose(width), "plain PyTorch")
    return Rival(_TimmHRNet(timm.create_model(f"hrnet_w{width}"), width), "timm")


class _TimmHRNet(nn.Module):
    """A convolution on the highest resolution of timm's HRNet."""

    def __init__(self, backbone: nn.Module, width: int) -> None:
        super().__init__()
        for unused in ("incre_modules", "downsamp_modules", "final_layer", "classifier"):
            setattr(backbone, unused, None)
        self.backbone = backbone
        self.final = nn.Conv2d(width, KEYPOINTS, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        b = self.backbone
        x = b.act2(b.bn2(b.conv2(b.act1(b.bn1(b.conv1(images))))))
        return self.final(b.stages(x)[0])


class Measured(NamedTuple):
    """How long a call took, and how long it took to compile."""

    timing: Timing
    compile_seconds: float


class Runs:
    """A rival on its device, ready to be measured."""

    def __init__(self, rival: Rival, input_hw: tuple[int, int]) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.input_hw = input_hw
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        convolutional = not isinstance(rival.module, ViTPose | _Heatmaps)
        layout = torch.channels_last if convolutional else torch.contiguous_format
        self.module = rival.module.to(self.device, memory_format=layout)
        self.layout = layout

    def train_step(self, batch: int, *, steps: int, compile: bool = True) -> Measured:
        """A training step on a batch that stays on the device."""
        module = self.module.train()
        optimizer = torch.optim.AdamW(
            module.parameters(), 1e-4, weight_decay=0.1, fused=self.device == "cuda"
        )
        height, width = self.input_hw
        images = self._images(batch)
        targets = torch.zeros(batch, KEYPOINTS, height // 4, width // 4, device=self.device)
        forward = torch.compile(module) if compile else module

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            with self._autocast():
                heatmaps = forward(images)
            torch.square(heatmaps.float() - targets).mean().backward()
            optimizer.step()

        return self._measure(step, steps)

    def inference(self, batch: int, *, flip: bool, steps: int, compile: bool = True) -> Measured:
        """A forward pass, with `flip` of the images and their mirror images."""
        module = self.module.eval()
        images = self._images(batch)

        def work(images: torch.Tensor) -> torch.Tensor:
            if not flip:
                return module(images)
            maps = module(torch.cat([images, images.flip(3)]))
            return (maps[:batch] + maps[batch:].flip(3)) / 2

        forward = torch.compile(work) if compile else work

        def step() -> None:
            with torch.inference_mode(), self._autocast():
                forward(images)

        return self._measure(step, steps)

    def _images(self, batch: int) -> torch.Tensor:
        images = torch.randn(batch, 3, *self.input_hw, device=self.device)
        return images.to(memory_format=self.layout)

    def _autocast(self) -> Any:
        return torch.autocast(self.device, dtype=torch.bfloat16)

    def _measure(self, step: Callable[[], None], steps: int) -> Measured:
        begun = time.perf_counter()
        step()
        self._wait()
        seconds = time.perf_counter() - begun
        each = max(1, steps // 5)

        def several() -> None:
            for _ in range(each):
                step()
            self._wait()

        timing = timed(several, rounds=min(5, steps))
        return Measured(Timing(*(tuple(s / each for s in values) for values in timing)), seconds)

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


def release() -> None:
    """Gives memory and programs that are no longer used back."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    torch.compiler.reset()
