"""Writes animated GIFs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from prefrl.storage.durable import write_file

__all__ = ["write_gif"]

_COLOURS = 256
_SHORTEST_MS = 20
"""browsers slow down GIFs of more than 50 frames per second"""
_LAST_MS = 1500
"""how long the last frame stays before the GIF restarts"""


def write_gif(path: Path, frames: Iterable[np.ndarray], fps: float, samples: Sequence[np.ndarray]) -> None:
    """Write a looping GIF. A failure leaves no partial file.

    GIF durations are in hundredths of a second, and at most 50 frames per second are shown; above that, frames are
    dropped so that the speed is kept.

    Args:
        path: of the file; an existing one is replaced.
        frames: shape (H, W, 3) uint8 each, all of one size, at least one; read one at a time.
        fps: frames per second.
        samples: some frames, of one width, that contain all colours; at least one.

    Raises:
        ValueError: if there are no frames.
        OSError: if the file cannot be written.
    """
    every = max(1, round(fps * _SHORTEST_MS / 1000))
    # One palette for all frames, so that pixels that do not change need not be written again.
    palette = Image.fromarray(np.concatenate(samples)).quantize(_COLOURS, method=Image.Quantize.FASTOCTREE)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in islice(frames, 0, None, every)
    ]
    if not images:
        raise ValueError(f"{path}: there are no frames to write")
    duration_ms = max(_SHORTEST_MS, round(every * 100 / fps) * 10)
    durations_ms = [*[duration_ms] * (len(images) - 1), _LAST_MS]
    write_file(
        path,
        lambda temporary: images[0].save(
            temporary,
            "GIF",
            save_all=True,
            append_images=images[1:],
            duration=durations_ms,
            loop=0,
            disposal=1,
        ),
    )
