"""``prefrl play``: play an environment yourself before you compare clips of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import tyro

from prefrl.cli.options import parse
from prefrl.config import EnvConfig
from prefrl.presets import PRESETS

__all__ = ["main"]

_DESCRIPTION = """Play an environment with the keyboard to learn what is hard about it.

The labellers of Christiano et al. 2017 played each game for a few minutes before they compared clips of it.
Q leaves."""
_LEGEND_PIXELS = 48
_SLOWEST_FPS, _FASTEST_FPS = 4.0, 60.0


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl play``."""

    env: tyro.conf.Positional[str]
    """preset or Gymnasium id"""
    seed: int = 0
    """seed of the first episode; each next episode adds 1"""
    fps: float | None = None
    """steps per second; by default the environment's own"""


def main(arguments: Sequence[str]) -> int:
    """Play until the person presses Q."""
    options = parse(Options, arguments, "prefrl play", _DESCRIPTION)
    if options.fps is not None and not 0 < options.fps <= 1000:
        raise ValueError(f"--fps is {options.fps}; a number above 0, at most 1000, is needed")
    if options.seed < 0:
        raise ValueError(f"--seed is {options.seed}; 0 or more is needed")
    # Imported late, so that wrong options are reported immediately.
    from prefrl.labelling.rendering import clip_fps
    from prefrl.loop.environments import make_ordinary_environment
    from prefrl.recording.state_rendering import check_drawable
    from prefrl.viewer.controls import find_controls
    from prefrl.viewer.window import Window

    config = PRESETS[options.env].config.env if options.env in PRESETS else EnvConfig(options.env)
    plain = make_ordinary_environment(replace(config, endless=False))
    check_drawable(plain)
    plain.close()
    env = make_ordinary_environment(config, "rgb_array")
    controls = find_controls(env)
    fps = options.fps or min(
        max(clip_fps(partial(make_ordinary_environment, config)), _SLOWEST_FPS), _FASTEST_FPS
    )
    with Window(f"prefrl play {options.env}", way_out="play on a machine with a screen") as window:
        _play(env, controls, window, fps, options.seed)
    env.close()
    return 0


def _play(env: Any, controls: Any, window: Any, fps: float, seed: int) -> None:
    from prefrl.viewer.scaling import fit_frames
    from prefrl.viewer.text_page import draw_line

    env.reset(seed=seed)
    steps, has_ended = 0, False
    while not window.is_closed:
        if has_ended:
            seed, steps = seed + 1, 0
            env.reset(seed=seed)
        width, height = window.size
        legend_height = min(_LEGEND_PIXELS, height // 2)
        frame = fit_frames(np.asarray(env.render())[None], (width, height - legend_height))[0]
        picture = np.full((height, width, 3), 255, np.uint8)
        left = (width - frame.shape[1]) // 2
        picture[: len(frame), left : left + frame.shape[1]] = frame
        legend = f"keys: {controls.legend}; Q leaves · step {steps}"
        picture[height - legend_height :] = draw_line((width, _LEGEND_PIXELS), legend)[:legend_height]
        window.show(picture)
        window.wait(1 / fps)
        _, _, terminated, truncated, _ = env.step(controls.action(window.held_keys()))
        steps, has_ended = steps + 1, terminated or truncated
