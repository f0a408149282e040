"""Reading of the structure of a PyTorch pickle without running any function that it names.

A pickle is a program: it names functions and calls them. Here every name is replaced by a class or
function of this module, which stores its arguments at most. A file that names what starts programs,
runs text as code or opens files and connections is refused: it is malicious. Other names, such as a
user's own class of settings beside the weights with an enum or a `functools.partial` in it, become
empty stand-ins.
"""

import pickle
import pickletools
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from jaxpose.console import PlainConsole
from jaxpose.errors import InputError

# NumPy's dtype of the elements of PyTorch's storages; the elements of the untyped one are bytes.
STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
_DTYPES = frozenset(STORAGES.values())
# Packages whose objects are in training checkpoints in addition to the weights (configurations,
# optimiser states, logs). These objects are not created: each name becomes an empty stand-in.
_BESIDE = {
    *("torch", "numpy", "collections", "datetime", "argparse", "pathlib", "copyreg", "_codecs"),
    *("mmengine", "mmcv", "mmpose", "mmdet", "mmcls", "mmpretrain", "timm", "yacs", "addict"),
    *("omegaconf", "easydict", "lightning", "lightning_fabric", "pytorch_lightning"),
}
_BUILTINS = {
    *("set", "frozenset", "bytearray", "bytes", "complex", "slice", "range", "object"),
    *("int", "float", "str", "bool", "list", "dict", "tuple"),
}
# Modules of Python that no settings contain: they start programs, import and run code, and open
# files and connections.
_PROGRAMS = {
    *("os", "posix", "nt", "sys", "subprocess", "_posixsubprocess", "commands", "popen2", "pty"),
    *("multiprocessing", "concurrent", "asyncio", "platform", "webbrowser", "shutil", "glob"),
    *("importlib", "_frozen_importlib", "imp", "runpy", "pkgutil", "zipimport", "site", "venv"),
    *("ensurepip", "pip", "distutils", "setuptools", "code", "codeop", "ctypes", "_ctypes", "cffi"),
    *("pickle", "_pickle", "cPickle", "marshal", "shelve", "dbm", "sqlite3", "tempfile", "io"),
    *("_io", "mmap", "fcntl", "signal", "resource", "socket", "_socket", "socketserver", "ssl"),
    *("urllib", "urllib2", "ftplib", "smtplib", "poplib", "imaplib", "telnetlib", "nntplib"),
    *("xmlrpc", "timeit", "trace", "pdb", "bdb", "profile", "cProfile", "doctest", "pydoc"),
    *("winreg", "_winapi", "msvcrt", "atexit", "gc", "idlelib", "tkinter", "antigravity"),
}
_RUNNING = {
    *("eval", "exec", "execfile", "compile", "open", "file", "input", "raw_input", "__import__"),
    *("breakpoint", "apply", "globals", "locals", "vars", "setattr", "delattr", "reload"),
}
_PYTHON = sys.stdlib_module_names | {"__builtin__"}
_CODE_TYPES = {"FunctionType", "LambdaType", "CodeType", "ModuleType"}


@dataclass(frozen=True)
class Storage:
    """Reference to a block of numbers elsewhere in the file, by its name there."""

    name: str
    dtype: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """View of a storage; offset and strides are in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str


class StandIn:
    """Replacement of an object that is not a weight; it stores nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs

    def __call__(self, *args: Any, **kwargs: Any) -> "StandIn":
        """Return another stand-in."""
        del args, kwargs
        return type(self)()

    def __setstate__(self, state: Any) -> None:
        del state

    def __setitem__(self, key: Any, value: Any) -> None:
        del key, value

    def append(self, value: Any) -> None:
        """Ignore the value."""

    def extend(self, values: Any) -> None:
        """Ignore the values."""

    def add(self, value: Any) -> None:
        """Ignore the value."""


def check_opcodes(file: BinaryIO) -> None:
    """Check the pickle at the file's position, and return to that position.

    Python's unpickler allocates memory by numbers in the pickle: a list up to the highest index of
    its memo, and buffers of a stated length.

    Raises:
      pickle.UnpicklingError: an index of the memo is higher than the number of operations.
      ValueError: the pickle ends early, or is none.
    """
    start = file.tell()
    for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
        puts = operation.name in ("PUT", "BINPUT", "LONG_BINPUT")
        if puts and not 0 <= int(argument or 0) <= count:
            raise pickle.UnpicklingError(f"its memo has the impossible index {argument}")
    file.seek(start)


