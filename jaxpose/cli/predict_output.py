"""Files that `jaxpose predict` writes while it runs: keypoints, drawn images and videos."""

from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path

import numpy as np

from jaxpose.cli.overview import Heatmaps, Overview
from jaxpose.cli.predict_summary import drawn_name
from jaxpose.errors import InputError
from jaxpose.paths import note_parts, part_of
from jaxpose.results.drawing import Drawing
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People
from jaxpose.results.writers import Writer
from jaxpose.viz import VideoWriter, save_image


class Output:
    """Drawn images and videos, and files of keypoints.

    Attributes:
      sheet: contact sheet to fill, or None.
      heatmaps: writer of heatmaps, or None.
      videos: name and codec of each video that was drawn.
      images: number of images that were drawn, and the name of the last one.
      failures: errors that ended the frames.
      complete: the sources were read to their end, and one of them had an image or a frame.
    """

    def __init__(
        self,
        writers: list[Writer],
        out: Path,
        names: ImageNames | None,
        drawing: Drawing,
        live: bool,
    ) -> None:
        """Into the folder `out`; `names` names the drawn files, None draws none.

        Of sources that are `live`, Ctrl-C is the regular end.
        """
        self._writers = writers
        self._out = out
        self._names = names
        self._drawing = drawing
        self._video: VideoWriter | None = None
        self._source = ""
        self.sheet: Overview | None = None
        self.heatmaps: Heatmaps | None = None
        self.videos: list[tuple[str, str]] = []
        self.images: tuple[int, str] = (0, "")
        self.failures: list[BaseException] = []
        self.complete = False
        self._live = live
        self._parts: list[Path] = []

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        error = error or next(iter(self.failures), None)
        whole = self.complete and error is None
        if self._live and isinstance(error, KeyboardInterrupt):
            whole = True
        try:
            with ExitStack() as all_of_them:  # each is finished, even if another one fails
                all_of_them.callback(self._end_sheet, whole)
                for one in reversed(self._writers):
                    all_of_them.callback(self._end_file, one, whole)
                all_of_them.callback(self._end_video, whole)
        except BaseException as failed:
            error = failed
            raise
        finally:
            if error is not None:
                note_parts(error, self._parts)

    @property
    def draws(self) -> bool:
        """True if frames are drawn."""
        return self._names is not None

    def draw(self, people: People, image: np.ndarray) -> None:
        """Draws a frame, as an image or into the video of its source."""
        if people.source != self._source:
            self._end_video(True)
            self._source = people.source
        drawn = self._drawing.draw(people, image)
        if self.sheet is not None:
            self.sheet.add(people, drawn)
        name = self._drawn_name(people)
        assert name is not None  # frames are drawn
        (self._out / name).parent.mkdir(parents=True, exist_ok=True)
        if people.seconds is None:
            save_image(self._out / name, drawn)
            self.images = (self.images[0] + 1, str(name))
            if self.heatmaps is not None:
                self.heatmaps.write(people, image, name)
            return
        if self._video is None:
            self._video = VideoWriter(self._out / name)
        self._video.write(drawn, people.seconds)

    def write(self, people: People) -> None:
        """Writes the keypoints of a frame in each format."""
        for one in self._writers:
            one.write(people, self._drawn_name(people))

    def _drawn_name(self, people: People) -> str | None:
        """The name of the drawn file, or None."""
        return None if self._names is None else drawn_name(people.source, self._names)

    def _end_video(self, whole: bool) -> None:
        video, self._video = self._video, None
        if video is None:
            return
        with nullcontext() if whole else suppress(InputError):
            video.close(complete=whole)
        if video.part is not None:
            self._parts.append(video.part)
        if whole:
            name = video.path.relative_to(self._out).as_posix()
            self.videos.append((name, video.codec or ""))

    def _end_file(self, one: Writer, whole: bool) -> None:
        try:
            one.close(complete=whole)
        finally:
            if one.part is not None:
                self._parts.append(one.part)

    def _end_sheet(self, whole: bool) -> None:
        if self.sheet is None:
            return
        path = self._out / "overview.jpg"
        if whole:
            self.sheet.save(path)
            part_of(path).unlink(missing_ok=True)  # of an earlier run that broke off
            return
        with suppress(InputError):
            self.sheet.save(part_of(path))
