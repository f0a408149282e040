"""`jaxpose predict --mesh` with a model of hands: hands of people, as parameters and drawn."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from jaxpose.bodies import pose_body
from jaxpose.bodies.files import BodyFile
from jaxpose.bodies.hands import hand_side, mirrored, mirrored_rotations
from jaxpose.cli.drawn_frames import DrawnFrames
from jaxpose.cli.predict_bodies import FILE, FOLDER, BodyRecords, network_body
from jaxpose.cli.predict_command import Predict
from jaxpose.counts import counted
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import centred_camera
from jaxpose.hub.load import Trained
from jaxpose.results.hands import FEWEST, MIN_SCORE, hand_boxes, sides_of
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.meshes.predictor import Bodies, MeshPredictor
from jaxpose.viz.meshes import draw_meshes


class HandOutput:
    """Hands of a prediction: drawn one image or frame at a time, and one file of all parameters.

    Parameters of a left hand are those of the left hand's model, the mirror image of the right
    one's, in the camera's frame.

    Attributes:
      hands: number of hands so far.
      people: number of people so far, with and without hands that are seen.
    """

    stage = "meshes"

    def __init__(
        self,
        predictor: MeshPredictor,
        right: BodyFile,
        out: Path,
        names: ImageNames | None,
        focal: float | None,
        wanted: str | None,
    ) -> None:
        """Into the folder `out`; `names` names the drawn files, None draws none."""
        self._predictor = predictor
        self._files = {"right": right, "left": mirrored(right)}
        self._out, self._focal, self._wanted = out, focal, wanted
        self._drawn = None if names is None else DrawnFrames(out / FOLDER, names)
        self._records = BodyRecords()
        self._lefts = self._unseen = 0
        self.hands = self.people = 0

    def add(self, people: People, image: np.ndarray) -> None:
        """Adds the hands of an image or frame, and draws them."""
        seen = hand_boxes(people, self._wanted)
        left = seen.side == "left"
        found = self._predictor(image, seen.boxes_xywh, focal=self._focal, mirrored=left)
        turned = mirrored_rotations(found.rotations)
        rotations = np.where(left[:, None, None, None], turned, found.rotations)
        found = found._replace(rotations=rotations)
        self._records.add(people, found, seen.person, side=seen.side)
        self.hands += len(left)
        self._lefts += int(left.sum())
        self.people += len(people)
        self._unseen += len(people) - len(np.unique(seen.person))
        if self._drawn is not None:
            self._drawn.write(people, self._drawing(people, image, found, seen.side))

    def _drawing(
        self, people: People, image: np.ndarray, found: Bodies, sides: np.ndarray
    ) -> np.ndarray:
        focal = self._focal or self._predictor.codec.focal_of(people.image_hw)
        meshes, faces = [], []
        for row, side in enumerate(sides):
            file = self._files[str(side)]
            posed = pose_body(file.body, *(jnp.asarray(value[row]) for value in found))
            meshes.append(np.asarray(posed.vertices, np.float64))
            faces.append(file.faces)
        return draw_meshes(image, meshes, faces, centred_camera(focal, people.image_hw))

    def end(self) -> str:
        """Writes the parameters of all hands; returns a note for the summary."""
        if self._drawn is not None:
            self._drawn.end()
        unseen = ""
        if self._unseen:
            unseen = (
                f" {self._unseen} of {counted(self.people, 'people')} have no hand with {FEWEST} "
                f"keypoints of score {MIN_SCORE:g} or more."
            )
        if not self.hands:
            return f"No hand, so there is no {FILE}.{unseen}"
        self._records.save(self._out, self._files["right"].body)
        drawn = "" if self._drawn is None else f", and drawn in {FOLDER}"
        sides = f"{self._lefts} left, {self.hands - self._lefts} right"
        return f"{counted(self.hands, 'hands')} ({sides}) in {FILE}{drawn}.{unseen}"


def open_hands(
    options: Predict, trained: Trained, skeleton: Skeleton, names: ImageNames | None
) -> HandOutput:
    """Reads the hand's file for a loaded model of hands.

    Raises:
      InputError: no file, one of another model or of the left hand, or a skeleton without hands.
    """
    sides_of(skeleton, options.hand)
    file = network_body(options, trained, "MANO_RIGHT.pkl").file
    if hand_side(file.body) == "left":
        raise InputError(
            f"{options.body} is MANO's left hand; {options.mesh} gives parameters of the right one "
            "and mirrors it for left hands: pass MANO_RIGHT.pkl."
        )
    predictor = trained.predictor(batch_size=options.batch_size)
    return HandOutput(predictor, file, options.out, names, options.focal, options.hand)
