"""Tables for MobileNetV2, one function for each project's names."""

from collections.abc import Iterator

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.mobilenetv2 import STAGES, MobileNetV2


def mmpose(model: MobileNetV2) -> list[Rule]:
    """MobileNetV2 in MMPose and MMPretrain: a stage is `layer1` to `layer7`, a block a sequence."""
    del model  # widths do not show in the names
    rules = _module(r"backbone\.conv1", "stem") + _module(r"backbone\.conv2", "last")
    for s, k, parts in _blocks():
        for i, part in enumerate(parts):
            source = rf"backbone\.layer{s + 1}\.{k}\.conv\.{i}"
            rules += _module(source, f"stage_{s}_block_{k}/{part}")
    return rules


def torchvision(model: MobileNetV2) -> list[Rule]:
    """MobileNetV2 in torchvision: blocks are numbered through all stages."""
    del model
    rules = _pair(r"features\.0\.0", r"features\.0\.1", "stem")
    rules += _pair(r"features\.18\.0", r"features\.18\.1", "last")
    for n, (s, k, parts) in enumerate(_blocks(), start=1):
        for i, part in enumerate(parts):
            source = rf"features\.{n}\.conv"
            # The projection is not wrapped with its norm, which follows it.
            conv, norm = (
                (rf"{source}\.{i}", rf"{source}\.{i + 1}")
                if part == "project"
                else (rf"{source}\.{i}\.0", rf"{source}\.{i}\.1")
            )
            rules += _pair(conv, norm, f"stage_{s}_block_{k}/{part}")
    return rules


def timm(model: MobileNetV2) -> list[Rule]:
    """MobileNetV2 in timm; a block without expansion calls its projection `conv_pw`."""
    del model
    rules = _pair("conv_stem", "bn1", "stem") + _pair("conv_head", "bn2", "last")
    for s, k, parts in _blocks():
        names = ("conv_pw", "conv_dw", "conv_pwl") if len(parts) == 3 else ("conv_dw", "conv_pw")
        for i, (name, part) in enumerate(zip(names, parts, strict=True), start=1):
            source = rf"blocks\.{s}\.{k}"
            rules += _pair(rf"{source}\.{name}", rf"{source}\.bn{i}", f"stage_{s}_block_{k}/{part}")
    return rules


def _blocks() -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Stage, block and convolutions of every block, in order."""
    for s, (expansion, _, blocks, _) in enumerate(STAGES):
        parts = ("depthwise", "project") if expansion == 1 else ("expand", "depthwise", "project")
        for k in range(blocks):
            yield s, k, parts


def _module(source: str, target: str) -> list[Rule]:
    return _pair(rf"{source}\.conv", rf"{source}\.bn", target)


def _pair(conv: str, norm: str, target: str) -> list[Rule]:
    return layouts.conv_norm(conv, norm, f"backbone/{target}")
