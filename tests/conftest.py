"""Suite-wide settings: strict broadcasting, eight fake CPU devices, and the optional real data."""

import gc
import importlib.util
import mmap
import os
import tempfile
from pathlib import Path

import pytest

# Tests compile the same small programs again and again; keep them for the length of a run.
# Subprocesses share them through the environment.
_COMPILED = tempfile.TemporaryDirectory(prefix="jaxpose-compiled-")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _COMPILED.name)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
os.environ["JAX_PLATFORMS"] = "cpu"


def _has_flag(name: str) -> bool:
    """True if XLA has a flag; it ends the process for one that it does not know."""
    library = Path(importlib.util.find_spec("jaxlib").origin).parent / "libjax_common.so"
    if not library.is_file():
        return False
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as code:
        return code.find(name.encode()) >= 0


# They compile much and compute little: LLVM's passes would cost more than they save. The newer of
# XLA's two ways to compile fusions takes twice as long, and programs in 32 parts a third longer.
_QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": "false",
    "xla_cpu_parallel_codegen_split_count": 1,
}
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        *(f"--{name}={value}" for name, value in _QUICK.items() if _has_flag(name)),
    ]
)

# Tracing allocates millions of small objects that live on; collecting them less often saves an
# eighth of the tests' time.
gc.set_threshold(200_000, 20, 100)

import jax  # noqa: E402  (reads the environment when it is imported)

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")


# Minutes each: begun first, they leave no worker with one of them while the other has ended.
_LONGEST = (
    "test_notebooks.py",
    "test_docs.py",
    "test_step.py",
    "test_families.py",
    "test_recipes.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first and leaves the order as it is otherwise."""
    place = {name: number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden files and real data beside the checkout; skips where it is absent."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not (path / "golden").is_dir():
        pytest.skip("the folder of golden files and real data is not beside this checkout")
    return path
