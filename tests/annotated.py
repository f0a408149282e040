"""Good annotations and good records for tests to spoil."""

from dataclasses import dataclass

import numpy as np

from jaxpose.skeletons import COCO17, Skeleton

# A person who faces the camera, in parts of the box.
FRONTAL = {
    "nose": (0.50, 0.10), "left_eye": (0.60, 0.07), "right_eye": (0.40, 0.07),
    "left_ear": (0.70, 0.09), "right_ear": (0.30, 0.09), "left_shoulder": (0.85, 0.25),
    "right_shoulder": (0.15, 0.25), "left_elbow": (0.93, 0.40), "right_elbow": (0.07, 0.40),
    "left_wrist": (0.95, 0.55), "right_wrist": (0.05, 0.55), "left_hip": (0.75, 0.55),
    "right_hip": (0.25, 0.55), "left_knee": (0.75, 0.75), "right_knee": (0.25, 0.75),
    "left_ankle": (0.75, 0.95), "right_ankle": (0.25, 0.95),
}  # fmt: skip
WIDTH, HEIGHT = 640, 480


def annotation(number: int, points: np.ndarray, box: list[float]) -> dict:
    flags = np.full((17, 1), 2.0)
    return {
        "id": number,
        "image_id": number // 2,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [float(v) for v in box],
        "area": 0.5 * float(box[2] * box[3]),
        "num_keypoints": 17,
        "keypoints": np.concatenate([points, flags], axis=1).ravel().tolist(),
    }


def good_document() -> dict:
    """Forty good people on twenty photos."""
    rng = np.random.default_rng(0)
    shape = np.array([FRONTAL[name] for name in COCO17.keypoints])
    people = []
    for number in range(40):
        size = rng.uniform([60, 120], [150, 300])
        low = rng.uniform([0, 0], [WIDTH, HEIGHT] - size)
        points = low + np.clip(shape + rng.normal(scale=0.01, size=shape.shape), 0, 1) * size
        people.append(annotation(number, points, [*low, *size]))
    return {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": WIDTH, "height": HEIGHT} for i in range(20)
        ],
        "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}],
    }


def codes(findings, *severities) -> set[str]:
    return {f.code for f in findings if not severities or f.severity in severities}


def finding(findings, code):
    (match,) = [f for f in findings if f.code == code]
    return match


def table_of(entry: dict) -> np.ndarray:
    return np.array(entry["keypoints"]).reshape(17, 3)


def edit(document, change, which=slice(None)) -> None:
    """Passes keypoints `[17, 3]` and box `[4]` of people through `change`."""
    for entry in document["annotations"][which]:
        table, box = change(table_of(entry), np.array(entry["bbox"]))
        entry["keypoints"], entry["bbox"] = table.ravel().tolist(), box.tolist()


def photos_for(document, folder, size=(WIDTH, HEIGHT)) -> None:
    import cv2

    rng = np.random.default_rng(1)
    noise = rng.integers(0, 255, (size[1] // 16, size[0] // 16, 3), np.uint8)
    for image in document["images"]:
        cv2.imwrite(str(folder / image["file_name"]), cv2.resize(noise, size))


@dataclass(frozen=True)
class Canvases:
    """Records in memory, as a `Source`."""

    columns: dict
    canvas_hw: tuple[int, int] = (96, 72)
    skeleton: Skeleton = COCO17

    def __len__(self):
        return len(self.columns["area"])

    def fingerprint(self):
        return "in memory"

    def samples(self, indices):
        return {name: column[indices] for name, column in self.columns.items()}


def good_canvases() -> Canvases:
    number = 100
    box = np.tile(np.float32([18, 16, 36, 64]), (number, 1))
    shape = np.array([FRONTAL[name] for name in COCO17.keypoints])
    noise = np.random.default_rng(0).normal(scale=0.01, size=(number, 17, 2))
    points = box[:, None, :2] + np.clip(shape[None] + noise, 0, 1) * box[:, None, 2:]
    return Canvases(
        {
            "image": np.zeros((number, 96, 72, 3), np.uint8),
            "keypoints": points.astype(np.float32),
            "visible": np.full((number, 17), 2, np.uint8),
            "box_xywh": box,
            "photo_from_canvas": np.tile(np.float32([[3, 0, 5], [0, 3, 9]]), (number, 1, 1)),
            "area": np.full(number, 0.5 * 9 * 36 * 64, np.float32),
            "image_id": np.arange(number),
            "annotation_id": np.arange(number) + 500,
            "index": np.arange(number),
            "mask": np.ones(number, bool),
        }
    )
