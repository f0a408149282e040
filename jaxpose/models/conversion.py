"""Types of the conversion tables: rules for arrays, and the names that a project gives them.

A family of models declares its tables with these, beside its constructors; `jaxpose.convert`
applies them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import flax.linen as nn
import numpy as np

Transform = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Resize:
    """A project's way to resize position embeddings to another grid.

    Attributes:
      method: interpolation between positions.
      antialias: widen the kernel where the grid shrinks, as Pillow does.
      offset: number added to the new grid's height and width when the scale is computed.
    """

    method: Literal["bicubic", "bilinear"] = "bicubic"
    antialias: bool = False
    offset: float = 0.0


@dataclass(frozen=True)
class Rule:
    r"""Target and change of layout for the source keys that match `pattern`.

    Attributes:
      pattern: regular expression for the whole key; its named groups may be used in `target`.
      target: path of a model leaf, such as `"params/head/final/{name}"`; None drops the key, for
        values that the model does not use.
      transform: source array to the model's layout.
      stack: name of the group that numbers the layers: the arrays of all layers are stacked on a
        new leading axis. `""` for none.
      first: number of the stack's first layer.
      join: name of the group that distinguishes the parts of one leaf, such as query, key and value
        of a fused projection: the parts are concatenated. `""` for none.
      join_order: every value of the `join` group, in order.
      join_axis: axis of concatenation, after `transform` and before stacking.
      reason: reason why the model does not use a dropped key.
      numbers: all values that a dropped key may have, for constants that are part of the model's
        code here; empty for any. A key with another value does not fit.
      value: array that a dropped key must have, for constants that are part of the model's code
        here; None for any. A key with another array does not fit.
      folded_epsilon: for the bias of a convolution into which a batch norm of this epsilon may
        have been folded. The target is the norm's bias, or the bias of the convolution beside the
        norm. If the source has no other array of the norm, the norm's other arrays get values with
        which it changes nothing (scale 1, bias and mean 0, variance 1 - epsilon).
      copies: several keys may hold the same array, as PyTorch writes shared parameters.
    """

    pattern: str
    target: str | None
    transform: Transform = np.asarray
    stack: str = ""
    join: str = ""
    join_order: tuple[str, ...] = ()
    join_axis: int = 0
    reason: str = ""
    numbers: tuple[float, ...] = ()
    folded_epsilon: float | None = None
    copies: bool = False
    first: int = 0
    value: np.ndarray | None = field(default=None, compare=False)


Tables = Mapping[type[nn.Module], Callable[[Any], list[Rule]]]
"""Map from each class of modules to the function from a module to its rules."""


@dataclass(frozen=True)
class Format:
    """Names that one project gives the arrays of its checkpoints.

    Attributes:
      name: name of the project, for messages.
      marker: regular expression that some key matches if the checkpoint has this format.
      also: regular expression that another key matches, too; `""` for none.
      head: regular expression for the keys of the head, for poses or for ImageNet, and of the
        layers between it and the backbone; `""` where the project's checkpoints have none.
      head_is_rest: True where layers have numbers across the whole network, so that no expression
        distinguishes a head's from a backbone's: the head's keys are all that the backbone does
        not use.
      tables: the table for each class of backbones, necks and heads.
      purpose: task of the project's models: poses, detection of boxes, ImageNet's classes (a
        backbone without a pose head), actions of skeletons, or meshes.
      positions: key of a ViT's position embedding, `[1, N, D]`; `""` for none.
      class_slot: treatment of the first position embedding, a class token's, where there is one
        more than the patches: "dropped" with the token, or "added" to all the others.
      class_token: key of a ViT's class token, to which its position is added for a model that keeps
        the token but has no position for it; `""` for none.
      resize: the project's way to resize position embeddings.
      naflex: key of a patch embedding that is a matrix in models for images of any aspect (NaFlex,
        arXiv:2502.14786), whose positions are resized bilinearly with antialiasing; `""` for none.
      periods: key of the periods of a rotary position embedding, which are computed here; `""` for
        none.
      infer: function from the renamed arrays and the image size (None if not known) to the backbone
        that they are from; None where only published models are known.
      unpack: function that separates packed arrays, applied after `renames`; None for none.
      renames: patterns of keys and their replacements, applied before anything else, for projects
        that differ from another one in names only.
      rules: rules that apply to every model.
      dataset: dataset of all heads that the project publishes; `""` if there are several.
      licence: licence under which the project publishes all of its weights, for projects whose
        licence also applies to converted weights; `""` if the file decides.
    """

    name: str
    marker: str
    head: str
    tables: Tables
    purpose: Literal["poses", "detection", "classification", "actions", "meshes"] = "poses"
    positions: str = ""
    class_slot: Literal["none", "dropped", "added"] = "none"
    also: str = ""
    class_token: str = ""
    resize: Resize = Resize()
    naflex: str = ""
    periods: str = ""
    infer: Callable[[Mapping[str, np.ndarray], tuple[int, int] | None], Any] | None = None
    unpack: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] | None = None
    renames: tuple[tuple[str, str], ...] = ()
    rules: tuple[Rule, ...] = ()
    dataset: str = ""
    licence: str = ""
    head_is_rest: bool = False

    def renamed(self, state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the arrays under the names that the tables use."""
        renamed = {}
        for key, array in state_dict.items():
            for pattern, replacement in self.renames:
                key = re.sub(pattern, replacement, key)
            renamed[key] = array
        return renamed if self.unpack is None else self.unpack(renamed)

    @property
    def only_backbone(self) -> bool:
        """True if the project's checkpoints have no pose head."""
        return self.purpose == "classification"

    @property
    def own(self) -> bool:
        """True if keys are paths of this library's variables, which need no table."""
        return not self.tables
