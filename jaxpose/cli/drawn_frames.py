"""Drawn images and videos of `jaxpose predict --mesh` and `--surface`, one image or frame each."""

from pathlib import Path

import numpy as np

from jaxpose.cli.predict_summary import drawn_name
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People
from jaxpose.viz import VideoWriter, save_image


class DrawnFrames:
    """Writer of drawn images, and of one video for each video that is read."""

    def __init__(self, folder: Path, names: ImageNames) -> None:
        """Into `folder`, under the names of the table."""
        self._folder, self._names = folder, names
        self._video: VideoWriter | None = None
        self._source = ""

    def write(self, people: People, drawn: np.ndarray) -> Path:
        """Write the drawn image or frame of `people`; returns the file."""
        if people.source != self._source:
            self.end()
            self._source = people.source
        path = self._folder / drawn_name(people.source, self._names)
        path.parent.mkdir(parents=True, exist_ok=True)
        if people.seconds is None:
            save_image(path, drawn)
            return path
        if self._video is None:
            self._video = VideoWriter(path)
        self._video.write(drawn, people.seconds)
        return path

    def end(self) -> None:
        """End the video that is written."""
        video, self._video = self._video, None
        if video is not None:
            video.close(complete=True)
