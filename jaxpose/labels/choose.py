"""Choice of the reader for labels, by the content of a file or folder."""

from collections.abc import Callable
from pathlib import Path

from jaxpose.data.canvas import check_folder
from jaxpose.data.coco_json import read_json
from jaxpose.errors import InputError
from jaxpose.file_limits import read_yaml
from jaxpose.labels.coco import is_coco
from jaxpose.labels.cvat import read_cvat
from jaxpose.labels.deeplabcut import read_deeplabcut
from jaxpose.labels.deeplabcut_table import is_labels_table
from jaxpose.labels.label_studio import is_label_studio, read_label_studio
from jaxpose.labels.labelme import is_labelme, read_labelme
from jaxpose.labels.labels import Labels
from jaxpose.labels.sleap import read_sleap
from jaxpose.labels.via import HEADER, is_via, read_via
from jaxpose.labels.yolo_pose import read_yolo_pose
from jaxpose.media.image import missing

Reader = Callable[..., Labels]

TOOLS = "DeepLabCut, Lightning Pose, SLEAP, labelme, Label Studio, CVAT, VIA or YOLO-pose"


def read_labels(
    path: str | Path,
    images: Path | None = None,
    *,
    outside: bool = False,
    predicted: bool = False,
) -> Labels:
    """Read the labels of a file or folder of any supported tool.

    Args:
      path: file or folder.
      images: folder of the images; if None, the folder where the tool puts them.
      outside: also read images outside that folder.
      predicted: also take the predictions in SLEAP's files.

    Raises:
      InputError: no such file, no tool's labels, or labels that cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{missing(path)}.")
    if images is not None:
        check_folder(images)
    file, reader = _choose(path)
    if not predicted:
        return reader(file, images, outside=outside)
    if reader is not read_sleap:
        raise InputError(f"{file}: only files of SLEAP have predictions that can be taken.")
    return read_sleap(file, images, outside=outside, predicted=True)


def _choose(path: Path) -> tuple[Path, Reader]:
    """File or folder to read, and the reader for it.

    Raises:
      InputError: it has no tool's labels.
    """
    if path.is_dir():
        return _of_folder(path)
    suffix = path.suffix.lower()
    if suffix == ".csv" and _first_line(path).startswith(HEADER):
        return path, read_via
    if suffix in (".csv", ".h5", ".hdf5"):
        return path, read_deeplabcut
    if suffix == ".slp":
        return path, read_sleap
    if suffix == ".xml":
        return path, read_cvat
    if suffix in (".yaml", ".yml"):
        content = read_yaml(path)
        if isinstance(content, dict) and "kpt_shape" in content:
            return path, read_yolo_pose
        if isinstance(content, dict) and ("bodyparts" in content or "scorer" in content):
            return path, read_deeplabcut
        raise InputError(
            f"{path} has neither `kpt_shape`, as a data.yaml of YOLO-pose, nor `bodyparts`, as "
            "DeepLabCut's config.yaml."
        )
    if suffix == ".json":
        content = read_json(path)
        if is_labelme(content):
            return path, read_labelme
        if is_label_studio(content):
            return path, read_label_studio
        if is_via(content):
            return path, read_via
        if is_coco(content):
            raise InputError(
                f"{path} is COCO's JSON: use `jaxpose prepare coco --annotations {path}`"
            )
    raise InputError(f"{path} has no labels of {TOOLS}.")


def _first_line(path: Path) -> str:
    """Beginning of a text file, without quotes and byte order mark."""
    with path.open("rb") as file:
        return file.read(200).decode("utf-8-sig", "replace").replace('"', "").lstrip("#")


def _of_folder(folder: Path) -> tuple[Path, Reader]:
    """The labels in a folder, by the names of the files that the tools write."""
    for name in ("data.yaml", "data.yml"):
        if (folder / name).is_file():
            return folder / name, read_yolo_pose
    if (folder / "annotations.xml").is_file():
        return folder / "annotations.xml", read_cvat
    patterns = ("CollectedData*.csv", "labeled-data/*/CollectedData_*")
    if any(next(folder.glob(pattern), None) for pattern in patterns):
        return folder, read_deeplabcut
    tables = [file for file in sorted(folder.glob("*.csv")) if is_labels_table(file)]
    if tables and (folder / "labeled-data").is_dir():
        return folder, read_deeplabcut
    files = sorted(folder.glob("*.slp"))
    if len(files) > 1:
        raise InputError(f"{folder} has {len(files)} files of SLEAP; give one: {files[0]}")
    if files:
        return files[0], read_sleap
    files = sorted(folder.rglob("*.json"))
    if not files and (folder / "labeled-data").is_dir():
        raise InputError(
            f"{folder} has labeled-data as a project of DeepLabCut, but no CollectedData file in "
            "it: label frames and save them there first."
        )
    if not files:
        raise InputError(f"{folder} has no labels of {TOOLS}.")
    if len(files) == 1:
        return _choose(files[0])
    return folder, read_labelme
