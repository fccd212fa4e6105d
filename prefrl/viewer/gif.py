"""Pictures as an animated GIF."""

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
"""browsers slow down what is faster than 50 pictures a second"""
_LAST_MS = 1500
"""how long the last picture stays before the film begins anew"""


def write_gif(path: Path, pictures: Iterable[np.ndarray], fps: float, samples: Sequence[np.ndarray]) -> None:
    """Write an endless film, all of the file or none.

    GIFs count in hundredths of a second and go no faster than 50 pictures a second; of a film that is faster,
    pictures are left out so that it keeps its speed.

    Args:
        path: of the file; an existing one is replaced.
        pictures: shape (H, W, 3) uint8 each, all of one size, at least one; taken one at a time.
        fps: pictures a second.
        samples: some pictures, of one width, that show all colours; at least one.

    Raises:
        ValueError: when there are no pictures.
        OSError: when the file cannot be written.
    """
    every = max(1, round(fps * _SHORTEST_MS / 1000))
    # One palette for all, so that what stands still stays the same and need not be written again.
    palette = Image.fromarray(np.concatenate(samples)).quantize(_COLOURS, method=Image.Quantize.FASTOCTREE)
    images = [
        Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in islice(pictures, 0, None, every)
    ]
    if not images:
        raise ValueError(f"{path}: there are no pictures to write")
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
