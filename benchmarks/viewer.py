"""A person at the window: does it teach, how long does a key take, and what does filming cost?

``python benchmarks/viewer.py --seeds 0-2``; needs Xvfb and xdotool. How to read the results is in README.md beside this
file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    ROOT,
    WORK,
    Job,
    Record,
    Suite,
    failure_note,
    main,
    mean_column,
    median_column,
    min_column,
    ratio_column,
    seeds_column,
    table,
)
from prefrl.config import to_json
from prefrl.presets import get_preset

NAME = "viewer"
LABELS = 200
FILMED = {"pong-fast": 40_000, "pendulum": 50_000, "penguin": 40_000, "hopper-backflip": 100_000}
"""preset, of which each is filmed in another way, and steps"""


def jobs(seed: int, quick: bool) -> list[Job]:
    """Teaching through all that people do; keys while Pong is trained; each preset with and without a camera."""
    labels = 20 if quick else LABELS
    people = [
        _person("pendulum", "taught", seed, labels, ["--tried"]),
        _person("pong-fast", "keys", seed, labels, ["--stop", "--train", *_often(labels)]),
    ]
    filmed = [
        _speed(preset, method, seed, steps // 20 if quick else steps)
        for preset, steps in FILMED.items()
        for method in ("unfilmed", "filmed")
    ]
    return [*people, *filmed]


def _often(labels: int) -> list[str]:
    """Flags by which Pong's agent is trained meanwhile, and labels fall due as fast as they are given."""
    return [
        *("--schedule.initial-share", "0.25", "--schedule.kind", "constant", "--schedule.ends-at", "0.05"),
        *("--queries.batch", "10", "--runtime.max-label-lag", str(labels)),
    ]


def _person(preset: str, method: str, seed: int, labels: int, flags: list[str]) -> Job:
    run = WORK / "runs" / NAME / f"{method}-{seed}"
    return Job(
        name=f"{preset}/{method}",
        seed=seed,
        command=[
            *(sys.executable, "-m", "benchmarks.viewer_run", preset, "--labels", str(labels)),
            *("--seed", str(seed), "--run", str(run.relative_to(ROOT)), *flags),
        ],
        config={"flags": flags, "labels": labels, "preset": to_json(get_preset(preset).config)},
        scratch=run,
    )


def _speed(preset: str, method: str, seed: int, steps: int) -> Job:
    # With the mixed oracle and nobody at the window, the same oracle answers and everything is filmed.
    oracle = "mixed" if method == "filmed" else "synthetic"
    run = WORK / "runs" / NAME / f"{preset}-{method}-{seed}"
    config = get_preset(preset).config
    # As often as in the whole preset.
    labels = round(config.labels * steps / config.steps)
    flags = ["--oracle", oracle, "--no-viewer", "--steps", str(steps), "--labels", str(labels)]
    flags += ["--eval-episodes", "1"]
    return Job(
        name=f"{preset}/{method}",
        seed=seed,
        command=[
            *(sys.executable, "-m", "prefrl.cli", "train", preset, *flags),
            *("--seed", str(seed), "--run", str(run.relative_to(ROOT))),
        ],
        config={"flags": flags, "preset": to_json(config)},
        scratch=run,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write viewer.md."""
    newest = max(records, key=lambda record: record.started)
    people = [record for record in records if record.method in ("taught", "keys")]
    filmed = [record for record in records if record.method in ("filmed", "unfilmed")]
    parts = [
        "# A person at the window\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, on {newest.machine['cores']} cores of "
        f"{newest.machine['cpu']}. How to read this: [README](../README.md).\n"
    ]
    if any(record.ok for record in people):
        columns = [
            seeds_column(),
            median_column("labels", "Labels"),
            mean_column("true_return_mean", "True return"),
            min_column("true_return_mean", "True return"),
            median_column("labels_a_minute", "Labels a minute"),
            median_column("delays", "Keys timed"),
            median_column("delay_ms_median", "Key to next clip, ms"),
            median_column("delay_ms_p95", "95% within, ms"),
            median_column("delay_ms_worst", "Worst, ms"),
        ]
        parts += ["## Keys\n", table(people, columns)]
    if any(record.ok for record in filmed):
        columns = [
            seeds_column(),
            median_column("steps_per_s", "Steps/s"),
            ratio_column("steps_per_s", "unfilmed", "Steps/s"),
        ]
        parts += ["## Filming\n", table(filmed, columns)]
    parts.append(failure_note(records))
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
