"""Parameters of all bodies or hands of `jaxpose predict --mesh`, and the file of their model."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.bodies import Body, read_body
from jaxpose.bodies.files import BodyFile
from jaxpose.bodies.saving import save_parameters
from jaxpose.cli.predict_command import Predict
from jaxpose.errors import InputError
from jaxpose.hub.load import Trained
from jaxpose.results.people import People
from jaxpose.tasks.meshes.predictor import Bodies

FILE = "bodies.npz"
FOLDER = "meshes"


class BodyRecords:
    """Bodies of all images and frames, with the person that each belongs to."""

    def __init__(self) -> None:
        self._bodies: list[Bodies] = []
        self._rows: list[dict[str, Any]] = []
        self._images = 0

    def add(self, people: People, bodies: Bodies, numbers: np.ndarray, **more: np.ndarray) -> None:
        """Adds the bodies of an image or frame.

        Args:
          people: of the image or frame.
          bodies: N bodies.
          numbers: int `[N]`, the person of each in `people`.
          more: other columns `[N]` of the file.
        """
        self._bodies.append(bodies)
        for row, number in enumerate(numbers):
            track = people[int(number)].track_id
            self._rows.append(
                {
                    "image": self._images,
                    "person": int(number),
                    "frame": -1 if people.index is None else people.index,
                    "track_id": -1 if track is None else track,
                    "source": people.source,
                    **{name: values[row] for name, values in more.items()},
                }
            )
        self._images += 1

    def save(self, out: Path, body: Body, gender: str = "") -> None:
        """Writes the parameters of all bodies, of which there is at least one, into `out`."""
        merged = Bodies(*(np.concatenate(values) for values in zip(*self._bodies, strict=True)))
        columns = {name: np.array([row[name] for row in self._rows]) for name in self._rows[0]}
        save_parameters(out / FILE, body, *merged, columns, gender)


def network_body(options: Predict, trained: Trained, example: str) -> BodyFile:
    """Reads the file of the body model whose parameters a network gives.

    Args:
      options: of the command.
      trained: the network.
      example: name of such a file, for the message where none is given.

    Raises:
      InputError: no file, or one of another model.
    """
    estimator: Any = trained.estimator
    model: Any = trained.model
    wanted, shapes = estimator.body, model.head.shapes
    if options.body is None:
        raise InputError(
            f"{options.mesh} gives parameters of {wanted.upper()}, whose file is not ours to give: "
            f"download it under its owners' terms and pass it with --body {example}."
        )
    file = read_body(options.body, shapes=shapes)
    if file.body.name != wanted or file.body.num_shapes != shapes:
        raise InputError(
            f"{options.body} is the body model {file.body.name!r} with {file.body.num_shapes} "
            f"shape numbers; {options.mesh} gives {wanted!r} with {shapes}."
        )
    return file
