"""Loading of a model for prediction, from a name, a run, a release or a checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from jaxpose.config import from_json
from jaxpose.config.recipe_source import FOLDER, RecipeSource, recipe_files, stored_recipe
from jaxpose.config.trust import classes_for
from jaxpose.convert.reading import PYTORCH, RELEASE, load_state_dict
from jaxpose.convert.release import CONFIG, load_config, load_release, read_config
from jaxpose.convert.rules import flatten
from jaxpose.detect.detector import Detector
from jaxpose.download.address import address_of
from jaxpose.download.fetch import fetch_inside, local
from jaxpose.errors import InputError
from jaxpose.hub.catalogue import USES, check_kind, released, resolve, weights_in
from jaxpose.hub.hugging_face import check_model, is_model_folder
from jaxpose.media.image import check_size
from jaxpose.models.distillation import student_of
from jaxpose.models.published.record import Kind
from jaxpose.paths import as_path, in_bucket, local_copy
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.task import Estimator
from jaxpose.train.run_dir import load_run

Checkpoint = Literal["best", "last"]


@dataclass(frozen=True)
class Trained:
    """Trained model: everything that prediction needs, and the folder that it was read from.

    Attributes:
      directory: folder of the run or release.
      estimator: model, codec, skeleton and settings of prediction.
      variables: variables of `estimator.model`, on the device.
      step: training step of the checkpoint; None for a release.
    """

    directory: Path
    estimator: Estimator
    variables: Any
    step: int | None

    @property
    def model(self) -> Any:
        """Linen module of the estimator."""
        return self.estimator.model

    @property
    def codec(self) -> Any:
        """Codec that the model was trained with."""
        return self.estimator.codec

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the keypoints."""
        return self.estimator.skeleton

    def predictor(self, **options: Any) -> Any:
        """Make a predictor; options are those of the estimator's `predictor`."""
        return self.estimator.predictor(self.variables, **options)


def load(
    where: str | Path, checkpoint: Checkpoint = "best", *, trust_recipe: bool = False
) -> Trained:
    """Load a model with everything that prediction needs.

    Args:
      where: the name of a model (`list_models`), `hf:ORG/REPO` for a repository of Hugging Face, a
        run directory, a folder that `jaxpose convert` wrote, or a checkpoint that it recognises, a
        folder of transformers too. All of these may be on this machine or in a bucket, and all
        except a run at an `https://` address. A checkpoint is converted once, into the cache
        (`jaxpose.paths.cache_folder`).
      checkpoint: checkpoint of a run: "best" for the best held-out score, "last" for the newest.
      trust_recipe: run the code of a recipe, or of a package, that the model needs even if it was
        not written on this machine by this user (see `config.trust`).

    Raises:
      InputError: as for `resolve`, `load_run`, `load_release`, `jaxpose convert` and
        `download.local`; a release without a codec or a skeleton; a detector.
    """
    check_kind(where, "pose", "lifter", "action", "mesh")
    where = resolve(where)
    bucket = in_bucket(where)
    directory = as_path(where) if bucket else local(where)
    if bucket and not (directory / "checkpoints").is_dir():  # only a run is read from the bucket
        with local_copy(directory) as copy:
            return load(copy, checkpoint, trust_recipe=trust_recipe)
    checkpoint_file = directory.is_file() or directory.suffix.lower() in PYTORCH
    if checkpoint_file or is_model_folder(directory):
        directory = released(directory)
    is_run = (directory / "checkpoints").is_dir()
    is_release = (directory / CONFIG).is_file() and (directory / RELEASE).is_file()
    found = "" if is_run or is_release else weights_in(directory)
    if found:
        raise InputError(f"{where} is a folder without a run or a release.{found}")
    if not (directory / RELEASE).is_file():
        run = load_run(directory, checkpoint, trust_recipe=trust_recipe, weights=weights)
        estimator, variables = run.experiment.task().estimator(run.variables)
        return Trained(directory, estimator, variables, run.step)
    release = load_release(directory)
    if "finds" in release.config:
        raise InputError(f"{where} is {USES['detector']}")
    raw = read_config(directory)

    def source() -> RecipeSource | None:
        if (entry := raw.get("recipe")) and address_of(where) is not None:
            names = recipe_files(entry, directory / CONFIG)
            fetch_inside(where, {f"{FOLDER}/{name}": entry["files"][name] for name in names})
        return stored_recipe(entry, directory / FOLDER, directory / CONFIG)

    # The estimator as it is in the file, because `record_as_own` recorded it in that form.
    classes = classes_for(raw.get("estimator"), source, where, trust_recipe)
    estimator = from_json(release.config.get("estimator"), "estimator", classes=classes)
    if estimator is None and "limit" in release.config:
        raise InputError(f"{where} cannot predict yet. {release.config['limit']}")
    if estimator is None:
        raise InputError(
            f"{where} has no codec or no skeleton, which prediction needs. Convert the checkpoint "
            "with --skeleton, or load it with jaxpose.convert.load_pretrained."
        )
    _check_input(estimator, where)
    return Trained(directory, estimator, jax.device_put(release.variables), None)


# Kind of the models that give no keypoints of images, by what their estimators take.
_OTHERS: dict[str, Kind] = {"tracks": "lifter", "clips": "action", "bodies": "mesh"}
# Models that are always trained: none has a published name.
_TRAINED = {
    "noisy tracks": "a refiner of tracks, which takes keypoints and not images. Pass it with "
    "--smooth, and a model for images with --from.",
    "surfaces": "a model of bodies' surfaces. Pass it with --surface, and a model for keypoints "
    "with --from.",
}


