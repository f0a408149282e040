"""Options that the dataset scripts of `jaxpose prepare` share."""

from typing import Annotated

import typer

Processes = Annotated[
    int | None, typer.Option(min=1, help="Number of processes. Default: one per core.")
]
Overwrite = Annotated[bool, typer.Option(help="Replace what this command wrote to --out earlier.")]
Beam = Annotated[
    str | None, typer.Option(help="Run with Apache Beam, with these pipeline options.")
]
