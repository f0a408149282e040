"""`jaxpose objects predict` and `draw`: poses of objects, and drawn datasets."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxpose.cli.objects_command import DrawObjects, PredictObjects
from jaxpose.cli.predict_summary import make_writable
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, print_counts
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, centred_camera, pinhole
from jaxpose.hub.load import load_pose
from jaxpose.media.image import declared_size, read_image
from jaxpose.objects import KnownObject
from jaxpose.objects.bop import BopImage, read_models, read_split
from jaxpose.objects.bop_results import BopPose, write_bop_results
from jaxpose.objects.bop_source import object_box
from jaxpose.objects.bop_writing import write_drawn_bop
from jaxpose.objects.depth_files import read_scene_depth
from jaxpose.objects.depth_refinement import check_depth_unit, refine_by_depth
from jaxpose.objects.drawn_scenes import SyntheticObjects
from jaxpose.objects.model import ObjectModel
from jaxpose.paths import atomic_write
from jaxpose.results.box_files import whole_image
from jaxpose.results.image_names import ImageNames, check_not_read
from jaxpose.tasks.objects.predictor import ObjectPose, ObjectPredictor, check_numbers
from jaxpose.viz import save_image
from jaxpose.viz.objects import draw_objects

_MIN_VISIBLE = 0.1
NO_POSE = "too few keypoints agree with a pose"
NOT_READ = "image that cannot be used"
OUTSIDE = "box outside the image"
NOT_KNOWN = "object that the model was not trained with"


class _Input(NamedTuple):
    """One image with the boxes of the objects to find."""

    path: Path
    name: str
    boxes: np.ndarray
    objects: list[int]
    camera: Camera | None
    scene_id: int = 0
    image_id: int = 0
    bop: BopImage | None = None


def predict_objects(options: PredictObjects) -> int:
    """Writes `poses.json`, drawings, and for a BOP dataset the CSV of results.

    Returns:
      The exit status: 0, or 1 if an object has no pose or was left out, or 2 if none has one.

    Raises:
      InputError: a source, model, box or camera that cannot be used.
    """
    folders = [source for source in options.sources if source.is_dir()]
    if folders and len(options.sources) > 1:
        raise InputError("Give images, or the folder of one BOP dataset, and not both.")
    if options.depth and not folders:
        raise InputError("--depth needs the folder of a BOP dataset, which has depth images.")
    faults: Counter[str] = Counter()
    folder = options.models or (folders[0] / "models" if folders else None)
    models: dict[int, ObjectModel] = {}
    if folders and folder is not None:
        _check_dataset(options)
        models = read_models(folder)
    predictor, whole = _predictor(options, folder, models)
    excluded: Counter[str] = Counter()
    if folders:
        inputs = list(_dataset(folders[0], models, predictor.objects, options, faults, excluded))
    else:
        inputs = list(_images(options, predictor.objects))
    if options.draw:
        read = [entry.path for entry in inputs]
        check_not_read((_drawing(options.out, entry) for entry in inputs), read)
    make_writable(options.out)
    rows: list[BopPose] = []
    documents = []
    done = 0
    for entry in inputs:
        try:
            image = _image(entry)
        except InputError as error:
            if len(inputs) == 1:
                raise
            faults[NOT_READ] += len(entry.objects)
            PlainConsole().print(f"Left out: {error}")
            continue
        boxes, numbers = entry.boxes, np.array(entry.objects)
        if whole or not len(boxes):
            boxes = np.repeat(whole_image(image.shape[:2]), len(numbers), axis=0)
        inside = _inside(boxes, image.shape[:2])
        faults[OUTSIDE] += int((~inside).sum())
        camera = entry.camera or _camera(options, image.shape[:2])
        start = time.perf_counter()
        found = predictor(image, boxes[inside], numbers[inside].tolist(), camera)
        if options.depth:
            found = _refined(found, models, entry, image.shape[:2], camera)
        seconds = time.perf_counter() - start
        there = [each for each in found if each.pose is not None]
        done += len(there)
        faults[NO_POSE] += len(found) - len(there)
        documents.append({"image": entry.name, "objects": [_plain(each) for each in found]})
        rows += [
            BopPose(entry.scene_id, entry.image_id, each.object.id, each.score, each.pose, seconds)
            for each in there
            if each.pose is not None
        ]
        if options.draw:
            shown = [(e.object.low, e.object.high, e.pose) for e in there if e.pose is not None]
            save_image(_drawing(options.out, entry), draw_objects(image, shown, camera))
    atomic_write(options.out / "poses.json", json.dumps({"images": documents}, indent=1))
    written = [options.out / "poses.json"]
    if folders:
        dataset = folders[0].resolve().name.replace("_", "")
        written.append(options.out / f"jaxpose_{dataset}-{options.split}.csv")
        write_bop_results(written[-1], rows)
    PlainConsole().print(f"Written: {', '.join(map(str, written))}")
    return print_counts([Counts("objects", done, faults, excluded)])


def draw_dataset(options: DrawObjects) -> int:
    """Writes drawn images as a BOP dataset.

    Raises:
      InputError: the folder is not empty.
    """
    if options.out.exists() and any(options.out.iterdir()):
        raise InputError(f"{options.out} is not empty; give a new folder.")
    data = SyntheticObjects(options.count, options.seed, (options.size, options.size))
    write_drawn_bop(options.out, data, options.split)
    PlainConsole().print(f"{options.count} images in {options.out / options.split}.")
    return 0


def _predictor(
    options: PredictObjects, folder: Path | None, models: dict[int, ObjectModel]
) -> tuple[ObjectPredictor, bool]:
    """Predictor, and whether it takes whole images, as PVNet's own weights do.

    Args:
      options: of the command.
      folder: of the models.
      models: those in it, if they are read already.
    """
    trained = load_pose(options.run, trust_recipe=options.trust_recipe)
    estimator: Any = trained.estimator
    known: tuple[KnownObject, ...] = getattr(estimator, "objects", ())
    whole = not known
    if whole:
        if folder is None or len(set(options.object)) != 1:
            raise InputError(
                f"{options.run} does not say which object its keypoints are of: give --models "
                "FOLDER, which has models_info.json, and the number of the object with --object."
            )
        models, number = models or read_models(folder), options.object[0]
        if number not in models:
            raise InputError(f"{folder} has no model {number}: {sorted(models)}.")
        known = (models[number].known(),)
        if (count := trained.skeleton.num_keypoints) != len(known[0].keypoints):
            raise InputError(
                f"{options.run} is no model of objects: it finds {count} keypoints "
                f"({trained.skeleton.name}), and an object has {len(known[0].keypoints)}."
            )
    threshold = options.threshold
    if threshold is None:
        threshold = float(getattr(estimator, "threshold", 0.04))
    predictor = ObjectPredictor(
        trained.model,
        trained.variables,
        estimator.codec,
        known,
        padding=estimator.padding,
        threshold=threshold,
        batch_size=options.batch_size,
    )
    return predictor, whole


def _drawing(out: Path, entry: _Input) -> Path:
    """File of the image with its poses drawn on it."""
    return out / f"{entry.name.replace('/', '_')}.jpg"


def _only(known: Mapping[int, KnownObject]) -> int:
    """Number of the object, if the model has a single one."""
    if len(known) > 1:
        names = ", ".join(f"{each.id} ({each.name})" for each in known.values())
        raise InputError(f"The model has several objects; choose one with --object: {names}.")
    return next(iter(known))


def _images(options: PredictObjects, known: Mapping[int, KnownObject]) -> Iterator[_Input]:
    """Images with the boxes, objects and camera of the options; `known` are the model's objects."""
    boxes = [_numbers("--box", text, 4) for text in options.box]
    for text, box in zip(options.box, boxes, strict=True):
        if min(box[2:]) <= 0:
            raise InputError(f"--box {text!r}: the width and the height must be positive.")
    objects = list(options.object) or [_only(known)] * max(len(boxes), 1)
    if len(objects) != max(len(boxes), 1):
        raise InputError(
            f"--box is given {len(boxes)} times and --object {len(options.object)} times: give one "
            "--object for each --box, or one --object without a box for the whole image."
        )
    check_numbers(objects, known)
    _check_camera(options)
    names = ImageNames(options.sources)
    for path in dict.fromkeys(options.sources):
        yield _Input(path, names.stem(str(path)), np.array(boxes).reshape(-1, 4), objects, None)


