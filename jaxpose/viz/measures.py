"""Chart of measures over time: curves of angles, and events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jaxpose.viz.figures import new_figure, to_image

_MOST = 6  # largest number of panels
_FEET = {"left": "tab:blue", "right": "tab:orange"}


@dataclass(frozen=True)
class Panel:
    """One person's curves and events.

    Attributes:
      title: text above the panel.
      seconds: times of the curves, `[N]`.
      curves: degrees `[N]` by name.
      events: (kind, second, name of the curve or empty) of each event; kinds as `measure.Event`.
    """

    title: str
    seconds: np.ndarray
    curves: Mapping[str, np.ndarray]
    events: Sequence[tuple[str, float, str]]


def measures_chart(panels: Sequence[Panel]) -> np.ndarray:
    """Draws curves over time, with a dot at each repetition, a tick at each step, a line at a fall.

    Of more than six people, the first six are drawn, which the last title says.

    Returns:
      uint8 RGB `[H, W, 3]`.
    """
    shown = panels[:_MOST]
    figure = new_figure(9.0, 2.6 * max(len(shown), 1))
    grid = figure.subplots(max(len(shown), 1), 1, squeeze=False).ravel()
    for number, (axes, panel) in enumerate(zip(grid, shown, strict=False)):
        for name, values in panel.curves.items():
            axes.plot(panel.seconds, values, linewidth=1.3, label=name)
        for kind, second, name in panel.events:
            if kind == "fall":
                axes.axvline(second, color="tab:red", linewidth=2, label="fall")
            elif kind == "repetition":
                height = np.interp(second, panel.seconds, np.nan_to_num(panel.curves[name]))
                axes.plot(second, height, "o", color="black", ms=4)
            else:
                foot, _, what = kind.partition(" ")
                low, high = (0.0, 0.06) if what == "strike" else (0.0, 0.03)
                axes.axvline(second, low, high, color=_FEET[foot], linewidth=2, label=kind)
        more = f" ({len(shown)} of {len(panels)} people)" if len(panels) > len(shown) else ""
        axes.set_title(panel.title + (more if number == len(shown) - 1 else ""), fontsize=9)
        if panel.curves:
            axes.set_ylabel("degrees", fontsize=9)
        else:
            axes.set_yticks([])
        if len(panel.seconds) > 1:
            axes.set_xlim(panel.seconds[0], panel.seconds[-1])
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3, linewidth=0.6)
        handles, labels = axes.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        if unique:
            axes.legend(
                unique.values(), unique.keys(), fontsize=7, framealpha=0.6, loc="upper right"
            )
    grid[-1].set_xlabel("seconds", fontsize=9)
    return to_image(figure)
