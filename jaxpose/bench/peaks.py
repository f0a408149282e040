"""Peak dense bfloat16 FLOP/s of JAX devices, from the makers' datasheets."""

from typing import NamedTuple

from jaxpose.chips.table import chip


class Peak(NamedTuple):
    """Peak rate of a datasheet in FLOP/s, without sparsity, and its source."""

    flops: float
    source: str


def _of(name: str) -> Peak:
    one = chip(name)
    return Peak(one.flops, one.source)


_TPU = "https://cloud.google.com/tpu/docs/"
# Keys are prefixes of `jax.Device.device_kind`. A TPU v2 or v3 chip is two devices, a later chip
# is one.
_PEAKS = {
    "TPU v2": Peak(45e12 / 2, _TPU + "v2: 45 TFLOPS a chip of two devices"),
    "TPU v3": Peak(123e12 / 2, _TPU + "v3: 123 TFLOPS a chip of two devices"),
    "TPU v4": _of("v4"),
    "TPU v5 lite": _of("v5e"),
    "TPU v5e": _of("v5e"),
    "TPU v5": _of("v5p"),
    "TPU v6": _of("v6e"),
    "NVIDIA A100": _of("a100"),
    "NVIDIA H100 PCIe": Peak(756e12, "NVIDIA H100 datasheet (2023), PCIe"),
    "NVIDIA H100 NVL": Peak(835e12, "NVIDIA H100 datasheet (2024), NVL"),
    "NVIDIA H100": _of("h100"),
    "NVIDIA H200 NVL": Peak(835e12, "NVIDIA H200 datasheet, NVL"),
    "NVIDIA H200": _of("h200"),
    "NVIDIA B200": _of("b200"),
    "NVIDIA L4": _of("l4"),
    "Tesla T4": _of("t4"),
    "NVIDIA T4": _of("t4"),
}


def datasheet(device_kind: str) -> Peak | None:
    """Peak of a device by its `jax.Device.device_kind`; None if the kind is not listed."""
    kind = device_kind.lower()
    for name in sorted(_PEAKS, key=len, reverse=True):
        rest = kind.removeprefix(name.lower())
        # "NVIDIA L4" must not match an L40; "TPU v6 lite" has to match the v6 entry.
        if rest != kind and not rest[:1].isdigit():
            return _PEAKS[name]
    return None