def _image(entry: _Input) -> np.ndarray:
    """Image of an input.

    Raises:
      InputError: it cannot be read, or a BOP dataset's has another size than its mask: the camera
        and the boxes would be those of other pixels.
    """
    image = read_image(entry.path)
    mask = entry.bop.objects[0].mask if entry.bop is not None else None
    if mask is not None and mask.is_file():
        try:
            size = declared_size(mask.read_bytes())
        except InputError:
            size = None  # its pixels are not needed
        if size is not None and size != image.shape[:2]:
            raise InputError(
                f"{entry.path} has {image.shape[1]} x {image.shape[0]} pixels, and its mask {mask} "
                f"{size[1]} x {size[0]}: the camera and the boxes are those of one of them."
            )
    return image


def _inside(boxes: np.ndarray, image_hw: tuple[int, int]) -> np.ndarray:
    """Bool `[P]`: True for a box that has a pixel of the image."""
    high = boxes[:, :2] + boxes[:, 2:]
    made: np.ndarray = ((high > 0) & (boxes[:, :2] < np.array(image_hw[::-1]))).all(axis=-1)
    return made


def _check_dataset(options: PredictObjects) -> None:
    if options.box or options.focal is not None or options.intrinsics is not None:
        raise InputError("A BOP dataset has boxes and cameras: leave --box, --focal and "
                         "--intrinsics out.")  # fmt: skip


