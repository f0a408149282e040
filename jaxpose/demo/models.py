"""Models of the page: the one that it begins with, and those that a visitor chooses by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jaxpose.demo.limits import Limits
from jaxpose.demo.session import DemoSession
from jaxpose.download.transfer import Unreachable
from jaxpose.errors import InputError
from jaxpose.hub.catalogue import HOLISTIC
from jaxpose.hub.listing import listed
from jaxpose.hub.load import Trained, load_detector, load_pose
from jaxpose.hub.quality import PAIRS, load_default_detector, pair_of
from jaxpose.pipeline import Holistic, Options, Pipeline
from jaxpose.pipeline.holistic import MODELS
from jaxpose.pipeline.person_boxes import PersonDetector
from jaxpose.results.writers import head_of
from jaxpose.tasks.lifting.track_lifter import TrackLifter

_KEPT = 3  # models in memory
_PEOPLE = ("body", "wholebody")  # tasks for which a person detector finds the subjects


@dataclass(frozen=True)
class Choice:
    """Model, or pair of models, with a name on the page.

    Attributes:
      name: its name.
      text: what the name stands for: models or a skeleton.
      here: True if its weights are on this machine.
    """

    name: str
    text: str
    here: bool

    @property
    def label(self) -> str:
        """Line of the list of models."""
        return f"{self.name} ({self.text}{'' if self.here else '; to be fetched'})"


def choices() -> list[Choice]:
    """Pairs of the qualities, the holistic pipeline, and each pose model that can run by name."""
    models = {model.name: model for model in listed()}

    def made_of(name: str, text: str, *parts: str) -> Choice:
        return Choice(name, text, all(models[part].here for part in parts))

    return [
        *(
            made_of(quality, f"{pair.pose} and {pair.detector}", pair.pose, pair.detector)
            for quality, pair in PAIRS.items()
        ),
        made_of(HOLISTIC, "body, face and hands", *MODELS.values()),
        *(
            Choice(name, model.skeleton or f"{model.gives} keypoints", model.here)
            for name, model in models.items()
            if model.kind == "pose" and model.status in ("here", "fetch")
        ),
    ]


@dataclass
class DemoModels:
    """Loads the models that visitors choose, and keeps those that were used last.

    Attributes:
      limits: limits of uploads.
      folder: folder of uploads and results.
      first: name of the model that the page begins with, loaded by `add`.
      fetch: offer models whose weights are not on this machine, too.
      options: options of all pipelines.
      detector: name and detector for models that take one person; None is the default detector.
      lifter: name and lifter, or None.
    """

    limits: Limits
    folder: Path
    first: str
    fetch: bool = True
    options: Options = field(default_factory=Options)
    detector: tuple[str, PersonDetector] | None = None
    lifter: tuple[str, TrackLifter] | None = None
    _sessions: dict[str, DemoSession] = field(default_factory=dict)  # the one used last is last

    def choices(self) -> list[Choice]:
        """Models that a visitor can choose; the one that the page begins with is the first."""
        others = [one for one in choices() if one.name != self.first and (one.here or self.fetch)]
        first = self._sessions[self.first]
        # Without a network, the models of a pair are others than its own.
        parts = " and ".join(first.head["models"].values())
        text = parts if self.first in PAIRS else first.skeleton.name
        return [Choice(self.first, text, True), *others]

    def is_loaded(self, name: str) -> bool:
        """True if an upload does not wait for this model."""
        return name in self._sessions

    def session(self, name: str) -> DemoSession:
        """Returns the session of a model; loads and compiles it first if it is not in memory.

        Raises:
          InputError: the page has no such model; it cannot be fetched or loaded; the lifter needs
            other keypoints.
        """
        if name in self._sessions:
            self._sessions[name] = self._sessions.pop(name)
            return self._sessions[name]
        if name not in (one.name for one in self.choices()):
            raise InputError("the page has no such model")
        try:
            return self.add(name, *self.load(name))
        except Unreachable as error:
            raise InputError(f"{error.reason} Choose a model that is on this machine.") from error

    def add(
        self, name: str, pipeline: Pipeline | Holistic, parts: Mapping[str, str]
    ) -> DemoSession:
        """Compiles a pipeline and enters it under a name.

        Args:
          name: name on the page.
          pipeline: predicts.
          parts: names of its models by their part: "pose", "detector", "lifter".

        Raises:
          InputError: the lifter needs other keypoints than the model finds.
        """
        head = {**head_of(pipeline.skeleton), "models": dict(parts)}
        described = _described(pipeline, parts)
        session = DemoSession(pipeline, self.limits, self.folder, head, described)
        session.warm_up()
        self._sessions[name] = session
        while len(self._sessions) > _KEPT:
            del self._sessions[next(one for one in self._sessions if one != self.first)]
        return session

    def load(self, name: str) -> tuple[Pipeline | Holistic, dict[str, str]]:
        """Loads the pipeline of a choice, with the names of its models by their part.

        Raises:
          InputError: a model cannot be fetched or loaded.
        """
        if name == HOLISTIC:
            pipeline = Holistic.load(max_people=self.options.max_people)
            return pipeline, {"pose": HOLISTIC, "detector": MODELS["detector"]}
        if name in PAIRS:
            pair = pair_of(name)
            return self.pipeline(
                pair.pose, load_pose(pair.pose), pair.detector, load_detector(pair.detector)
            )
        pose = load_pose(name)
        (model,) = (model for model in listed() if model.name == name)
        if pose.estimator.takes == "images" or model.task not in _PEOPLE:
            return self.pipeline(name, pose)
        if self.detector is None:
            self.detector = load_default_detector()
        return self.pipeline(name, pose, *self.detector)

    def pipeline(
        self, name: str, pose: Trained, found_by: str = "", detector: PersonDetector | None = None
    ) -> tuple[Pipeline, dict[str, str]]:
        """Pipeline of loaded models, and their names by their part."""
        parts = {"pose": name} | ({"detector": found_by} if detector is not None else {})
        if self.lifter is None:
            return Pipeline(pose, detector, None, self.options), parts
        lifter_name, lifter = self.lifter
        return Pipeline(pose, detector, lifter, self.options), parts | {"lifter": lifter_name}


def _described(pipeline: Pipeline | Holistic, parts: Mapping[str, str]) -> str:
    """Line about the models below the title."""
    skeleton = pipeline.skeleton
    if pipeline.takes_whole_images_as_people:
        who = "each image is taken as one person"
    elif "detector" in parts:
        who = f"people found by {parts['detector']}"
    else:
        who = "finds the people itself"
    return f"{parts['pose']}: {skeleton.num_keypoints} keypoints ({skeleton.name}), {who}"


def short_name(where: str) -> str:
    """The last part of a path or address, without its digest and its query."""
    return Path(where.split("#")[0].split("?")[0]).name or Path(where).resolve().name
