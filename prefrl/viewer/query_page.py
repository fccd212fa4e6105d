"""Draws the page of a query, without the frames that move on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from prefrl.labelling.controller import QueryCaption
from prefrl.labelling.rendering import Item, Text
from prefrl.viewer.drawing import (
    BLUE,
    FAINT,
    GRID,
    INK,
    PAPER,
    SHADE,
    VERMILION,
    Box,
    Colour,
    draw_arrow,
    text_width,
    wrap,
    write,
)
from prefrl.viewer.layout import Layout

__all__ = ["BUTTONS", "Button", "QueryPage"]

_LINE_EMS, _MIN_TEXT_EMS = 1.4, 0.6
_SUPERSAMPLING = 2
"""text and lines are drawn larger by this factor, per axis, and averaged"""
_SIDES: tuple[Colour, Colour] = (BLUE, VERMILION)
_LEGEND_EMS, _MIN_LEGEND_EMS = 1.0, 0.7
"""height of the buttons' text, and the smallest it may shrink to"""


@dataclass(frozen=True)
class Button:
    """A button to click, and the key that does the same."""

    key: str
    sign: str
    """the key's label; empty for arrows, which are drawn"""
    label: str


BUTTONS = (
    Button("up", "", "equal"),
    Button("down", "", "can't tell"),
    Button("space", "Space", "replay"),
    Button("backspace", "Backspace", "undo"),
    Button("p", "P", "pause"),
    Button("-", "-", "slower"),
    Button("+", "+", "faster"),
    Button("h", "H", "help"),
    Button("q", "Q", "leave"),
)
_PLAYBACK_KEYS = frozenset({"space", "p", "-", "+"})
"""without effect on texts"""


