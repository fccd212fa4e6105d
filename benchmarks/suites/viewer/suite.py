"""The labelling window: training by key presses, delay of a key, and cost of recording clips.

Needs Xvfb and xdotool.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    Job,
    Record,
    Suite,
    failure_note,
    heading,
    job_command,
    mean_column,
    median_column,
    min_column,
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

NAME = "viewer"
LABELS = 200
CLIPS = {"pong-fast": 40_000, "pendulum": 50_000, "penguin": 40_000, "hopper-backflip": 100_000}
"""preset -> steps; the clips of each are recorded in another way"""


def jobs(seed: int, quick: bool) -> list[Job]:
    """Training by everything people do; keys while Pong is trained; each preset with and without clips."""
    labels = 20 if quick else LABELS
    people = [
        _person("pendulum", "taught", seed, labels, ["--tried"]),
        _person("pong-fast", "keys", seed, labels, ["--stop", "--train", *_frequent_labels(labels)]),
    ]
    clips = [
        _speed(preset, method, seed, steps // 20 if quick else steps)
        for preset, steps in CLIPS.items()
        for method in ("unfilmed", "filmed")
    ]
    return [*people, *clips]


def _frequent_labels(labels: int) -> list[str]:
    """Flags that let Pong's agent train meanwhile, with labels due as fast as they are given."""
    return [
        *("--schedule.initial-share", "0.25", "--schedule.kind", "constant", "--schedule.ends-at", "0.05"),
        *("--queries.batch", "10", "--runtime.max-label-lag", str(labels)),
    ]


def _person(preset: str, method: str, seed: int, labels: int, flags: list[str]) -> Job:
    run = run_folder(NAME, f"{method}-{seed}")
    return Job(
        name=f"{preset}/{method}",
        seed=seed,
        command=job_command(
            NAME, preset, "--labels", str(labels), "--seed", str(seed), "--run", relative(run), *flags
        ),
        config={"flags": flags, "labels": labels, "preset": to_json(get_preset(preset).config)},
        scratch=run,
    )


def _speed(preset: str, method: str, seed: int, steps: int) -> Job:
    # With the mixed oracle and no window open, the synthetic oracle answers and clips are recorded.
    oracle = "mixed" if method == "filmed" else "synthetic"
    config = get_preset(preset).config
    # As many labels per step as in the whole preset.
    labels = round(config.labels * steps / config.steps)
    flags = ["--oracle", oracle, "--no-viewer", "--steps", str(steps), "--labels", str(labels)]
    flags += ["--eval-episodes", "1"]
    return train_job(
        f"{preset}/{method}",
        seed,
        preset,
        flags,
        run_folder(NAME, f"{preset}-{method}-{seed}"),
        config={"flags": flags, "preset": to_json(config)},
        env={},
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write viewer.md."""
    people = [record for record in records if record.method in ("taught", "keys")]
    clips = [record for record in records if record.method in ("filmed", "unfilmed")]
    parts = [heading("The labelling window", NAME, records, "on {cores} cores of {cpu}.")]
    if any(record.ok for record in people):
        columns = [
            seeds_column(),
            median_column("labels", "Labels"),
            mean_column("true_return_mean", "True return"),
            min_column("true_return_mean", "True return"),
            median_column("labels_a_minute", "Labels per minute"),
            median_column("delays", "Keys timed"),
            median_column("delay_ms_median", "Key to next clip, ms"),
            median_column("delay_ms_p95", "95th percentile, ms"),
            median_column("delay_ms_worst", "Worst, ms"),
        ]
        parts += ["## Keys\n", table(people, columns)]
    if any(record.ok for record in clips):
        columns = [
            seeds_column(),
            median_column("steps_per_s", "Steps/s"),
            ratio_column("steps_per_s", "unfilmed", "Steps/s"),
        ]
        parts += ["## Recording clips\n", table(clips, columns)]
    write_page(folder, NAME, [*parts, failure_note(records)])


SUITE = Suite(NAME, jobs, report, default_seeds="0-2")
