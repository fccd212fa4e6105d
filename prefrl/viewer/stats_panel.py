"""The panel of statistics beside a query: labels given and due, the agent's progress, the reward's accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from prefrl.labelling.status import LabellingStats
from prefrl.viewer.drawing import BLUE, FAINT, GRID, INK, SHADE, Box, text_width, wrap, write

__all__ = ["draw_stats_panel"]

_SUPERSAMPLING = 2
_VALUE_EMS = 1.25
_MAX_LINES = 3


def draw_stats_panel(
    stats: LabellingStats, size: tuple[int, int], em: int, is_paused: bool = False
) -> np.ndarray:
    """The panel as a picture.

    Args:
        stats: to show.
        size: width and height of the panel in pixels.
        em: height of the text in pixels.
        is_paused: whether the clips are paused.

    Returns:
        shape (height, width, 3) uint8.
    """
    width, height = size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING
    em *= _SUPERSAMPLING
    sheet = Image.new("RGB", (width, height), SHADE)
    draw = ImageDraw.Draw(sheet)
    draw.line([(0, 0), (0, height)], fill=GRID, width=_SUPERSAMPLING)
    left, room, y = em, width - 2 * em, 1.0 * em
    for name, value in _rows(stats, is_paused):
        fits = text_width(value, _VALUE_EMS * em) <= room
        pixels = _VALUE_EMS * em if fits else em
        lines = wrap(value, pixels, room)[:_MAX_LINES]
        if y + (1.2 + 1.4 * len(lines)) * em > height:
            break
        write(draw, left, name, y, FAINT, 0.9 * em, room)
        for line in lines:
            write(draw, left, line, y + 1.05 * em, INK, pixels, room)
            y += 1.25 * pixels
        y += 1.6 * em
    box = (left, round(y + 1.6 * em), width - em, round(min(y + 7 * em, height - em)))
    if len(stats.accuracies) > 1 and box[3] - box[1] > 2 * em:
        write(draw, left, f"validation accuracy {stats.accuracies[-1]:.0%}", y, FAINT, 0.9 * em, room)
        _draw_accuracies(draw, stats.accuracies, box)
    return np.asarray(sheet.reduce(_SUPERSAMPLING))


def _rows(stats: LabellingStats, is_paused: bool) -> list[tuple[str, str]]:
    """Name and value of each row."""
    left = max(0, stats.budget - stats.given)
    rate = "-" if stats.labels_per_minute is None else f"{stats.labels_per_minute:.0f}"
    updated = "not yet" if stats.reward_age_s is None else f"{_duration(stats.reward_age_s)} ago"
    rows = [
        ("your labels", f"{stats.mine}"),
        ("given · due · left", f"{stats.given} · {stats.due} · {left}"),
        ("labels per minute", rate),
        ("reward updated", updated),
        ("agent", f"step {stats.step:,} of {stats.total_steps:,}"),
        ("clips", "paused") if is_paused else ("agent status", stats.policy),
    ]
    if stats.true_return is not None:
        rows.append(("true return", f"{stats.true_return:,.1f}"))
    return rows


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _draw_accuracies(draw: ImageDraw.ImageDraw, accuracies: Sequence[float], box: Box) -> None:
    """A curve of accuracies; the box spans 0.5 to 1."""
    left, top, right, bottom = box
    for accuracy in (0.5, 0.75, 1.0):
        y = bottom - (bottom - top) * (accuracy - 0.5) * 2
        draw.line([(left, y), (right, y)], fill=GRID, width=_SUPERSAMPLING)
    xs = np.linspace(left, right, len(accuracies))
    ys = bottom - (bottom - top) * (np.clip(accuracies, 0.5, 1.0) - 0.5) * 2
    draw.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=BLUE, width=2 * _SUPERSAMPLING)
