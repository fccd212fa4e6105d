"""Layout of the query page, in pixels. Pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from prefrl.viewer.drawing import Box

__all__ = ["Layout", "page_layout", "text_height"]

_TEXT_PIXELS = (11, 40)
"""smallest and largest height of the text"""
_STATS_EMS = 15
"""width of the statistics panel; left out of windows less than three times as wide"""
_LEGEND_EMS = 2.6
_LABEL_EMS = 1.9
"""room below each item"""


@dataclass(frozen=True)
class Layout:
    """The boxes of a page."""

    em: int
    """height of the text, the unit of all other sizes"""
    question: Box
    items: tuple[Box, ...]
    """one per item, without its label"""
    legend: Box
    stats: Box | None


def text_height(size: tuple[int, int]) -> int:
    """Height of the text in a window of this width and height."""
    smallest, largest = _TEXT_PIXELS
    return round(min(max(min(size[0] / 64, size[1] / 34), smallest), largest))


def page_layout(size: tuple[int, int], num_items: int, is_video: bool = False) -> Layout:
    """Layout of a query with ``num_items`` items on a page of (width, height); videos have no statistics or legend."""
    width, height = (max(1, side) for side in size)
    em = text_height(size)
    stats_width = _STATS_EMS * em if width >= 3 * _STATS_EMS * em and not is_video else 0
    right = width - stats_width
    question = (em, round(0.8 * em), right - em, round(3.2 * em))
    legend_ems = 0 if is_video else _LEGEND_EMS
    legend = (em, height - round(legend_ems * em), right - em, height - round(legend_ems and 0.4 * em))
    body = (em, question[3], right - em, legend[1])
    stats = (right, 0, width, height) if stats_width else None
    return Layout(em, question, tuple(_grid(body, num_items, em)), legend, stats)


def _grid(body: Box, num_items: int, em: int) -> list[Box]:
    """Boxes filled row by row, in the number of columns that makes them largest."""
    left, top, right, bottom = body

    def side(columns: int) -> float:
        rows = -(-num_items // columns)
        return min((right - left) / columns - em, (bottom - top) / rows - _LABEL_EMS * em)

    columns = max(range(1, num_items + 1), key=side)
    rows = -(-num_items // columns)
    cell_width, cell_height = (right - left) / columns, (bottom - top) / rows
    boxes = []
    for index in range(num_items):
        row, column = divmod(index, columns)
        x, y = left + column * cell_width, top + row * cell_height
        box = (x + em / 2, y, x + cell_width - em / 2, y + cell_height - _LABEL_EMS * em)
        boxes.append(
            (
                round(box[0]),
                round(box[1]),
                max(round(box[2]), round(box[0]) + 1),
                max(round(box[3]), round(box[1]) + 1),
            )
        )
    return boxes
