"""A query with its answer as a film, to keep and to show around."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prefrl.labelling.rendering import Item, fit
from prefrl.storage.durable import write_file
from prefrl.viewer.gif import write_gif
from prefrl.viewer.layout import lay_out
from prefrl.viewer.query_page import PageState, QueryPage

__all__ = ["answer_pictures", "write_film"]

_ITEM_PIXELS = 280
"""width and height of an item's room"""
_HEADING_PIXELS = 90


def answer_pictures(items: Sequence[Item], best: Sequence[int], caption: str) -> list[np.ndarray]:
    """Pictures of one size, (H, W, 3) uint8: the items side by side, step by step, the best ones marked.

    Args:
        items: of the query, in the order shown.
        best: which of them the answer ranked first; none where it could not tell.
        caption: the answer in words.
    """
    # Even, as video formats ask for.
    size = _ITEM_PIXELS * len(items), _ITEM_PIXELS + _HEADING_PIXELS
    layout = lay_out(size, len(items), is_film=True)
    fitted = tuple(
        fit(item, (box[2] - box[0], box[3] - box[1])) if isinstance(item, np.ndarray) else item
        for item, box in zip(items, layout.items, strict=True)
    )
    page = QueryPage(size, layout, fitted, PageState(caption, marked=tuple(best)), has_buttons=False)
    films = [
        (item, corner)
        for item, corner in zip(fitted, page.corners, strict=True)
        if isinstance(item, np.ndarray)
    ]
    pictures = []
    for step in range(max((len(film) for film, _ in films), default=1)):
        picture = page.picture.copy()
        for film, (left, top) in films:
            frame = film[min(step, len(film) - 1)]
            picture[top : top + len(frame), left : left + frame.shape[1]] = frame
        pictures.append(picture)
    return pictures


def write_film(path: Path, pictures: Sequence[np.ndarray], fps: float) -> None:
    """Write pictures as a GIF or MP4, as the file is called; all of it or nothing.

    Raises:
        RuntimeError: when an MP4 is asked for and OpenCV is not there, or cannot write any.
    """
    if path.suffix == ".gif":
        write_gif(path, pictures, fps, [pictures[0], pictures[-1]])
        return
    try:
        import cv2
    except ImportError as error:
        raise RuntimeError(
            'MP4 needs OpenCV; install it with: pip install "prefrl[atari]", or write GIF instead'
        ) from error
    height, width = pictures[0].shape[:2]

    def write(temporary: Path) -> None:
        film = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
        if not film.isOpened():
            raise RuntimeError(f"{path}: this OpenCV writes no MP4; write GIF instead")
        for picture in pictures:
            film.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        film.release()

    write_file(path, write)
