"""Suite-wide settings: strict broadcasting, eight fake CPU devices, and the optional real data."""

from pathlib import Path

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden files and real data beside the checkout; skips where it is absent."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not (path / "golden").is_dir():
        pytest.skip("the folder of golden files and real data is not beside this checkout")
    return path
