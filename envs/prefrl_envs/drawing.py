"""Drawing with numpy only: smooth shapes on a canvas, sprites with transparency, small text.

The colours are those of Okabe and Ito (Color Universal Design, 2008), distinguishable with any colour vision.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "ORANGE",
    "PURPLE",
    "SKY",
    "VERMILION",
    "WHITE",
    "YELLOW",
    "Canvas",
    "Colour",
    "draw_text",
    "paste",
    "text_width",
]

Colour = tuple[int, int, int]

BLACK: Colour = (24, 26, 30)
WHITE: Colour = (250, 250, 248)
ORANGE: Colour = (230, 159, 0)
SKY: Colour = (86, 180, 233)
GREEN: Colour = (0, 158, 115)
YELLOW: Colour = (240, 228, 66)
BLUE: Colour = (0, 114, 178)
VERMILION: Colour = (213, 94, 0)
PURPLE: Colour = (204, 121, 167)

SAMPLES = 4
"""samples per pixel and axis, for anti-aliasing"""


class Canvas:
    """A transparent image to draw filled shapes on, in units of ``scale`` pixels; y points down."""

    def __init__(self, height: float, width: float, scale: int) -> None:
        rows, columns = round(height * scale) * SAMPLES, round(width * scale) * SAMPLES
        self._ink = np.zeros((rows, columns, 4), dtype=np.float32)
        self._y = (np.arange(rows)[:, None] + 0.5) / (scale * SAMPLES)
        self._x = (np.arange(columns)[None, :] + 0.5) / (scale * SAMPLES)

    def rectangle(self, top: float, left: float, bottom: float, right: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self._fill((self._y >= top) & (self._y < bottom) & (self._x >= left) & (self._x < right), colour)

    def ellipse(self, y: float, x: float, half_height: float, half_width: float, colour: Colour) -> None:
        """Fill an ellipse around (y, x)."""
        self._fill(((self._y - y) / half_height) ** 2 + ((self._x - x) / half_width) ** 2 <= 1.0, colour)

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        """Fill a convex polygon with (y, x) corners, listed clockwise or counter-clockwise."""
        sides = [
            (x2 - x1) * (self._y - y1) - (y2 - y1) * (self._x - x1)
            for (y1, x1), (y2, x2) in zip(points, [*points[1:], points[0]], strict=True)
        ]
        one_side, other_side = (np.all([sign * side >= 0.0 for side in sides], axis=0) for sign in (1, -1))
        self._fill(one_side | other_side, colour)

    def sprite(self) -> np.ndarray:
        """The image with transparency, shape (H, W, 4) uint8: red, green, blue and opacity."""
        height, width = self._ink.shape[0] // SAMPLES, self._ink.shape[1] // SAMPLES
        blocks = self._ink.reshape(height, SAMPLES, width, SAMPLES, 4)
        covered = blocks[..., 3:].mean(axis=(1, 3))
        colour = (blocks[..., :3] * blocks[..., 3:]).mean(axis=(1, 3)) / np.maximum(covered, 1e-6)
        return np.concatenate([colour, covered * 255.0], axis=-1).round().astype(np.uint8)

    def frame(self) -> np.ndarray:
        """The image on a black background, shape (H, W, 3) uint8."""
        sprite = self.sprite()
        frame = np.zeros((*sprite.shape[:2], 3), dtype=np.uint8)
        paste(frame, sprite, 0, 0)
        return frame

    def _fill(self, mask: np.ndarray, colour: Colour) -> None:
        self._ink[mask] = (*colour, 1.0)


def paste(frame: np.ndarray, sprite: np.ndarray, top: int, left: int) -> None:
    """Draw ``sprite`` (h, w, 4) uint8 on ``frame`` (H, W, 3) uint8, in place, with its corner at (top, left)."""
    region = frame[top : top + sprite.shape[0], left : left + sprite.shape[1]]
    opacity = sprite[..., 3:].astype(np.float32) / 255.0
    region[:] = (sprite[..., :3] * opacity + region * (1.0 - opacity)).round().astype(np.uint8)


# Letters 3 wide and 5 high: one octal digit per row, whose bits are the row's pixels from left to right.
GLYPHS = {
    "A": "25755", "B": "65656", "C": "34443", "D": "65556", "E": "74647", "F": "74644", "G": "34553",
    "H": "55755", "I": "72227", "J": "11152", "K": "55655", "L": "44447", "M": "57755", "N": "65555",
    "O": "25552", "P": "65644", "Q": "25563", "R": "65655", "S": "34216", "T": "72222", "U": "55557",
    "V": "55552", "W": "55775", "X": "55255", "Y": "55222", "Z": "71247",
    "0": "75557", "1": "26227", "2": "61247", "3": "61216", "4": "55711",
    "5": "74616", "6": "34757", "7": "71244", "8": "75757", "9": "75716",
    " ": "00000", ".": "00002", ",": "00024", "!": "22202", "?": "61202", "'": "22000",
    "-": "00700", ":": "02020",
}  # fmt: skip


def text_width(text: str, scale: int) -> int:
    """Width in pixels of ``text`` as `draw_text` draws it."""
    return (4 * len(text) - 1) * scale


def draw_text(frame: np.ndarray, text: str, top: int, left: int, colour: Colour, scale: int = 2) -> None:
    """Write ``text`` in capitals on ``frame`` (H, W, 3) uint8, in place, 5 x ``scale`` pixels high."""
    rows = [[int(digit) for digit in GLYPHS.get(letter, GLYPHS["?"])] for letter in text.upper()]
    bits = np.array(rows)[:, :, None] >> np.array([2, 1, 0, 3]) & 1
    mask = (
        bits.transpose(1, 0, 2)
        .reshape(5, -1)[:, :-1]
        .repeat(scale, axis=0)
        .repeat(scale, axis=1)
        .astype(bool)
    )
    frame[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = colour
