"""What chips could do at most, by their makers: dense bfloat16 FLOP/s of each JAX device."""

from typing import NamedTuple


class Peak(NamedTuple):
    """A datasheet's figure: operations a second without sparsity, and who says so."""

    flops: float
    source: str


_TPU = "Google Cloud documentation, TPU "
# By the beginning of `jax.Device.device_kind`. A chip of TPU v2 and v3 is two devices, of later
# ones one. NVIDIA's datasheets give twice as much with sparsity for A100 and later.
_PEAKS = {
    "TPU v2": Peak(45e12 / 2, _TPU + "v2: 45 TFLOPS a chip of two devices"),
    "TPU v3": Peak(123e12 / 2, _TPU + "v3: 123 TFLOPS a chip of two devices"),
    "TPU v4": Peak(275e12, _TPU + "v4"),
    "TPU v5 lite": Peak(197e12, _TPU + "v5e"),
    "TPU v5e": Peak(197e12, _TPU + "v5e"),
    "TPU v5": Peak(459e12, _TPU + "v5p"),
    "TPU v6": Peak(918e12, _TPU + "v6e (Trillium)"),
    "NVIDIA A100": Peak(312e12, "NVIDIA A100 datasheet"),
    "NVIDIA H100 PCIe": Peak(756e12, "NVIDIA H100 datasheet (2023), PCIe"),
    "NVIDIA H100 NVL": Peak(835e12, "NVIDIA H100 datasheet (2024), NVL"),
    "NVIDIA H100": Peak(989e12, "NVIDIA H100 datasheet, SXM"),
    "NVIDIA H200 NVL": Peak(835e12, "NVIDIA H200 datasheet, NVL"),
    "NVIDIA H200": Peak(989e12, "NVIDIA H200 datasheet, SXM"),
    "NVIDIA B200": Peak(2250e12, "NVIDIA HGX B200 datasheet"),
    "NVIDIA L4": Peak(121e12, "NVIDIA L4 datasheet"),
    "Tesla T4": Peak(65e12, "NVIDIA T4 datasheet, float16: it has no bfloat16"),
    "NVIDIA T4": Peak(65e12, "NVIDIA T4 datasheet, float16: it has no bfloat16"),
}


def datasheet(device_kind: str) -> Peak | None:
    """The peak of a device by its kind, as `jax.Device.device_kind` has it; None if unknown."""
    kind = device_kind.lower()
    for name in sorted(_PEAKS, key=len, reverse=True):
        rest = kind.removeprefix(name.lower())
        # "NVIDIA L4" is no L40, and "TPU v6 lite" is a v6.
        if rest != kind and not rest[:1].isdigit():
            return _PEAKS[name]
    return None
