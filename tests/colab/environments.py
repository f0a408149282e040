"""Builds Colab's environments and shows what installing this checkout changes in them.

    python tests/colab/environments.py cpu gpu tpu --python python3.13 --folder /tmp/colab --test

An environment has the versions of `colab-2026-08-NAME.txt`. `pip install CHECKOUT` must leave every
package of it at its version; `--test` then runs all notebooks there, each with the extras that its
first cell installs, which must not change one either. Fails with status 1 if anything changed or a
notebook failed. Takes a few minutes and gigabytes for each, most of them for CUDA.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

COLAB = Path(__file__).parent
CHECKOUT = COLAB.parents[1]


def packages(python: Path) -> dict[str, str]:
    """Installed versions by name."""
    command = [python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return dict(line.split("==", 1) for line in lines if "==" in line)


def changes(before: dict[str, str], after: dict[str, str]) -> tuple[list[str], list[str]]:
    """Packages that were added, and those that got another version or vanished."""
    added = [f"{name} {after[name]}" for name in sorted(after) if name not in before]
    changed = [
        f"{name} {before[name]} -> {after.get(name, 'removed')}"
        for name in sorted(before)
        if after.get(name) != before[name]
    ]
    return added, changed


def check(name: str, folder: Path, interpreter: str, *, test: bool) -> bool:
    """Builds one environment, installs the checkout; True if nothing in it changed."""
    environment = folder / name
    subprocess.run([interpreter, "-m", "venv", "--clear", environment], check=True)
    python = environment / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-q"]
    # Some of the image's versions contradict what another package there declares (ipython 7.34
    # requires jedi, which Colab takes out), so pip resolves nothing in a first step.
    subprocess.run([*pip, "--no-deps", "-r", COLAB / f"colab-2026-08-{name}.txt"], check=True)
    subprocess.run([*pip, "jedi"], check=True)
    before = packages(python)
    print(f"{name}: {len(before)} packages before", flush=True)
    subprocess.run([*pip, CHECKOUT], check=True)
    good = report("pip install CHECKOUT", before, packages(python))
    if test:
        begin = time.monotonic()
        command = [python, "-m", "pytest", "-q", "-o", "addopts=", "--durations=0", COLAB]
        settings = {**os.environ, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(command, cwd=CHECKOUT, env=settings, check=False)
        print(f"  notebooks: status {done.returncode}, {time.monotonic() - begin:.0f} s")
        good &= report("and the notebooks", before, packages(python))
        good &= done.returncode == 0
    return good


def report(what: str, before: dict[str, str], after: dict[str, str]) -> bool:
    """Prints the changes; True if there are only additions."""
    added, changed = changes(before, after)
    print(f"  {what} added: {', '.join(added) or 'nothing'}")
    print(f"  {what} changed: {', '.join(changed) or 'nothing'}", flush=True)
    for name in ("jax", "jaxlib", "numpy", "tensorflow"):
        print(f"    {name:12} {before.get(name, '-'):12} {after.get(name, '-')}")
    return not changed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="*", default=["cpu", "gpu", "tpu"], help="cpu, gpu, tpu")
    parser.add_argument("--python", default="python3.13", help="the interpreter; Colab has 3.13")
    parser.add_argument("--folder", type=Path, required=True, help="where to build them")
    parser.add_argument("--test", action="store_true", help="run the notebooks in each")
    arguments = parser.parse_args()
    results = [
        check(name, arguments.folder, arguments.python, test=arguments.test)
        for name in arguments.images
    ]
    sys.exit(not all(results))
