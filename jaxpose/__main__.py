"""`python -m jaxpose` is the command `jaxpose`."""

from jaxpose.cli.main import app

app()
