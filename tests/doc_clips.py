"""Stand-ins of the pages for files of actions and of tracks."""

import json
import pickle
from pathlib import Path

import numpy as np

from jaxpose.skeletons import COCO17


def labelled_results(path: Path) -> None:
    """Results of `jaxpose predict` for videos of two actions and five people."""
    rng = np.random.default_rng(0)
    for action in ("squat", "wave"):
        for subject in ("anna", "ben", "cem", "dora", "eva"):
            frames = []
            for number in range(8):
                points = {
                    name: {"x": float(x), "y": float(y), "score": 0.9}
                    for name, (x, y) in zip(
                        COCO17.keypoints, rng.uniform(0, 99, (17, 2)), strict=True
                    )
                }
                person = {"track_id": 1, "score": 0.9, "box_xywh": [0, 0, 99, 99]}
                size = {"width": 100, "height": 100, "frame": number, "seconds": number / 25}
                people = [person | {"keypoints": points}]
                frames.append({"source": "video.mp4", "people": people} | size)
            file = path / action / f"{subject}_1.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(frames))


def clips_of_mmaction(path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = [
        {
            "frame_dir": f"clip{number}",
            "label": number % 2,
            "img_shape": (100, 100),
            "keypoint": rng.uniform(0, 99, (1, 6, 17, 2)),
            "keypoint_score": np.ones((1, 6, 17)),
        }
        for number in range(4)
    ]
    names = [clip["frame_dir"] for clip in clips]
    split = {"xsub_train": names[:2], "xsub_val": names[2:]}
    path.write_bytes(pickle.dumps({"split": split, "annotations": clips}))


def mot(path: Path) -> None:
    rows = [f"{t},{n},{60 * n + t},10,30,60,1,1,1" for t in range(1, 5) for n in (1, 2)]
    path.write_text("\n".join(rows))
