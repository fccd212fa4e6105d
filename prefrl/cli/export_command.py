"""``prefrl export``: a run's comparisons as plain files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from prefrl.cli.options import parse
from prefrl.run_dir import RunDir
from prefrl.store import Store, export_comparisons

__all__ = ["main"]

_DESCRIPTION = """Write a run's comparisons to plain files: JSON lines and .npz, no pickle.

The folder then holds comparisons.jsonl (a line an answer, superseded ones included), segments-*.npz (what
was compared) and about.json (the layout of observations and actions). A run at work may be exported. Learn
from the folder with `prefrl fit`, or bring it into another run with `prefrl import`."""


@dataclass(frozen=True)
class Options:
    """From where, and where to."""

    run: tyro.conf.Positional[Path]
    """run directory"""
    folder: tyro.conf.Positional[Path]
    """new folder to write"""


def main(words: Sequence[str]) -> int:
    """Export, and print what was written as one line of JSON."""
    options = parse(Options, words, "prefrl export", _DESCRIPTION)
    run = RunDir.open(options.run)
    observation, action = run.specs()
    with Store.open(run.store) as store:
        if store.last_comparison_id() == 0:
            raise ValueError(
                f"{run.path} has no comparisons to export; go on with `prefrl resume {run.path}`"
            )
        spaces = {"observation": observation.to_json(), "action": action.to_json()}
        report = export_comparisons(store, options.folder, spaces)
    print(json.dumps({"folder": str(options.folder), **asdict(report)}))
    return 0
