"""Figures: a panel per task and metric with the methods side by side, or curves over steps or labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .columns import values
from .records import Record, by_job
from .statistics import bootstrap_interval, interquartile_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Panel", "common_curve", "empty_figure", "plot", "plot_curves", "save_figure"]

# Okabe and Ito's palette, distinguishable with the common colour vision deficiencies.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_CURVE_POINTS = 100
_HEADROOM = 1.08


@dataclass(frozen=True)
class Panel:
    """A metric and the label of its axis."""

    metric: str
    label: str
    mark: tuple[str, str] | None = None
    """metric and name of a dashed line, such as the exact optimum of the task"""


def plot(
    records: Sequence[Record], panels: Sequence[Panel], path: Path, most_columns: int | None = None
) -> None:
    """Write a figure with a column per task and a row per panel: IQM, its 95% interval and a dot per seed.

    Tasks beyond ``most_columns`` go into further rows.
    """
    good = [record for record in records if record.ok]
    tasks = _names(record.task for record in good)
    colours = _colours(good)
    columns = min(len(tasks), most_columns or len(tasks))
    lines = [tasks[first : first + columns] for first in range(0, len(tasks), columns)]
    rows = [(line, panel) for line in lines for panel in panels]
    figure, grid = empty_figure(len(rows), columns)
    for (line, panel), row in zip(rows, grid, strict=True):
        for task, axes in zip(line, row, strict=False):
            _draw_methods(axes, [record for record in good if record.task == task], panel, colours)
            axes.set_title(task, pad=12)
        row[0].set_ylabel(panel.label)
        for axes in row[len(line) :]:
            axes.set_visible(False)
    save_figure(figure, path)


def plot_curves(records: Sequence[Record], x: str, y: Panel, path: Path, x_label: str) -> None:
    """Write a figure with a column per task: IQM over seeds and 95% band of each method's curve.

    ``x`` and ``y.metric`` are keys of the curves' points; records without a curve are left out.
    """
    from matplotlib.ticker import EngFormatter

    good = [record for record in records if record.ok and record.curve]
    tasks = _names(record.task for record in good)
    colours = _colours(good)
    figure, grid = empty_figure(1, len(tasks))
    for task, axes in zip(tasks, grid[0], strict=True):
        for group in by_job(record for record in good if record.task == task).values():
            _draw_curve(axes, group, x, y.metric, colours[group[0].method])
        axes.set(title=task, xlabel=x_label)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.legend(frameon=False)
    grid[0][0].set_ylabel(y.label)
    save_figure(figure, path)


def common_curve(
    records: Sequence[Record], x: str, y: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points that all seeds cover, shape (P,), and each seed's linearly interpolated values there, (seeds, P)."""
    curves = [
        (np.array([point[x] for point in record.curve]), np.array([point[y] for point in record.curve]))
        for record in records
    ]
    start, end = max(xs[0] for xs, _ in curves), min(xs[-1] for xs, _ in curves)
    points = np.linspace(start, end, _CURVE_POINTS)
    return points, np.stack([np.interp(points, xs, ys) for xs, ys in curves])


def _draw_methods(axes: Axes, records: Sequence[Record], panel: Panel, colours: dict[str, str]) -> None:
    metric = panel.metric
    groups = [group for group in by_job(records).values() if len(values(group, metric))]
    for place, group in enumerate(groups):
        scores, colour = values(group, metric), colours[group[0].method]
        low, high = bootstrap_interval([scores])
        axes.vlines(place, low, high, color=colour, alpha=0.35, linewidth=9)
        axes.hlines(float(interquartile_mean(scores)), place - 0.2, place + 0.2, color=colour, linewidth=2.5)
        axes.scatter(place + _spread(len(scores)), scores, color=colour, edgecolor="white", s=26, zorder=3)
    axes.set_xticks(range(len(groups)), [_wrapped(group[0].method) for group in groups])
    axes.set_xlim(-0.6, len(groups) - 0.4)
    if panel.mark is not None:
        _draw_mark(axes, values(records, panel.mark[0]), panel.mark[1])
    if len(groups) and values(records, metric).min() >= 0:
        axes.set_ylim(0, _HEADROOM * axes.dataLim.y1 or 1)


def _draw_mark(axes: Axes, heights: NDArray[np.float64], name: str) -> None:
    for height in np.unique(heights):
        axes.axhline(height, color="#555555", linewidth=1, linestyle="--", zorder=1)
        end = (axes.get_xlim()[1], height)
        axes.annotate(
            name, end, (0, 2), "data", "offset points", ha="right", va="bottom", color="#555555", fontsize=8
        )


def _draw_curve(axes: Axes, group: Sequence[Record], x: str, y: str, colour: str) -> None:
    points, seeds = common_curve(group, x, y)
    bands = np.array([bootstrap_interval([column], resamples=1000) for column in seeds.T])
    axes.plot(points, interquartile_mean(seeds.T), color=colour, linewidth=2, label=group[0].method)
    axes.fill_between(points, bands[:, 0], bands[:, 1], color=colour, alpha=0.2, linewidth=0)


def _spread(count: int) -> NDArray[np.float64]:
    """Horizontal offsets that keep equal scores apart."""
    return np.linspace(-0.12, 0.12, count) if count > 1 else np.zeros(1)


def _wrapped(method: str) -> str:
    first, _, rest = method.partition("-")
    return f"{first}\n{rest.replace('-', ' ')}"


def _names(names: Any) -> list[str]:
    """Each name once, in order; raises ValueError when there are none."""
    found = list(dict.fromkeys(names))
    if not found:
        raise ValueError("there is nothing to draw: no job has a result; run the suite first")
    return found


def _colours(records: Sequence[Record]) -> dict[str, str]:
    methods = _names(record.method for record in records)
    return {method: _COLOURS[place % len(_COLOURS)] for place, method in enumerate(methods)}


def empty_figure(rows: int, columns: int, size: tuple[float, float] | None = None) -> tuple[Figure, Any]:
    """A figure that needs no display, and its axes, shape (rows, columns); ``size`` in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size or (4.2 * columns, 3.3 * rows), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e6e6")
        axes.set_axisbelow(True)
    return figure, grid


def save_figure(figure: Figure, path: Path) -> None:
    """Write the figure without metadata that changes from run to run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
