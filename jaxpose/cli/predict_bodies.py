"""Parameters of all bodies or hands of `jaxpose predict --mesh`, and the file of their model."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.bodies import Body
from jaxpose.bodies.network_body import NetworkBody, read_network_body
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


def network_body(options: Predict, trained: Trained, example: str) -> NetworkBody:
    """Reads the body model whose parameters a network gives: that of `--body` or of its training.

    Args:
      options: of the command.
      trained: the network.
      example: name of such a file, for the message where none is given.

    Raises:
      InputError: no file, or one of another model, version or gender than that of the training.
    """
    estimator: Any = trained.estimator
    head: Any = trained.model.head
    wanted, path = estimator.body, options.body or estimator.body_file
    if wanted == "drawn":
        if path is not None:
            raise InputError(
                f"{options.mesh} gives parameters of the free body, which needs no file: leave "
                f"--body {path} out."
            )
    elif path is None:
        raise InputError(
            f"{options.mesh} gives parameters of {wanted.upper()}, whose file is not ours to give: "
            f"download it under its owners' terms and pass it with --body {example}."
        )
    elif options.body is None and not Path(path).is_file():
        raise InputError(
            f"{options.mesh} was trained with the body model {path}, which is not there: pass its "
            "file with --body."
        )
    # A run knows its own model; the published networks of bodies give the neutral one.
    published = not estimator.body_fingerprint and wanted != "mano"
    return read_network_body(
        path,
        joints=head.joints,
        shapes=head.shapes,
        gender="neutral" if published else None,
        fingerprint=estimator.body_fingerprint,
        owner=options.mesh or "",
    )
