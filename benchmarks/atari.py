"""Atari from preferences: how fast, and how well, beside the true reward and the papers.

``python benchmarks/atari.py --seeds 0-1``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.control import use_two_cores
from benchmarks.harness import (
    ROOT,
    WORK,
    Job,
    Panel,
    Record,
    Suite,
    by_job,
    failure_note,
    main,
    mean_column,
    median_column,
    min_column,
    plot_curves,
    ratio_column,
    seeds_column,
    table,
)
from prefrl.config import to_json
from prefrl.presets import get_preset

NAME = "atari"
STEPS_PER_LABEL = 100
QUERIES_PER_LABEL = {"pong-fast": 3, "pong": 2}
"""per step about as much training of the reward as the presets have: 20 for each of 1.7 labels, 200 for each of 0.11,
in a thousand steps"""
SPEED_STEPS, QUICK_STEPS = 60_000, 8_192
SPEED = {"speed-ppo": ("pong-fast", "sb3-ppo"), "speed-a2c": ("pong", "sb3-a2c")}
"""task: the preset, and its peer"""
_CENTRED = get_preset("pong-fast").config.agent.hyperparameters
_UNCENTRED = _CENTRED | {
    "policy_kwargs": {"optimizer_kwargs": _CENTRED["policy_kwargs"]["optimizer_kwargs"]},
}
_LEARNING_UNCENTRED = _UNCENTRED | {"batch_size": 64, "n_epochs": 3, "learning_rate": "lin_3e-4_1e-4"}
"""what Pong is learned with where pixels are not centred"""
WITHOUT: dict[str, list[str]] = {
    "without-overlap": ["--agent.no-overlap"],
    "without-native-environments": ["--env.no-native"],
    "without-fast-policy": [
        *("--agent.policy", "CnnPolicy", "--agent.hyperparameters", json.dumps(_UNCENTRED)),
    ],
    "without-bfloat16-reward": ["--reward.precision", "float32"],
    "without-centred-pixels": ["--agent.hyperparameters", json.dumps(_LEARNING_UNCENTRED)],
}
"""method: pong-fast with one of the things left out that make it fast"""
FAST_GAMES = ("beam-rider", "breakout", "pong", "seaquest", "space-invaders")
PAPER_GAMES = ("beam-rider", "breakout", "enduro", "pong", "qbert", "seaquest", "space-invaders")
PAPER_MINUTES = 30.0
KILL_EVERY_MINUTES = 4.0
CURVE_STEPS = 100_000
"""fewest that are drawn"""

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
"""game: Christiano et al. 2017 with 5,500 labels; A2C / PPO on the true reward"""


def jobs(seed: int, quick: bool) -> list[Job]:
    """Speeds, what is compared one after the other; then the fast presets, then a piece of each of the paper's."""
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
        # The time is to be that of training with labels coming in, not that of the pretraining.
        *("--schedule.initial-share", str(round(50 / labels, 3)), "--schedule.ends-at", "1.0"),
        *("--reward.initial-epochs", "1", "--eval-episodes", "1"),
        *("--reward.queries-per-label", str(QUERIES_PER_LABEL[preset])),
        # In steps, neither is more than in pong-fast.
        *("--queries.batch", "100", "--runtime.max-label-lag", "500"),
        *left_out,
    ]
    run = WORK / "runs" / NAME / f"{task}-{method}-{seed}"
    return Job(
        name=f"{task}/{method}",
        seed=seed,
        command=[
            *(sys.executable, "-m", "prefrl.cli", "train", preset, *flags),
            *("--seed", str(seed), "--run", str(run.relative_to(ROOT))),
        ],
        config={"flags": flags, "preset": to_json(get_preset(preset).config)},
        scratch=run,
    )


def _peer(task: str, name: str, seed: int, steps: int) -> Job:
    command = [
        sys.executable,
        "-m",
        "benchmarks.atari_peers",
        name,
        "--steps",
        str(steps),
        "--seed",
        str(seed),
    ]
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
    run = WORK / "runs" / NAME / f"{game}-{method}-{seed}"
    return Job(
        name=f"{game}/{method}",
        seed=seed,
        command=[
            *(sys.executable, "-m", "benchmarks.atari_piece", preset, "--minutes", f"{minutes:g}"),
            *("--seed", str(seed), "--run", str(run.relative_to(ROOT)), *flags),
        ],
        config={"flags": list(flags), "preset": to_json(get_preset(preset).config)},
        scratch=run if fresh else None,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write atari.md and the curves."""
    speeds = [record for record in records if record.task in SPEED]
    games = [record for record in records if record.task not in SPEED]
    parts = [_heading(records)]
    if any(record.ok for record in speeds):
        parts += ["## Speed\n", _speed_table(speeds)]
    if any(record.ok for record in games):
        parts += ["## Scores\n", _score_table(games)]
    # What was hardly more than pretrained has no curve yet.
    trained = [record for record in games if record.curve and record.curve[-1]["steps"] >= CURVE_STEPS]
    if trained:
        y = Panel("true_return", "True return, mean of 20 training episodes")
        plot_curves(trained, "labels", y, folder / f"{NAME}_labels.png", "Labels")
        plot_curves(trained, "steps", y, folder / f"{NAME}_steps.png", "Agent steps, 4 frames each")
        parts += [f"![True return over labels]({NAME}_labels.png)\n"]
        parts += [f"![True return over steps]({NAME}_steps.png)\n"]
    parts.append(failure_note(records))
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")


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
    newest = max(records, key=lambda record: record.started)
    return (
        "# Atari from preferences\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, on {newest.machine['cores']} cores of "
        f"{newest.machine['cpu']}. A step is 4 frames. True return: a seed's mean over 10 episodes of the game with "
        "its score, actions drawn from the policy. How to read this: [README](../README.md).\n"
    )


if __name__ == "__main__":
    use_two_cores()
    sys.exit(main(Suite(NAME, jobs, report)))
