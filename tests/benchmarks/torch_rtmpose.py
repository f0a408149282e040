"""RTMPose-s in plain PyTorch under MMPose's names, only to be timed beside jaxpose's.

`predict_throughput` converts its weights with `jaxpose.convert` and compares the outputs, so that
both libraries are known to run the same network.
"""

import torch
import torch.nn.functional as F
from torch import nn

# Channels, blocks and residual of the stages, with RTMPose-s's factors 0.33 and 0.5.
_STAGES = ((64, 1, True), (128, 2, True), (256, 2, True), (512, 1, False))


class ConvModule(nn.Module):
    def __init__(self, c_in: int, c_out: int, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, size, stride, size // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(c_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.silu(self.bn(self.conv(x)), inplace=True)


class Separable(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise_conv = ConvModule(channels, channels, 5, groups=channels)
        self.pointwise_conv = ConvModule(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pointwise_conv(self.depthwise_conv(x))


class Block(nn.Module):
    def __init__(self, channels: int, residual: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = ConvModule(channels, channels, 3), Separable(channels)
        self.residual = residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv2(self.conv1(x))
        return x + y if self.residual else y


class Attention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * F.hardsigmoid(self.fc(x.mean((2, 3), keepdim=True)))


class CSPLayer(nn.Module):
    def __init__(self, channels: int, blocks: int, residual: bool) -> None:
        super().__init__()
        half = channels // 2
        self.main_conv = ConvModule(channels, half, 1)
        self.short_conv = ConvModule(channels, half, 1)
        self.final_conv = ConvModule(channels, channels, 1)
        self.blocks = nn.Sequential(*(Block(half, residual) for _ in range(blocks)))
        self.attention = Attention(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.cat([self.blocks(self.main_conv(x)), self.short_conv(x)], dim=1)
        return self.final_conv(self.attention(y))


class Pyramid(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvModule(channels, channels // 2, 1)
        self.conv2 = ConvModule(2 * channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        maps = [x, *(F.max_pool2d(x, size, 1, size // 2) for size in (5, 9, 13))]
        return self.conv2(torch.cat(maps, dim=1))


class CSPNeXt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            ConvModule(3, 16, 3, 2), ConvModule(16, 16, 3), ConvModule(16, 32, 3)
        )
        c_in = 32
        for number, (channels, blocks, residual) in enumerate(_STAGES, start=1):
            parts: list[nn.Module] = [ConvModule(c_in, channels, 3, 2)]
            if number == len(_STAGES):
                parts.append(Pyramid(channels))
            parts.append(CSPLayer(channels, blocks, residual))
            setattr(self, f"stage{number}", nn.Sequential(*parts))
            c_in = channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for number in range(1, len(_STAGES) + 1):
            x = getattr(self, f"stage{number}")(x)
        return x


class ScaleNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        norm = torch.linalg.norm(x, dim=-1, keepdim=True) * x.shape[-1] ** -0.5
        return x / norm.clamp(min=1e-5) * self.g


class Scale(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))


class GatedAttention(nn.Module):
    def __init__(self, channels: int = 256, key: int = 128) -> None:
        super().__init__()
        self.wide, self.key = 2 * channels, key
        self.gamma = nn.Parameter(torch.rand(2, key))
        self.beta = nn.Parameter(torch.rand(2, key))
        self.ln, self.res_scale = ScaleNorm(), Scale(channels)
        self.uv = nn.Linear(channels, 2 * self.wide + key, bias=False)
        self.o = nn.Linear(self.wide, channels, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        u, v, base = F.silu(self.uv(self.ln(x))).split([self.wide, self.wide, self.key], dim=-1)
        q, k = (base[:, :, None] * self.gamma + self.beta).unbind(2)
        weights = F.relu(q @ k.transpose(1, 2) * self.key**-0.5).square()
        return x * self.res_scale.scale + self.o(u * (weights @ v))


class RTMCCHead(nn.Module):
    def __init__(self, keypoints: int, places: int, bins_xy: tuple[int, int]) -> None:
        super().__init__()
        self.final_layer = nn.Conv2d(512, keypoints, 7, 1, 3)
        self.mlp = nn.Sequential(ScaleNorm(), nn.Linear(places, 256, bias=False))
        self.gau = GatedAttention()
        self.cls_x = nn.Linear(256, bins_xy[0], bias=False)
        self.cls_y = nn.Linear(256, bins_xy[1], bias=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.gau(self.mlp(self.final_layer(x).flatten(2)))
        return self.cls_x(x), self.cls_y(x)


class RTMPoseS(nn.Module):
    """Images [B, 3, 256, 192] to logits x [B, 17, 384] and y [B, 17, 512]."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = CSPNeXt(), RTMCCHead(17, 48, (384, 512))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.head(self.backbone(images))
