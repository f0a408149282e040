"""Clips of the people in the results of a video: tracks in the order of their scores."""

from collections.abc import Sequence

import numpy as np

from jaxpose.errors import InputError
from jaxpose.results.people import People


def clip_of(results: Sequence[People], people: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints `[T, P, K, 2]` in pixels and scores `[T, P, K]` of the frames of one video.

    P is at most `people`: the tracks with the highest sums of scores. People may enter and leave;
    where a track is absent, its keypoints are NaN and its scores 0. Without track ids a frame may
    have one person only.

    Raises:
      InputError: no frame, or several people in a frame without track ids.
    """
    if not results:
        raise InputError("A clip needs at least one frame.")
    tracks: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    count = results[0].skeleton.num_keypoints
    for t, frame in enumerate(results):
        if frame.track_ids is None and len(frame.keypoints) > 1:
            raise InputError(
                f"{frame.source}: frame {t} has {len(frame.keypoints)} people and no track ids. "
                "Predict the video with tracking, or leave one person in it."
            )
        ids = np.zeros(len(frame.keypoints), int) if frame.track_ids is None else frame.track_ids
        for row, number in enumerate(ids.tolist()):
            if number not in tracks:
                empty = np.full((len(results), count, 2), np.nan, np.float32)
                tracks[number] = empty, np.zeros((len(results), count), np.float32)
            tracks[number][0][t], tracks[number][1][t] = frame.keypoints[row], frame.scores[row]
    best = sorted(tracks.values(), key=lambda track: -float(track[1].sum()))[:people]
    if not best:
        return np.zeros((len(results), 0, count, 2), np.float32), np.zeros((len(results), 0, count))
    keypoints, scores = (np.stack(part, axis=1) for part in zip(*best, strict=True))
    return keypoints, scores
