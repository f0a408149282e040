"""`jaxpose predict --actions`: events of the people in videos, as JSON and CSV."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from jaxpose.cli.predict_command import Predict
from jaxpose.errors import InputError
from jaxpose.hub.load import load_action_model
from jaxpose.media.sources import Media
from jaxpose.paths import atomic_write
from jaxpose.pipeline.options import Options
from jaxpose.results.people import People
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.actions.online import ActionEvent, ActionWatcher, ActionWindows

_COLUMNS = ("source", "track_id", "action", "begin", "end", "reported", "score")


class ActionEvents:
    """Events of a prediction, which are written when it ends."""

    def __init__(self, watcher: ActionWatcher) -> None:
        """Starts without events."""
        self.watcher = watcher
        self.events: list[ActionEvent] = []

    def watched(self, frames: Iterable[People]) -> Iterator[People]:
        """Yields the frames unchanged, and collects the events of their people."""
        for people in frames:
            self.events += self.watcher(people)
            yield people
        self.events += self.watcher.end()

    def write(self, out: Path) -> str:
        """Writes `actions.json` and `actions.csv` into `out`; returns a note for the summary."""
        windows = self.watcher.options
        rows = [event.to_dict() for event in self.events]
        content = {
            "classes": list(self.watcher.classifier.classes),
            "window_s": windows.window,
            "every_s": windows.every,
            "delay_s": windows.delay,
            "events": rows,
        }
        atomic_write(out / "actions.json", json.dumps(content, indent=1) + "\n")
        text = io.StringIO()
        table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        atomic_write(out / "actions.csv", text.getvalue())
        number = "1 action" if len(rows) == 1 else f"{len(rows)} actions"
        return (
            f"{number} in actions.json and actions.csv, each known at most "
            f"{windows.delay:g} s after it begins."
        )


def open_actions(
    options: Predict, settings: Options, media: Media, skeleton: Skeleton
) -> ActionEvents | None:
    """Loads the classifier of `options.actions`; None without one.

    Raises:
      InputError: images, no tracking, or no classifier of actions for these keypoints.
    """
    if options.actions is None:
        return None
    if media.still:
        raise InputError("--actions is for videos, and images are given: leave it out.")
    if not settings.track:
        raise InputError("--actions follows people over time: leave --no-track out.")
    trained = load_action_model(
        options.actions, options.checkpoint, trust_recipe=options.trust_recipe
    )
    classifier = trained.predictor(source=skeleton)
    return ActionEvents(ActionWatcher(classifier, ActionWindows(window=options.action_window)))