def read_pickle(file: BinaryIO) -> tuple[Any, dict[str, Storage]]:
    """Read the object of a pickle, with tensors as `Tensor`, and their storages by name.

    Objects of packages that are not known here are left out, with a note on standard error.

    Raises:
      InputError: the pickle names a function or class of Python that no checkpoint needs.
      Exception: the pickle is damaged; Python's unpickler may raise any type of exception.
    """
    check_opcodes(file)
    unpickler = _Unpickler(file)
    content = unpickler.load()
    if unpickler.others:
        names = sorted(unpickler.others, key=lambda name: (name.split(".")[0] in _PYTHON, name))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        PlainConsole(stderr=True).print(
            f"Note: objects beside the weights are left out and were not created: "
            f"{', '.join(names[:3])}{more}."
        )
    return content, unpickler.storages


class _Unpickler(pickle.Unpickler):
    """Unpickler that imports no names: `find_class` returns replacements from the tables above."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="utf-8")
        # A pickle may set attributes of the classes that it names, so each file gets a new class.
        self._stand_in = type("StandIn", (StandIn,), {})
        self.storages: dict[str, Storage] = {}
        self.others: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in _REBUILD:
            return _Call(_REBUILD[full])
        if module in ("torch", "torch.storage") and name in STORAGES:
            return STORAGES[name]
        if module == "torch" and name in _DTYPES:
            return name
        if module in ("builtins", "__builtin__") and name in _BUILTINS:
            return {"dict": dict, "list": list, "set": set}.get(name, self._stand_in)
        if module in ("builtins", "__builtin__") and name == "getattr":
            return _Call(lambda *_: self._stand_in)  # a class that is nested in another one
        top = module.split(".")[0]
        if top in _BESIDE:
            return self._stand_in
        if _runs(top, name):
            raise InputError(
                f"it contains code: it names {full}, which no weights need. Nothing was run. Do "
                "not open this file with torch.load; ask its author for a safetensors file"
            )
        self.others.add(full)
        return self._stand_in

    def persistent_load(self, pid: Any) -> Storage:
        kind, dtype, name, _, count, *view = pid
        if kind != "storage" or dtype not in _DTYPES or any(view):
            raise pickle.UnpicklingError(f"unknown reference {kind!r}")
        storage = Storage(str(name), dtype, int(count))
        return self.storages.setdefault(storage.name, storage)


def _runs(package: str, name: str) -> bool:
    """True if a name of Python starts programs, runs code, or opens files and connections."""
    if package in ("builtins", "__builtin__"):
        return name.split(".")[0] in _RUNNING
    return package in _PROGRAMS or (package == "types" and name in _CODE_TYPES)


class _Call:
    """Function of this module that a pickle may call, without attributes that it could change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


def _tensor(storage: Storage, offset: int, shape: Any, strides: Any, *_rest: Any) -> Tensor:
    if not isinstance(storage, Storage):
        raise pickle.UnpicklingError("a tensor without a storage")
    numbers = (offset, *shape, *strides)
    if not all(isinstance(n, int) and n >= 0 for n in numbers) or len(shape) != len(strides):
        raise pickle.UnpicklingError("a tensor of impossible shape")
    return Tensor(storage, offset, tuple(shape), tuple(strides), storage.dtype)


def _typed_tensor(
    storage: Storage,
    offset: int,
    shape: Any,
    strides: Any,
    _requires_grad: Any,
    _hooks: Any,
    dtype: str,
    *_metadata: Any,
) -> Tensor:
    view = _tensor(storage, offset, shape, strides)
    return Tensor(storage, view.offset, view.shape, view.strides, dtype)


_REBUILD: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": OrderedDict,
    "torch.Size": lambda sizes=(): tuple(sizes),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": lambda data, *rest: data,
    "torch._utils._rebuild_parameter_with_state": lambda data, *rest: data,
    "torch._tensor._rebuild_from_type_v2": lambda function, kind, args, state: function(*args),
}
