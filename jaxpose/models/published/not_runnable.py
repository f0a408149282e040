"""Published weights that jaxpose cannot run yet: their addresses, licences and the reasons.

A row is left out of `not_runnable` once a record has its name or its address.
"""

from dataclasses import dataclass

from jaxpose.models.published.catalogue import records
from jaxpose.models.published.record import APACHE, OPENMMLAB, Weights, forbids_commerce


@dataclass(frozen=True)
class NotRunnable:
    """Published weights without a model here.

    Attributes:
      name: name for users, such as `movenet-multipose`.
      task: task of the model, in words.
      reason: sentence that says what is missing.
      weights: address of the weights, with the digits of their checksum.
      score: published score with its metric; empty where there is none.
      licence: licence of the weights.
    """

    name: str
    task: str
    reason: str
    weights: Weights
    score: str = ""
    licence: str = APACHE

    @property
    def commercial(self) -> bool:
        """False if the licence of the weights forbids commercial use."""
        return not forbids_commerce(self.licence)


def not_runnable(pattern: str = "") -> list[NotRunnable]:
    """Return the rows whose names contain `pattern`, without those that have a record."""
    names = {record.name for record in records()}
    addresses = {_plain(record.weights.address) for record in records() if record.weights}
    return [
        row
        for row in _ROWS
        if pattern.lower() in row.name
        and row.name not in names
        and _plain(row.weights.address) not in addresses
    ]


def _plain(address: str) -> str:
    """Address without its query, which can name a version of the same file."""
    return address.partition("?")[0]


_OFFSETS = (
    "Its head gives a heatmap and two offsets for each keypoint, and no codec here reads these."
)
_TFLITE = "This network of MediaPipe is not built in."
_BUNDLE = "It is a bundle of several TFLite files, which jaxpose does not unpack."
_MOVENET = "There is no table for the names of MoveNet in TFLite."
_POSENET = "There is no table for the names of PoseNet in TFLite."
_PADDLE = (
    "PaddlePaddle's files of weights are not read. An OpenVINO model (.xml, with the .bin beside "
    "it) of the same weights is: `jaxpose convert model.xml OUT`."
)

_ASSETS = "https://storage.googleapis.com/mediapipe-assets"
_TASKS = "https://storage.googleapis.com/mediapipe-models"
_TFHUB = "https://tfhub.dev/google"
_TINY = "https://bj.bcebos.com/v1/paddledet/models/keypoint/tinypose_enhance"


