"""A query with its answer as a video file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prefrl.labelling.controller import QueryCaption
from prefrl.labelling.rendering import Item
from prefrl.storage.durable import write_file
from prefrl.viewer.gif import write_gif
from prefrl.viewer.layout import page_layout
from prefrl.viewer.query_page import QueryPage
from prefrl.viewer.scaling import fit_items

__all__ = ["answer_frames", "write_video"]

_ITEM_PIXELS = 280
"""width and height of the room for an item"""
_HEADING_PIXELS = 90


def answer_frames(items: Sequence[Item], best: Sequence[int], caption: str) -> list[np.ndarray]:
    """Frames of one size, (H, W, 3) uint8: the items side by side, step by step, the best ones marked.

    Args:
        items: of the query, in the order shown.
        best: indices of the items that the answer ranked first; none if it was "can't tell".
        caption: the answer as text.
    """
    # Even sizes: video codecs require them.
    size = _ITEM_PIXELS * len(items), _ITEM_PIXELS + _HEADING_PIXELS
    layout = page_layout(size, len(items), is_video=True)
    fitted = fit_items(items, layout.items)
    page = QueryPage(size, layout, fitted, QueryCaption(caption, marked=tuple(best)), has_buttons=False)
    clips = [
        (item, corner)
        for item, corner in zip(fitted, page.corners, strict=True)
        if isinstance(item, np.ndarray)
    ]
    frames = []
    for step in range(max((len(clip) for clip, _ in clips), default=1)):
        frame = page.picture.copy()
        for clip, (left, top) in clips:
            inset = clip[min(step, len(clip) - 1)]
            frame[top : top + len(inset), left : left + inset.shape[1]] = inset
        frames.append(frame)
    return frames


def write_video(path: Path, frames: Sequence[np.ndarray], fps: float) -> None:
    """Write frames as GIF or MP4, by the file's extension. A failure leaves no partial file.

    Raises:
        RuntimeError: if MP4 is asked for and OpenCV is missing or cannot write it.
    """
    if path.suffix == ".gif":
        write_gif(path, frames, fps, [frames[0], frames[-1]])
        return
    try:
        import cv2
    except ImportError as error:
        raise RuntimeError(
            "MP4 needs OpenCV; install it with: pip install opencv-python-headless, or write GIF instead"
        ) from error
    height, width = frames[0].shape[:2]

    def write(temporary: Path) -> None:
        video = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
        if not video.isOpened():
            raise RuntimeError(f"{path}: this OpenCV writes no MP4; write GIF instead")
        for frame in frames:
            video.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        video.release()

    write_file(path, write)
