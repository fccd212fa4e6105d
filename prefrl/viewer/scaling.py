"""Scales frames to the boxes they are shown in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from prefrl.labelling.rendering import Item
from prefrl.viewer.drawing import Box
from prefrl.viewer.layout import page_layout

__all__ = ["WindowFit", "fit_frames", "fit_items"]

_MIN_PIXEL_ART_SCALE = 2.0
"""frames enlarged by this factor or more keep hard pixel edges"""


class WindowFit:
    """Scales the items of a query to the current size of a window.

    Args:
        size: width and height of the window in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        """set it when the window is resized"""

    def __call__(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """The items as large as the query page has room for."""
        return fit_items(items, page_layout(self.size, len(items)).items)


def fit_items(items: Sequence[Item], boxes: Sequence[Box]) -> tuple[Item, ...]:
    """Frames scaled to their boxes; texts unchanged."""
    return tuple(
        fit_frames(item, (box[2] - box[0], box[3] - box[1])) if isinstance(item, np.ndarray) else item
        for item, box in zip(items, boxes, strict=True)
    )


def fit_frames(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Frames (T, H, W, 3) scaled to the largest size within (width, height) that keeps the aspect ratio."""
    height, width = frames.shape[1:3]
    scale = min(size[0] / width, size[1] / height)
    scaled = max(1, round(width * scale)), max(1, round(height * scale))
    if scale >= _MIN_PIXEL_ART_SCALE:
        rows, columns = (
            np.arange(new) * old // new for new, old in zip(scaled[::-1], (height, width), strict=True)
        )
        # `take` gives a contiguous array, which the window can show without copying.
        return frames.take(rows, axis=1).take(columns, axis=2)
    return np.stack([_resized(frame, scaled) for frame in frames])


def _resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