_ROWS = (
    NotRunnable(
        "hrnet-w32-udp-regress",
        "body, 17 keypoints",
        _OFFSETS,
        Weights(
            f"{OPENMMLAB}/v1/body_2d_keypoint/topdown_heatmap/coco/"
            "td-hm_hrnet-w32_udp-regress-8xb64-210e_coco-256x192-9c0b77b4_20220926.pth",
            "9c0b77b4",
        ),
        "AP 75.9",
    ),
    *(
        NotRunnable(name, task, _TFLITE, Weights(f"{_ASSETS}/{file}", digits))
        for name, task, file, digits in (
            ("blazepose-detector", "boxes of people",
             "pose_detection.tflite?generation=1661875889147923", "a63c614b"),
            ("blazepose-lite", "body, 33 keypoints in 3D",
             "pose_landmark_lite.tflite?generation=1661875901231143", "f17bfbec"),
            ("blazepose-full", "body, 33 keypoints in 3D",
             "pose_landmark_full.tflite?generation=1661875894245786", "e9a5c5cb"),
            ("blazepose-heavy", "body, 33 keypoints in 3D",
             "pose_landmark_heavy.tflite?generation=1661875897944151", "59e42d71"),
            ("mediapipe-palm-full", "boxes of palms",
             "palm_detection_full.tflite?generation=1661875883244842", "2f25e740"),
            ("mediapipe-palm-lite", "boxes of palms",
             "palm_detection_lite.tflite?generation=1661875885885770", "e9a4aadd"),
            ("mediapipe-hand-full", "hand, 21 keypoints in 3D",
             "hand_landmark_full.tflite?generation=1661875760968579", "11c272b8"),
            ("mediapipe-hand-lite", "hand, 21 keypoints in 3D",
             "hand_landmark_lite.tflite?generation=1661875766398729", "048edd36"),
            ("blazeface-short", "boxes of faces",
             "face_detection_short_range.tflite?generation=1661875748538815", "3bc182eb"),
            ("blazeface-full-sparse", "boxes of faces",
             "face_detection_full_range_sparse.tflite?generation=1661875739104017", "671dd2f9"),
            ("mediapipe-face-mesh", "face, 468 keypoints in 3D",
             "face_landmark.tflite?generation=1662063817995673", "c603fa61"),
            ("mediapipe-face-mesh-attention", "face, 478 keypoints in 3D",
             "face_landmark_with_attention.tflite?generation=1661875751615925", "883b7411"),
            ("mediapipe-iris", "eye, 76 keypoints",
             "iris_landmark.tflite?generation=1662065468653224", "d1744d2a"),
        )
    ),
    *(
        NotRunnable(f"{name}-task", task, _BUNDLE, Weights(f"{_TASKS}/{file}", digits))
        for name, task, file, digits in (
            ("pose-landmarker-lite", "body, 33 keypoints in 3D",
             "pose_landmarker/pose_landmarker_lite/float16/1/pose_landmarker_lite.task", ""),
            ("pose-landmarker-full", "body, 33 keypoints in 3D",
             "pose_landmarker/pose_landmarker_full/float16/1/pose_landmarker_full.task", ""),
            ("hand-landmarker", "hand, 21 keypoints in 3D",
             "hand_landmarker/hand_landmarker/float16/1/hand_landmarker.task", ""),
            ("face-landmarker", "face, 478 keypoints in 3D",
             "face_landmarker/face_landmarker/float16/1/face_landmarker.task", "64184e22"),
        )
    ),
    NotRunnable(
        "blazeface-short-task",
        "boxes of faces",
        _TFLITE,
        Weights(
            f"{_TASKS}/face_detector/blaze_face_short_range/float16/1/blaze_face_short_range.tflite"
        ),
    ),
    *(
        NotRunnable(name, task, reason, Weights(f"{_TFHUB}/{path}"), score)
        for name, task, reason, path, score in (
            ("movenet-lightning", "body, 17 keypoints", _MOVENET,
             "lite-model/movenet/singlepose/lightning/tflite/float16/4?lite-format=tflite",
             "AP 63.0"),
            ("movenet-thunder", "body, 17 keypoints", _MOVENET,
             "lite-model/movenet/singlepose/thunder/tflite/float16/4?lite-format=tflite",
             "AP 72.0"),
            ("movenet-multipose", "body, 17 keypoints of up to 6 people", _MOVENET,
             "lite-model/movenet/multipose/lightning/tflite/float16/1?lite-format=tflite", ""),
        )
    ),
    NotRunnable(
        "posenet-mobilenet-100",
        "body, 17 keypoints, several people",
        _POSENET,
        Weights(
            "https://storage.googleapis.com/download.tensorflow.org/models/tflite/"
            "posenet_mobilenet_v1_100_257x257_multi_kpt_stripped.tflite"
        ),
    ),
    *(
        NotRunnable(name, task, _PADDLE, Weights(f"{_TINY}/{file}.pdparams"), score)
        for name, task, file, score in (
            ("tinypose-paddle", "body, 17 keypoints", "tinypose_256x192", "AP 68.3"),
            ("tinypose-128x96-paddle", "body, 17 keypoints", "tinypose_128x96", "AP 58.4"),
            ("picodet-s-192-paddle", "people", "picodet_s_192_lcnet_pedestrian", "box AP 31.7"),
            ("picodet-s-320-paddle", "people", "picodet_s_320_lcnet_pedestrian", "box AP 41.6"),
        )
    ),
)  # fmt: skip
