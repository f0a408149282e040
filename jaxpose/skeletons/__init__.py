"""Skeletons as data: keypoint names, left/right pairs, limbs, OKS sigmas, colours."""

from jaxpose.skeletons.aflw19 import AFLW19
from jaxpose.skeletons.aic14 import AIC14
from jaxpose.skeletons.ap10k17 import AP10K17
from jaxpose.skeletons.blazepose33 import BLAZEPOSE33
from jaxpose.skeletons.coco17 import COCO17
from jaxpose.skeletons.coco_wholebody133 import COCO_WHOLEBODY133
from jaxpose.skeletons.cofw29 import COFW29
from jaxpose.skeletons.crowdpose14 import CROWDPOSE14
from jaxpose.skeletons.face68 import FACE68
from jaxpose.skeletons.face98 import FACE98
from jaxpose.skeletons.face106 import FACE106
from jaxpose.skeletons.facemesh468 import FACEMESH468
from jaxpose.skeletons.h36m17 import H36M17
from jaxpose.skeletons.halpe26 import HALPE26
from jaxpose.skeletons.hand21 import HAND21, RHD21
from jaxpose.skeletons.hand_region2 import HAND_REGION2
from jaxpose.skeletons.holistic543 import HOLISTIC543
from jaxpose.skeletons.humaneva15 import HUMANEVA15
from jaxpose.skeletons.load import BUILT_IN, load
from jaxpose.skeletons.lsp14 import LSP14
from jaxpose.skeletons.mapping import union
from jaxpose.skeletons.mpi_inf_3dhp17 import MPI_INF_3DHP17
from jaxpose.skeletons.mpii16 import MPII16
from jaxpose.skeletons.skeleton import Skeleton, pairs_by_name

__all__ = [
    "AFLW19",
    "AIC14",
    "AP10K17",
    "BLAZEPOSE33",
    "BUILT_IN",
    "COCO17",
    "COCO_WHOLEBODY133",
    "COFW29",
    "CROWDPOSE14",
    "FACE68",
    "FACE98",
    "FACE106",
    "FACEMESH468",
    "H36M17",
    "HALPE26",
    "HAND21",
    "HAND_REGION2",
    "HOLISTIC543",
    "HUMANEVA15",
    "LSP14",
    "MPII16",
    "MPI_INF_3DHP17",
    "RHD21",
    "Skeleton",
    "load",
    "pairs_by_name",
    "union",
]
