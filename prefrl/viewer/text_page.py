"""Draws pages of text: instructions, help, waiting, done."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from prefrl.viewer.drawing import BLUE, FAINT, INK, PAPER, text_width, wrap, write
from prefrl.viewer.layout import text_height

__all__ = ["draw_line", "draw_text_page"]

_SUPERSAMPLING = 2
_LINE_EMS = 1.5
_COLUMN_EMS = 44


def draw_line(size: tuple[int, int], text: str) -> np.ndarray:
    """A line of text centred in a strip of (width, height), shape (height, width, 3) uint8."""
    width, height = (side * _SUPERSAMPLING for side in size)
    sheet = Image.new("RGB", (width, height), PAPER)
    pixels = height * 0.4
    left = max(0.0, (width - text_width(text, pixels)) / 2)
    write(ImageDraw.Draw(sheet), left, text, height * 0.28, INK, pixels, width - left)
    return np.asarray(sheet.reduce(_SUPERSAMPLING))


def draw_text_page(size: tuple[int, int], title: str, body: str, footer: str = "") -> np.ndarray:
    """A page of (width, height), shape (height, width, 3) uint8; the text shrinks until the body fits."""
    width, height = (max(1, side) * _SUPERSAMPLING for side in size)
    em = float(text_height(size) * _SUPERSAMPLING)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    room_y = height - 8.2 * em
    while True:
        column = min(_COLUMN_EMS * em, width - 3 * em)
        lines = wrap(body, em, column)
        if len(lines) * _LINE_EMS * em <= room_y or em <= 8 * _SUPERSAMPLING:
            break
        em *= 0.92
    left = (width - column) / 2
    y = max(1.5 * em, (height - (len(lines) * _LINE_EMS + 8) * em) / 2)
    for line in wrap(title, 1.8 * em, column):
        write(draw, left, line, y, BLUE, 1.8 * em, column)
        y += 2.3 * em
    y += 0.8 * em
    for line in lines:
        write(draw, left, line, y, INK, em, column)
        y += _LINE_EMS * em
    write(draw, left, footer, min(y + 1.2 * em, height - 2 * em), FAINT, em, column)
    return np.asarray(sheet.reduce(_SUPERSAMPLING))
