"""Body models: meshes with a skeleton, their files, and their fit to keypoints."""

from jaxpose.bodies.drawn import drawn_body, drawn_faces, drawn_keypoints
from jaxpose.bodies.files import BodyFile, HandBasis, read_body
from jaxpose.bodies.model import Body, Posed, pose_body, shaped

__all__ = [
    "Body",
    "BodyFile",
    "HandBasis",
    "Posed",
    "drawn_body",
    "drawn_faces",
    "drawn_keypoints",
    "pose_body",
    "read_body",
    "shaped",
]
