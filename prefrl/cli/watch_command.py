"""``prefrl watch``: see the agent act, predicted reward beside true."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tyro

from prefrl.cli.missing_extra import check_module
from prefrl.cli.options import parse
from prefrl.config import RunConfig
from prefrl.storage.run_dir import RunDir

if TYPE_CHECKING:
    import gymnasium as gym

    from prefrl.reward import LearnedReward
    from prefrl.viewer.episode_curves import EpisodeCurves
    from prefrl.viewer.episodes import Moment

__all__ = ["main"]

_DESCRIPTION = """See the saved agent act in the ordinary environment, predicted reward beside true.

Follows a run at work: every episode shows the newest agent and the newest learned reward.
In the window, Q closes."""

_DEFAULT_FPS = 30.0
_GIF_STEPS = 500
_GIF_SAMPLES = 4
_GIF_SIZE = (720, 360)
_WINDOW_SIZE = (960, 480)
_REST_S = 1.0
"""between two episodes in the window"""
_NO_WINDOW = "write a film instead with --gif FILE.gif"


@dataclass(frozen=True)
class Options:
    """Which run, and how to show it."""

    run: tyro.conf.Positional[Path]
    """run directory"""
    episodes: int | None = None
    """episodes to show; by default 1 in a GIF, and in a window until it is closed"""
    seed: int = 0
    """of the first episode, and of its actions where they are drawn; the next ones count up"""
    steps: int | None = None
    """most steps of an episode; by default whole episodes in a window and 500 in a GIF"""
    fps: float | None = None
    """steps shown a second; by default what the environment asks for"""
    gif: Path | None = None
    """write an animated GIF instead of opening a window"""


def main(words: Sequence[str]) -> int:
    """Act and show; prints a line with both returns after each episode."""
    options = parse(Options, words, "prefrl watch", _DESCRIPTION)
    _check(options)
    run = RunDir.open(options.run)
    config = run.config()
    check_module("PIL", "pictures are drawn by Pillow")
    # Loaded late, so that wrong words are answered at once.
    import torch

    torch.set_num_threads(1)  # the run may be at work beside this, and its threads fill the cores
    env = _drawable_environment(config)
    try:
        fps = options.fps or env.metadata.get("render_fps") or _DEFAULT_FPS
        if options.gif is None:
            _show(_takes(run, config, env, options), _horizon_steps(env, options), run, fps)
        else:
            _write(_takes(run, config, env, options), options.gif, fps)
    finally:
        env.close()
    return 0


def _check(options: Options) -> None:
    for name in ("episodes", "steps"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name} is {value}; at least 1 is needed")
    if options.fps is not None and not 0 < options.fps <= 1000:
        raise ValueError(f"--fps is {options.fps}; a number above 0, at most 1000, is needed")
    if options.seed < 0:
        raise ValueError(f"--seed is {options.seed}; 0 or more is needed")
    if options.gif is not None:
        if options.gif.suffix.lower() != ".gif":
            raise ValueError(f"--gif is {options.gif}; animated GIFs are written, so name it FILE.gif")
        if not options.gif.absolute().parent.is_dir():
            raise ValueError(f"--gif is {options.gif}; its folder does not exist, make it first")


def _drawable_environment(config: RunConfig) -> gym.Env[Any, Any]:
    from prefrl.loop.environments import make_ordinary_environment
    from prefrl.recording.state_rendering import check_drawable

    plain = make_ordinary_environment(config.env)
    try:
        check_drawable(plain)
    finally:
        plain.close()
    return make_ordinary_environment(config.env, render_mode="rgb_array")


@dataclass(frozen=True)
class _Take:
    """An episode about to be acted by the newest agent."""

    number: int
    caption: str
    moments: Iterator[Moment]


def _takes(run: RunDir, config: RunConfig, env: gym.Env[Any, Any], options: Options) -> Iterator[_Take]:
    """One take after another, each to be acted before the next is asked for."""
    from prefrl.viewer.episodes import act, check_reward

    episodes, most_steps = options.episodes, options.steps
    if options.gif is not None:
        episodes, most_steps = episodes or 1, most_steps or _GIF_STEPS
    for number in itertools.count(1) if episodes is None else range(1, episodes + 1):
        model, reward = _newest(run, config)
        check_reward(env, reward)
        caption = (
            f"{config.env.id} · agent at step {model.num_timesteps:,} · reward version {reward.version}"
            f" · episode {number}"
        )
        seed = options.seed + number - 1
        choose = _chooser(model, config.agent.deterministic, seed)
        yield _Take(number, caption, act(env, choose, reward, seed, most_steps))


def _newest(run: RunDir, config: RunConfig) -> tuple[Any, LearnedReward]:
    from prefrl.reward import LearnedReward
    from prefrl_agents import load_model

    try:
        model = load_model(config.agent.algorithm, run.agent)
    except FileNotFoundError:
        # There is none, or a run at work replaced it between its name and its file: a second look tells.
        model = load_model(config.agent.algorithm, run.agent)
    return model, LearnedReward.load(run.path)


def _chooser(model: Any, deterministic: bool, seed: int) -> Callable[[Any], Any]:
    import torch

    torch.manual_seed(seed)
    # An array without dimensions becomes the number in it, which is what Discrete actions are.
    return lambda observation: np.asarray(model.predict(observation, deterministic=deterministic)[0])[()]


def _horizon_steps(env: gym.Env[Any, Any], options: Options) -> int | None:
    known = [env.spec.max_episode_steps if env.spec is not None else None, options.steps]
    return min((steps for steps in known if steps is not None), default=None)


def _show(takes: Iterator[_Take], horizon_steps: int | None, run: RunDir, fps: float) -> None:
    from prefrl.viewer.episode_curves import EpisodeCurves
    from prefrl.viewer.window import Window

    story = EpisodeCurves(horizon_steps)
    # Where there is no agent yet, no window need flash up to say so.
    first = next(takes)
    with Window(f"prefrl watch {run.path}", _WINDOW_SIZE, _NO_WINDOW) as window:
        for take in itertools.chain([first], takes):
            story.begin(take.caption)
            for moment in take.moments:
                story.add(moment.predicted_reward, moment.true_reward)
                window.show(story.picture(moment.frame, window.size))
                window.wait(1 / fps)
                if window.is_closed:
                    return
            _report(take, story)
            window.wait(_REST_S)
            if window.is_closed:
                return


def _write(takes: Iterator[_Take], path: Path, fps: float) -> None:
    from prefrl.viewer.gif import write_gif
    from prefrl.viewer.reward_chart import shrink

    # Acted to the end before the first picture is drawn, so that the axes are those of the whole film.
    film = [
        (take, [replace(moment, frame=shrink(moment.frame, _GIF_SIZE[1])) for moment in take.moments])
        for take in takes
    ]
    write_gif(path, _pictures(film), fps, _samples(film))
    print(f"{path}: {path.stat().st_size / 1000:,.0f} kB", file=sys.stderr)


def _pictures(film: Sequence[tuple[_Take, Sequence[Moment]]]) -> Iterator[np.ndarray]:
    from prefrl.viewer.episode_curves import EpisodeCurves

    story = EpisodeCurves(max(len(moments) for _, moments in film))
    for _, moments in film:
        story.widen(
            (moment.predicted_reward for moment in moments), (moment.true_reward for moment in moments)
        )
    for take, moments in film:
        story.begin(take.caption)
        for moment in moments:
            story.add(moment.predicted_reward, moment.true_reward)
            yield story.picture(moment.frame, _GIF_SIZE)
        _report(take, story)


def _samples(film: Sequence[tuple[_Take, Sequence[Moment]]]) -> list[np.ndarray]:
    """Some pictures, spread over the film, to choose its colours by."""
    from prefrl.viewer.episode_curves import EpisodeCurves

    moments = [moment for _, moments in film for moment in moments]
    samples = []
    for index in np.linspace(0, len(moments) - 1, _GIF_SAMPLES).round().astype(int):
        story = EpisodeCurves()
        for step in range(2):  # two points make a line
            story.add(float(step), float(-step))
        samples.append(story.picture(moments[index].frame, _GIF_SIZE))
    return samples


def _report(take: _Take, story: EpisodeCurves) -> None:
    print(
        f"episode {take.number}: {story.steps} steps, predicted return {story.predicted_return:.2f}, "
        f"true return {story.true_return:.2f}",
        flush=True,
    )
