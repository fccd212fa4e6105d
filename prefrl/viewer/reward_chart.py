"""Draws an agent acting: the environment's frame beside a chart of predicted and true reward.

Pure functions of numpy arrays, drawn with Pillow. Markers tell the curves apart without colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from prefrl.viewer.axis import INTERVALS, Axis
from prefrl.viewer.drawing import BLUE, FAINT, GRID, INK, PAPER, VERMILION, Box, Colour, text_width, write

__all__ = ["Curve", "Episode", "draw_picture", "shrink"]

_PREDICTED = VERMILION
_TRUE = BLUE

_SUPERSAMPLING = 2
"""everything is drawn larger by this factor, per axis, and averaged: Pillow does not antialias lines"""
_TEXT_PIXELS = (10, 30)
"""smallest and largest height of the text"""
_MIN_CHART_EMS = 12
"""a chart narrower than this, in heights of its text, is left out"""
_MIN_WIDE_RATIO = 1.3
"""frame and chart are side by side from this ratio of width to height"""


@dataclass(frozen=True)
class Curve:
    """A reward over the steps of an episode so far."""

    values: np.ndarray
    """shape (S,), S at least 1"""
    axis: Axis
    """spans all values"""


@dataclass(frozen=True)
class Episode:
    """The curves of one episode."""

    caption: str
    predicted: Curve
    true: Curve
    horizon_steps: int
    """right end of the chart, at least S"""


def draw_picture(frame: np.ndarray, episode: Episode, size: tuple[int, int]) -> np.ndarray:
    """Frame and chart, side by side if the picture is wide, else one below the other.

    Args:
        frame: shape (H, W, 3) uint8, of any size.
        episode: the curves to draw.
        size: width and height of the picture in pixels.

    Returns:
        shape (height, width, 3) uint8.
    """
    width, height = (max(1, side) * _SUPERSAMPLING for side in size)
    em = _em(width, height)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    write(draw, em, episode.caption, em * 0.6, INK, em * 0.9, width - 2 * em)
    body = (em, round(2.4 * em), width - em, height - em)
    frame_box, chart_box = _layout(frame.shape[1] / frame.shape[0], body, em)
    if chart_box[2] - chart_box[0] >= _MIN_CHART_EMS * em:
        _draw_chart(draw, episode, chart_box, em)
    else:
        frame_box = body
    picture = sheet.reduce(_SUPERSAMPLING)
    _paste_frame(picture, frame, frame_box)
    return np.asarray(picture)


def shrink(frame: np.ndarray, max_pixels: int) -> np.ndarray:
    """The frame (H, W, 3) uint8, scaled down if a side is longer than ``max_pixels``."""
    image = Image.fromarray(frame)
    image.thumbnail((max_pixels, max_pixels), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _em(width: int, height: int) -> int:
    """Height of the text, the unit of all other sizes."""
    smallest, largest = (pixels * _SUPERSAMPLING for pixels in _TEXT_PIXELS)
    return round(min(max(min(width / 52, height / 24), smallest), largest))


def _layout(aspect: float, body: Box, em: int) -> tuple[Box, Box]:
    """The boxes of the frame, whose width over height is ``aspect``, and of the chart."""
    left, top, right, bottom = body
    width, height = max(2, right - left), max(2, bottom - top)
    if width >= _MIN_WIDE_RATIO * height:
        frame_width = round(min(width * 0.48, height * aspect))
        return (left, top, left + frame_width, bottom), (left + frame_width + em, top, right, bottom)
    frame_height = round(min(height * 0.55, width / aspect))
    return (left, top, right, top + frame_height), (left, top + frame_height + em // 2, right, bottom)


def _paste_frame(picture: Image.Image, frame: np.ndarray, box: Box) -> None:
    """Scale the frame to the box, given in supersampled pixels; small frames keep hard pixel edges."""
    left, top, right, bottom = (side // _SUPERSAMPLING for side in box)
    scale = min((right - left) / frame.shape[1], (bottom - top) / frame.shape[0])
    size = max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale))
    filtering = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    image = Image.fromarray(frame).resize(size, filtering)
    corner = left + (right - left - size[0]) // 2, top + (bottom - top - size[1]) // 2
    picture.paste(image, corner)
    edge = (corner[0] - 1, corner[1] - 1, corner[0] + size[0], corner[1] + size[1])
    ImageDraw.Draw(picture).rectangle(edge, outline=GRID)


def _draw_chart(draw: ImageDraw.ImageDraw, episode: Episode, box: Box, em: int) -> None:
    left, top, right, bottom = box
    middle = (left + right) // 2
    predicted, true = episode.predicted, episode.true
    _draw_reading(draw, "predicted", predicted, _PREDICTED, (left, top, middle, bottom), em)
    _draw_reading(draw, "true", true, _TRUE, (middle, top, right, bottom), em)
    widths = [max(text_width(label, em) for label in curve.axis.labels) for curve in (predicted, true)]
    plot = (
        round(left + widths[0] + em * 0.6),
        round(top + 5.4 * em),
        round(right - widths[1] - em * 0.6),
        round(bottom - 1.9 * em),
    )
    if plot[2] - plot[0] < 3 * em or plot[3] - plot[1] < 2 * em:
        return  # too small for curves: show the readings alone
    _draw_grid(draw, episode, plot, em)
    # Where the curves coincide, the wider one stays visible on both sides of the other.
    _draw_curve(draw, true, _TRUE, episode.horizon_steps, plot, em, is_round=False)
    _draw_curve(draw, predicted, _PREDICTED, episode.horizon_steps, plot, em, is_round=True)


def _draw_reading(
    draw: ImageDraw.ImageDraw, name: str, curve: Curve, colour: Colour, box: Box, em: int
) -> None:
    """Marker, name, newest value and return so far of a curve."""
    left, top, right, _ = box
    _draw_marker(draw, left + 0.5 * em, top + 0.62 * em, 0.36 * em, colour, is_round=colour == _PREDICTED)
    room = right - left - 1.6 * em
    name = f"{name} reward" if text_width(f"{name} reward", em) <= room else name
    write(draw, left + 1.3 * em, name, top, INK, em, room)
    write(draw, left + 1.3 * em, _number(curve.values[-1]), top + 1.2 * em, colour, 1.7 * em, room)
    total = f"return {_number(curve.values.sum())}"
    write(draw, left + 1.3 * em, total, top + 3.3 * em, FAINT, em, room)


def _draw_grid(draw: ImageDraw.ImageDraw, episode: Episode, plot: Box, em: int) -> None:
    left, top, right, bottom = plot
    labels = zip(episode.predicted.axis.labels, episode.true.axis.labels, strict=True)
    # A low chart labels only the ends of its axes.
    every = 1 if bottom - top >= 1.3 * em * INTERVALS else INTERVALS
    for tick, (predicted, true) in enumerate(labels):
        y = bottom - (bottom - top) * tick / INTERVALS
        draw.line([(left, y), (right, y)], fill=GRID, width=_SUPERSAMPLING)
        if tick % every == 0:
            write(draw, left - 0.5 * em - text_width(predicted, em), predicted, y - 0.62 * em, _PREDICTED, em)
            write(draw, right + 0.5 * em, true, y - 0.62 * em, _TRUE, em)
    last = f"{episode.horizon_steps:,}"
    write(draw, left, "0", bottom + 0.5 * em, FAINT, em)
    write(draw, right - text_width(last, em), last, bottom + 0.5 * em, FAINT, em)
    step = f"step {len(episode.true.values):,}"
    if right - left > text_width(step, em) + 2 * text_width(last, em) + 2 * em:
        write(draw, (left + right - text_width(step, em)) / 2, step, bottom + 0.5 * em, INK, em)


def _draw_curve(
    draw: ImageDraw.ImageDraw,
    curve: Curve,
    colour: Colour,
    horizon_steps: int,
    plot: Box,
    em: int,
    is_round: bool,
) -> None:
    left, top, right, bottom = plot
    steps, values = _thin(curve.values, right - left)
    points = [
        (
            left + (right - left) * (step + 1) / horizon_steps,
            bottom - (bottom - top) * curve.axis.share(value),
        )
        for step, value in zip(steps.tolist(), values.tolist(), strict=True)
    ]
    width = em * (0.16 if is_round else 0.36)
    draw.line(points, fill=colour, width=max(_SUPERSAMPLING, round(width)), joint="curve")
    _draw_marker(draw, *points[-1], 0.36 * em, colour, is_round)


def _thin(values: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values to draw; if there are more steps than columns, the extremes of each column."""
    steps = np.arange(len(values))
    if len(values) <= 2 * columns:
        return steps, values
    parts = np.array_split(steps, columns)
    ends = [part[[values[part].argmin(), values[part].argmax()]] for part in parts]
    kept = np.unique(np.concatenate([*ends, steps[-1:]]))
    return kept, values[kept]


def _draw_marker(
    draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour, is_round: bool
) -> None:
    if is_round:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline=PAPER)
    else:
        radius *= 1.2
        corners: Sequence[tuple[float, float]] = [
            (x - radius, y), (x, y - radius), (x + radius, y), (x, y + radius)
        ]  # fmt: skip
        draw.polygon(corners, fill=colour, outline=PAPER)


def _number(value: float) -> str:
    """About three significant digits, without an exponent, never "-0"."""
    size = abs(value)
    text = f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:.2f}"
    return text.lstrip("-") if not text.strip("-0.,") else text