def _use(takes: str) -> str:
    """End of a sentence `NAME is ...` for a model whose estimator takes `takes`, as `USES`."""
    return _TRAINED.get(takes) or USES[_OTHERS.get(takes, "pose")]


def _check_input(estimator: Estimator, where: str | Path) -> None:
    """Check that the model's input is not larger than images may be.

    Raises:
      InputError: it is; a damaged or hostile `config.json` could ask for terabytes.
    """
    height, width = getattr(estimator.codec, "input_hw", None) or (0, 0)
    try:
        check_size(height, width)
    except InputError as error:
        raise InputError(f"The input of {where} is refused: {error}.") from error


def load_pose(
    where: str | Path, checkpoint: Checkpoint = "best", *, trust_recipe: bool = False
) -> Trained:
    """Load a model for keypoints in images; arguments are those of `load`.

    Raises:
      InputError: as for `load`; a lifter.
    """
    check_kind(where, "pose")
    trained = load(where, checkpoint, trust_recipe=trust_recipe)
    takes = trained.estimator.takes
    if takes in _OTHERS or takes in _TRAINED:
        raise InputError(f"{where} is {_use(takes)}")
    return trained


def load_lifter(
    where: str | Path, checkpoint: Checkpoint = "best", *, trust_recipe: bool = False
) -> Trained:
    """Load a lifter; arguments are those of `load`.

    Raises:
      InputError: as for `load`; a model for images.
    """
    return _load_taking(
        "tracks",
        where,
        checkpoint,
        trust_recipe,
        "A lifter is one of `jaxpose models`, or is trained with a recipe such as h36m_mlp.",
    )


def load_action_model(
    where: str | Path, checkpoint: Checkpoint = "best", *, trust_recipe: bool = False
) -> Trained:
    """Load a classifier of actions; arguments are those of `load`.

    Raises:
      InputError: as for `load`; a model of another kind.
    """
    return _load_taking(
        "clips",
        where,
        checkpoint,
        trust_recipe,
        "A classifier of actions is trained with a recipe such as actions_synthetic, or converted "
        "from one of `jaxpose models --task action`.",
    )


def load_mesh_model(
    where: str | Path, checkpoint: Checkpoint = "best", *, trust_recipe: bool = False
) -> Trained:
    """Load a model that regresses bodies or hands; arguments are those of `load`.

    Raises:
      InputError: as for `load`; a model of another kind.
    """
    return _load_taking(
        "bodies",
        where,
        checkpoint,
        trust_recipe,
        "For a model of meshes, convert the weights of one of `jaxpose models --task mesh`, or "
        "train one with the recipe meshes_synthetic.",
    )


def load_surface_model(
    where: str | Path, checkpoint: Checkpoint = "best", *, trust_recipe: bool = False
) -> Trained:
    """Load a model of bodies' surfaces; arguments are those of `load`.

    Raises:
      InputError: as for `load`; a model of another kind.
    """
    return _load_taking(
        "surfaces",
        where,
        checkpoint,
        trust_recipe,
        "A model of surfaces is trained with a recipe such as densepose_synthetic.",
    )


def load_refiner(
    where: str | Path, checkpoint: Checkpoint = "best", *, trust_recipe: bool = False
) -> Trained:
    """Load a refiner of 2D tracks; arguments are those of `load`.

    Raises:
      InputError: as for `load`; a model of another kind.
    """
    return _load_taking(
        "noisy tracks",
        where,
        checkpoint,
        trust_recipe,
        "A refiner of tracks is trained with a recipe such as refiner_synthetic.",
    )


def _load_taking(
    takes: str, where: str | Path, checkpoint: Checkpoint, trust_recipe: bool, instead: str
) -> Trained:
    """Load a model whose estimator takes `takes`; `instead` says where there is one."""
    check_kind(where, *([_OTHERS[takes]] if takes in _OTHERS else []))
    trained = load(where, checkpoint, trust_recipe=trust_recipe)
    if trained.estimator.takes != takes:
        raise InputError(f"{where} is {_use(trained.estimator.takes)} {instead}")
    return trained


def load_detector(where: str | Path, **options: Any) -> Detector:
    """Load a detector by a published name, or by a place and options of `Detector.load`.

    Raises:
      InputError: as for `resolve` and `Detector.load`; a run, or a release of another model.
    """
    check_kind(where, "detector")
    path = local(resolve(where))
    if is_model_folder(path):
        check_model(path)
    run = (path / "checkpoints").is_dir() or is_model_folder(path)
    if run or ((path / CONFIG).is_file() and "finds" not in load_config(path)):
        raise InputError(
            f"{where} is not a detector but a model for keypoints. Pass it with --from, with "
            "--lift if it is a lifter, or with --smooth if it is a refiner of tracks."
        )
    return Detector.load(path, **options)


def weights(where: str, *, trust_recipe: bool = False) -> dict[str, np.ndarray]:
    """Read the state dict that `init_from` and similar settings name.

    Those of a run that distils are the student's.

    Args:
      where: name, path or address, as for `load`.
      trust_recipe: as for `load`, for a run.

    Raises:
      InputError: as for `resolve`, `load_run`, `convert.load_state_dict` and `download.local`.
    """
    where = str(resolve(where))
    bucket = in_bucket(where)
    path = as_path(where) if bucket else local(where)
    if (path / "checkpoints").is_dir():
        run = load_run(path, trust_recipe=trust_recipe, weights=weights)
        return dict(flatten(jax.device_get(student_of(run.variables))))
    if bucket:
        with local_copy(path) as copy:
            return load_state_dict(copy)
    if is_model_folder(path):
        check_model(path)
    return load_state_dict(path)
