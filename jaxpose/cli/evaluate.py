"""`jaxpose eval`: score a run on held-out people, or any model on data of its kind."""

from jaxpose.cli.evaluate_actions import evaluate_actions
from jaxpose.cli.evaluate_command import Eval
from jaxpose.cli.evaluate_lifter import evaluate_lifter
from jaxpose.cli.evaluate_model import check_options, evaluate_model
from jaxpose.cli.evaluate_refiner import evaluate_refiner
from jaxpose.cli.evaluate_run import evaluate_run
from jaxpose.errors import InputError
from jaxpose.hub.load import load
from jaxpose.paths import as_path

# Options of `evaluate_model`, which a run on its own or prepared data does not have.
_OF_IMAGES = ("boxes", "detector", "skeleton", "metric", "min_box_score")


def evaluate(options: Eval) -> int:
    """Score a run on its own or prepared data, any other model, or any model on `annotations`.

    Returns:
      The exit status: 0, or 1 if a person or box was left out.

    Raises:
      InputError: options that exclude each other, no such model, or as the evaluation.
    """
    if options.annotations is None and (as_path(options.model) / "checkpoints").is_dir():
        for name in _OF_IMAGES:
            if getattr(options, name) not in (None, []):
                raise InputError(
                    f"--{name.replace('_', '-')} is for images with --annotations. Without them a "
                    "run is evaluated as its recipe says: add --annotations FILE and --data "
                    "IMAGES, or leave it out."
                )
        return evaluate_run(options)
    check_options(options)
    if options.body is not None:
        raise InputError("--body is for a run of meshes on its own or prepared data: leave it out.")
    trained = load(options.model, options.checkpoint, trust_recipe=options.trust_recipe)
    if trained.estimator.takes == "tracks":
        return evaluate_lifter(options, trained)
    if trained.estimator.takes == "clips":
        return evaluate_actions(options, trained)
    if trained.estimator.takes == "noisy tracks":
        return evaluate_refiner(options, trained)
    made = {"bodies": "meshes", "surfaces": "surfaces"}.get(trained.estimator.takes)
    if made is not None:
        raise InputError(
            f"{options.model} gives {made}: it is evaluated with its recipe's data, from its run."
        )
    return evaluate_model(options, trained)
