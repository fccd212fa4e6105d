"""``prefrl resume``: go on with a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from prefrl.cli.launch import launch
from prefrl.cli.options import parse
from prefrl.loop.environments import check_environment
from prefrl.loop.validation import check_config
from prefrl.runtime.result import read_result
from prefrl.storage.run_dir import RunDir, RunDirError

__all__ = ["main"]


@dataclass(frozen=True)
class Options:
    """Which run."""

    run: tyro.conf.Positional[Path]
    """run directory"""


def main(words: Sequence[str]) -> int:
    """Go on from what the run directory holds; a finished run just prints its result again."""
    options = parse(Options, words, "prefrl resume", "Go on with a run that was stopped or killed.")
    run = RunDir.open(options.run)
    result = read_result(run)
    if result is not None:
        print(json.dumps(asdict(result)))
        return 0
    config = run.config()
    check_config(config)
    _check_store(run)
    # A run killed at its very start may lack this; an environment changed since is refused here.
    run.write_specs(*check_environment(config))
    return launch(run)


def _check_store(run: RunDir) -> None:
    """Raise RunDirError when the store of a run that had begun is gone; with an empty one it would begin anew."""
    if run.store.is_dir() or (run.store.exists() and run.store.stat().st_size):
        return
    left = [path for path in (run.metrics, run.evaluation) if path.exists()]
    left += [path for folder in (run.reward, run.agent, run.logs) for path in sorted(folder.glob("*"))]
    if left:
        found = "is empty" if run.store.exists() else "does not exist"
        raise RunDirError(
            f"{run.store} {found}, though the run had begun ({left[0]} is there): its segments and comparisons "
            "were in it; restore it from a copy, or start a new run and `prefrl import` an export into that"
        )
