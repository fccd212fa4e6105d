"""``prefrl import``: exported comparisons into a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from prefrl.cli.options import parse
from prefrl.runtime.result import read_result
from prefrl.storage import Store, exported_specs, import_comparisons, read_about
from prefrl.storage.run_dir import RunDir

__all__ = ["main"]

_DESCRIPTION = """Bring exported comparisons into a run. What is in the run already is not added twice.

A run at work learns from them at once, one that was stopped when it is resumed. They count as labels of its
budget: the run asks for as many fewer, beginning with those next due, and for none once it is used up. Its
reward process may end then; what is imported later is learned from when the run is next resumed. A finished
run learns no more: then use `prefrl fit`.

To begin a run with them, start it with `prefrl train`, stop it with Ctrl-C, import and `prefrl resume` it."""


@dataclass(frozen=True)
class Options:
    """From where, and where to."""

    folder: tyro.conf.Positional[Path]
    """folder that `prefrl export` wrote"""
    run: tyro.conf.Positional[Path]
    """run directory, of a run with the same observations and actions"""


def main(words: Sequence[str]) -> int:
    """Import, and print what was added as one line of JSON."""
    options = parse(Options, words, "prefrl import", _DESCRIPTION)
    about = read_about(options.folder)
    run = RunDir.open(options.run)
    _check_specs(options.folder, run)
    config = run.config()
    if foreign := sorted(set(about["env_ids"]) - {config.env.id}):
        print(
            f"note: the comparisons come from {', '.join(foreign)}, the run is of {config.env.id}",
            file=sys.stderr,
        )
    if read_result(run) is not None:
        print(f"note: {run.path} is finished and learns no more; see `prefrl fit --help`", file=sys.stderr)
    # A run that was killed at its very start may have no store yet.
    with Store.open(run.store, create=True) as store:
        report = import_comparisons(options.folder, store, run.specs())
        labels = store.counts().labels
    print(
        json.dumps({"run": str(run.path), **asdict(report), "labels": labels, "label_budget": config.labels})
    )
    return 0


def _check_specs(folder: Path, run: RunDir) -> None:
    for name, theirs, ours in zip(
        ("observations", "actions"), exported_specs(folder), run.specs(), strict=True
    ):
        if theirs != ours:
            raise ValueError(
                f"the {name} in {folder} are {theirs}, those of {run.path} are {ours}; "
                "import into a run of the same environment"
            )
