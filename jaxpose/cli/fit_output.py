"""Files that `jaxpose fit` writes; those that cannot be written are refused before the fit."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from jaxpose.bodies import Body
from jaxpose.bodies.fit import Fitted
from jaxpose.bodies.saving import save_parameters
from jaxpose.bodies.scene import BodyScene, track_numbers
from jaxpose.bodies.scene_files import FORMATS as SCENE_FORMATS
from jaxpose.bodies.scene_files import image_step, save_scene
from jaxpose.cli.fit_command import Fit
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, centred_camera, look_at
from jaxpose.media.frames import Frame
from jaxpose.media.image import is_image_file, read_image
from jaxpose.media.video import open_video
from jaxpose.motion.timing import DEFAULT_FPS, Clock, even_clock
from jaxpose.results.people import People
from jaxpose.viz import VideoWriter, contact_sheet, save_animation, save_image
from jaxpose.viz.meshes import draw_meshes
from jaxpose.viz.people import person_colors

_PARAMETERS = ".npz"
_STILLS = (".png", ".jpg", ".jpeg")
_ANIMATIONS = (".gif", ".mp4")
FORMATS = (_PARAMETERS, *SCENE_FORMATS, *_STILLS)
_BLACK_LIGHT = 40  # background of the view from the side
_GIF_WIDTH = 480  # most pixels of a GIF that is drawn on a video


def camera_of(people: People, focal: float | None) -> Camera:
    """Camera of an image; without a focal length, that of its diagonal."""
    focal = focal or float(np.hypot(*people.image_hw))
    return centred_camera(focal, people.image_hw)


def seconds_of(people: People) -> float:
    """Time of a frame of a video."""
    if people.seconds is not None:
        return people.seconds
    return (people.index or 0) / (people.fps or DEFAULT_FPS)


def check_paths(options: Fit) -> None:
    """Checks the names of the files to write.

    Raises:
      InputError: an unknown suffix; one file twice; a file that is read; a `--frame` without a file
        that shows one.
    """
    read = {path.resolve() for path in (options.source, options.image) if path is not None}
    written: set[Path] = set()
    for path in options.out:
        if path.suffix.lower() not in FORMATS:
            raise InputError(f"{path}: bodies can be written as {', '.join(FORMATS)}")
        if path.resolve() in read:
            raise InputError(f"{path} is read, so it cannot be written; choose another name")
        if path.resolve() in written:
            raise InputError(f"{path} is given twice; each file is written once")
        written.add(path.resolve())
    if options.frame is not None and all(
        path.suffix.lower() == _PARAMETERS for path in options.out
    ):
        raise InputError(
            f"--frame chooses what is shown, and {options.out[0]} has the people of all frames: "
            "leave it out"
        )


def chosen_people(results: list[People], options: Fit) -> list[People]:
    """The same images and frames with only the people that `--only` and `--track` choose.

    Raises:
      InputError: no or several images or videos of that name; no such track, or no tracks.
    """
    if options.only is not None:
        source = _source(options.only, results, options.source)
        results = [people if people.source == source else people.keep([]) for people in results]
    if options.track is None:
        return results
    known = (people.track_ids for people in results if people.track_ids is not None)
    there = sorted({int(number) for own in known for number in own})
    if not there:
        raise InputError(f"{options.source} has no track ids, so --track cannot choose one")
    if options.track not in there:
        numbers = ", ".join(map(str, there))
        raise InputError(f"{options.source} has no track {options.track}; its tracks are {numbers}")
    return [
        people.keep([] if ids is None else np.flatnonzero(ids == options.track))
        for people, ids in ((people, people.track_ids) for people in results)
    ]


def _source(name: str, results: list[People], file: Path) -> str:
    """The one image or video whose path is `name` or ends in it."""
    sources = list(dict.fromkeys(people.source for people in results))
    if name in sources:
        return name
    parts = Path(name).parts
    found = [source for source in sources if Path(source).parts[-len(parts) :] == parts]
    if len(found) != 1:
        some = found or sources
        kind = "several images or videos" if found else "no image or video"
        raise InputError(f"{file} has {kind} named {name}; there are {_listed(some)}")
    return found[0]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


class FitOutput:
    """Files of the bodies of one command."""

    def __init__(self, results: list[People], options: Fit) -> None:
        """Checks that the files of `options` can be written.

        Args:
          results: the images and frames that `chosen_people` returns, with at least one person.
          options: of the command.

        Raises:
          InputError: several images in a file of one; a frame or a track that does not exist;
            motion of an image or of several people; an `--image` that is not that of the keypoints.
        """
        self._options, self._results = options, results
        shown = [path for path in options.out if path.suffix.lower() != _PARAMETERS]
        self._kinds = {path.suffix.lower() for path in shown}
        if not shown:
            return
        self._own = _of_one_source(results, options, shown[0])
        self._moving = self._own[0].index is not None and options.frame is None
        if options.frame is not None:
            _check_frame(self._own, options)
        self._check_motion()
        if self._moving and self._kinds & {".bvh", *_ANIMATIONS}:
            self._clock()
        if options.image is not None and self._kinds & {*_STILLS, *_ANIMATIONS}:
            self._check_image(options.image)

    def write(
        self,
        body: Body,
        faces: np.ndarray,
        gender: str,
        fitted: Fitted,
        columns: dict[str, np.ndarray],
    ) -> None:
        """Writes all files, the parameters first.

        Args:
          body, faces, gender: the model.
          fitted: bodies of N people.
          columns: arrays `[N]`: `image` (number in the results), `person`, `frame` and `track_id`
            (-1 for none), and others to store with the parameters.

        Raises:
          InputError: the people of the frame that is shown were not fitted; a file cannot be
            written.
        """
        for path in self._options.out:
            if path.suffix.lower() == _PARAMETERS:
                found = fitted.shape, fitted.rotations, fitted.translation
                save_parameters(path, body, *found, columns, gender)
        if not self._kinds:
            return
        scene = self._scene(body, faces, fitted, columns)
        for path in self._options.out:
            kind = path.suffix.lower()
            if kind in _STILLS:
                save_image(path, self._drawing(scene))
            elif kind in _ANIMATIONS and self._moving and self._options.image is not None:
                self._save_drawn(path, scene, self._options.image)
            elif kind != _PARAMETERS:
                save_scene(path, scene, self._options.frame)

    def _scene(
        self, body: Body, faces: np.ndarray, fitted: Fitted, columns: dict[str, np.ndarray]
    ) -> BodyScene:
        scene = BodyScene(
            *(body, faces, self._own[0].source),
            *(fitted.shape, fitted.rotations, fitted.translation, columns["person"]),
        )
        if self._own[0].index is None:
            return scene
        people = [self._results[image] for image in columns["image"]]
        ids = columns["track_id"]
        return replace(
            scene,
            frames=columns["frame"],
            seconds=np.array([seconds_of(one) for one in people]),
            track_ids=None if (ids < 0).any() else ids,
            fps=self._own[0].fps,
        )

    def _check_motion(self) -> None:
        """Checks that there are tracks where motion is written."""
        options, source = self._options, self._own[0].source
        if ".bvh" in self._kinds and options.frame is not None:
            raise InputError("--frame chooses one frame and .bvh is motion: leave one of them out.")
        if not (".bvh" in self._kinds or (".glb" in self._kinds and self._moving)):
            return
        frames = seconds = ids = None
        if self._moving:
            counts = [len(people) for people in self._own]
            frames = np.repeat([people.index for people in self._own], counts)
            seconds = np.repeat([seconds_of(people) for people in self._own], counts)
            known = [people.track_ids for people in self._own if people.track_ids is not None]
            ids = np.concatenate(known) if len(known) == len(self._own) else None
        numbers = np.unique(track_numbers(source, frames, seconds, ids))
        if ".bvh" in self._kinds and len(numbers) > 1:
            raise InputError(
                f".bvh is the motion of one person, and {source} has the tracks "
                f"{', '.join(map(str, numbers))}: choose one with --track"
            )

    def _clock(self) -> Clock:
        """Clock of all frames of the video, with people or without."""
        source = self._own[0].source
        frames = [people for people in self._results if people.source == source]
        return even_clock(np.array([seconds_of(people) for people in frames]), self._own[0].fps)

    def _check_image(self, path: Path) -> None:
        animations = self._kinds & {*_ANIMATIONS}
        if self._moving and animations and is_image_file(path):
            raise InputError(
                f"{path} is one image, and {', '.join(sorted(animations))} shows the whole video "
                f"{self._own[0].source}: give the video, or choose a --frame"
            )
        _image(path, self._people(self._options.frame))

    def _people(self, frame: int | None) -> People:
        """The people of the image or of a frame; of the first frame for None."""
        return next(people for people in self._own if frame in (None, people.index))

    def _drawing(self, scene: BodyScene) -> np.ndarray:
        """The image with the bodies over it, beside the bodies from their right side."""
        rows = scene.rows(self._options.frame)
        people = self._people(None if scene.frames is None else int(scene.frames[rows[0]]))
        image = np.full((*people.image_hw, 3), _BLACK_LIGHT, np.uint8)
        if self._options.image is not None:
            image = _image(self._options.image, people)
        meshes, colors = scene.meshes(rows), person_colors(scene.numbers[rows])
        camera = camera_of(people, self._options.focal)
        front = draw_meshes(image, meshes, scene.faces, camera, colors=colors)
        ground, aside = np.full_like(image, _BLACK_LIGHT), _side_camera(meshes, image)
        side = draw_meshes(ground, meshes, scene.faces, aside, colors=colors)
        return contact_sheet([front, side], columns=2, captions=["camera", "right side"])

    def _save_drawn(self, path: Path, scene: BodyScene, video: Path) -> None:
        """Writes the frames of the video with the bodies over them."""
        if path.suffix.lower() == ".mp4":
            with VideoWriter(path) as writer:
                for frame, drawn in self._drawn(scene, video, 1):
                    writer.write(drawn, frame.seconds)
            return
        clock = self._clock()
        step = image_step(path, clock.count, clock.fps)
        images = (_narrow(drawn) for _, drawn in self._drawn(scene, video, step))
        save_animation(path, images, clock.fps / step)

    def _drawn(
        self, scene: BodyScene, video: Path, step: int
    ) -> Iterator[tuple[Frame, np.ndarray]]:
        """Yields every `step`-th frame of the video up to the last body, and its drawing."""
        assert scene.frames is not None
        camera, last = camera_of(self._own[0], self._options.focal), int(scene.frames[-1])
        index = -1
        for frame in open_video(video, lambda skipped: None):
            index = frame.index
            if index > last:
                return
            if index % step == 0:
                rows = np.flatnonzero(scene.frames == index)
                meshes, colors = scene.meshes(rows), person_colors(scene.numbers[rows])
                drawn = draw_meshes(frame.image, meshes, scene.faces, camera, colors=colors)
                yield frame, drawn
        if index < last:
            raise InputError(
                f"{video} ends after frame {index}, and its bodies with frame {last}: is it the "
                "video that was predicted?"
            )


def _of_one_source(results: list[People], options: Fit, path: Path) -> list[People]:
    """Images and frames with people, which are those of one image or video."""
    own = [people for people in results if len(people)]
    sources = list(dict.fromkeys(people.source for people in own))
    if len(sources) > 1:
        raise InputError(
            f"{path} shows one image or video, and {options.source} has people in {len(sources)}: "
            f"choose one of {_listed(sources)} with --only, or write only .npz, which has all"
        )
    if len(own) > 1 and any(people.index is None for people in own):
        raise InputError(
            f"{path} shows one image, and {options.source} has {len(own)} images of the name "
            f"{sources[0]}: give a file of one of them, or write only .npz, which has all"
        )
    return own


def _check_frame(own: list[People], options: Fit) -> None:
    frames = [people.index for people in own if people.index is not None]
    if not frames:
        raise InputError(f"{own[0].source} is an image: leave --frame {options.frame} out")
    if options.frame not in frames:
        raise InputError(
            f"{own[0].source} has no person in frame {options.frame}; frames with people are "
            f"between {min(frames)} and {max(frames)}"
        )


def _side_camera(meshes: list[np.ndarray], image: np.ndarray) -> Camera:
    """Camera at the right side of the scene that has all meshes in its image."""
    points = np.concatenate(meshes)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    radius = float(np.linalg.norm(points - middle, axis=1).max())
    away = 4 * radius
    R, t = look_at(middle - np.array([away, 0.0, 0.0]), middle, np.array([0.0, -1.0, 0.0]))
    height, width = image.shape[:2]
    focal = 0.47 * min(height, width) * (away - radius) / radius
    return centred_camera(focal, (height, width), R, t)


def _image(path: Path, people: People) -> np.ndarray:
    """The image, or the frame of the people in a video.

    Raises:
      InputError: a video for an image, no such frame, or another size than the image of the people.
    """
    if is_image_file(path):
        image = read_image(path)
    elif people.index is None:
        raise InputError(f"{path} is a video, and the keypoints are of the image {people.source}")
    else:
        frames = open_video(path, lambda skipped: None)
        found = next((frame for frame in frames if frame.index == people.index), None)
        if found is None:
            raise InputError(f"{path} has no frame {people.index}")
        image = found.image
    if image.shape[:2] != tuple(people.image_hw):
        raise InputError(
            f"{path} is {image.shape[1]} x {image.shape[0]}, its keypoints are of an image of "
            f"{people.image_hw[1]} x {people.image_hw[0]}"
        )
    return image


def _narrow(image: np.ndarray) -> np.ndarray:
    """An image for a GIF, at most 480 pixels wide."""
    height, width = image.shape[:2]
    if width <= _GIF_WIDTH:
        return image
    size = (_GIF_WIDTH, max(1, round(height * _GIF_WIDTH / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
