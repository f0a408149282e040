"""Names of earlier versions, with their present places.

The table has two uses. A `config.json` of an earlier version names classes by their old paths:
`config.schema` converts them with `moved`. A script of an earlier version imports from old modules:
`install` redirects these imports to the new place, with a DeprecationWarning.

To move a module, add a line to `MODULES`; to rename an object of a module, or to move it alone, add
a line to `NAMES`. Values are always present places: when something moves a second time, change the
old line as well.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_T, _L = "jaxpose.tasks.topdown", "jaxpose.tasks.lifting"

MODULES: dict[str, str] = {
    # Old module -> present module. Since 0.1.0:
    "jaxpose.augment": f"{_T}.augment",
    "jaxpose.codecs.maps": "jaxpose.codecs.visualize",
    "jaxpose.config.images": f"{_T}.experiment",
    "jaxpose.config.lifting": f"{_L}.experiment",
    "jaxpose.config.recipe": "jaxpose.train.recipe",
    "jaxpose.config.settings": "jaxpose.train.experiment",
    "jaxpose.convert.layouts": "jaxpose.models.layouts",
    "jaxpose.convert.siblings": "jaxpose.models.published.catalogue",
    "jaxpose.data.check": "jaxpose.data.lint.check",
    "jaxpose.data.clips": "jaxpose.data.motion_dataset",
    "jaxpose.data.finding": "jaxpose.data.lint.finding",
    "jaxpose.data.plausible": "jaxpose.data.lint.plausible",
    "jaxpose.data.rig": "jaxpose.data.virtual_cameras",
    "jaxpose.data.sides": "jaxpose.data.lint.sides",
    "jaxpose.data.synthetic.film": "jaxpose.data.synthetic.video",
    "jaxpose.data.synthetic.photo": "jaxpose.data.synthetic.image",
    "jaxpose.infer.boxes": "jaxpose.results.box_files",
    "jaxpose.infer.clips": f"{_L}.tracks",
    "jaxpose.infer.flow": "jaxpose.media.prefetch",
    "jaxpose.infer.forward": f"{_T}.forward",
    "jaxpose.infer.lift": f"{_L}.track_lifter",
    "jaxpose.infer.lifted": "jaxpose.results.motion_files",
    "jaxpose.infer.lifting": f"{_L}.windows",
    "jaxpose.infer.locate": "jaxpose.pipeline.person_boxes",
    "jaxpose.infer.media": "jaxpose.media.sources",
    "jaxpose.infer.nms": "jaxpose.tracking.pose_nms",
    "jaxpose.infer.people": "jaxpose.results.people",
    "jaxpose.infer.predictor": f"{_T}.predictor",
    "jaxpose.infer.results": "jaxpose.results.readers",
    "jaxpose.infer.smooth": "jaxpose.tracking.smoothing",
    "jaxpose.infer.track": "jaxpose.tracking.tracker",
    "jaxpose.infer.video": "jaxpose.media.video",
    "jaxpose.infer.write": "jaxpose.results.writers",
    "jaxpose.losses.distill": "jaxpose.losses.distillation",
    "jaxpose.models.distill": "jaxpose.models.distillation",
    "jaxpose.models.published.detection": "jaxpose.models.published.record",
    "jaxpose.models.published.entry": "jaxpose.models.published.record",
    "jaxpose.motion.place": "jaxpose.motion.root_position",
    "jaxpose.motion.rig": "jaxpose.motion.armature",
    "jaxpose.photo": "jaxpose.media.image",
    "jaxpose.places": "jaxpose.paths",
    "jaxpose.scripts": "jaxpose.config.scripts",
    "jaxpose.train.check": f"{_T}.check_shapes",
    "jaxpose.train.evaluate": f"{_T}.estimate",
    "jaxpose.train.feed": "jaxpose.train.device_batches",
    "jaxpose.train.hosts": "jaxpose.train.distributed",
    "jaxpose.train.images": f"{_T}.task",
    "jaxpose.train.lifting": f"{_L}.task",
    "jaxpose.train.lifting_score": f"{_L}.score",
    "jaxpose.train.optimizer": "jaxpose.train.optimizers",
    "jaxpose.train.pretrained": f"{_T}.pretrained",
    "jaxpose.train.program": "jaxpose.chips.hlo_cost",
    "jaxpose.train.run": "jaxpose.train.run_dir",
    "jaxpose.train.score": f"{_T}.score",
    "jaxpose.train.start": "jaxpose.train.init_state",
    "jaxpose.train.task": "jaxpose.tasks.task",
    "jaxpose.train.watch": "jaxpose.train.signals",
    "jaxpose.viz.film": "jaxpose.viz.video",
    "jaxpose.viz.space": "jaxpose.viz.pose3d",
    "jaxpose.weights": "jaxpose.download",
    "jaxpose.weights.address": "jaxpose.download.address",
    "jaxpose.weights.fetching": "jaxpose.download.fetch",
    "jaxpose.weights.transfer": "jaxpose.download.transfer",
}

NAMES: dict[str, str] = {
    # Old module and name -> present path. Since 0.1.0:
    "jaxpose.codecs.AnyCodec": "jaxpose.codecs.codec.Codec",
    "jaxpose.config.AnyExperiment": "jaxpose.train.experiment.Experiment",
    "jaxpose.config.Evaluation": f"{_T}.experiment.Evaluation",
    "jaxpose.config.Experiment": f"{_T}.experiment.TopDownExperiment",
    "jaxpose.config.LiftingEvaluation": f"{_L}.experiment.LiftingEvaluation",
    "jaxpose.config.LiftingExperiment": f"{_L}.experiment.LiftingExperiment",
    "jaxpose.config.Mesh": "jaxpose.train.experiment.Mesh",
    "jaxpose.config.Optimizer": "jaxpose.train.optimizers.AdamW",
    "jaxpose.config.Training": "jaxpose.train.experiment.Experiment",
    "jaxpose.config.load_recipe": "jaxpose.train.recipe.load_recipe",
    "jaxpose.config.images.Experiment": f"{_T}.experiment.TopDownExperiment",
    "jaxpose.config.recipe.AnyExperiment": "jaxpose.train.experiment.Experiment",
    "jaxpose.config.settings.Optimizer": "jaxpose.train.optimizers.AdamW",
    "jaxpose.config.settings.Training": "jaxpose.train.experiment.Experiment",
    "jaxpose.data.canvas.Person": "jaxpose.data.canvas.InstanceAnnotation",
    "jaxpose.data.canvas.Photo": "jaxpose.data.canvas.ImageAnnotation",
    "jaxpose.data.clips.Clips": "jaxpose.data.motion_dataset.MotionDataset",
    "jaxpose.data.clips.Rig": "jaxpose.data.motion_dataset.CameraSet",
    "jaxpose.detect.Found": "jaxpose.detect.detector.Detections",
    "jaxpose.detect.detector.Found": "jaxpose.detect.detector.Detections",
    "jaxpose.infer.flow.Stages": "jaxpose.media.prefetch.StageTimer",
    "jaxpose.infer.lifting.Reach": f"{_L}.windows.WindowSpec",
    "jaxpose.infer.lifting.reach": f"{_L}.windows.window_spec",
    "jaxpose.infer.locate.FindsPeople": "jaxpose.pipeline.person_boxes.PersonDetector",
    "jaxpose.losses.Placed": "jaxpose.losses.lifting.TrajectoryTargets",
    "jaxpose.losses.lifting.Placed": "jaxpose.losses.lifting.TrajectoryTargets",
    "jaxpose.models.distill.Distilled": "jaxpose.models.distillation.DistillationModel",
    "jaxpose.models.distill.Taught": "jaxpose.models.distillation.DistillOutputs",
    "jaxpose.models.vit.Attention": "jaxpose.models.vit_block.Attention",
    "jaxpose.models.vit.MLP": "jaxpose.models.vit_block.MLP",
    "jaxpose.models.vit.drop_path": "jaxpose.models.vit_block.drop_path",
    "jaxpose.models.published.entry.Published": "jaxpose.models.published.record.PublishedPose",
    "jaxpose.places.on_disk": "jaxpose.paths.local_copy",
    "jaxpose.places.place": "jaxpose.paths.as_path",
    "jaxpose.places.through_disk": "jaxpose.paths.whole_file",
    "jaxpose.places.write_whole": "jaxpose.paths.atomic_write",
    "jaxpose.train.experiment.Optimizer": "jaxpose.train.optimizers.AdamW",
    "jaxpose.train.images.ImageTask": f"{_T}.task.TopDownTask",
    "jaxpose.train.loop.Outcome": "jaxpose.train.loop.TrainResult",
    "jaxpose.train.task.Scored": "jaxpose.tasks.task.EvalResult",
    "jaxpose.train.task.Scorer": "jaxpose.tasks.task.Evaluator",
    "jaxpose.weights.cache.cache_folder": "jaxpose.paths.cache_folder",
    "jaxpose.media.image.read_photo": "jaxpose.media.image.read_image",
    "jaxpose.media.image.decode_photo": "jaxpose.media.image.decode_image",
    "jaxpose.media.image.PHOTO_SUFFIXES": "jaxpose.media.image.IMAGE_SUFFIXES",
    "jaxpose.media.sources.as_photo": "jaxpose.media.sources.as_image",
    "jaxpose.geometry.crop_photo": "jaxpose.geometry.crop_image",
    "jaxpose.geometry.planar.warp": "jaxpose.geometry.resampling.warp",
    "jaxpose.geometry.planar.crop_photo": "jaxpose.geometry.planar.crop_image",
    "jaxpose.data.synthetic.image.render_photo": "jaxpose.data.synthetic.image.render_image",
    "jaxpose.data.synthetic.image.photograph": "jaxpose.data.synthetic.image.draw_stage",
    "jaxpose.data.synthetic.video.render_film": "jaxpose.data.synthetic.video.render_video",
    "jaxpose.bench.synthetic_video.draw_film": "jaxpose.bench.synthetic_video.draw_video",
    "jaxpose.results.box_files.whole_photo": "jaxpose.results.box_files.whole_image",
}

# Removed packages and modules, whose content is only listed in `NAMES` and `MODULES`.
_GONE = frozenset({"jaxpose.infer", "jaxpose.weights.cache"})


def moved(path: str) -> str:
    """Present path of `module.Name`; the path itself if it has not moved."""
    if path in NAMES:
        return NAMES[path]
    module, _, name = path.rpartition(".")
    return f"{MODULES[module]}.{name}" if module in MODULES else path


def moved_names(module: str) -> Callable[[str], Any]:
    """Creates a `__getattr__` for a module that still exists but has lost some names of `NAMES`.

    Used as `__getattr__ = moved_names(__name__)`.
    """

    def get(name: str) -> Any:
        old = f"{module}.{name}"
        new = moved(old)
        if new == old or name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        target, _, new_name = new.rpartition(".")
        value = getattr(importlib.import_module(target), new_name)
        # `from a import b` reads b twice if a is a package: first the import system, then callers.
        if sys._getframe(1).f_globals.get("__name__") == "importlib._bootstrap":
            return value
        message = f"{old} is now {new}; the old name will be removed in a later version."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return value

    return get


@contextmanager
def shown() -> Iterator[None]:
    """Show these warnings, which Python hides outside of a program's main file, once a line."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.filterwarnings("default", r"jaxpose\.", DeprecationWarning)
        yield


class _Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import finder that replaces removed modules of `MODULES` by empty, redirecting ones."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in MODULES and fullname not in _GONE:
            return None
        # All are packages, so that their submodules are found here too.
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        module.__doc__ = f"Moved to {MODULES.get(module.__name__, 'other modules')}."
        vars(module)["__getattr__"] = moved_names(module.__name__)


def install() -> None:
    """Redirects imports of moved modules to their new place, with a warning."""
    if not any(isinstance(finder, _Alias) for finder in sys.meta_path):
        # Last, so that it is used only for modules that do not exist.
        sys.meta_path.append(_Alias())
