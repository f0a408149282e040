"""Weights of a record in the form in which they were published, without having them.

The variables of the record's model are drawn, and its conversion table is applied backwards: every
leaf gives the arrays that the table would make it from, under the names of its project.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch_file import write

from jaxpose.convert.formats import FORMATS
from jaxpose.convert.load import expected_leaves, table
from jaxpose.models import layouts
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.published.record import Published

_LARGE = 2**16
"""Arrays of more numbers repeat the first ones: drawing takes longer than everything else."""


def format_of(record: Published) -> Format:
    """Format of the record's file at its address."""
    name = "MMPose 1.x"
    if record.name.startswith("yolox"):
        name = "YOLOX's own code"
    elif record.kind == "backbone":
        name = "timm EfficientNet-Lite"
    elif record.kind == "detector":
        name = "MMDetection"
    elif "huggingface.co" in record.weights.address:
        name = "Hugging Face VitPose"
    elif "fbaipublicfiles" in record.weights.address:
        name = "VideoPose3D's own code"
    return next(known for known in FORMATS if known.name == name)


def drawn_leaves(record: Published) -> dict[str, np.ndarray]:
    """Variables of the record's model, by path."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=_LARGE).astype(np.float32)
    return {path: _leaf(noise, path, leaf.shape) for path, leaf in _leaves(record).items()}


def _leaves(record):
    return expected_leaves(record.model())


def _leaf(noise: np.ndarray, path: str, shape: tuple[int, ...]) -> np.ndarray:
    name = path.rpartition("/")[2]
    first = int.from_bytes(path.encode()[-7:], "little") % _LARGE
    values = np.resize(np.roll(noise, first), shape)
    if name in ("scale", "var"):
        return np.abs(values) * np.float32(0.1) + 1
    if name in ("bias", "mean"):
        return values * np.float32(0.05)
    return values / np.float32(np.sqrt(max(np.prod(shape[:-1]), 1)))


def official_state_dict(record: Published, leaves: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays under the names of the record's project, from which the table makes `leaves`."""
    source = format_of(record)
    model = record.model()
    rules = [rule for rule in table(source, model) if rule.target is not None]
    rules.sort(key=lambda rule: rule.folded_epsilon is not None)  # norms are not folded there
    found: dict[str, np.ndarray] = {}
    for path, leaf in leaves.items():
        for key, array in _sources(rules, path, leaf, model):
            assert key not in found, key
            found[key] = array
    if source.class_slot == "added":  # to all positions; here a slot of zeros
        positions = found[source.positions]
        positions = positions.reshape(1, -1, positions.shape[-1])
        found[source.positions] = np.pad(positions, ((0, 0), (1, 0), (0, 0)))
    if source.name == "MMPose 1.x" and "/v1/" not in record.weights.address:
        found = {re.sub(r"^head\.", "keypoint_head.", key): array for key, array in found.items()}
    return found


def _sources(rules, path, leaf, model) -> Iterator[tuple[str, np.ndarray]]:
    for rule in rules:
        groups = _groups_of(rule, path)
        if groups is None:
            continue
        layers = enumerate(leaf) if rule.stack else [(None, leaf)]
        keys = []
        for layer, slab in layers:
            parts = rule.join_order or (None,)
            pieces = np.split(slab, len(parts), rule.join_axis) if rule.join else [slab]
            for part, piece in zip(parts, pieces, strict=True):
                more = dict(groups)
                if rule.stack:
                    more[rule.stack] = str(layer)
                if rule.join:
                    more[rule.join] = part
                for key in _keys(rule, more):
                    keys.append((key, _undone(rule, piece, model)))
        if keys:
            yield from keys
            return
    raise AssertionError(f"no rule makes {path}")


def _groups_of(rule: Rule, path: str) -> dict[str, str] | None:
    """Values of the groups in a rule's target with which it is `path`."""
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\w+?)", re.escape(rule.target))
    found = re.fullmatch(pattern, path)
    return None if found is None else found.groupdict()


def _keys(rule: Rule, groups: dict[str, str]) -> list[str]:
    """Keys that match a rule's pattern with these groups; several for repeated arrays."""
    pattern = re.sub(r"\(\?!.*?fuse_layers.*?\\\.\.\+\)", "", rule.pattern)
    free = [name for name in re.findall(r"\(\?P<(\w+)>", pattern) if name not in groups]
    found = []
    for values in itertools.product(*(["0", "1", "2"] if rule.copies else ["0"] for _ in free)):
        known = groups | dict(zip(free, values, strict=True))
        key = re.sub(r"\(\?P<(\w+)>[^)]*\)", lambda match, known=known: known[match[1]], pattern)
        key = re.sub(r"\([^)]*\)\?", "", key)  # what may be left out
        key = re.sub(r"\(([^|)]*)\|[^)]*\)", r"\1", key)  # the first of several names
        key = key.replace("\\.", ".").replace("\\", "")
        match = re.fullmatch(rule.pattern, key)
        if match and all(match[name] == value for name, value in groups.items()):
            found.append(key)
    return found


def _undone(rule: Rule, leaf: np.ndarray, model) -> np.ndarray:
    """Array of which the rule's change of layout makes `leaf`."""
    for shape in _shapes(rule, leaf.shape, model):
        try:
            if rule.transform(np.broadcast_to(np.float32(0), shape)).shape != leaf.shape:
                continue
        except (ValueError, IndexError):
            continue
        if rule.transform is np.asarray:
            return leaf
        places = rule.transform(np.arange(leaf.size).reshape(shape))
        array = np.empty(leaf.size, leaf.dtype)
        array[places.ravel()] = leaf.ravel()
        return array.reshape(shape)
    raise AssertionError(f"no shape of {rule.pattern} gives {leaf.shape}")


def _shapes(rule: Rule, shape: tuple[int, ...], model) -> Iterator[tuple[int, ...]]:
    """Shapes that the source of a leaf could have, likely ones first."""
    if rule.transform is np.asarray:
        yield shape
    if rule.transform is layouts.patches:
        patch = model.backbone.patch
        yield (shape[1], 3, patch, patch)
    long = tuple(size for size in shape if size > 1)
    cores = [*itertools.permutations(long)]
    for count in range(1, len(long)):  # two axes of several each, and one of all
        for places in itertools.combinations(range(len(long)), count):
            rest = [long[i] for i in range(len(long)) if i not in places]
            cores.append((int(np.prod([long[i] for i in places])), int(np.prod(rest))))
    cores.append((int(np.prod(long)),))
    for core in dict.fromkeys(cores):
        for ones in range(4):
            for places in itertools.combinations(range(len(core) + ones), ones):
                rest = iter(core)
                yield tuple(
                    1 if place in places else next(rest) for place in range(len(core) + ones)
                )


def write_official_file(record: Published, leaves: dict[str, np.ndarray], path: Path) -> None:
    """Write the record's file as it is at its address."""
    state_dict = official_state_dict(record, leaves)
    if path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({key: np.ascontiguousarray(a) for key, a in state_dict.items()}, path)
        return
    wrapper = "state_dict"
    if record.name.startswith("yolox"):
        wrapper = "model"
    elif path.suffix == ".bin":
        wrapper = "model_pos"
    write(path, state_dict, lambda tensors: {"meta": {"epoch": 420}, wrapper: tensors})
