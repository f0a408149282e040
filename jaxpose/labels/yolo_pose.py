"""YOLO-pose: a `data.yaml` and a text file for each image, as Ultralytics reads them.

A line has a class, the box (centre, width, height) and K times x, y or x, y, flag, all coordinates
relative to the image: https://docs.ultralytics.com/datasets/pose. Without flags a keypoint at the
origin or below it is not labelled.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.data.canvas import IMAGE_MISSING, IMAGE_UNREADABLE
from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, SETTINGS, read_text, read_yaml
from jaxpose.labels.labels import Gathered, Instance, LabelledImage, Labels, number
from jaxpose.labels.records import size_of
from jaxpose.media.image import is_image_file
from jaxpose.paths import atomic_write, is_file, is_folder, is_inside
from jaxpose.skeletons import Skeleton

NAME = "yolo-pose"
WRONG_LENGTH = "row with another number of keypoints"
SPLITS = ("train", "val", "test")
MAX_KEYPOINTS = 10_000


def read_yolo_pose(path: Path, images: Path | None = None, *, outside: bool = False) -> Labels:
    """Read the labels of a `data.yaml`.

    Args:
      path: the file.
      images: folder of the data set, in place of the file's `path`.
      outside: also read folders and images outside the folder of the file.

    Raises:
      InputError: a file is not as described, or there are no labels.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or "kpt_shape" not in content:
        raise InputError(f"{path} is not a data.yaml of YOLO-pose: it has no `kpt_shape`.")
    count, values = _shape(path, content["kpt_shape"])
    names, pairs = _names(path, content, count), None
    if flip := content.get("flip_idx"):
        pairs = _pairs(path, flip, names)
    root = _root(path, content, images, outside)
    gathered = Gathered(root, outside, files=[path])
    stated = [content.get(split) for split in SPLITS]
    for place, split in enumerate(SPLITS):
        if stated[place] and stated[place] in stated[:place]:
            earlier = SPLITS[stated.index(stated[place])]
            gathered.notes.append(f"split {split} has the images of {earlier}, and is not read")
            continue
        for image in _images(path, stated[place], root, outside):
            _add(gathered, image, split, names, values)
    _check_lengths(path, gathered, count, values)
    return gathered.labels(NAME, path, names, _limbs(content, names), pairs)


def _shape(path: Path, shape: Any) -> tuple[int, int]:
    plain = isinstance(shape, list) and all(type(side) is int for side in shape)
    if not plain or len(shape) != 2 or not 0 < shape[0] <= MAX_KEYPOINTS or shape[1] not in (2, 3):
        raise InputError(f"{path}: `kpt_shape` must be [number of keypoints, 2 or 3].")
    return shape[0], shape[1]


def _names(path: Path, content: dict[str, Any], count: int) -> tuple[str, ...]:
    """Names of `kpt_names`, a list for each class or one for all; or point_1, point_2, ..."""
    stated = content.get("kpt_names")
    if isinstance(stated, dict):
        lists = list(stated.values())
        if any(names != lists[0] for names in lists):
            raise InputError(
                f"{path}: mixed skeletons: the classes of `kpt_names` have different keypoints. "
                "Export each class alone"
            )
        stated = lists[0] if lists else None
    if stated is None:
        return tuple(f"point_{place}" for place in range(1, count + 1))
    if not isinstance(stated, list) or not all(isinstance(name, str) for name in stated):
        raise InputError(f"{path}: `kpt_names` must have a list of names for each class.")
    if len(stated) != count or len(set(stated)) != count:
        raise InputError(
            f"{path}: `kpt_names` has {len(set(stated))} names, and `kpt_shape` {count} keypoints."
        )
    return tuple(stated)


