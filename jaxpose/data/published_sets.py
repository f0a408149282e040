"""Table of public datasets in COCO-style files: the skeleton, and what differs from COCO's format.

`jaxpose prepare coco --dataset NAME` reads the files of a dataset by its row. They are the files
that the dataset's authors publish or, where these are not COCO-style JSON (faces, hands, animals),
those that MMPose publishes for it: https://mmpose.readthedocs.io, section "Dataset Zoo".
"""

from dataclasses import dataclass

from jaxpose import skeletons
from jaxpose.errors import InputError, nearest
from jaxpose.skeletons import Skeleton

PIXELS_PER_SCALE = 200.0
"""Side in pixels of the square of a `center` with `scale` 1, a unit that comes from MPII."""

SQUARE = "center and scale"


@dataclass(frozen=True)
class Entries:
    """Entries of an annotation that describe one instance.

    Attributes:
      keypoints: names of the lists of (x, y, flag) that, joined, are the keypoints.
      box: name of the box (x, y, width, height), or `SQUARE` for the square by `center` and
        `scale`, which is not clipped to the image.
      labelled: those of `keypoints` whose flag only distinguishes labelled points (above 0) from
        others; labelled ones are stored as visible.
      valid: name of the entry that is false where the instance is not annotated.
      part: name of the instance among several of one annotation, for messages.
    """

    keypoints: tuple[str, ...] = ("keypoints",)
    box: str = "bbox"
    labelled: tuple[str, ...] = ()
    valid: str = ""
    part: str = ""


COCO_ENTRIES = (Entries(),)
_LABELLED = (Entries(labelled=("keypoints",)),)
_FACE_SQUARE = (Entries(box=SQUARE, labelled=("keypoints",)),)


@dataclass(frozen=True)
class PublishedSet:
    """Layout of a dataset's annotation files.

    Attributes:
      skeleton: keypoints in the order of the file.
      entries: the instances of an annotation.
      first_pixel: coordinate of the first pixel's centre: 0, or 1 as in MATLAB.
      named: whether the names of the file's categories, if any, are those of the keypoints.
      whole: whether an annotation's `area` and `segmentation` are those of the instance.
      longer: numbers of keypoints of files that have more of them after the skeleton's, which are
        not read.
      rooted: whether names of images begin with "/", although they are relative to the folder.
    """

    skeleton: Skeleton
    entries: tuple[Entries, ...] = COCO_ENTRIES
    first_pixel: int = 0
    named: bool = True
    whole: bool = True
    longer: tuple[int, ...] = ()
    rooted: bool = False


_WHOLEBODY_PARTS = ("face_kpts", "lefthand_kpts", "righthand_kpts")
_WHOLEBODY = (Entries(("keypoints", "foot_kpts", *_WHOLEBODY_PARTS), labelled=_WHOLEBODY_PARTS),)

PUBLISHED: dict[str, PublishedSet] = {
    # People.
    "coco_wholebody": PublishedSet(skeletons.COCO_WHOLEBODY133, _WHOLEBODY),
    "ubody": PublishedSet(skeletons.COCO_WHOLEBODY133, _WHOLEBODY, rooted=True),
    "halpe": PublishedSet(skeletons.HALPE136),
    "halpe26": PublishedSet(skeletons.HALPE26, longer=(136,)),
    "crowdpose": PublishedSet(skeletons.CROWDPOSE14),
    "aic": PublishedSet(skeletons.AIC14),
    "jhmdb": PublishedSet(skeletons.JHMDB15, first_pixel=1),
    "posetrack18": PublishedSet(skeletons.POSETRACK17, _LABELLED),
    "humanart": PublishedSet(skeletons.COCO17),
    "humanart21": PublishedSet(skeletons.HUMANART21, (Entries(("keypoints_21",)),)),
    "ochuman": PublishedSet(skeletons.COCO17),
    # Faces.
    "coco_wholebody_face": PublishedSet(
        skeletons.FACE68,
        (Entries(("face_kpts",), "face_box", ("face_kpts",), "face_valid"),),
        named=False,
        whole=False,
    ),
    "300w": PublishedSet(skeletons.FACE68, _FACE_SQUARE),
    "wflw": PublishedSet(skeletons.FACE98, _FACE_SQUARE),
    "aflw": PublishedSet(skeletons.AFLW19, _FACE_SQUARE),
    "cofw": PublishedSet(skeletons.COFW29),
    "lapa": PublishedSet(skeletons.FACE106),
    # Hands.
    "coco_wholebody_hand": PublishedSet(
        skeletons.HAND21,
        tuple(
            Entries((f"{hand}_kpts",), f"{hand}_box", (f"{hand}_kpts",), f"{hand}_valid", hand)
            for hand in ("lefthand", "righthand")
        ),
        named=False,
        whole=False,
    ),
    "onehand10k": PublishedSet(skeletons.HAND21, _LABELLED),
    "freihand": PublishedSet(skeletons.HAND21, _LABELLED),
    "panoptic_hand": PublishedSet(skeletons.HAND21, _LABELLED),
    # The file lists fingers from the tip, under names that begin at the palm.
    "rhd": PublishedSet(skeletons.RHD21, _LABELLED, named=False),
    # Animals.
    "ap10k": PublishedSet(skeletons.AP10K17),
    "animalpose": PublishedSet(skeletons.ANIMALPOSE20),
    "animal_kingdom": PublishedSet(skeletons.ANIMAL_KINGDOM23, _LABELLED),
    "macaque": PublishedSet(skeletons.COCO17),
    "atrw": PublishedSet(skeletons.ATRW15),
    "horse10": PublishedSet(skeletons.HORSE22),
    "fly": PublishedSet(skeletons.FLY32),
    "locust": PublishedSet(skeletons.LOCUST35),
    "zebra": PublishedSet(skeletons.ZEBRA9),
    # Clothes.
    "deepfashion_full": PublishedSet(skeletons.DEEPFASHION_FULL8),
    "deepfashion_upper": PublishedSet(skeletons.DEEPFASHION_UPPER6),
    "deepfashion_lower": PublishedSet(skeletons.DEEPFASHION_LOWER4),
    "deepfashion2": PublishedSet(skeletons.DEEPFASHION2_294),
}
"""Layouts by the names of `--dataset`."""


def published_key(name: str) -> str:
    """Key of a dataset in `PUBLISHED`; case, `-`, `_`, `.` and spaces do not matter.

    Raises:
      InputError: there is no such dataset; the message has the nearest name and lists all.
    """
    plain = {_plain(key): key for key in PUBLISHED}
    if _plain(name) in plain:
        return plain[_plain(name)]
    raise InputError(
        f"--dataset {name!r} is none of {', '.join(PUBLISHED)}.{nearest(name.lower(), PUBLISHED)}"
    )


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
