"""ViTPose, HRNet and a lifter in plain PyTorch, only to be timed beside jaxpose's."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, 1e-6), nn.LayerNorm(dim, 1e-6)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, count, dim = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, count, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, count, dim)
        x = x + self.out(y)
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class ViTPose(nn.Module):
    """Images [B, 3, H, W] to heatmaps [B, 17, H / 4, W / 4], two deconvolutions."""

    def __init__(
        self,
        dim: int = 768,
        depth: int = 12,
        heads: int = 12,
        input_hw: tuple[int, int] = (256, 192),
    ) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, dim, 16, 16, 2)
        patches = input_hw[0] // 16 * (input_hw[1] // 16)
        self.position_embedding = nn.Parameter(0.02 * torch.randn(1, patches, dim))
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, 1e-6)
        layers: list[nn.Module] = []
        for channels in (dim, 256):
            layers += [nn.ConvTranspose2d(channels, 256, 4, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(256), nn.ReLU(inplace=True)]
        self.head = nn.Sequential(*layers, nn.Conv2d(256, 17, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patch_embed(images)
        batch, dim, height, width = x.shape
        x = self.norm(self.blocks(x.flatten(2).transpose(1, 2) + self.position_embedding))
        return self.head(x.transpose(1, 2).reshape(batch, dim, height, width))


def conv_norm(c_in: int, c_out: int, size: int, stride: int = 1, relu: bool = True) -> nn.Module:
    layers = [nn.Conv2d(c_in, c_out, size, stride, size // 2, bias=False), nn.BatchNorm2d(c_out)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class ResidualBlock(nn.Module):
    def __init__(self, c_in: int, width: int, bottleneck: bool) -> None:
        super().__init__()
        c_out = 4 * width if bottleneck else width
        if bottleneck:
            parts = (conv_norm(c_in, width, 1), conv_norm(width, width, 3))
            self.body = nn.Sequential(*parts, conv_norm(width, c_out, 1, relu=False))
        else:
            first, second = conv_norm(c_in, width, 3), conv_norm(width, width, 3, relu=False)
            self.body = nn.Sequential(first, second)
        self.shortcut = nn.Identity() if c_in == c_out else conv_norm(c_in, c_out, 1, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.shortcut(x) + self.body(x))


class ExchangeModule(nn.Module):
    def __init__(self, channels: list[int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(c, c, False) for _ in range(4))) for c in channels
        )
        self.fusion = nn.ModuleList(
            nn.ModuleList(self._path(channels, i, j) for j in range(len(channels)))
            for i in range(outputs)
        )

    @staticmethod
    def _path(channels: list[int], i: int, j: int) -> nn.Module:
        if j > i:
            enlarge = nn.Upsample(scale_factor=2 ** (j - i), mode="nearest")
            return nn.Sequential(conv_norm(channels[j], channels[i], 1, relu=False), enlarge)
        steps = [conv_norm(channels[j], channels[j], 3, 2) for _ in range(i - j - 1)]
        if j < i:
            steps.append(conv_norm(channels[j], channels[i], 3, 2, relu=False))
        return nn.Sequential(*steps)

    def forward(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        ys = [branch(x) for branch, x in zip(self.branches, xs, strict=True)]
        return [
            F.relu(sum(path(y) for path, y in zip(paths, ys, strict=True))) for paths in self.fusion
        ]


class HRNetPose(nn.Module):
    """Images [B, 3, 256, 192] to heatmaps [B, 17, 64, 48]."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 64, 3, 2), conv_norm(64, 64, 3, 2))
        self.stage1 = nn.Sequential(
            *(ResidualBlock(64 if k == 0 else 256, 64, True) for k in range(4))
        )
        channels = [width * 2**b for b in range(4)]
        self.transitions, self.stages = nn.ModuleList(), nn.ModuleList()
        for s, modules in enumerate((1, 4, 3), start=2):
            grown: list[nn.Module] = []
            for b in range(s):
                new = b == s - 1
                c_in = 256 if s == 2 else channels[b - 1 if new else b]
                same = not new and c_in == channels[b]
                step = nn.Identity() if same else conv_norm(c_in, channels[b], 3, 2 if new else 1)
                grown.append(step)
            self.transitions.append(nn.ModuleList(grown))
            outputs = [1 if s == 4 and m == modules - 1 else s for m in range(modules)]
            self.stages.append(nn.Sequential(*(ExchangeModule(channels[:s], n) for n in outputs)))
        self.final = nn.Conv2d(width, 17, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        xs = [self.stage1(self.stem(images))]
        for transition, stage in zip(self.transitions, self.stages, strict=True):
            xs = stage([step(xs[min(b, len(xs) - 1)]) for b, step in enumerate(transition)])
        return self.final(xs[0])


class Martinez(nn.Module):
    """2D keypoints [B, 2K] to joints [B, 3K]: five layers of `width`, two residuals of two."""

    def __init__(self, inputs: int, outputs: int, width: int, dropout: float) -> None:
        super().__init__()

        def layer(channels: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(channels, width, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(inplace=True),
                nn.Dropout(dropout),
            )

        self.expand = layer(inputs)
        self.blocks = nn.ModuleList(nn.Sequential(layer(width), layer(width)) for _ in range(2))
        self.head = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.expand(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)
