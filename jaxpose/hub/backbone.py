"""Release folder of a backbone: weights that a pose model can start from."""

from pathlib import Path

from rich.table import Table

from jaxpose.config import to_json
from jaxpose.convert.load import recognise, to_variables
from jaxpose.convert.reading import Weights, input_hw_of
from jaxpose.convert.release import Card, save_release
from jaxpose.counts import Counts
from jaxpose.errors import InputError
from jaxpose.hub.convert_options import ConvertOptions, count_arrays, parse_size
from jaxpose.hub.hugging_face import source_of
from jaxpose.models.build import PoseModel, count_parameters
from jaxpose.models.published.large_vit import name_of
from jaxpose.models.token_heads import FeatureHead


def release_backbone(
    source: Path, weights: Weights, out: Path, options: ConvertOptions
) -> tuple[Table, list[Counts]]:
    """Write the release of a vision transformer without a pose head.

    The model is found by the names and the shapes of the arrays; its head, `FeatureHead`, returns
    the features of all tokens.

    Returns:
      A table of the release's content, and the counts of the checkpoint's arrays.

    Raises:
      InputError: an option is for pose models; as for `to_variables` and `save_release`.
    """
    if options.keypoints or options.skeleton or options.reset_head:
        raise InputError(
            f"{source} is a backbone, which has no keypoints: leave --keypoints, --skeleton and "
            "--reset-head out, or name a pose model that starts from it (--model NAME)."
        )
    known, state_dict = recognise(weights.arrays)
    assert known.infer is not None
    size = parse_size(options.input_size) if options.input_size else input_hw_of(source)
    vit = known.infer(state_dict, size)
    model = PoseModel(vit, FeatureHead())
    variables = to_variables(weights.arrays, model, size)
    name = name_of(vit) or "vit"
    height, width = vit.input_hw
    config = {"name": name, "estimator": None, "num_keypoints": 0, "model": to_json(model)}
    card = Card(
        name,
        f"{source_of(source)} ({known.name})",
        f"RGB, {width} x {height} pixels (width x height)",
        ("none: a backbone that pose models start from (init_from, reset_head=true)",),
    )
    save_release(out, variables, config, card, overwrite=options.overwrite, half=options.half)
    counts = count_arrays(weights, model)
    table = Table(show_header=False)
    table.add_row("format", known.name)
    table.add_row("backbone", name)
    shape = f"{vit.depth} blocks of width {vit.dim}, {vit.heads} heads"
    table.add_row("shape", f"{shape}, patches of {vit.patch} pixels")
    table.add_row("parameters", f"{count_parameters(variables) / 1e6:.2f} M")
    table.add_row("input", f"{width} x {height} pixels")
    table.add_row("arrays", f"{counts.done} used, {counts.given - counts.done} dropped")
    for reason, count in counts.left_out.items():
        table.add_row("", f"{count} dropped: {reason}")
    return table, [counts]
