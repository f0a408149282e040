"""placeholder"""
from jaxpose.skeletons.skeleton import Skeleton
FACEMESH468 = Skeleton(name="facemesh468", keypoints=tuple(f"face_{i}" for i in range(468)))
