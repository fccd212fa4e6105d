"""``prefrl watch``: show the agent acting, with predicted and true reward."""

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
from prefrl.loop.trust import open_run
from prefrl.storage.run_dir import RunDir

if TYPE_CHECKING:
    import gymnasium as gym

    from prefrl.reward import LearnedReward
    from prefrl.viewer.episode_curves import EpisodeCurves
    from prefrl.viewer.episodes import EpisodeStep

__all__ = ["main"]

_DESCRIPTION = """Show the saved agent acting in the ordinary environment, with predicted and true reward.

If the run is training, each episode shows the newest agent and the newest learned reward.
In the window, Q closes."""

_DEFAULT_FPS = 30.0
_GIF_STEPS = 500
_GIF_SAMPLES = 4
_GIF_SIZE = (720, 360)
_WINDOW_SIZE = (960, 480)
_PAUSE_S = 1.0
"""pause between two episodes in the window"""
_NO_WINDOW = "write a GIF instead with --gif FILE.gif"


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl watch``."""

    run: tyro.conf.Positional[Path]
    """run directory"""
    episodes: int | None = None
    """number of episodes to show; by default 1 in a GIF, and without limit in a window"""
    seed: int = 0
    """seed of the first episode, and of its actions if they are sampled; each next episode adds 1"""
    steps: int | None = None
    """maximum number of steps per episode; by default whole episodes in a window, and 500 in a GIF"""
    fps: float | None = None
    """steps per second; by default the environment's own"""
    gif: Path | None = None
    """write an animated GIF instead of opening a window"""
    trust: bool = False
    """allow the run directory to execute code: import modules that its settings name, and load an agent pickled by an
    earlier release"""


def main(arguments: Sequence[str]) -> int:
    """Show episodes, and print a line with both returns after each."""
    options = parse(Options, arguments, "prefrl watch", _DESCRIPTION)
    _check(options)
    run = open_run(options.run, options.trust)
    config = run.config()
    check_module("PIL", "drawing needs Pillow")
    # Imported late, so that wrong options are reported immediately.
    import torch

    torch.set_num_threads(1)  # the run may be training at the same time and needs the cores
    env = _drawable_environment(run, config)
    try:
        fps = options.fps or env.metadata.get("render_fps") or _DEFAULT_FPS
        if options.gif is None:
            _show(_episodes(run, config, env, options), _horizon_steps(env, options), run, fps)
        else:
            _write_gif(_episodes(run, config, env, options), options.gif, fps)
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
            raise ValueError(f"--gif is {options.gif}; only animated GIFs are written, so name it FILE.gif")
        if not options.gif.absolute().parent.is_dir():
            raise ValueError(f"--gif is {options.gif}; its folder does not exist, create it first")


def _drawable_environment(run: RunDir, config: RunConfig) -> gym.Env[Any, Any]:
    from prefrl.loop.environments import make_ordinary_environment
    from prefrl.recording.state_rendering import check_drawable
    from prefrl_agents.run_agent import check_environment_of

    check_environment_of(run, config)
    plain = make_ordinary_environment(config.env)
    try:
        check_drawable(plain)
    finally:
        plain.close()
    return make_ordinary_environment(config.env, render_mode="rgb_array")


@dataclass(frozen=True)
class _WatchedEpisode:
    """An episode of the newest agent; it runs while ``steps`` is read."""

    number: int
    caption: str
    steps: Iterator[EpisodeStep]


def _episodes(
    run: RunDir, config: RunConfig, env: gym.Env[Any, Any], options: Options
) -> Iterator[_WatchedEpisode]:
    """The episodes to show; read each to its end before the next."""
    from prefrl.viewer.episodes import check_reward, run_episode

    episodes, max_steps = options.episodes, options.steps
    if options.gif is not None:
        episodes, max_steps = episodes or 1, max_steps or _GIF_STEPS
    for number in itertools.count(1) if episodes is None else range(1, episodes + 1):
        model, reward = _load_newest(run, config, options.trust)
        check_reward(env, reward)
        caption = (
            f"{config.env.id} · agent at step {model.num_timesteps:,} · reward version {reward.version}"
            f" · episode {number}"
        )
        seed = options.seed + number - 1
        choose = _make_action_chooser(model, config.agent.deterministic, seed)
        yield _WatchedEpisode(number, caption, run_episode(env, choose, reward, seed, max_steps))


