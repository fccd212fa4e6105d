"""Drawing primitives on Pillow: colours, text that fits, arrows.

The palette is that of Okabe and Ito (Color Universal Design, 2008), which people with any colour vision can tell apart;
no information is given by colour alone.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from PIL import ImageDraw, ImageFont

__all__ = [
    "BLUE",
    "FAINT",
    "GREEN",
    "GRID",
    "INK",
    "ORANGE",
    "PAPER",
    "SHADE",
    "VERMILION",
    "Box",
    "Colour",
    "draw_arrow",
    "text_width",
    "wrap",
    "write",
]

Box = tuple[int, int, int, int]
"""left, top, right, bottom, in pixels"""
Colour = tuple[int, int, int]

PAPER: Colour = (255, 255, 255)
SHADE: Colour = (244, 245, 247)
INK: Colour = (40, 44, 52)
FAINT: Colour = (112, 118, 128)
GRID: Colour = (228, 230, 234)
BLUE: Colour = (0, 114, 178)
ORANGE: Colour = (230, 159, 0)
VERMILION: Colour = (213, 94, 0)
GREEN: Colour = (0, 158, 115)


def write(
    draw: ImageDraw.ImageDraw,
    x: float,
    text: str,
    y: float,
    colour: Colour,
    pixels: float,
    room: float | None = None,
) -> None:
    """Write ``text``, ``pixels`` high, its upper left corner at (x, y), cut off to at most ``room`` pixels wide."""
    if room is not None and text_width(text, pixels) > room:
        text = text[: _fitting(text, pixels, room - text_width("…", pixels))] + "…"
    draw.text((x, y), text, fill=colour, font=_font(round(pixels)))


def draw_arrow(
    draw: ImageDraw.ImageDraw, direction: str, x: float, y: float, pixels: float, colour: Colour
) -> None:
    """Draw an arrow "left", "right", "up" or "down", as high as text, its upper left corner at (x, y).

    Fonts may lack the character.
    """
    turn = {"left": 1j * 1j, "right": 1, "up": -1j, "down": 1j}[direction]
    middle = complex(x + pixels / 2, y + pixels * 0.62)
    # An arrow of unit length that points to the right, then rotated.
    points = (-0.5 - 0.07j, 0.05 - 0.07j, 0.05 - 0.32j, 0.5, 0.05 + 0.32j, 0.05 + 0.07j, -0.5 + 0.07j)
    turned = [middle + point * turn * 0.9 * pixels for point in points]
    draw.polygon([(point.real, point.imag) for point in turned], fill=colour)


def text_width(text: str, pixels: float) -> float:
    """Width in pixels of a line of text ``pixels`` high."""
    return _font(round(pixels)).getlength(text)


def wrap(text: str, pixels: float, room: float) -> list[str]:
    """The text in lines at most ``room`` pixels wide. Line breaks are kept, and words longer than a line are split."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if text_width(longer, pixels) <= room:
                line = longer
                continue
            if line:
                lines.append(line)
            while text_width(word, pixels) > room and len(word) > 1:
                fits = _fitting(word, pixels, room)
                lines.append(word[:fits])
                word = word[fits:]
            line = word
        lines.append(line)
    return lines


def _fitting(word: str, pixels: float, room: float) -> int:
    """Number of letters of a word that fit, at least one."""
    fits = bisect_right(range(1, len(word) + 1), room, key=lambda letters: text_width(word[:letters], pixels))
    return max(1, fits)


@lru_cache(maxsize=32)
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(max(1, pixels))
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font
