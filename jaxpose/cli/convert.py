"""`jaxpose convert`: a checkpoint of another project, or a run, into a release folder."""

from pathlib import Path

import jax

from jaxpose.console import PlainConsole
from jaxpose.convert.reading import RELEASE
from jaxpose.convert.release import CONFIG, check_free
from jaxpose.counts import Counts, print_counts
from jaxpose.download.fetch import local
from jaxpose.errors import InputError
from jaxpose.hub.catalogue import weights_in
from jaxpose.hub.convert_options import ConvertOptions
from jaxpose.hub.from_checkpoint import release_checkpoint, release_run
from jaxpose.hub.hugging_face import PREFIX, check_model, fetch_repository, is_model_folder
from jaxpose.hub.load import Checkpoint, weights
from jaxpose.paths import as_path, in_bucket
from jaxpose.train.run_dir import load_run


def convert(
    source: str | Path,
    out: Path,
    options: ConvertOptions,
    *,
    checkpoint: Checkpoint = "best",
    trust_recipe: bool = False,
) -> int:
    """Writes the release folder `out` from a checkpoint or a run directory.

    The arrays of the checkpoint are counted: used, or left out by reason. Those that are left out
    are no fault, since arrays that the model does not use are an error.

    Args:
      source: its path, a run in a bucket too, the `https://` address of a checkpoint, or
        `hf:ORG/REPO`.
      out: the folder to write.
      options: how.
      checkpoint: of a run: the best on held-out data, or the last.
      trust_recipe: run code that came with a run.

    Returns:
      The exit status, 0.

    Raises:
      InputError: as the functions of `jaxpose.convert` and `weights.local`, and if `out` exists.
    """
    check_free(out, options.overwrite)
    if str(source).startswith(PREFIX):
        source = fetch_repository(str(source))
    path = as_path(source) if in_bucket(source) else local(source)
    console, table = PlainConsole(), None
    if (path / "checkpoints").is_dir():
        run = load_run(path, checkpoint, trust_recipe=trust_recipe, weights=weights)
        release_run(run, out, options.overwrite, options.half)
        counts = [Counts("arrays", len(jax.tree.leaves(run.variables)))]
    elif is_model_folder(path):
        check_model(path)
        table, counts = release_checkpoint(path, out, options)
    elif (path / RELEASE).is_file() and (path / CONFIG).is_file() and not options.model:
        raise InputError(
            f"{source} is a release already: `jaxpose predict --from {source}` and "
            f"`jaxpose train --set init_from={source}` take it as it is."
        )
    elif path.is_dir():
        raise InputError(
            f"{source} is a folder without a run, a release or a checkpoint that this command "
            f"reads; a checkpoint is given as the path of its file.{weights_in(path)}"
        )
    else:
        table, counts = release_checkpoint(path, out, options)
    if table is not None:
        console.print(table)
    console.print(f"Written to {out}: model.safetensors, config.json, README.md")
    return print_counts(counts, console)
