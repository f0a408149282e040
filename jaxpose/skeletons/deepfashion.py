"""DeepFashion-8, -6 and -4 and DeepFashion2-294: landmarks of clothes.

In DeepFashion, left is the left of a garment that is seen from the front, which is the wearer's
right; in DeepFashion2, whose landmarks have numbers, left and right are the wearer's own. It has
one block of landmarks for each of its 13 categories; an annotation labels those of its category
alone. A pair is named after the smaller of its two numbers.

There are no sigmas: the published metric of DeepFashion is the NME, and MMPose evaluates both by
PCK, AUC and EPE.
"""

from dataclasses import dataclass
from itertools import pairwise

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_SIDES = ("left", "right")
_SOURCE = (
    "Liu et al., DeepFashion: Powering Robust Clothes Recognition and Retrieval with Rich"
    " Annotations, CVPR 2016"
)


def _garment(name: str, parts: tuple[str, ...]) -> Skeleton:
    """Outline of a garment whose landmarks are pairs, from the neck or waist down."""
    keypoints = tuple(f"{side}_{part}" for part in parts for side in _SIDES)
    down = [part for part in parts if part != "sleeve"]
    sleeves = ("sleeve",) if "sleeve" in parts else ()
    return Skeleton(
        name=name,
        keypoints=keypoints,
        pairs=pairs_by_name(keypoints),
        limbs=(
            *((f"left_{part}", f"right_{part}") for part in down),
            *((f"{side}_collar", f"{side}_{part}") for part in sleeves for side in _SIDES),
            *(limb for side in _SIDES for limb in chain([f"{side}_{part}" for part in down])),
        ),
        source=_SOURCE,
    )


DEEPFASHION_FULL8 = _garment("deepfashion_full8", ("collar", "sleeve", "waistline", "hem"))
DEEPFASHION_UPPER6 = _garment("deepfashion_upper6", ("collar", "sleeve", "hem"))
DEEPFASHION_LOWER4 = _garment("deepfashion_lower4", ("waistline", "hem"))


@dataclass(frozen=True)
class _Category:
    """Landmarks of one category, by the dataset's numbers, which begin at 1.

    Attributes:
      count: number of landmarks.
      outline: first and last number of the outline that runs from one side over the hem to the
        other: the first and last are partners, the second and last but one, ...
      partners: the other numbers of the wearer's right side, with their partners.
      paths: joined numbers of the right side, the left side being the mirror image.
    """

    count: int
    outline: tuple[int, int]
    partners: dict[int, int]
    paths: tuple[tuple[int, ...], ...]

    def partner(self, number: int) -> int:
        """Number of the partner; the number itself for a central landmark."""
        both = self.partners | {j: i for i, j in self.partners.items()}
        first, last = self.outline
        return both.get(number, first + last - number if first <= number <= last else number)


def _worn_on_top(count: int, straps: bool = False) -> _Category:
    middle = (7 + count) // 2
    outline = (1, 2, *range(8 if straps else 7, middle + 1))
    paths = (outline, (2, 3, 4), *(((2, 7),) if straps else ()))
    return _Category(count, (7, count), {2: 6, 3: 5}, paths)


def _worn_below(count: int) -> _Category:
    return _Category(count, (4, count), {1: 3}, ((2, 1, *range(4, (4 + count) // 2 + 1)),))


# In the order of the dataset. An outwear is open in front: its two front edges follow the outline.
_CATEGORIES = {
    "short_sleeve_top": _worn_on_top(25),
    "long_sleeve_top": _worn_on_top(33),
    "short_sleeve_outwear": _Category(
        *(31, (7, 25), {2: 26, 3: 5, 4: 6, 16: 29, 30: 27, 31: 28}),
        ((1, 4, *range(7, 17), 31, 30, 2, 3, 4),),
    ),
    "long_sleeve_outwear": _Category(
        *(39, (7, 33), {2: 6, 3: 5, 4: 34, 20: 37, 38: 35, 39: 36}),
        ((1, 2, *range(7, 21), 39, 38, 4, 3, 2),),
    ),
    "vest": _worn_on_top(15),
    "sling": _worn_on_top(15, straps=True),
    "shorts": _worn_below(10),
    "trousers": _worn_below(14),
    "skirt": _worn_below(8),
    "short_sleeve_dress": _worn_on_top(29),
    "long_sleeve_dress": _worn_on_top(37),
    "vest_dress": _worn_on_top(19),
    "sling_dress": _worn_on_top(19, straps=True),
}


def _name(category: str, number: int) -> str:
    """Name of a landmark; the one of a pair that `partners` or the outline lists first is right."""
    layout = _CATEGORIES[category]
    partner = layout.partner(number)
    if partner == number:
        return f"{category}_{number}"
    right = number in layout.partners or (partner not in layout.partners and number < partner)
    return f"{'right' if right else 'left'}_{category}_{min(number, partner)}"


_LANDMARKS = tuple(
    _name(category, number)
    for category, layout in _CATEGORIES.items()
    for number in range(1, layout.count + 1)
)
_LIMBS = (
    (_name(category, side(a)), _name(category, side(b)))
    for category, layout in _CATEGORIES.items()
    for path in layout.paths
    for side in (int, layout.partner)
    for a, b in pairwise(path)
)

DEEPFASHION2_294 = Skeleton(
    name="deepfashion2_294",
    keypoints=_LANDMARKS,
    pairs=pairs_by_name(_LANDMARKS),
    limbs=tuple(dict.fromkeys(_LIMBS)),
    source=(
        "Ge et al., DeepFashion2: A Versatile Benchmark for Detection, Pose Estimation,"
        " Segmentation and Re-Identification of Clothing Images, CVPR 2019"
    ),
)