def _dataset(
    folder: Path,
    models: dict[int, ObjectModel],
    known: Mapping[int, KnownObject],
    options: PredictObjects,
    faults: Counter[str],
    excluded: Counter[str],
) -> Iterator[_Input]:
    """Images of a dataset with the objects to find; counts those left out.

    Args:
      folder: of the dataset.
      models: all of the dataset.
      known: objects of the network, by number.
      options: of the command.
      faults: counts of objects that cannot be used.
      excluded: counts of objects that the network or the user does not want.
    """
    check_numbers(options.object, known)
    images, skips = read_split(folder, options.split, models)
    if not skips and not any(image.objects for image in images):
        raise InputError(
            f"{folder / options.split} has no annotated object: the boxes of the objects to find "
            "are in the scene_gt.json of each scene."
        )
    faults.update(skip.reason for skip in skips)
    for image in images:
        wanted = []
        for each in image.objects:
            if each.object_id not in known:
                excluded[NOT_KNOWN] += 1
            elif options.object and each.object_id not in options.object:
                excluded["not one of --object"] += 1
            elif each.visible < _MIN_VISIBLE:
                excluded["seen too little"] += 1
            else:
                wanted.append(each)
        if wanted:
            boxes = [object_box(each, models[each.object_id], image.camera) for each in wanted]
            yield _Input(
                image.path,
                f"{image.scene_id:06d}_{image.image_id:06d}",
                np.array(boxes),
                [each.object_id for each in wanted],
                image.camera,
                image.scene_id,
                image.image_id,
                image,
            )


def _refined(
    found: list[ObjectPose],
    models: dict[int, ObjectModel],
    entry: _Input,
    image_hw: tuple[int, int],
    camera: Camera,
) -> list[ObjectPose]:
    """Objects with poses refined by the depth image beside an image."""
    assert entry.bop is not None
    depth = read_scene_depth(entry.bop, image_hw)
    if depth is None:
        raise InputError(
            f"{entry.path} has no depth image: --depth needs depth/{entry.image_id:06d}.png in the "
            "folder of its scene."
        )
    posed = [(each.pose, models[each.object.id]) for each in found if each.pose is not None]
    check_depth_unit(posed, depth, camera, str(entry.bop.depth))
    return [
        each
        if each.pose is None
        else replace(
            each, pose=refine_by_depth(each.pose, models[each.object.id], depth, camera).pose
        )
        for each in found
    ]


def _check_camera(options: PredictObjects) -> None:
    """Check that the options give one camera with positive focal lengths."""
    if options.focal is not None and options.intrinsics is not None:
        raise InputError("Give --focal or --intrinsics, and not both.")
    if options.focal is None and options.intrinsics is None:
        raise InputError(
            "Poses need the camera: give --focal in pixels, or --intrinsics FX,FY,CX,CY."
        )
    if options.focal is not None and not 0 < options.focal < np.inf:
        raise InputError(f"--focal is {options.focal:g}, and must be a positive number of pixels.")
    if options.intrinsics is not None:
        fx, fy, *_ = _numbers("--intrinsics", options.intrinsics, 4)
        if not min(fx, fy) > 0:
            raise InputError(
                f"--intrinsics {options.intrinsics!r}: the focal lengths FX and FY must be "
                "positive."
            )


def _camera(options: PredictObjects, image_hw: tuple[int, int]) -> Camera:
    if options.intrinsics is not None:
        fx, fy, cx, cy = _numbers("--intrinsics", options.intrinsics, 4)
        return pinhole([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.eye(3), np.zeros(3))
    assert options.focal is not None
    return centred_camera(options.focal, image_hw)


def _numbers(option: str, text: str, count: int) -> list[float]:
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise InputError(f"{option} {text!r}: {count} numbers with commas between them are needed.")
    return values


def _plain(found: ObjectPose) -> dict[str, Any]:
    pose = found.pose
    return {
        "object_id": found.object.id,
        "name": found.object.name,
        "score": round(found.score, 4),
        "R": None if pose is None else pose.R.round(6).tolist(),
        "t_mm": None if pose is None else pose.t.round(3).tolist(),
        "keypoints": found.keypoints.keypoints.round(2).tolist(),
    }
