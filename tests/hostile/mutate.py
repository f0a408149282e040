"""Random changes of files: of bytes, and of the values of JSON documents."""

import copy
import functools
import json
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

_NUMBERS = (0, 1, -1, 2, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 10**400)
_WORDS = (b"0", b"-", b"1e999", b"nan", b"\0", b"\xff", b'"', b"[", b"}", b"\x1b", b",", b"\n")
_JUNK: tuple[Any, ...] = (
    *(None, True, "", "text", "../../x", "/etc/passwd", "a\x1b[31m", "\ud800", "a" * 5000),
    *([], {}, [[]], [1, "a"], {"id": 1}, 1.5, -0.0, 1e308, float("nan"), float("inf")),
    *_NUMBERS,
)


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Return `data` with one to four random changes."""
    if data[:1] in (b"{", b"[") and rng.random() < 0.7:
        try:
            return _mutate_json(data, rng)
        except (ValueError, RecursionError):
            pass
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        _change(changed, rng)
    return bytes(changed)


def _change(data: bytearray, rng: np.random.Generator) -> None:
    """Change some bytes: replace, delete, repeat, or write a special number."""
    size = len(data)
    place = int(rng.integers(size + 1))
    length = int(min(size - place, rng.geometric(0.1)))
    kind = rng.integers(7)
    if kind == 0 and size:
        data[min(place, size - 1)] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        data[place : place + length] = rng.bytes(length)
    elif kind == 2:
        del data[place : place + length]
    elif kind == 3:
        data[place:place] = data[place : place + length] * int(rng.integers(1, 30))
    elif kind == 4:
        del data[place:]
    elif kind == 5:
        number = int(rng.choice([n for n in _NUMBERS if 0 <= n < 2**63]))
        width = int(rng.choice([1, 2, 4, 8]))
        order = "little" if rng.random() < 0.5 else "big"
        data[place : place + width] = (number % 256**width).to_bytes(width, order)
    else:
        data[place:place] = _WORDS[int(rng.integers(len(_WORDS)))] * int(rng.integers(1, 4))


def _mutate_json(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace, delete, repeat or nest one to three values of a document."""
    document = json.loads(data)
    for _ in range(rng.integers(1, 4)):
        parents = list(_containers(document))
        if not parents:
            break
        parent = parents[int(rng.integers(len(parents)))]
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        key = keys[int(rng.integers(len(keys)))]
        kind = rng.integers(5)
        if kind == 0:
            del parent[key]
        elif kind == 1 and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        elif kind == 2:
            depth = int(rng.choice([2, 50, 900]))
            for _ in range(depth):
                parent[key] = [parent[key]]
        else:
            parent[key] = copy.deepcopy(_JUNK[int(rng.integers(len(_JUNK)))])
    return json.dumps(document).encode()


def replacements(data: bytes) -> Iterator[bytes]:
    """A JSON document with each of its values replaced by each kind of junk, or removed.

    Of a list the first three entries are changed. Nothing if `data` is no JSON object or list.
    """
    try:
        document = json.loads(data)
    except ValueError:
        return
    for *path, key in _paths(document, ()):
        changed = copy.deepcopy(document)
        parent = functools.reduce(operator.getitem, path, changed)
        for junk in _JUNK:
            parent[key] = junk
            yield json.dumps(changed).encode()
        del parent[key]
        yield json.dumps(changed).encode()


def _paths(node: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Keys that lead to each value inside a document."""
    if isinstance(node, dict):
        items = list(node.items())
    else:
        items = list(enumerate(node))[:3] if isinstance(node, list) else []
    for key, value in items:
        yield (*path, key)
        yield from _paths(value, (*path, key))


def _containers(value: Any) -> Any:
    """All lists and objects of a document that are not empty; iterative, since it may be deep."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list) and node:
            yield node
            waiting += node.values() if isinstance(node, dict) else node
