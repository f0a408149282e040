"""Release folder of a model that regresses bodies or hands, from a published checkpoint."""

from pathlib import Path

from rich.table import Table

from jaxpose.config import to_json
from jaxpose.convert.load import recognise, to_variables
from jaxpose.convert.reading import Weights
from jaxpose.convert.release import Card, save_release
from jaxpose.counts import Counts
from jaxpose.errors import InputError, nearest
from jaxpose.hub.convert_options import ConvertOptions, count_arrays
from jaxpose.hub.hugging_face import source_of
from jaxpose.models.build import count_parameters
from jaxpose.models.published.catalogue import MESH_MODELS
from jaxpose.models.published.record import PublishedMesh
from jaxpose.tasks.meshes.estimator import MeshEstimator

_MEAN = "head.init_{}_pose"  # the mean pose, six numbers for each joint
_KINDS = {"body": "smpl", "hand": "mano"}


def release_mesh_model(
    source: Path, weights: Weights, out: Path, options: ConvertOptions
) -> tuple[Table, list[Counts]]:
    """Write the release of HMR 2.0, HaMeR, or another model with their arrays.

    Returns:
      A table of the release's content, and the counts of the checkpoint's arrays.

    Raises:
      InputError: an option that is for models of keypoints; a name of another model; or as for
        `to_variables` and `save_release`.
    """
    if options.keypoints or options.skeleton or options.input_size or options.reset_head:
        raise InputError(
            f"{source} is a model of meshes, which has no keypoints and one size of input: leave "
            "--keypoints, --skeleton, --input-size and --reset-head out."
        )
    known, arrays = recognise(weights.arrays)
    found = [body for kind, body in _KINDS.items() if _MEAN.format(kind) in arrays]
    entry = _entry(source, options.model, found)
    model = entry.model()
    variables = to_variables(weights.arrays, model, entry.input_hw)
    estimator = MeshEstimator(model, entry.codec, entry.body, entry.padding)
    config = {"name": entry.name, "estimator": to_json(estimator)}
    card = Card(
        entry.name,
        f"{source_of(source)} ({known.name})",
        estimator.describe_input(),
        estimator.skeleton.keypoints,
        published=entry.source,
        takes="bodies",
    )
    save_release(out, variables, config, card, overwrite=options.overwrite, half=options.half)
    counts = count_arrays(weights, model)
    table = Table(show_header=False)
    table.add_row("format", known.name)
    table.add_row("model", entry.name)
    table.add_row("body model", f"{entry.body}, whose file you give with --body")
    table.add_row("parameters", f"{count_parameters(variables) / 1e6:.2f} M")
    table.add_row("arrays", f"{counts.done} used, {counts.given - counts.done} dropped")
    for reason, count in counts.left_out.items():
        table.add_row("", f"{count} dropped: {reason}")
    return table, [counts]


def _entry(source: Path, name: str | None, bodies: list[str]) -> PublishedMesh:
    """Record of the name, or of the only model with one of these body models."""
    fits = [entry for entry in MESH_MODELS if entry.body in bodies and name in (None, entry.name)]
    if fits:
        return fits[0]
    known = [entry.name for entry in MESH_MODELS]
    if not bodies:
        raise InputError(
            f"{source} has no mean pose (init_body_pose or init_hand_pose), which its authors "
            "store with the weights."
        )
    raise InputError(
        f"{source} has the arrays of a model for {bodies[0]}, and {name} is another one."
        f"{nearest(name or '', known)} Known: {', '.join(known)}."
    )