def _load_newest(run: RunDir, config: RunConfig, trust: bool) -> tuple[Any, LearnedReward]:
    from prefrl.reward import LearnedReward
    from prefrl_agents import load_run_agent

    try:
        model = load_run_agent(run, config, trust)
    except FileNotFoundError:
        # There is no agent, or the running policy replaced it while it was read: try once more.
        model = load_run_agent(run, config, trust)
    return model, LearnedReward.load(run.path)


def _make_action_chooser(model: Any, deterministic: bool, seed: int) -> Callable[[Any], Any]:
    import torch

    torch.manual_seed(seed)
    # `[()]` turns an array without dimensions into a number, as Discrete action spaces expect.
    return lambda observation: np.asarray(model.predict(observation, deterministic=deterministic)[0])[()]


def _horizon_steps(env: gym.Env[Any, Any], options: Options) -> int | None:
    known = [env.spec.max_episode_steps if env.spec is not None else None, options.steps]
    return min((steps for steps in known if steps is not None), default=None)


def _show(episodes: Iterator[_WatchedEpisode], horizon_steps: int | None, run: RunDir, fps: float) -> None:
    from prefrl.viewer.episode_curves import EpisodeCurves
    from prefrl.viewer.window import Window

    curves = EpisodeCurves(horizon_steps)
    # If there is no agent yet, fail before a window opens.
    first = next(episodes)
    with Window(f"prefrl watch {run.path}", _WINDOW_SIZE, _NO_WINDOW) as window:
        for episode in itertools.chain([first], episodes):
            curves.begin(episode.caption)
            for step in episode.steps:
                curves.add(step.predicted_reward, step.true_reward)
                window.show(curves.picture(step.frame, window.size))
                window.wait(1 / fps)
                if window.is_closed:
                    return
            _report(episode, curves)
            window.wait(_PAUSE_S)
            if window.is_closed:
                return


def _write_gif(episodes: Iterator[_WatchedEpisode], path: Path, fps: float) -> None:
    from prefrl.viewer.gif import write_gif
    from prefrl.viewer.reward_chart import shrink

    # All episodes are run before the first frame is drawn, so that the axes span all of them.
    recorded = [
        (episode, [replace(step, frame=shrink(step.frame, _GIF_SIZE[1])) for step in episode.steps])
        for episode in episodes
    ]
    write_gif(path, _pictures(recorded), fps, _colour_samples(recorded))
    print(f"{path}: {path.stat().st_size / 1000:,.0f} kB", file=sys.stderr)


def _pictures(recorded: Sequence[tuple[_WatchedEpisode, Sequence[EpisodeStep]]]) -> Iterator[np.ndarray]:
    from prefrl.viewer.episode_curves import EpisodeCurves

    curves = EpisodeCurves(max(len(steps) for _, steps in recorded))
    for _, steps in recorded:
        curves.widen((step.predicted_reward for step in steps), (step.true_reward for step in steps))
    for episode, steps in recorded:
        curves.begin(episode.caption)
        for step in steps:
            curves.add(step.predicted_reward, step.true_reward)
            yield curves.picture(step.frame, _GIF_SIZE)
        _report(episode, curves)


def _colour_samples(recorded: Sequence[tuple[_WatchedEpisode, Sequence[EpisodeStep]]]) -> list[np.ndarray]:
    """Pictures of a few steps, evenly spaced, to choose the GIF's palette from."""
    from prefrl.viewer.episode_curves import EpisodeCurves

    frames = [step.frame for _, steps in recorded for step in steps]
    samples = []
    for index in np.linspace(0, len(frames) - 1, _GIF_SAMPLES).round().astype(int):
        curves = EpisodeCurves()
        for step in range(2):  # a line needs two points
            curves.add(float(step), float(-step))
        samples.append(curves.picture(frames[index], _GIF_SIZE))
    return samples


def _report(episode: _WatchedEpisode, curves: EpisodeCurves) -> None:
    print(
        f"episode {episode.number}: {curves.steps} steps, predicted return {curves.predicted_return:.2f}, "
        f"true return {curves.true_return:.2f}",
        flush=True,
    )
