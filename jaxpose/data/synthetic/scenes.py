"""Dataset of whole synthetic images with several people."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxpose.data.instances import IGNORE_STRIDE, cover, empty_batch, put_people
from jaxpose.data.source import Batch, check_indices
from jaxpose.data.synthetic.image import generator, render_image
from jaxpose.data.synthetic.source import RENDERER_VERSION
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, Skeleton


class SceneSource:
    """Dataset of `count` images drawn on demand; image i is a pure function of (seed, i).

    People with too few visible keypoints are not labelled; their part of the image is marked as
    ignored (`ignore`).

    Attributes:
      count: number of images.
      seed: number of the set.
      people: the largest number of people in one image; each image has 1 to `people`, and as many
        rows, of which some may be empty.
    """

    def __init__(self, count: int, seed: int, canvas_hw: tuple[int, int], people: int) -> None:
        """Raises InputError for sizes or numbers that cannot be drawn."""
        if count < 1 or seed < 0 or not 1 <= people <= 200:
            raise InputError(
                "Synthetic scenes need count >= 1, seed >= 0 and 1 to 200 people; got "
                f"count={count}, seed={seed}, people={people}."
            )
        if min(canvas_hw) < 32 or canvas_hw[0] % IGNORE_STRIDE or canvas_hw[1] % IGNORE_STRIDE:
            raise InputError(
                f"A canvas of {canvas_hw} pixels: its sides must be multiples of {IGNORE_STRIDE} "
                "and at least 32."
            )
        self.count, self.seed, self.people = count, seed, people
        self._canvas_hw = (int(canvas_hw[0]), int(canvas_hw[1]))

    @property
    def canvas_hw(self) -> tuple[int, int]:
        return self._canvas_hw

    @property
    def skeleton(self) -> Skeleton:
        return COCO17

    def __len__(self) -> int:
        return self.count

    def fingerprint(self) -> str:
        """Identifies the content: renderer version, seed, size and number of people."""
        h, w = self._canvas_hw
        last = self.count - 1
        return f"scenes-v{RENDERER_VERSION}-seed{self.seed}-0..{last}-{h}x{w}-{self.people}"

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Renders these images as a batch; see `data.instances`.

        Raises:
          InputError: an index lies outside `[0, count)`.
        """
        wanted = check_indices(indices, self.count)
        batch = empty_batch(len(wanted), self._canvas_hw, self.people, COCO17.num_keypoints)
        for row, index in enumerate(wanted):
            scene = self._scene(int(index))
            batch["image"][row] = scene["image"]
            batch["image_id"][row] = index
            batch["photo_from_canvas"][row] = np.eye(2, 3)
            put_people(batch, row, scene["people"])
            batch["annotation_id"][row] += index * self.people * batch["valid"][row]
            for person in scene["unlisted"]:
                cover(batch["ignore"][row], person["box_xywh"])
        batch["index"] = wanted
        return batch

    def _scene(self, index: int) -> dict[str, Any]:
        number = int(generator(self.seed, index).integers(1, self.people + 1))
        scene = render_image(self.seed, index, image_hw=self._canvas_hw, people=number)
        for k, person in enumerate(scene["people"]):
            person["annotation_id"] = k
        return scene
