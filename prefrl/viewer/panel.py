"""The panel beside the clips: how the labelling goes, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from prefrl.viewer.drawing import BLUE, FAINT, GRID, INK, SHADE, Box, text_width, wrap, write

__all__ = ["LabellingStats", "draw_panel"]

_SAMPLES = 2
_VALUE_EMS = 1.25
_MOST_LINES = 3


@dataclass(frozen=True)
class LabellingStats:
    """What the panel shows; None where it is not known yet."""

    mine: int
    """labels given at this window"""
    given: int
    """labels given by all"""
    due: int
    """labels due by now"""
    budget: int
    """labels in all"""
    minute_rate: float | None
    """labels a minute, at this window"""
    learned_s: float | None
    """seconds since the last label reached the reward model"""
    accuracies: tuple[float, ...]
    """held-out accuracy of the versions of the reward, in [0, 1]"""
    policy: str
    """what the policy is doing"""
    step: int
    steps: int
    true_return: float | None = None
    """of the newest episodes; for those who may know it"""


def draw_panel(
    figures: LabellingStats, size: tuple[int, int], em: int, is_paused: bool = False
) -> np.ndarray:
    """The panel, shape (height, width, 3) uint8, from ``size``, (width, height), and the height of its text."""
    width, height = size[0] * _SAMPLES, size[1] * _SAMPLES
    em *= _SAMPLES
    sheet = Image.new("RGB", (width, height), SHADE)
    draw = ImageDraw.Draw(sheet)
    draw.line([(0, 0), (0, height)], fill=GRID, width=_SAMPLES)
    left, room, y = em, width - 2 * em, 1.0 * em
    for name, value in _rows(figures, is_paused):
        fits = text_width(value, _VALUE_EMS * em) <= room
        pixels = _VALUE_EMS * em if fits else em
        lines = wrap(value, pixels, room)[:_MOST_LINES]
        if y + (1.2 + 1.4 * len(lines)) * em > height:
            break
        write(draw, left, name, y, FAINT, 0.9 * em, room)
        for line in lines:
            write(draw, left, line, y + 1.05 * em, INK, pixels, room)
            y += 1.25 * pixels
        y += 1.6 * em
    box = (left, round(y + 1.6 * em), width - em, round(min(y + 7 * em, height - em)))
    if len(figures.accuracies) > 1 and box[3] - box[1] > 2 * em:
        write(draw, left, f"held-out accuracy {figures.accuracies[-1]:.0%}", y, FAINT, 0.9 * em, room)
        _draw_curve(draw, figures.accuracies, box)
    return np.asarray(sheet.reduce(_SAMPLES))


def _rows(figures: LabellingStats, is_paused: bool) -> list[tuple[str, str]]:
    left = max(0, figures.budget - figures.given)
    rate = "-" if figures.minute_rate is None else f"{figures.minute_rate:.0f}"
    learned = "not yet" if figures.learned_s is None else f"{_ago(figures.learned_s)} ago"
    rows = [
        ("your labels", f"{figures.mine}"),
        ("given · due · left", f"{figures.given} · {figures.due} · {left}"),
        ("labels a minute", rate),
        ("last label learned", learned),
        ("the agent", f"step {figures.step:,} of {figures.steps:,}"),
        ("it is", "paused" if is_paused else figures.policy),
    ]
    if figures.true_return is not None:
        rows.append(("true return", f"{figures.true_return:,.1f}"))
    return rows


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _draw_curve(draw: ImageDraw.ImageDraw, shares: Sequence[float], box: Box) -> None:
    """Shares from one half up to 1 over the height of the box."""
    left, top, right, bottom = box
    for share in (0.5, 0.75, 1.0):
        y = bottom - (bottom - top) * (share - 0.5) * 2
        draw.line([(left, y), (right, y)], fill=GRID, width=_SAMPLES)
    steps = np.linspace(left, right, len(shares))
    heights = bottom - (bottom - top) * (np.clip(shares, 0.5, 1.0) - 0.5) * 2
    draw.line(list(zip(steps.tolist(), heights.tolist(), strict=True)), fill=BLUE, width=2 * _SAMPLES)
