"""Definition of a skeleton: keypoint names, left/right pairs, limbs, OKS sigmas and colours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from jaxpose.errors import InputError, nearest

RGB = tuple[int, int, int]

# No slash of any system, no control character, no hidden file.
_FILE_NAME = re.compile(r"[^./\\\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]{0,99}")

# Okabe & Ito, "Color Universal Design" (2008): distinct under common colour blindness.
OKABE_ITO: dict[str, RGB] = {
    "orange": (230, 159, 0),
    "sky_blue": (86, 180, 233),
    "bluish_green": (0, 158, 115),
    "yellow": (240, 228, 66),
    "blue": (0, 114, 178),
    "vermillion": (213, 94, 0),
    "reddish_purple": (204, 121, 167),
}
LEFT_RIGHT_CENTRE: tuple[RGB, RGB, RGB] = (
    OKABE_ITO["sky_blue"],
    OKABE_ITO["orange"],
    OKABE_ITO["yellow"],
)


@dataclass(frozen=True)
class Skeleton:
    """Skeleton of K named keypoints, as immutable plain data that can be stored as JSON.

    Lists are accepted for tuples and converted.

    Attributes:
      name: identifies the skeleton in reports and file names, so it may not contain `/`, `\\` or
        control characters, nor begin with a dot.
      keypoints: the K names in the order of the arrays; snake_case, `left_`/`right_` for sides.
      pairs: (left, right) names that are exchanged in a mirrored image; the person's own sides.
      limbs: (from, to) names joined by a line; `to` is the end further from the body's centre.
      upper_body, lower_body: the halves that half-body augmentation chooses from; may be empty.
      sigmas: K standard deviations of OKS, relative to the square root of the object's area
        (COCO's definition), above 0 and at most 1, or None where none are published.
      side_colors: RGB of the left, the right and the centre.
      keypoint_colors: K RGB colours that replace the colouring by side; empty to colour by side.
      source: the paper or the people who defined the skeleton.

    Raises:
      InputError: a name is used twice or unknown, the pairs do not match, a count is wrong.
    """

    name: str
    keypoints: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    limbs: tuple[tuple[str, str], ...] = ()
    upper_body: tuple[str, ...] = ()
    lower_body: tuple[str, ...] = ()
    sigmas: tuple[float, ...] | None = None
    side_colors: tuple[RGB, RGB, RGB] = LEFT_RIGHT_CENTRE
    keypoint_colors: tuple[RGB, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        for field in ("name", "source"):
            if not isinstance(getattr(self, field), str):
                raise self._fault(f"`{field}` must be text, not {getattr(self, field)!r}")
        if not self.name:
            raise self._fault("`name` is empty")
        if not _FILE_NAME.fullmatch(self.name):
            raise self._fault(
                "`name` is used in file names: leave out slashes, control characters and a dot at "
                "the beginning, and use at most 100 characters"
            )
        for field in ("keypoints", "upper_body", "lower_body"):
            object.__setattr__(self, field, self._names(field, getattr(self, field)))
        for field in ("pairs", "limbs"):
            object.__setattr__(self, field, self._name_pairs(field, getattr(self, field)))
        for field in ("side_colors", "keypoint_colors"):
            object.__setattr__(self, field, self._colors(field, getattr(self, field)))
        if self.sigmas is not None:
            object.__setattr__(self, "sigmas", self._sigmas(self.sigmas))
        self._check_names()
        self._check_pairs()

    @property
    def num_keypoints(self) -> int:
        """Number of keypoints, K."""
        return len(self.keypoints)

    @property
    def flip_permutation(self) -> np.ndarray:
        """Source index of each keypoint in a mirrored image, int32 [K]; its own inverse.

        Mirrored keypoints are `keypoints[..., flip_permutation, :]` with x reversed.
        """
        order = np.arange(self.num_keypoints, dtype=np.int32)
        for left, right in self.pairs:
            i, j = self.index(left), self.index(right)
            order[i], order[j] = j, i
        return order

    @property
    def limb_indices(self) -> list[tuple[int, int]]:
        """Limbs as pairs of keypoint indices."""
        return [(self.index(a), self.index(b)) for a, b in self.limbs]

    @property
    def upper_body_mask(self) -> np.ndarray:
        """Boolean [K], True for the keypoints of `upper_body`."""
        return np.array([name in self.upper_body for name in self.keypoints], dtype=bool)

    @property
    def lower_body_mask(self) -> np.ndarray:
        """Boolean [K], True for the keypoints of `lower_body`."""
        return np.array([name in self.lower_body for name in self.keypoints], dtype=bool)

    @property
    def keypoint_palette(self) -> np.ndarray:
        """Colours of the keypoints, uint8 RGB [K, 3]."""
        left_color, right_color, centre = self.side_colors
        sided = {left: left_color for left, _ in self.pairs}
        sided |= {right: right_color for _, right in self.pairs}
        colors = self.keypoint_colors or [sided.get(name, centre) for name in self.keypoints]
        return np.array(colors, dtype=np.uint8).reshape(self.num_keypoints, 3)

    @property
    def limb_palette(self) -> np.ndarray:
        """Colours of the limbs, uint8 RGB [L, 3].

        A limb has the colour of its ends' side; a limb between two sides has the central colour;
        with `keypoint_colors` it has the colour of its outer end.
        """
        keypoints = self.keypoint_palette
        colors = []
        for (a, b), (i, j) in zip(self.limbs, self.limb_indices, strict=True):
            sides = {self.side(a), self.side(b)} - {"centre"}
            if self.keypoint_colors:
                colors.append(keypoints[j])
            elif len(sides) == 1:
                colors.append(keypoints[j if self.side(b) in sides else i])
            else:
                colors.append(np.array(self.side_colors[2], dtype=np.uint8))
        return np.array(colors, dtype=np.uint8).reshape(len(self.limbs), 3)

    def index(self, name: str) -> int:
        """Index of a keypoint; InputError with the nearest name if there is none."""
        try:
            return self.keypoints.index(name)
        except ValueError:
            raise self._unknown(name) from None

    def side(self, name: str) -> Literal["left", "right", "centre"]:
        """Side of the person that a keypoint belongs to; a point without a partner is central."""
        self.index(name)
        for left, right in self.pairs:
            if name == left:
                return "left"
            if name == right:
                return "right"
        return "centre"

    def oks_sigmas(self) -> np.ndarray:
        """Sigmas for OKS, float64 [K]; raises InputError with advice if there are none."""
        if self.sigmas is None:
            raise self._fault(
                "no OKS sigmas are published for this skeleton, so OKS and AP are not defined."
                ' Choose one value for all keypoints, for example sigmas = "uniform:0.05" in the'
                " skeleton's file or `with_uniform_sigma(0.05)`, or give one value per keypoint"
            )
        return np.array(self.sigmas, dtype=np.float64)

    def with_uniform_sigma(self, value: float) -> Skeleton:
        """Copy with one OKS sigma for all keypoints, which should be reported with scores."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._fault(f"the sigma must be a number, not {value!r}")
        return replace(self, sigmas=(float(value),) * self.num_keypoints)

    def with_sigmas(self, sigmas: float | str | Sequence[float]) -> Skeleton:
        """Copy with other OKS sigmas: one number, `"uniform:0.05"`, or a list of K numbers."""
        if isinstance(sigmas, str):
            kind, _, value = sigmas.partition(":")
            try:
                if kind.strip() != "uniform":
                    raise ValueError
                return self.with_uniform_sigma(float(value))
            except InputError:
                raise
            except ValueError:
                raise self._fault(
                    f"`sigmas` is {sigmas!r}; give a list of {self.num_keypoints} numbers or text"
                    ' such as "uniform:0.05"'
                ) from None
        if isinstance(sigmas, int | float):
            return self.with_uniform_sigma(sigmas)
        values: Any = sigmas.tolist() if isinstance(sigmas, np.ndarray) else sigmas
        return replace(self, sigmas=values)

    def describe_sigmas(self) -> str:
        """Short description for reports: `none`, `uniform 0.05`, or `coco17 (0.025 to 0.107)`."""
        if self.sigmas is None:
            return "none"
        low, high = min(self.sigmas), max(self.sigmas)
        return f"uniform {low:g}" if low == high else f"{self.name} ({low:g} to {high:g})"

    def _fault(self, message: str) -> InputError:
        return InputError(f"skeleton {self.name!r}: {message}.")

    def _unknown(self, name: str, where: str = "") -> InputError:
        place = f" in `{where}`" if where else ""
        hint = nearest(name, self.keypoints)
        return InputError(f"skeleton {self.name!r}: unknown keypoint {name!r}{place}.{hint}")

    def _names(self, field: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise self._fault(f"`{field}` must be a list of names, not {value!r}")
        for name in value:
            if not name.isprintable():
                raise self._fault(f"`{field}` has a name with control characters: {name!r}")
        return tuple(value)

    def _name_pairs(self, field: str, value: Any) -> tuple[tuple[str, ...], ...]:
        if not isinstance(value, list | tuple):
            raise self._fault(f"`{field}` must be a list of pairs of names, not {value!r}")
        for entry in value:
            names = isinstance(entry, list | tuple) and all(isinstance(v, str) for v in entry)
            if not names or len(entry) != 2:
                raise self._fault(f"`{field}` must hold pairs of names; one is {entry!r}")
        return tuple(tuple(entry) for entry in value)

    def _colors(self, field: str, value: Any) -> tuple[tuple[int, ...], ...]:
        if not isinstance(value, list | tuple):
            raise self._fault(f"`{field}` must be a list of RGB colours, not {value!r}")
        expected = 3 if field == "side_colors" else self.num_keypoints
        if len(value) != expected and (value or field == "side_colors"):
            raise self._fault(f"`{field}` has {len(value)} colours; {expected} are needed")
        for color in value:
            levels = color if isinstance(color, list | tuple) else ()
            plain = all(isinstance(v, int) and 0 <= v <= 255 for v in levels)
            if len(levels) != 3 or not plain:
                raise self._fault(
                    f"`{field}` must hold triples of whole numbers 0-255, not {color!r}"
                )
        return tuple(tuple(color) for color in value)

    def _sigmas(self, value: Any) -> tuple[float, ...]:
        if not isinstance(value, list | tuple):
            raise self._fault(f"`sigmas` must be a list of numbers, not {value!r}")
        if len(value) != self.num_keypoints:
            raise self._fault(f"{len(value)} sigmas for {self.num_keypoints} keypoints")
        for name, sigma in zip(self.keypoints, value, strict=True):
            number = isinstance(sigma, int | float) and not isinstance(sigma, bool)
            if not number or not 0 < sigma <= 1:
                raise self._fault(
                    f"the sigma of {name!r} is {sigma!r}; it must be above 0 and at most 1 (a "
                    "fraction of the object's size; COCO's are 0.025 to 0.107)"
                )
        return tuple(float(sigma) for sigma in value)

    def _check_names(self) -> None:
        if not self.keypoints:
            raise self._fault("`keypoints` is empty")
        for field in ("keypoints", "upper_body", "lower_body"):
            twice = _repeated(getattr(self, field))
            if twice:
                raise self._fault(f"{twice[0]!r} occurs twice in `{field}`")
        for field in ("upper_body", "lower_body"):
            for name in getattr(self, field):
                if name not in self.keypoints:
                    raise self._unknown(name, field)
        both = set(self.upper_body) & set(self.lower_body)
        if both:
            raise self._fault(f"{min(both)!r} is in `upper_body` and in `lower_body`")
        for a, b in self.limbs:
            for name in (a, b):
                if name not in self.keypoints:
                    raise self._unknown(name, f"limbs: {a}, {b}")
            if a == b:
                raise self._fault(f"a limb joins {a!r} to itself")

    def _check_pairs(self) -> None:
        for left, right in self.pairs:
            for name in (left, right):
                if name not in self.keypoints:
                    raise self._unknown(name, f"pairs: {left}, {right}")
            if left == right:
                raise self._fault(f"{left!r} is paired with itself")
            if left.startswith("right_") or right.startswith("left_"):
                raise self._fault(f"pair ({left}, {right}) is the wrong way round: left is first")
        members = [name for pair in self.pairs for name in pair]
        twice = _repeated(members)
        if twice:
            raise self._fault(f"{twice[0]!r} is in two pairs")
        for name in self.keypoints:
            if name.startswith(("left_", "right_")) and name not in members:
                raise self._fault(f"{name!r} is in no pair; mirroring an image needs its partner")


def pairs_by_name(keypoints: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of names with the prefixes `left_` and `right_`, in the order of the left ones.

    A prefixed name without its partner stays unpaired; `Skeleton` reports it.
    """
    names = list(keypoints)
    lefts = [name.removeprefix("left_") for name in names if name.startswith("left_")]
    return tuple((f"left_{name}", f"right_{name}") for name in lefts if f"right_{name}" in names)


def chain(names: Sequence[str], *, closed: bool = False) -> tuple[tuple[str, str], ...]:
    """Limbs that join consecutive names, and the last to the first if `closed`."""
    ends = [*names[1:], names[0]] if closed else names[1:]
    return tuple(zip(names, ends, strict=False))


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for i, name in enumerate(names) if name in names[:i]]
