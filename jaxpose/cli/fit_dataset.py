"""`jaxpose fit` of a prepared dataset: bodies as labels for the training of models of meshes."""

from rich.progress import Progress

from jaxpose.bodies import read_body
from jaxpose.bodies.labels import fit_labels
from jaxpose.bodies.learnt_prior import read_prior
from jaxpose.cli.fit_command import Fit
from jaxpose.cli.fit_settings import check_gender_option, fitting_of
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, print_counts
from jaxpose.data.source import Records
from jaxpose.errors import InputError


def fit_dataset(options: Fit) -> int:
    """Fits the free body, or that of `--body`, to each person of one split, and writes one `.npz`.

    Returns:
      The exit status, as `cli.fit.fit`.

    Raises:
      InputError: no split, several files to write, or options that are for other sources.
    """
    if options.split is None:
        raise InputError(f"{options.source} is a folder: name the --split of the dataset in it.")
    out = options.out[0]
    if len(options.out) > 1 or out.suffix.lower() != ".npz":
        raise InputError("Bodies of a dataset are labels: give one .npz to write.")
    for name in ("image", "only", "track", "frame", "skeleton", "size", "hand"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name} is for files of predictions, not for a dataset.")
    check_gender_option(options)
    source = Records(str(options.source), options.split).open()
    settings = fitting_of(options)
    prior = None if options.prior is None else read_prior(options.prior)
    file = None
    if options.body is not None:  # without expressions, which no network gives
        file = read_body(options.body, expressions=0, gender=options.gender)
    console = PlainConsole()
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("people", total=len(source))
        done = fit_labels(
            *(source, out, settings, options.focal, prior),
            on_fitted=lambda people: progress.update(bar, completed=people),
            file=file,
        )
    console.print(f"Written: {out}. Train with LabelledBodies(Records(...), bodies={str(out)!r}).")
    left = len(source) - done
    return print_counts([Counts("people", done, {}, {"fewer than 6 keypoints": left})])
