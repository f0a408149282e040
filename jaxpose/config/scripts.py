"""Recipes and dataset scripts: Python files that are run by their path or by a bare name."""

import importlib.util
import types
from pathlib import Path

from jaxpose import deprecations
from jaxpose.errors import InputError, nearest


def find_script(path: str, folder: str) -> Path:
    """Find the .py file at `path`, or a shipped one of that name in `configs` or `data_prep`.

    The folder is at the root of a checkout, or inside the package in an installed wheel.

    Raises:
      InputError: there is no such file.
    """
    if Path(path).is_file():
        return Path(path)
    package = Path(__file__).resolve().parents[1]
    shipped = [d for d in (package / "_recipes" / folder, package.parent / folder) if d.is_dir()]
    by_name = {f.stem: f for d in shipped for f in sorted(d.glob("*.py"))}
    name = Path(path).stem if Path(path).parent == Path(".") else path
    if name in by_name:
        return by_name[name]
    raise InputError(
        f"There is no file {path!r} and no shipped script of that name."
        f"{nearest(Path(path).stem, by_name)} Shipped: {', '.join(sorted(by_name))}."
    )


def load_script(file: Path) -> types.ModuleType:
    """Run the script at `file` and return its module, which is not put into `sys.modules`.

    Raises:
      InputError: it is not a Python file.
    """
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    with deprecations.shown():
        spec.loader.exec_module(module)
    return module
