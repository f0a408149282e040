"""`jaxpose doctor` has no options; what it does is in `cli.doctor`."""

import typer


def doctor() -> None:
    """Show devices, versions, speed, and what is missing."""
    from jaxpose.cli.doctor import doctor as examine

    raise typer.Exit(examine())
