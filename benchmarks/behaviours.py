"""Behaviours that no environment pays for, taught by their judges' comparisons.

``python benchmarks/behaviours.py --seeds 0-2``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    ROOT,
    WORK,
    Job,
    Panel,
    Record,
    Suite,
    failure_note,
    interval_column,
    iqm_column,
    main,
    mean_column,
    median_column,
    min_column,
    plot_curves,
    seeds_column,
    table,
)
from prefrl.config import to_json
from prefrl.presets import get_preset

NAME = "behaviours"
PRESETS = ("hopper-backflip", "cheetah-one-leg", "enduro-level")


def jobs(seed: int, quick: bool) -> list[Job]:
    """Each behaviour for one seed."""
    return [_job(preset, seed, quick) for preset in PRESETS]


def _job(preset: str, seed: int, quick: bool) -> Job:
    run = WORK / "runs" / NAME / f"{preset}-{seed}"
    flags = ["--steps", "30000"] if quick else []
    return Job(
        name=f"{preset}/prefrl",
        seed=seed,
        command=[
            *(sys.executable, "-m", "benchmarks.behaviours_run", preset, "--seed", str(seed)),
            *("--run", str(run.relative_to(ROOT)), *flags),
        ],
        config={"flags": flags, "preset": to_json(get_preset(preset).config)},
        scratch=run,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write behaviours.md and the curves."""
    newest = max(records, key=lambda record: record.started)
    heading = (
        "# Behaviours that no environment pays for\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, on {newest.machine['cores']} cores of "
        f"{newest.machine['cpu']}. True return is the judge's score. How to read this: [README](../README.md).\n"
    )
    columns = [
        seeds_column(),
        median_column("labels", "Labels"),
        median_column("wall_s", "Seconds"),
        iqm_column("true_return_mean", "True return"),
        interval_column("true_return_mean"),
        mean_column("true_return_mean"),
        min_column("true_return_mean"),
        median_column("flips_a_minute", "Flips a minute"),
    ]
    parts = [heading, table(records, columns), failure_note(records)]
    flips = [record for record in records if record.task == "hopper-backflip"]
    for name, metric, label, chosen in (
        ("flips", "flips_a_minute", "Backflips a minute", flips),
        ("returns", "true_return", "True return", list(records)),
    ):
        if any(record.curve for record in chosen):
            plot_curves(chosen, "labels", Panel(metric, label), folder / f"{NAME}_{name}.png", "Labels")
            parts.append(f"![{label} over labels]({NAME}_{name}.png)\n")
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
