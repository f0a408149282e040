"""Skeletons as data: keypoint names, left/right pairs, limbs, OKS sigmas, colours."""

from jaxpose.skeletons.aflw19 import AFLW19
from jaxpose.skeletons.aic14 import AIC14
from jaxpose.skeletons.animal_kingdom23 import ANIMAL_KINGDOM23
from jaxpose.skeletons.animalpose20 import ANIMALPOSE20
from jaxpose.skeletons.ap10k17 import AP10K17
from jaxpose.skeletons.atrw15 import ATRW15
from jaxpose.skeletons.blazepose33 import BLAZEPOSE33
from jaxpose.skeletons.coco17 import COCO17
from jaxpose.skeletons.coco_wholebody133 import COCO_WHOLEBODY133
from jaxpose.skeletons.cofw29 import COFW29
from jaxpose.skeletons.crowdpose14 import CROWDPOSE14
from jaxpose.skeletons.deepfashion import (
    DEEPFASHION2_294,
    DEEPFASHION_FULL8,
    DEEPFASHION_LOWER4,
    DEEPFASHION_UPPER6,
)
from jaxpose.skeletons.face68 import FACE68
from jaxpose.skeletons.face70 import FACE70
from jaxpose.skeletons.face98 import FACE98
from jaxpose.skeletons.face106 import FACE106
from jaxpose.skeletons.facemesh468 import FACEMESH468
from jaxpose.skeletons.goliath308 import GOLIATH308
from jaxpose.skeletons.h36m17 import H36M17
from jaxpose.skeletons.halpe26 import HALPE26
from jaxpose.skeletons.halpe136 import HALPE136
from jaxpose.skeletons.hand21 import HAND21, RHD21
from jaxpose.skeletons.hand_region2 import HAND_REGION2
from jaxpose.skeletons.holistic543 import HOLISTIC543
from jaxpose.skeletons.horse22 import HORSE22
from jaxpose.skeletons.humanart21 import HUMANART21
from jaxpose.skeletons.humaneva15 import HUMANEVA15
from jaxpose.skeletons.interhand42 import INTERHAND42
from jaxpose.skeletons.jhmdb15 import JHMDB15
from jaxpose.skeletons.load import BUILT_IN, load
from jaxpose.skeletons.lsp14 import LSP14
from jaxpose.skeletons.mapping import union
from jaxpose.skeletons.mpi_inf_3dhp17 import MPI_INF_3DHP17
from jaxpose.skeletons.mpii16 import MPII16
from jaxpose.skeletons.ntu25 import NTU25
from jaxpose.skeletons.object9 import OBJECT9
from jaxpose.skeletons.openpose import BODY25, OPENPOSE18
from jaxpose.skeletons.posetrack17 import POSETRACK17
from jaxpose.skeletons.seen_from_above import FLY32, LOCUST35, ZEBRA9
from jaxpose.skeletons.skeleton import Skeleton, pairs_by_name
from jaxpose.skeletons.smpl24 import SMPL24
from jaxpose.skeletons.superanimal import SUPERANIMAL_MOUSE27, SUPERANIMAL_QUADRUPED39

__all__ = [
    "AFLW19",
    "AIC14",
    "ANIMALPOSE20",
    "ANIMAL_KINGDOM23",
    "AP10K17",
    "ATRW15",
    "BLAZEPOSE33",
    "BODY25",
    "BUILT_IN",
    "COCO17",
    "COCO_WHOLEBODY133",
    "COFW29",
    "CROWDPOSE14",
    "DEEPFASHION2_294",
    "DEEPFASHION_FULL8",
    "DEEPFASHION_LOWER4",
    "DEEPFASHION_UPPER6",
    "FACE68",
    "FACE70",
    "FACE98",
    "FACE106",
    "FACEMESH468",
    "FLY32",
    "GOLIATH308",
    "H36M17",
    "HALPE26",
    "HALPE136",
    "HAND21",
    "HAND_REGION2",
    "HOLISTIC543",
    "HORSE22",
    "HUMANART21",
    "HUMANEVA15",
    "INTERHAND42",
    "JHMDB15",
    "LOCUST35",
    "LSP14",
    "MPII16",
    "MPI_INF_3DHP17",
    "NTU25",
    "OBJECT9",
    "OPENPOSE18",
    "POSETRACK17",
    "RHD21",
    "SMPL24",
    "SUPERANIMAL_MOUSE27",
    "SUPERANIMAL_QUADRUPED39",
    "ZEBRA9",
    "Skeleton",
    "load",
    "pairs_by_name",
    "union",
]
