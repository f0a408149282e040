"""Peak dense bfloat16 FLOP/s of JAX devices, from the makers' datasheets."""

from typing import NamedTuple


class Peak(NamedTuple):
    """Peak rate of a datasheet in FLOP/s, without sparsity, and its source."""

    flops: float
    source: str


_TPU = "Google Cloud documentation, TPU "
# Keys are prefixes of `jax.Device.device_kind`. A TPU v2 or v3 chip is two devices, a later chip
# is one. NVIDIA's datasheets list twice these figures, with sparsity, for A100 and later.
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
    """Peak of a device by its `jax.Device.device_kind`; None if the kind is not listed."""
    kind = device_kind.lower()
    for name in sorted(_PEAKS, key=len, reverse=True):
        rest = kind.removeprefix(name.lower())
        # "NVIDIA L4" must not match an L40; "TPU v6 lite" has to match the v6 entry.
        if rest != kind and not rest[:1].isdigit():
            return _PEAKS[name]
    return None