class QueryPage:
    """A drawn query page.

    Attributes:
        layout: the boxes of the page.
        picture: shape (H, W, 3) uint8; the boxes of clips are empty.
        corners: upper left corner of each item's frames.
        buttons: boxes that can be clicked, by key.
    """

    def __init__(
        self,
        size: tuple[int, int],
        layout: Layout,
        items: tuple[Item, ...],
        caption: QueryCaption,
        has_buttons: bool = True,
    ) -> None:
        self.layout = layout
        sheet = Image.new("RGB", (size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING), PAPER)
        self._draw = ImageDraw.Draw(sheet)
        self.buttons: dict[str, Box] = {}
        self.corners = [_corner(item, box) for item, box in zip(items, layout.items, strict=True)]
        self._write_question(caption)
        for index, item in enumerate(items):
            self._draw_item(index, item, caption, is_choice=has_buttons and len(items) == 2)
        if has_buttons:
            self._draw_legend(items)
        self.picture = np.asarray(sheet.reduce(_SUPERSAMPLING))

    def _write_question(self, caption: QueryCaption) -> None:
        left, top, right, _ = self.layout.question
        text, colour = (caption.note, BLUE) if caption.note else (caption.question, INK)
        self._text(text, left, top, colour, 1.35, right - left)

    def _draw_item(self, index: int, item: Item, caption: QueryCaption, is_choice: bool) -> None:
        em, box = self.layout.em, self.layout.items[index]
        if isinstance(item, Text):
            self._write_text(item, box)
        else:
            self._draw_border(index, item, caption)
        if is_choice:
            self._write_choice(index, box)
            return
        rank = caption.ranked.index(index) + 1 if index in caption.ranked else None
        label = f"{index + 1}" if rank is None else f"{index + 1}: rank {rank}"
        x = (box[0] + box[2] - self._width(label, 1.2)) / 2
        self._text(label, x, box[3] + 0.35 * em, INK if rank is None else BLUE, 1.2)

    def _write_choice(self, index: int, box: Box) -> None:
        """Below one of two items, the arrow key that chooses it."""
        em, direction, label = self.layout.em, ("left", "right")[index], "this one"
        width = self._width(label, 1.2) + 1.6 * em
        x, y = (box[0] + box[2] - width) / 2, box[3] + 0.35 * em
        arrow_x = x if direction == "left" else x + width - 1.2 * em
        self._arrow(direction, arrow_x, y, _SIDES[index], 1.2)
        self._text(label, x + (1.6 * em if direction == "left" else 0), y, _SIDES[index], 1.2)

    def _draw_border(self, index: int, item: np.ndarray, caption: QueryCaption) -> None:
        left, top = self.corners[index]
        height, width = item.shape[1:3]
        chosen = index in caption.marked
        thick = max(2, self.layout.em // 4) if chosen else 1
        edge = (left - thick, top - thick, left + width + thick - 1, top + height + thick - 1)
        self._rectangle(edge, BLUE if chosen else GRID, thick)

    def _write_text(self, item: Text, box: Box) -> None:
        """Prompt and response. Long ones shrink, and are cut off if they still do not fit."""
        left, top, right, bottom = box
        self._rectangle(box, GRID, 1)
        ems, em = 1.0, self.layout.em
        while True:
            lines = self._lines(item, ems, right - left - 2 * em)
            most = int((bottom - top - em) / (_LINE_EMS * ems * em))
            if len(lines) <= most or ems <= _MIN_TEXT_EMS:
                break
            ems *= 0.93
        if len(lines) > most:
            lines = [*lines[: max(0, most - 1)], ("…", FAINT)]
        for number, (line, colour) in enumerate(lines):
            self._text(line, left + em, top + em * (0.5 + _LINE_EMS * ems * number), colour, ems)

    def _lines(self, item: Text, ems: float, room: float) -> list[tuple[str, Colour]]:
        pixels = self.layout.em * ems * _SUPERSAMPLING
        parts = (item.prompt, FAINT), ("", INK), (item.response, INK)
        return [
            (line, colour) for text, colour in parts for line in wrap(text, pixels, room * _SUPERSAMPLING)
        ]

    def _draw_legend(self, items: tuple[Item, ...]) -> None:
        left, top, right, bottom = self.layout.legend
        is_moving = not all(isinstance(item, Text) for item in items)
        shown = [one for one in BUTTONS if is_moving or one.key not in _PLAYBACK_KEYS]
        if len(items) > 2:
            shown.insert(0, Button("return", "Enter", "the rest tie"))
        ems = _LEGEND_EMS
        while sum(self._button_width(one, ems) for one in shown) > right - left and ems > _MIN_LEGEND_EMS:
            ems *= 0.95
        # In a narrow window the last buttons are left out; their keys still work.
        x = float(left)
        for one in shown:
            width = self._button_width(one, ems)
            if x + width > right + 1:
                return
            box = round(x), top, round(x + width - 0.4 * ems * self.layout.em), bottom
            self.buttons[one.key] = box
            self._draw_button(one, box, ems)
            x += width

    def _draw_button(self, button: Button, box: Box, ems: float) -> None:
        em = self.layout.em * ems
        self._rectangle(box, GRID, 1, SHADE)
        x, y = box[0] + 0.5 * em, (box[1] + box[3]) / 2 - 0.62 * em
        if button.sign:
            self._text(button.sign, x, y, INK, ems)
        else:
            self._arrow(button.key, x, y, INK, ems)
        self._text(button.label, x + self._sign_width(button, ems), y, FAINT, ems)

    def _button_width(self, button: Button, ems: float) -> float:
        """Width of a button, with the margin to the next."""
        return self._sign_width(button, ems) + self._width(button.label, ems) + 1.4 * ems * self.layout.em

    def _sign_width(self, button: Button, ems: float) -> float:
        em = self.layout.em * ems
        return (self._width(button.sign, ems) if button.sign else em) + 0.4 * em

    def _width(self, text: str, ems: float) -> float:
        return text_width(text, self.layout.em * ems * _SUPERSAMPLING) / _SUPERSAMPLING

    def _arrow(self, direction: str, x: float, y: float, colour: Colour, ems: float) -> None:
        pixels = self.layout.em * ems * _SUPERSAMPLING
        draw_arrow(self._draw, direction, x * _SUPERSAMPLING, y * _SUPERSAMPLING, pixels, colour)

    def _text(
        self, text: str, x: float, y: float, colour: Colour, ems: float, room: float | None = None
    ) -> None:
        pixels = self.layout.em * ems * _SUPERSAMPLING
        write(
            self._draw,
            x * _SUPERSAMPLING,
            text,
            y * _SUPERSAMPLING,
            colour,
            pixels,
            None if room is None else room * _SUPERSAMPLING,
        )

    def _rectangle(self, box: Box, colour: Colour, thick: int, fill: Colour | None = None) -> None:
        left, top, right, bottom = (side * _SUPERSAMPLING for side in box)
        self._draw.rectangle(
            (left, top, right, bottom), outline=colour, width=thick * _SUPERSAMPLING, fill=fill
        )


def _corner(item: Item, box: Box) -> tuple[int, int]:
    if isinstance(item, Text):
        return box[0], box[1]
    height, width = item.shape[1:3]
    return box[0] + (box[2] - box[0] - width) // 2, box[1] + (box[3] - box[1] - height) // 2
