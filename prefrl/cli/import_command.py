"""``prefrl import``: add exported comparisons to a run."""

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

_DESCRIPTION = """Add exported comparisons to a run. Comparisons that the run already has are not added twice.

A running run learns from them immediately, a stopped one when it is resumed. They count towards its label budget: the
run asks for that many fewer labels, starting with those due next, and for none once the budget is used up. Its reward
process may end then; comparisons imported later are learned from when the run is next resumed. A finished run does not
learn from them: use `prefrl fit` instead.

To start a run with imported comparisons, start it with `prefrl train`, stop it with Ctrl-C, import, and `prefrl resume`
it."""


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl import``."""

    folder: tyro.conf.Positional[Path]
    """folder written by `prefrl export`"""
    run: tyro.conf.Positional[Path]
    """run directory of a run with the same observation and action spaces"""


def main(arguments: Sequence[str]) -> int:
    """Import the comparisons, and print what was added as one line of JSON."""
    options = parse(Options, arguments, "prefrl import", _DESCRIPTION)
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
    # A run that was killed right after it was created may have no store yet.
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
