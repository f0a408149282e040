"""Face-70: the 68 points of iBUG and the pupils, as in OpenPose."""

from jaxpose.skeletons.face68 import FACE68
from jaxpose.skeletons.skeleton import Skeleton, pairs_by_name

_KEYPOINTS = (*FACE68.keypoints, "right_pupil", "left_pupil")

FACE70 = Skeleton(
    name="face70",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=FACE68.limbs,
    source="Cao et al., OpenPose: Realtime Multi-Person 2D Pose Estimation, TPAMI 2021",
)
