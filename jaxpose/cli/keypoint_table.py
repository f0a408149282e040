"""Table of the figures of each keypoint, for the terminal."""

import math

from rich.table import Table

from jaxpose.metrics.per_keypoint import PerKeypoint


def keypoint_table(figures: PerKeypoint) -> Table:
    """Table with a row for each keypoint; a dash stands for nothing to measure."""
    table = Table(
        "keypoint",
        *(("labelled", "found", "error", "OKS", "PCK")),
        title="per keypoint",
        caption=f"error: median, sides of the person's box; PCK: {figures.pck_of}",
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for row in figures.rows:
        numbers = [_shown(value) for value in (row.error, row.oks, row.pck)]
        table.add_row(row.name, f"{row.labelled:,}", f"{row.found:,}", *numbers)
    return table


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
