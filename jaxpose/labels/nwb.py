"""Predictions as NWB files (Neurodata Without Borders) with `ndx-pose`, one for each video.

`ndx-pose` and `pynwb` write the file: https://github.com/rly/ndx-pose.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.labels.labels import Instance, LabelledImage, Labels
from jaxpose.paths import is_file, whole_file
from jaxpose.results.image_names import ImageNames
from jaxpose.skeletons import Skeleton

_FRAME = "(0, 0) is the centre of the upper left pixel, x to the right, y down"


def write_nwb(labels: Labels, skeleton: Skeleton, out: Path) -> None:
    """Write `VIDEO.nwb` for each video into the folder `out`.

    An individual is a `PoseEstimation` in the processing module `behavior`, with a series for each
    keypoint: NaN and confidence 0 in frames without it. The session starts when the video file was
    last changed, because NWB needs a time and predictions have none.

    Raises:
      InputError: `ndx-pose` is not installed, an image is no frame of a video, a frame has no time
        stamp, or an individual occurs twice in a frame.
    """
    try:
        import ndx_pose
        import pynwb
    except ImportError:
        raise InputError('NWB: pip install "jaxpose[nwb]" to write it.') from None
    by_video: dict[Path, list[LabelledImage]] = {}
    for image in labels.images:
        if image.frame is None or image.frame.seconds is None:
            raise InputError(
                f"{image.name}: NWB has time series, and this image is no frame of a video with a "
                "time stamp. Give the predictions for a video"
            )
        by_video.setdefault(image.frame.video, []).append(image)
    names = ImageNames(by_video)
    out.mkdir(parents=True, exist_ok=True)
    for video, images in by_video.items():
        times = np.array([image.frame.seconds for image in images if image.frame])
        changed = video.stat().st_mtime if is_file(video) else 0
        content = pynwb.NWBFile(
            session_description=f"keypoints of {video.name}",
            identifier=str(video),
            session_start_time=datetime.fromtimestamp(changed, UTC),
        )
        drawn = ndx_pose.Skeleton(
            name=skeleton.name,
            nodes=list(skeleton.keypoints),
            edges=np.array(skeleton.limb_indices, np.uint8).reshape(-1, 2),
        )
        module = content.create_processing_module("behavior", "keypoints predicted by jaxpose")
        module.add(ndx_pose.Skeletons(skeletons=[drawn]))
        for name, found in _individuals(images).items():
            rows = _series(found, len(images), skeleton.num_keypoints)
            series = [
                ndx_pose.PoseEstimationSeries(
                    name=part.replace("/", "_"),
                    description=f"keypoint {part}",
                    data=rows[:, place, :2],
                    unit="pixels",
                    reference_frame=_FRAME,
                    timestamps=times,
                    confidence=rows[:, place, 2],
                    confidence_definition="score of the model, in [0, 1]",
                )
                for place, part in enumerate(skeleton.keypoints)
            ]
            sizes: dict[str, Any] = {}
            if images[0].image_hw is not None:
                height, width = images[0].image_hw
                sizes["dimensions"] = np.array([[width, height]], np.uint16)
            module.add(
                ndx_pose.PoseEstimation(
                    name=name.replace("/", "_"),
                    pose_estimation_series=series,
                    description=f"keypoints of {name}",
                    original_videos=[video.as_posix()],
                    source_software="jaxpose",
                    skeleton=drawn,
                    **sizes,
                )
            )
        file = out / f"{names.stem(str(video))}.nwb"
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(file) as partial, pynwb.NWBHDF5IO(str(partial), "w") as stream:
            stream.write(content)


def _individuals(images: list[LabelledImage]) -> dict[str, dict[int, Instance]]:
    """Instances of each individual by the place of their frame.

    Instances without names are individual1, individual2, ... in the order of their frame.
    """
    found: dict[str, dict[int, Instance]] = {}
    for place, image in enumerate(images):
        for number, one in enumerate(image.instances, 1):
            own = found.setdefault(one.individual or f"individual{number}", {})
            if place in own:
                raise InputError(
                    f"{one.where}: individual {one.individual!r} occurs twice in {image.name}."
                )
            own[place] = one
    return found


def _series(found: dict[int, Instance], frames: int, keypoints: int) -> np.ndarray:
    """x, y and confidence `[frames, keypoints, 3]`; NaN, NaN and 0 where there is no keypoint."""
    rows = np.tile(np.array([np.nan, np.nan, 0.0]), (frames, keypoints, 1))
    for place, one in found.items():
        labelled = one.visible > 0
        scores = np.ones(keypoints) if one.scores is None else one.scores
        rows[place, labelled, :2] = one.keypoints[labelled]
        rows[place, labelled, 2] = scores[labelled]
    return rows
