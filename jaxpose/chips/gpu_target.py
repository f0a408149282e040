"""Description of a GPU for XLA's compiler, in place of the device itself.

The text is a protobuf message of XLA (`GpuTargetConfigProto`), as
https://github.com/openxla/xla/pull/25919 shows one.
"""

from jaxpose.chips.table import Chip

_CUDNN = (9, 8)  # the libraries that a program may call; the compiler loads neither
_CUDA = (12, 8)


def target_config(chip: Chip) -> str:
    """Text for the option `target_config` of `get_topology_desc`."""
    gpu = chip.gpu
    assert gpu is not None
    numbers = {
        "threads_per_block_limit": 1024,
        "threads_per_warp": 32,
        "shared_memory_per_block": 48 << 10,
        "shared_memory_per_core": gpu.shared,
        # A kibibyte of each multiprocessor is CUDA's own, but on Turing.
        "shared_memory_per_block_optin": gpu.shared - (1024 if gpu.capability > (7, 5) else 0),
        "threads_per_core_limit": gpu.threads,
        "core_count": gpu.processors,
        "fpus_per_core": gpu.lanes,
        "block_dim_limit_x": 2**31 - 1,
        "block_dim_limit_y": 2**16 - 1,
        "block_dim_limit_z": 2**16 - 1,
        "memory_bandwidth": int(chip.bandwidth),
        "l2_cache_size": gpu.cache,
        "clock_rate_ghz": gpu.clock,
        "device_memory_size": chip.hbm,
        "registers_per_core_limit": 65536,
        "registers_per_block_limit": 65536,
    }
    major, minor = gpu.capability
    lines = "\n".join(f"  {name}: {value}" for name, value in numbers.items())
    return f"""\
gpu_device_info {{
{lines}
  cuda_compute_capability {{ major: {major} minor: {minor} }}
}}
platform_name: "CUDA"
dnn_version_info {{ major: {_CUDNN[0]} minor: {_CUDNN[1]} }}
runtime_version {{ major: {_CUDA[0]} minor: {_CUDA[1]} }}
device_description_str: "{gpu.description}"
"""
