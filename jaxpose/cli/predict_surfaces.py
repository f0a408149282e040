"""`jaxpose predict --surface`: places on the body of people's pixels, as maps and drawn."""

from pathlib import Path

import numpy as np

from jaxpose.bodies.surface_maps import pack_iuv
from jaxpose.cli.drawn_frames import DrawnFrames
from jaxpose.cli.predict_command import Predict
from jaxpose.counts import counted
from jaxpose.hub.load import load_surface_model
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People
from jaxpose.tasks.densepose.predictor import SurfacePredictor
from jaxpose.viz import save_image
from jaxpose.viz.surfaces import draw_surface

FOLDER = "surfaces"


class SurfaceOutput:
    """Surfaces of a prediction: drawn one image or frame at a time, and a map for each image.

    Attributes:
      people: number of people so far.
      maps: number of maps that were written.
    """

    stage = "surfaces"

    def __init__(
        self, predictor: SurfacePredictor, out: Path, names: ImageNames, draw: bool
    ) -> None:
        """Into the folder `out`; `names` names the files."""
        self._predictor, self._names = predictor, names
        self._folder = out / FOLDER
        self._drawn = DrawnFrames(self._folder, names) if draw else None
        self.people = self.maps = 0

    def add(self, people: People, image: np.ndarray) -> None:
        """Adds the surfaces of an image or frame, and draws them."""
        still = people.seconds is None
        if not still and self._drawn is None:
            return
        self.people += len(people)
        iuv = self._predictor(image, people.boxes_xywh).in_image(image.shape[:2])
        if self._drawn is not None:
            self._drawn.write(people, draw_surface(image, iuv))
        if still:
            # OpenCV, and the published code, read part, U and V in this order: blue comes first.
            path = self._folder / f"{self._names.stem(people.source)}.iuv.png"
            save_image(path, pack_iuv(iuv)[..., ::-1])
            self.maps += 1

    def end(self) -> str:
        """Ends the files; returns a note for the summary."""
        if self._drawn is not None:
            self._drawn.end()
        drawn = "" if self._drawn is None else ", and drawn"
        kept = f"{self.maps} in .iuv.png" if self.maps else "maps are written for images only"
        return f"Surfaces of {counted(self.people, 'people')} in {FOLDER}: {kept}{drawn}."


def open_surfaces(options: Predict, names: ImageNames) -> SurfaceOutput | None:
    """Loads the model of `options.surface`; None without one.

    Raises:
      InputError: no model of surfaces.
    """
    if options.surface is None:
        return None
    trained = load_surface_model(
        options.surface, options.checkpoint, trust_recipe=options.trust_recipe
    )
    predictor = trained.predictor(batch_size=options.batch_size)
    return SurfaceOutput(predictor, options.out, names, options.draw)
