"""Square sprites of the gridworlds, (pixels, pixels, 4) uint8; each is drawn once and cached."""

from __future__ import annotations

from functools import cache

import numpy as np

from prefrl_envs.drawing import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, WHITE, YELLOW, Canvas

__all__ = ["boat", "buoys", "fish", "flag", "penguin", "robot", "seal", "shards", "vase"]


@cache
def penguin(pixels: int) -> np.ndarray:
    """A penguin that faces the viewer."""
    canvas = Canvas(1, 1, pixels)
    for side in (-1, 1):
        canvas.ellipse(0.86, 0.5 + side * 0.1, 0.04, 0.09, ORANGE)
        canvas.polygon(
            [(0.42, 0.5 + side * 0.16), (0.52, 0.5 + side * 0.24), (0.7, 0.5 + side * 0.27)], BLACK
        )
    canvas.ellipse(0.6, 0.5, 0.27, 0.19, BLACK)
    canvas.ellipse(0.31, 0.5, 0.16, 0.15, BLACK)
    canvas.ellipse(0.64, 0.5, 0.2, 0.13, WHITE)
    for side in (-1, 1):
        canvas.ellipse(0.3, 0.5 + side * 0.06, 0.06, 0.055, WHITE)
        canvas.ellipse(0.3, 0.5 + side * 0.05, 0.025, 0.025, BLACK)
    canvas.polygon([(0.35, 0.44), (0.35, 0.56), (0.43, 0.5)], ORANGE)
    return canvas.sprite()


@cache
def fish(pixels: int) -> np.ndarray:
    """A fish in a hole in the ice, at the bottom of the square."""
    canvas = Canvas(1, 1, pixels)
    canvas.ellipse(0.83, 0.5, 0.14, 0.44, BLUE)
    canvas.polygon([(0.83, 0.32), (0.73, 0.14), (0.93, 0.14)], YELLOW)
    canvas.ellipse(0.83, 0.5, 0.09, 0.24, YELLOW)
    canvas.ellipse(0.81, 0.64, 0.02, 0.02, BLACK)
    return canvas.sprite()


@cache
def seal(pixels: int) -> np.ndarray:
    """A leopard seal in a hole in the ice: head, teeth and whiskers."""
    canvas = Canvas(1, 1, pixels)
    canvas.ellipse(0.83, 0.5, 0.14, 0.44, BLACK)
    canvas.ellipse(0.74, 0.5, 0.2, 0.26, (112, 116, 124))
    for side in (-1, 1):
        canvas.ellipse(0.66, 0.5 + side * 0.11, 0.035, 0.035, VERMILION)
        canvas.polygon(
            [(0.82, 0.5 + side * 0.03), (0.82, 0.5 + side * 0.11), (0.9, 0.5 + side * 0.07)], WHITE
        )
    canvas.ellipse(0.77, 0.5, 0.035, 0.06, BLACK)
    return canvas.sprite()


@cache
def boat(pixels: int, heading: int) -> np.ndarray:
    """A boat seen from above, heading 0 up, 1 right, 2 down or 3 left."""
    canvas = Canvas(1, 1, pixels)
    hull = [(0.5, 0.92), (0.3, 0.6), (0.28, 0.14), (0.72, 0.14), (0.7, 0.6)]
    canvas.polygon(hull, VERMILION)
    canvas.polygon([(0.5 + (y - 0.5) * 0.68, 0.46 + (x - 0.46) * 0.74) for y, x in hull], WHITE)
    canvas.rectangle(0.4, 0.26, 0.6, 0.5, BLACK)
    return np.rot90(canvas.sprite(), 1 - heading)


@cache
def buoys(pixels: int, heading: int) -> np.ndarray:
    """A checkpoint: two buoys and an arrow in the direction of the course; headings are numbered as in `boat`."""
    canvas = Canvas(1, 1, pixels)
    canvas.rectangle(0.04, 0.47, 0.96, 0.53, WHITE)
    canvas.polygon([(0.28, 0.32), (0.72, 0.32), (0.5, 0.74)], WHITE)
    for y in (0.1, 0.9):
        canvas.ellipse(y, 0.5, 0.09, 0.09, YELLOW)
        canvas.ellipse(y, 0.5, 0.045, 0.045, BLACK)
    return np.rot90(canvas.sprite(), 1 - heading)


@cache
def vase(pixels: int) -> np.ndarray:
    """An unbroken vase."""
    canvas = Canvas(1, 1, pixels)
    canvas.ellipse(0.6, 0.5, 0.26, 0.25, PURPLE)
    canvas.rectangle(0.16, 0.4, 0.4, 0.6, PURPLE)
    canvas.ellipse(0.17, 0.5, 0.05, 0.18, PURPLE)
    canvas.ellipse(0.165, 0.5, 0.025, 0.12, BLACK)
    canvas.rectangle(0.8, 0.36, 0.9, 0.64, PURPLE)
    canvas.rectangle(0.56, 0.27, 0.63, 0.73, WHITE)
    return canvas.sprite()


@cache
def shards(pixels: int) -> np.ndarray:
    """The same vase, broken."""
    canvas = Canvas(1, 1, pixels)
    for y, x, turn in (
        (0.86, 0.14, 0.1),
        (0.9, 0.34, -0.08),
        (0.8, 0.84, 0.12),
        (0.92, 0.66, -0.06),
        (0.14, 0.16, 0.07),
    ):
        canvas.polygon([(y - 0.12, x + turn), (y + 0.05, x - 0.12), (y + 0.06, x + 0.11)], PURPLE)
        canvas.polygon([(y - 0.05, x + turn / 2), (y + 0.02, x - 0.06), (y + 0.02, x + 0.05)], WHITE)
    return canvas.sprite()


@cache
def flag(pixels: int) -> np.ndarray:
    """The goal's flag."""
    canvas = Canvas(1, 1, pixels)
    canvas.ellipse(0.88, 0.3, 0.05, 0.16, GREEN)
    canvas.rectangle(0.1, 0.27, 0.88, 0.33, BLACK)
    canvas.polygon([(0.1, 0.33), (0.5, 0.33), (0.3, 0.86)], GREEN)
    return canvas.sprite()


@cache
def robot(pixels: int) -> np.ndarray:
    """A round cleaning robot seen from above."""
    canvas = Canvas(1, 1, pixels)
    canvas.ellipse(0.5, 0.5, 0.32, 0.32, BLACK)
    canvas.ellipse(0.5, 0.5, 0.28, 0.28, BLUE)
    canvas.ellipse(0.5, 0.5, 0.16, 0.16, SKY)
    for side in (-1, 1):
        canvas.ellipse(0.46, 0.5 + side * 0.07, 0.05, 0.04, WHITE)
        canvas.ellipse(0.45, 0.5 + side * 0.07, 0.022, 0.022, BLACK)
    return canvas.sprite()
