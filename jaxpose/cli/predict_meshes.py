"""`jaxpose predict --mesh`: bodies of the people in images and videos, as parameters and drawn."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxpose.bodies import Body, pose_body
from jaxpose.cli.drawn_frames import DrawnFrames
from jaxpose.cli.predict_bodies import FILE, FOLDER, BodyRecords, network_body
from jaxpose.cli.predict_command import Predict
from jaxpose.cli.predict_hands import HandOutput, open_hands
from jaxpose.cli.predict_mesh_files import MeshFiles
from jaxpose.counts import counted
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import centred_camera
from jaxpose.hub.load import load_mesh_model
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.meshes.predictor import Bodies, MeshPredictor
from jaxpose.viz.meshes import draw_meshes


class MeshOutput:
    """Bodies of a prediction: drawn one image or frame at a time, and one file of all parameters.

    Attributes:
      files: writer of meshes and motion.
      people: number of bodies so far.
    """

    stage = "meshes"

    def __init__(
        self,
        predictor: MeshPredictor,
        body: Body,
        faces: np.ndarray,
        gender: str,
        out: Path,
        names: ImageNames | None,
        focal: float | None,
        files: MeshFiles,
    ) -> None:
        """Into the folder `out`; `names` names the drawn files, None draws none."""
        self._predictor = predictor
        self._body, self._faces, self._gender = body, faces, gender
        self._out, self._focal = out, focal
        self._drawn = None if names is None else DrawnFrames(out / FOLDER, names)
        self._records = BodyRecords()
        self.files = files
        self.people = 0

    def add(self, people: People, image: np.ndarray) -> None:
        """Adds the bodies of an image or frame, and draws them."""
        bodies = self._predictor(image, people.boxes_xywh, focal=self._focal)
        self._records.add(people, bodies, np.arange(len(people)))
        self.files.add(people, bodies)
        self.people += len(people)
        if self._drawn is not None:
            self._drawn.write(people, self._drawing(people, image, bodies))

    def _drawing(self, people: People, image: np.ndarray, bodies: Bodies) -> np.ndarray:
        focal = self._focal or self._predictor.codec.focal_of(people.image_hw)
        meshes = [
            np.asarray(
                pose_body(self._body, *(jnp.asarray(value[row]) for value in bodies)).vertices,
                np.float64,
            )
            for row in range(len(people))
        ]
        return draw_meshes(image, meshes, self._faces, centred_camera(focal, people.image_hw))

    def end(self) -> str:
        """Writes the parameters of all people; returns a note for the summary."""
        if self._drawn is not None:
            self._drawn.end()
        self.files.end()
        if not self.people:
            return f"No person, so there is no {FILE}."
        self._records.save(self._out, self._body, self._gender)
        drawn = "" if self._drawn is None else f", and drawn in {FOLDER}"
        files = f"; in {FOLDER}: {self.files}" if str(self.files) else ""
        return f"{counted(self.people, 'bodies')} in {FILE}{drawn}{files}."


def open_meshes(
    options: Predict, names: ImageNames, kinds: list[str], skeleton: Skeleton
) -> MeshOutput | HandOutput | None:
    """Loads the model of `options.mesh` and the body model; None without one.

    Args:
      options: of the command.
      names: names of the files.
      kinds: as `mesh_kinds` returns.
      skeleton: that of the people, whose keypoints say where hands are.

    Raises:
      InputError: no model of meshes, a body model that is not the network's, or formats of files
        for hands; as `open_hands`.
    """
    if options.mesh is None:
        if any(one is not None for one in (options.body, options.focal, options.hand)):
            raise InputError(
                "--body, --focal and --hand belong to --mesh: give it, or leave them out."
            )
        return None
    trained = load_mesh_model(options.mesh, options.checkpoint, trust_recipe=options.trust_recipe)
    estimator: Any = trained.estimator
    wanted = estimator.body
    if wanted == "mano":
        if kinds:
            raise InputError(
                f"--mesh-format is for bodies, and {options.mesh} gives hands: leave it out."
            )
        return open_hands(options, trained, skeleton, names if options.draw else None)
    file = network_body(options, trained, "FILE").file
    body, faces, gender = file.body, file.faces, file.gender
    predictor = trained.predictor(batch_size=options.batch_size)
    files = MeshFiles(kinds, options.out / FOLDER, names, body, faces)
    drawn = names if options.draw else None
    return MeshOutput(predictor, body, faces, gender, options.out, drawn, options.focal, files)
