"""Where everything goes on the page of a query: pure geometry, in pixels."""

from __future__ import annotations

from dataclasses import dataclass

from prefrl.viewer.drawing import Box

__all__ = ["Layout", "lay_out", "text_height"]

_TEXT_PIXELS = (11, 40)
"""smallest and largest height of the text"""
_PANEL_EMS = 15
"""width of the panel; left out of windows less than three times as wide"""
_LEGEND_EMS = 2.6
_CAPTION_EMS = 1.9
"""room below each item"""


@dataclass(frozen=True)
class Layout:
    """The boxes of a page."""

    em: int
    """height of the text, by which everything is measured"""
    question: Box
    items: tuple[Box, ...]
    """one for each item, the room for its picture alone"""
    legend: Box
    panel: Box | None


def text_height(size: tuple[int, int]) -> int:
    """Height of the text in a window of this width and height."""
    least, most = _TEXT_PIXELS
    return round(min(max(min(size[0] / 64, size[1] / 34), least), most))


def lay_out(size: tuple[int, int], count: int, is_film: bool = False) -> Layout:
    """Lay ``count`` items out in a window of this width and height; a film has neither panel nor legend."""
    width, height = (max(1, side) for side in size)
    em = text_height(size)
    panel_width = _PANEL_EMS * em if width >= 3 * _PANEL_EMS * em and not is_film else 0
    right = width - panel_width
    question = (em, round(0.8 * em), right - em, round(3.2 * em))
    legend_ems = 0 if is_film else _LEGEND_EMS
    legend = (em, height - round(legend_ems * em), right - em, height - round(legend_ems and 0.4 * em))
    body = (em, question[3], right - em, legend[1])
    panel = (right, 0, width, height) if panel_width else None
    return Layout(em, question, tuple(_grid(body, count, em)), legend, panel)


def _grid(body: Box, count: int, em: int) -> list[Box]:
    """As many columns as make the largest squares, filled row by row."""
    left, top, right, bottom = body

    def side(columns: int) -> float:
        rows = -(-count // columns)
        return min((right - left) / columns - em, (bottom - top) / rows - _CAPTION_EMS * em)

    columns = max(range(1, count + 1), key=side)
    rows = -(-count // columns)
    cell_width, cell_height = (right - left) / columns, (bottom - top) / rows
    boxes = []
    for index in range(count):
        row, column = divmod(index, columns)
        x, y = left + column * cell_width, top + row * cell_height
        box = (x + em / 2, y, x + cell_width - em / 2, y + cell_height - _CAPTION_EMS * em)
        boxes.append(
            (
                round(box[0]),
                round(box[1]),
                max(round(box[2]), round(box[0]) + 1),
                max(round(box[3]), round(box[1]) + 1),
            )
        )
    return boxes
