"""`jaxpose objects score`: metrics of results in the format of the BOP challenge."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.table import Table

from jaxpose.cli.objects_command import ScoreObjects
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, exit_status, print_counts
from jaxpose.errors import InputError
from jaxpose.geometry.rigid import RigidPose
from jaxpose.media.image import read_image
from jaxpose.metrics.metric import score
from jaxpose.metrics.object_pose import vsd_of_poses
from jaxpose.metrics.objects import VSD_TAUS, BopRecall, ObjectAccuracy, ObjectEstimates
from jaxpose.metrics.report import shown, with_null
from jaxpose.objects.bop import BopImage, BopObject, read_models, read_split
from jaxpose.objects.bop_results import BopPose, read_bop_results
from jaxpose.objects.depth_files import read_scene_depth
from jaxpose.objects.model import ObjectModel
from jaxpose.tasks.objects.task import surface_of

FOREIGN = "image or object that the split does not have"


def score_objects(options: ScoreObjects) -> int:
    """Prints ADD(-S), MSSD, MSPD and VSD of the annotated objects of a split.

    VSD needs a depth image beside each image, and models with faces.

    Results are assigned to the objects of the same number in an image by descending score, each to
    the nearest one that is left; further results count in no figure.

    Returns:
      The exit status: 0, or 1 if an object has no result, or 2 if none has one.

    Raises:
      InputError: files that cannot be read; a split without objects.
    """
    models = read_models(options.bop / options.models)
    for number in options.object:
        if number not in models:
            raise InputError(
                f"{options.bop / options.models} has no model {number}: {sorted(models)}."
            )
    images, skips = read_split(options.bop, options.split, models)
    given: dict[tuple[int, int, int], list[BopPose]] = defaultdict(list)
    results = read_bop_results(options.results)
    _check_unit(options.results, results, models)
    for row in results:
        given[row.scene_id, row.image_id, row.object_id].append(row)
    numbers: list[int] = []
    found: list[RigidPose | None] = []
    true: list[RigidPose] = []
    cameras, widths = [], []
    discrepancies: list[np.ndarray] | None = [] if options.vsd else None
    for image in images:
        seen = [
            each
            for each in image.objects
            if not each.visible < options.min_visible
            and (not options.object or each.object_id in options.object)
        ]
        if not seen:
            continue
        height, width = read_image(image.path).shape[:2]
        depth = None
        if discrepancies is not None:
            depth = read_scene_depth(image, (height, width))
        if depth is None:
            discrepancies = None
        for each, pose in _assigned(image, seen, given):
            numbers.append(each.object_id)
            found.append(pose)
            true.append(each.pose)
            cameras.append(image.camera.K)
            widths.append(width)
            if discrepancies is not None and depth is not None:
                model = models[each.object_id]
                if not len(model.faces):
                    discrepancies = None
                    continue
                discrepancies.append(_discrepancy(pose, each, model, depth, image.camera.K))
    if not numbers:
        raise InputError(f"{options.bop / options.split} has no annotated object that is seen.")
    estimates = ObjectEstimates(
        {number: surface_of(model) for number, model in models.items()},
        np.array(numbers),
        found,
        true,
        np.array(cameras),
        np.array(widths),
        None if discrepancies is None else np.array(discrepancies),
    )
    scored = score((ObjectAccuracy(), BopRecall()), estimates)  # type: ignore[arg-type]
    absent = sum(pose is None for pose in found)
    faults = {"no result": absent} if absent else {}
    for skip in skips:
        faults[skip.reason] = faults.get(skip.reason, 0) + 1
    counts = [Counts("objects", len(found) - absent, faults)]
    places = {(image.scene_id, image.image_id) for image in images}
    foreign = sum(
        (row.scene_id, row.image_id) not in places or row.object_id not in models for row in results
    )
    if foreign:
        excluded = {FOREIGN: foreign}
        counts.append(Counts("results", len(results) - foreign, excluded=excluded))
    if options.json:
        document = {"metrics": with_null(scored.figures), "notes": dict(scored.notes)}
        document["counts"] = [one.to_dict() for one in counts]  # type: ignore[assignment]
        print(json.dumps(document, indent=1, allow_nan=False))
        return exit_status(counts[:1])
    table = Table("metric", "value")
    for name, value in scored.figures.items():
        table.add_row(name, shown(value, ".4f" if abs(value) <= 1 else ".2f"))
    PlainConsole().print(table)
    print_counts(counts)
    return exit_status(counts[:1])


def _check_unit(path: Path, results: list[BopPose], models: Mapping[int, ObjectModel]) -> None:
    """Raise InputError if no result is farther from the camera than half its object's size."""
    away = [
        (row.pose.t[2], 0.5 * models[row.object_id].diameter)
        for row in results
        if row.object_id in models
    ]
    if away and all(0 < depth < least for depth, least in away):
        raise InputError(
            f"{path}: all objects are nearer to the camera than half their size, the first one at "
            f"{away[0][0]:.3g} mm: is t in metres? Multiply it by 1000."
        )


def _discrepancy(
    pose: RigidPose | None, each: BopObject, model: ObjectModel, depth: np.ndarray, K: np.ndarray
) -> np.ndarray:
    """VSD `[10]` of a result for each of `VSD_TAUS`; 1 without one."""
    if pose is None:
        return np.ones(len(VSD_TAUS))
    return vsd_of_poses(
        pose,
        each.pose,
        model.vertices,
        model.faces,
        depth,
        K,
        taus=tuple(VSD_TAUS),
        diameter=model.diameter,
    )


def _assigned(
    image: BopImage, objects: list[BopObject], given: dict[tuple[int, int, int], list[BopPose]]
) -> list[tuple[BopObject, RigidPose | None]]:
    """Objects of an image with their results."""
    left = dict(enumerate(objects))
    made: dict[int, RigidPose] = {}
    for number in sorted({each.object_id for each in objects}):
        rows = given.get((image.scene_id, image.image_id, number), [])
        for row in sorted(rows, key=lambda row: -row.score):
            places = [place for place, each in left.items() if each.object_id == number]
            if not places:
                break
            away = [np.linalg.norm(left[place].pose.t - row.pose.t) for place in places]
            place = places[int(np.argmin(away))]
            made[place] = row.pose
            del left[place]
    return [(each, made.get(place)) for place, each in enumerate(objects)]
