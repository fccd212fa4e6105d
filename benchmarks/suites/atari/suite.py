"""Atari from preferences: speed and scores, beside the true reward and the papers."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    Job,
    Panel,
    Record,
    Suite,
    by_job,
    failure_note,
    heading,
    job_command,
    mean_column,
    median_column,
    min_column,
    plot_curves,
    ratio_column,
    relative,
    run_folder,
    seeds_column,
    table,
    train_job,
    write_page,
)
from prefrl.config import to_json
from prefrl.presets import get_preset

NAME = "atari"
CORES = 2
PEER = "benchmarks/peers/stock_atari.py"
STEPS_PER_LABEL = 100
QUERIES_PER_LABEL = {"pong-fast": 3, "pong": 2}
"""preset -> training of the reward per label; per step about as much as in the preset itself: in a thousand steps, 20
queries for each of 1.7 labels, or 200 for each of 0.11"""
SPEED_STEPS, QUICK_STEPS = 60_000, 8_192
SPEED = {"speed-ppo": ("pong-fast", "sb3-ppo"), "speed-a2c": ("pong", "sb3-a2c")}
"""task -> preset and its peer"""
_CENTRED = get_preset("pong-fast").config.agent.hyperparameters
_UNCENTRED = _CENTRED | {
    "policy_kwargs": {"optimizer_kwargs": _CENTRED["policy_kwargs"]["optimizer_kwargs"]},
}
_LEARNING_UNCENTRED = _UNCENTRED | {"batch_size": 64, "n_epochs": 3, "learning_rate": "lin_3e-4_1e-4"}
"""settings that learn Pong without centred pixels"""
WITHOUT: dict[str, list[str]] = {
    "without-overlap": ["--agent.no-overlap"],
    "without-native-environments": ["--env.no-native"],
    "without-fast-policy": [
        *("--agent.policy", "CnnPolicy", "--agent.hyperparameters", json.dumps(_UNCENTRED)),
    ],
    "without-bfloat16-reward": ["--reward.precision", "float32"],
    "without-centred-pixels": ["--agent.hyperparameters", json.dumps(_LEARNING_UNCENTRED)],
}
"""method -> flags that remove one of the optimisations of pong-fast"""
FAST_GAMES = ("beam-rider", "breakout", "pong", "seaquest", "space-invaders")
PAPER_GAMES = ("beam-rider", "breakout", "enduro", "pong", "qbert", "seaquest", "space-invaders")
PAPER_MINUTES = 30.0
KILL_EVERY_MINUTES = 4.0
CURVE_STEPS = 100_000
"""shorter curves are not drawn"""

# Synthetic labels, Ibarz et al. 2018, appendix F; the RL Zoo's agents after 10 million steps on the true reward.
KNOWN: dict[str, tuple[str, str]] = {
    "beam-rider": ("10,000", "2,890 / 3,397"),
    "breakout": ("20", "280 / 398"),
    "enduro": ("0", "0 / 996"),
    "pong": ("20", "17.3 / 21.0"),
    "qbert": ("13,000", "3,882 / 15,627"),
    "seaquest": ("1,200", "1,721 / 1,784"),
    "space-invaders": ("not given", "627 / 960"),
}
"""game -> Christiano et al. 2017 with 5,500 labels; A2C / PPO on the true reward"""


def jobs(seed: int, quick: bool) -> list[Job]:
    """Speeds, with methods that are compared in sequence; then the fast presets; then a piece of each paper preset."""
    speeds = [job for task in SPEED for job in _speeds(task, seed, quick)]
    fast = [_fast(game, seed, quick) for game in FAST_GAMES]
    return [
        *speeds,
        *fast,
        _killed("pong", seed, quick),
        *[_paper(game, seed, quick) for game in PAPER_GAMES],
    ]


def _speeds(task: str, seed: int, quick: bool) -> list[Job]:
    preset, peer = SPEED[task]
    steps = QUICK_STEPS if quick else SPEED_STEPS
    left_out = WITHOUT if task == "speed-ppo" else {}
    ours = [_speed(task, method, preset, seed, steps, flags) for method, flags in left_out.items()]
    peers = [_peer(task, name, seed, steps) for name in (peer, "emulator")]
    return [_speed(task, "prefrl", preset, seed, steps, []), *peers, *ours]


def _speed(task: str, method: str, preset: str, seed: int, steps: int, left_out: list[str]) -> Job:
    labels = steps // STEPS_PER_LABEL
    flags = [
        *("--labels", str(labels), "--steps", str(steps), "--schedule.kind", "constant"),
        # The speed is that of training while labels arrive, without the pretraining.
        *("--schedule.initial-share", str(round(50 / labels, 3)), "--schedule.ends-at", "1.0"),
        *("--reward.initial-epochs", "1", "--eval-episodes", "1"),
        *("--reward.queries-per-label", str(QUERIES_PER_LABEL[preset])),
        # Measured in steps, neither is more than in pong-fast.
        *("--queries.batch", "100", "--runtime.max-label-lag", "500"),
        *left_out,
    ]
    return train_job(
        f"{task}/{method}",
        seed,
        preset,
        flags,
        run_folder(NAME, f"{task}-{method}-{seed}"),
        config={"flags": flags, "preset": to_json(get_preset(preset).config)},
        env={},
    )


def _peer(task: str, name: str, seed: int, steps: int) -> Job:
    command = [sys.executable, PEER, name, "--steps", str(steps), "--seed", str(seed)]
    return Job(name=f"{task}/{name}", seed=seed, command=command, config={"steps": steps})


def _fast(game: str, seed: int, quick: bool) -> Job:
    return _piece(f"{game}-fast", game, "fast", seed, 1.0 if quick else 24 * 60.0, fresh=True)


def _killed(game: str, seed: int, quick: bool) -> Job:
    minutes, every = (1.0, 0.3) if quick else (24 * 60.0, KILL_EVERY_MINUTES)
    flags = ["--kill-every", f"{every:g}"]
    return _piece(f"{game}-fast", game, "fast-killed", seed, minutes, fresh=True, flags=flags)


def _paper(game: str, seed: int, quick: bool) -> Job:
    return _piece(game, game, "paper", seed, 0.5 if quick else PAPER_MINUTES, fresh=False)


def _piece(
    preset: str, game: str, method: str, seed: int, minutes: float, fresh: bool, flags: Sequence[str] = ()
) -> Job:
    run = run_folder(NAME, f"{game}-{method}-{seed}")
    return Job(
        name=f"{game}/{method}",
        seed=seed,
        command=job_command(
            NAME,
            *(preset, "--minutes", f"{minutes:g}", "--seed", str(seed), "--run", relative(run), *flags),
        ),
        config={"flags": list(flags), "preset": to_json(get_preset(preset).config)},
        scratch=run if fresh else None,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write atari.md, and atari_labels.png and atari_steps.png where there are curves."""
    speeds = [record for record in records if record.task in SPEED]
    games = [record for record in records if record.task not in SPEED]
    parts = [_heading(records)]
    if any(record.ok for record in speeds):
        parts += ["## Speed\n", _speed_table(speeds)]
    if any(record.ok for record in games):
        parts += ["## Scores\n", _score_table(games)]
    # Runs that are hardly past the pretraining have no curve.
    trained = [record for record in games if record.curve and record.curve[-1]["steps"] >= CURVE_STEPS]
    if trained:
        y = Panel("true_return", "True return, mean of 20 training episodes")
        plot_curves(trained, "labels", y, folder / f"{NAME}_labels.png", "Labels")
        plot_curves(trained, "steps", y, folder / f"{NAME}_steps.png", "Agent steps, 4 frames each")
        parts += [f"![True return over labels]({NAME}_labels.png)\n"]
        parts += [f"![True return over steps]({NAME}_steps.png)\n"]
    write_page(folder, NAME, [*parts, failure_note(records)])