def _pairs(path: Path, flip: Any, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Pairs of `flip_idx`, with the left one first where the names state the side."""
    indices = list(range(len(names)))
    plain = isinstance(flip, list) and all(type(index) is int for index in flip)
    if not plain or sorted(flip) != indices or any(flip[flip[i]] != i for i in indices):
        raise InputError(
            f"{path}: `flip_idx` must exchange the {len(names)} keypoints in pairs, as in "
            "[1, 0, 2] for three of which the first two are left and right."
        )
    pairs = [(names[i], names[j]) for i, j in enumerate(flip) if i < j]
    return [(b, a) if "right" in a.lower() and "left" in b.lower() else (a, b) for a, b in pairs]


def _limbs(content: dict[str, Any], names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Limbs of `skeleton`, pairs of places from 0, which some tools write and YOLO does not use."""
    skeleton = content.get("skeleton")
    limbs = []
    for limb in skeleton if isinstance(skeleton, list) else []:
        whole = isinstance(limb, list) and all(type(place) is int for place in limb)
        if whole and len(limb) == 2 and all(0 <= place < len(names) for place in limb):
            limbs.append((names[limb[0]], names[limb[1]]))
    return limbs


def _root(path: Path, content: dict[str, Any], images: Path | None, outside: bool) -> Path:
    if images is not None:
        return images
    stated = content.get("path")
    if stated in (None, "", "."):
        return path.parent
    if not isinstance(stated, str):
        raise InputError(f"{path}: `path` is not the name of a folder.")
    root = path.parent / stated
    if outside or is_inside(root, path.parent.resolve()):
        if is_folder(root):
            return root
    elif is_folder(root) and not _has_split(content, path.parent):
        raise InputError(
            f"{path}: its `path` {stated!r} is outside the file's folder. Add --outside to read "
            "it, or give the folder of the data set with --images"
        )
    # Published files state where Ultralytics downloads to; the data often lies beside them.
    return path.parent


def _has_split(content: dict[str, Any], folder: Path) -> bool:
    first = content.get("train")
    return isinstance(first, str) and (is_folder(folder / first) or is_file(folder / first))


def _images(path: Path, stated: Any, root: Path, outside: bool) -> Iterator[str]:
    """Images of a split, relative to the root: of a folder, a list in a text file, or several."""
    if stated in (None, ""):
        return
    if isinstance(stated, list):
        for one in stated:
            yield from _images(path, one, root, outside)
        return
    if not isinstance(stated, str):
        raise InputError(f"{path}: a split is not the name of a folder or a text file.")
    place = root / stated
    if not outside and not is_inside(place, root.resolve()):
        raise InputError(
            f"{path}: {stated!r} is outside the folder {root}. Add --outside to read it"
        )
    if is_folder(place):
        for file in sorted(place.rglob("*")):
            if file.is_file() and is_image_file(file):
                yield file.relative_to(root).as_posix()
    elif is_file(place):
        lines = read_text(place, SETTINGS).splitlines()
        yield from (line.strip().removeprefix("./") for line in lines if line.strip())
    else:
        raise InputError(f"{path}: {place} does not exist, neither a folder nor a text file.")


def _labels_of(name: str) -> str:
    """Name of an image's text file: the last folder `images` becomes `labels`."""
    parts = list(Path(name).with_suffix(".txt").parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts).as_posix()


def _add(gathered: Gathered, name: str, split: str, names: tuple[str, ...], values: int) -> None:
    file = gathered.folder / _labels_of(name)
    inside = gathered.outside or is_inside(file, gathered.folder.resolve())
    if not inside or not is_file(file):
        gathered.add(name, (), split=split)
        return
    gathered.files.append(file)
    image = LabelledImage(gathered.folder / name, name, ())
    size = size_of(image)
    instances = []
    for row, line in enumerate(_lines(file), 1):
        where = f"{file}, line {row}"
        numbers = [number(word, where) for word in line.partition("#")[0].split()]
        if not numbers:
            continue
        if len(numbers) != 5 + values * len(names):
            gathered.leave_out(WRONG_LENGTH, f"{where}: {len(numbers)} numbers")
        elif size is None:
            reason = IMAGE_UNREADABLE if is_file(image.path) else IMAGE_MISSING
            gathered.leave_out(reason, f"{where}: {name}")
        else:
            instances.append(_instance(np.array(numbers), size, values, where))
    gathered.add(name, instances, image_hw=size, split=split)


def _lines(file: Path) -> list[str]:
    try:
        return read_text(file, ANNOTATIONS).splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{file} is not a text file.") from None


def _instance(numbers: np.ndarray, size: tuple[int, int], values: int, where: str) -> Instance:
    scale = np.array([size[1], size[0]], np.float64)
    centre, sides = numbers[1:3] * scale, numbers[3:5] * scale
    table = numbers[5:].reshape(-1, values)
    if values == 3:
        visible = table[:, 2]
        if not np.isin(visible, (0, 1, 2)).all():
            raise InputError(f"{where}: the flag of a keypoint is not 0, 1 or 2.")
    else:
        unlabelled = (table <= 0).all(axis=1) | (table < 0).any(axis=1)
        visible = np.where(unlabelled, 0, 2)
    points = np.where(visible[:, None] > 0, table[:, :2] * scale, np.nan)
    box = np.concatenate([centre - sides / 2, sides])
    return Instance(points, visible.astype(int), where, box_xywh=box)


def _check_lengths(path: Path, gathered: Gathered, count: int, values: int) -> None:
    """Raise InputError if all rows have another length: the file has another skeleton."""
    wrong = [skip for skip in gathered.skips if skip.reason == WRONG_LENGTH]
    if wrong and not any(image.instances for image in gathered.images):
        raise InputError(
            f"{path}: rows have another number of keypoints than its `kpt_shape`, which needs "
            f"{5 + values * count} numbers (class, box, {count} keypoints of {values} numbers). "
            f"The first is {wrong[0].who}"
        )


def write_yolo_pose(labels: Labels, skeleton: Skeleton, out: Path) -> None:
    """Write `data.yaml` and a text file for each image into the folder `out`.

    The images are not copied: put them into `images/SPLIT`, or name their folder in `data.yaml`.

    Raises:
      InputError: the size of an image is not known, or two images have one name.
    """
    import yaml

    splits: dict[str, list[str]] = {}
    for image in labels.images:
        split = image.split if image.split in SPLITS else "train"
        size = image.image_hw or size_of(image)
        if size is None:
            raise InputError(
                f"{image.path}: the image's size is needed for YOLO's coordinates, and the image "
                "cannot be read. Give its folder with --images"
            )
        name = image.name.removeprefix(f"images/{split}/")
        file = out / "labels" / split / Path(name).with_suffix(".txt")
        if not is_inside(file, out.resolve()):
            raise InputError(f"{image.name}: the name leads outside the folder {out}.")
        if str(file) in splits.setdefault(split, []):
            raise InputError(f"{file} would be written twice: two images have this name.")
        splits[split].append(str(file))
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, "".join(_row(one, size) for one in image.instances))
    order = skeleton.flip_permutation.tolist()
    content = {
        "path": ".",
        "train": "images/train",
        "val": "images/val" if "val" in splits else "images/train",
        **({"test": "images/test"} if "test" in splits else {}),
        "kpt_shape": [skeleton.num_keypoints, 3],
        "flip_idx": order,
        "skeleton": [list(limb) for limb in skeleton.limb_indices],
        "names": {0: skeleton.name},
        "kpt_names": {0: list(skeleton.keypoints)},
    }
    atomic_write(out / "data.yaml", yaml.safe_dump(content, sort_keys=False))


def _row(instance: Instance, size: tuple[int, int]) -> str:
    scale = np.array([size[1], size[0]], np.float64)
    box = instance.extent(1.0) if instance.box_xywh is None else instance.box_xywh
    values = [*((box[:2] + box[2:] / 2) / scale), *(box[2:] / scale)]
    for point, visible in zip(instance.keypoints, instance.visible, strict=True):
        values += [*(point / scale), visible] if visible else [0, 0, 0]
    # Nine digits are 1e-5 px in the largest image that is read.
    return " ".join(["0", *(f"{float(value):.9g}" for value in values)]) + "\n"
