"""The page on which a query is answered, all but what moves on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

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

__all__ = ["BUTTONS", "Button", "PageState", "QueryPage", "answer_in_words"]

_LINE_EMS, _LEAST_TEXT_EMS = 1.4, 0.6
_SAMPLES = 2
"""text and lines are drawn so many times larger, per axis, and averaged"""
_SIDES: tuple[Colour, Colour] = (BLUE, VERMILION)
_LEGEND_EMS, _LEAST_LEGEND_EMS = 1.0, 0.7
"""height of the buttons' text, and what it may shrink to where there are too many"""


@dataclass(frozen=True)
class Button:
    """Something to click, and the key that does the same."""

    key: str
    sign: str
    """how the key is written; arrows are drawn"""
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
_PLAYING = frozenset({"space", "p", "-", "+"})
"""keys that do nothing to texts"""


@dataclass(frozen=True)
class PageState:
    """What the page says of the query, beside its items."""

    question: str
    ranked: tuple[int, ...] = ()
    """items ranked so far, the best first"""
    marked: tuple[int, ...] = ()
    """items that the answer being shown or taken back named best"""
    note: str = ""
    """in place of the question: what has just happened, or was answered before"""


class QueryPage:
    """A drawn page.

    Attributes:
        layout: where everything is.
        picture: shape (H, W, 3) uint8, the items' boxes empty but for texts.
        corners: where the upper left corner of each item's frames goes.
        buttons: boxes to click, by key.
    """

    def __init__(
        self,
        size: tuple[int, int],
        layout: Layout,
        items: tuple[Item, ...],
        state: PageState,
        has_buttons: bool = True,
    ) -> None:
        self.layout = layout
        sheet = Image.new("RGB", (size[0] * _SAMPLES, size[1] * _SAMPLES), PAPER)
        self._draw = ImageDraw.Draw(sheet)
        self.buttons: dict[str, Box] = {}
        self.corners = [_corner(item, box) for item, box in zip(items, layout.items, strict=True)]
        self._write_question(state)
        for index, item in enumerate(items):
            self._draw_item(index, item, state, has_side=has_buttons and len(items) == 2)
        if has_buttons:
            self._draw_legend(items)
        self.picture = np.asarray(sheet.reduce(_SAMPLES))

    def _write_question(self, state: PageState) -> None:
        left, top, right, _ = self.layout.question
        text, colour = (state.note, BLUE) if state.note else (state.question, INK)
        self._text(text, left, top, colour, 1.35, right - left)

    def _draw_item(self, index: int, item: Item, state: PageState, has_side: bool) -> None:
        em, box = self.layout.em, self.layout.items[index]
        if isinstance(item, Text):
            self._write_text(item, box)
        else:
            self._frame(index, item, state)
        if has_side:
            self._write_side(index, box)
            return
        rank = state.ranked.index(index) + 1 if index in state.ranked else None
        label = f"{index + 1}" if rank is None else f"{index + 1}: rank {rank}"
        x = (box[0] + box[2] - self._width(label, 1.2)) / 2
        self._text(label, x, box[3] + 0.35 * em, INK if rank is None else BLUE, 1.2)

    def _write_side(self, index: int, box: Box) -> None:
        """What chooses one of two."""
        em, direction, label = self.layout.em, ("left", "right")[index], "this one"
        width = self._width(label, 1.2) + 1.6 * em
        x, y = (box[0] + box[2] - width) / 2, box[3] + 0.35 * em
        arrow_x = x if direction == "left" else x + width - 1.2 * em
        self._arrow(direction, arrow_x, y, _SIDES[index], 1.2)
        self._text(label, x + (1.6 * em if direction == "left" else 0), y, _SIDES[index], 1.2)

    def _frame(self, index: int, item: np.ndarray, state: PageState) -> None:
        left, top = self.corners[index]
        height, width = item.shape[1:3]
        chosen = index in state.marked
        thick = max(2, self.layout.em // 4) if chosen else 1
        edge = (left - thick, top - thick, left + width + thick - 1, top + height + thick - 1)
        self._rectangle(edge, BLUE if chosen else GRID, thick)

    def _write_text(self, item: Text, box: Box) -> None:
        """Prompt and response, set smaller where they are long; what is too long even so is cut off."""
        left, top, right, bottom = box
        self._rectangle(box, GRID, 1)
        ems, em = 1.0, self.layout.em
        while True:
            lines = self._lines(item, ems, right - left - 2 * em)
            most = int((bottom - top - em) / (_LINE_EMS * ems * em))
            if len(lines) <= most or ems <= _LEAST_TEXT_EMS:
                break
            ems *= 0.93
        if len(lines) > most:
            lines = [*lines[: max(0, most - 1)], ("…", FAINT)]
        for number, (line, colour) in enumerate(lines):
            self._text(line, left + em, top + em * (0.5 + _LINE_EMS * ems * number), colour, ems)

    def _lines(self, item: Text, ems: float, room: float) -> list[tuple[str, Colour]]:
        pixels = self.layout.em * ems * _SAMPLES
        parts = (item.prompt, FAINT), ("", INK), (item.response, INK)
        return [(line, colour) for text, colour in parts for line in wrap(text, pixels, room * _SAMPLES)]

    def _draw_legend(self, items: tuple[Item, ...]) -> None:
        left, top, right, bottom = self.layout.legend
        is_moving = not all(isinstance(item, Text) for item in items)
        shown = [one for one in BUTTONS if is_moving or one.key not in _PLAYING]
        if len(items) > 2:
            shown.insert(0, Button("return", "Enter", "the rest tie"))
        ems = _LEGEND_EMS
        while sum(self._button_width(one, ems) for one in shown) > right - left and ems > _LEAST_LEGEND_EMS:
            ems *= 0.95
        # Of a narrow window's buttons the last are left out; their keys work all the same.
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
        """Its margin to the next included."""
        return self._sign_width(button, ems) + self._width(button.label, ems) + 1.4 * ems * self.layout.em

    def _sign_width(self, button: Button, ems: float) -> float:
        em = self.layout.em * ems
        return (self._width(button.sign, ems) if button.sign else em) + 0.4 * em

    def _width(self, text: str, ems: float) -> float:
        return text_width(text, self.layout.em * ems * _SAMPLES) / _SAMPLES

    def _arrow(self, direction: str, x: float, y: float, colour: Colour, ems: float) -> None:
        pixels = self.layout.em * ems * _SAMPLES
        draw_arrow(self._draw, direction, x * _SAMPLES, y * _SAMPLES, pixels, colour)

    def _text(
        self, text: str, x: float, y: float, colour: Colour, ems: float, room: float | None = None
    ) -> None:
        pixels = self.layout.em * ems * _SAMPLES
        write(
            self._draw,
            x * _SAMPLES,
            text,
            y * _SAMPLES,
            colour,
            pixels,
            None if room is None else room * _SAMPLES,
        )

    def _rectangle(self, box: Box, colour: Colour, thick: int, fill: Colour | None = None) -> None:
        left, top, right, bottom = (side * _SAMPLES for side in box)
        self._draw.rectangle((left, top, right, bottom), outline=colour, width=thick * _SAMPLES, fill=fill)


def answer_in_words(ranks: tuple[int, ...] | None) -> str:
    """An answer, as people say it: "left", "equal", "can't tell", "3 > 1 > 2"."""
    if ranks is None:
        return "can't tell"
    if len(set(ranks)) == 1:
        return "equal"
    if len(ranks) == 2:
        return "left" if ranks[0] == 1 else "right"
    return " > ".join(
        " = ".join(str(item + 1) for item, rank in enumerate(ranks) if rank == place)
        for place in sorted(set(ranks))
    )


def _corner(item: Item, box: Box) -> tuple[int, int]:
    if isinstance(item, Text):
        return box[0], box[1]
    height, width = item.shape[1:3]
    return box[0] + (box[2] - box[0] - width) // 2, box[1] + (box[3] - box[1] - height) // 2