def _speed_table(records: Sequence[Record]) -> str:
    columns = [seeds_column(), median_column("labels", "Labels"), median_column("steps_per_s", "Steps/s")]
    peers = ("sb3-ppo", "sb3-a2c", "emulator", "prefrl")
    columns += [ratio_column("steps_per_s", peer, "Steps/s") for peer in peers]
    return table(records, columns)


def _score_table(records: Sequence[Record]) -> str:
    columns = [
        seeds_column(),
        median_column("steps", "Steps"),
        median_column("labels", "Labels"),
        median_column("training_s", "Seconds"),
        mean_column("true_return_mean", "True return"),
        min_column("true_return_mean", "True return"),
    ]
    known = ["| Game | Paper, 5,500 labels | True reward, A2C / PPO, 10 million steps |", "|---|---:|---:|"]
    played = {group[0].task for group in by_job(records).values()}
    known += [f"| {game} | {paper} | {zoo} |" for game, (paper, zoo) in KNOWN.items() if game in played]
    return table(records, columns) + "\n" + "\n".join(known) + "\n"


def _heading(records: Sequence[Record]) -> str:
    return heading(
        "Atari from preferences",
        NAME,
        records,
        "on {cores} cores of {cpu}. A step is 4 frames. True return: a seed's mean over 10 episodes of the game with "
        "its score, actions sampled from the policy.",
    )


SUITE = Suite(NAME, jobs, report, default_seeds="0-1", cores=CORES)
