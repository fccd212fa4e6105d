"""``prefrl resume``: go on with a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from prefrl.cli.launch import launch
from prefrl.cli.options import parse
from prefrl.loop.assemble import check_run, continue_run
from prefrl.loop.trust import open_run
from prefrl.runtime.result import read_result
from prefrl.storage.run_dir import RunDirError
from prefrl.viewer.window import check_display

__all__ = ["main"]


@dataclass(frozen=True)
class Options:
    """Which run."""

    run: tyro.conf.Positional[Path]
    """run directory"""
    viewer: bool = True
    """open a window where people answer; without it they join by `prefrl label`"""
    trust: bool = False
    """let the run's folder execute code: import modules that its settings name, load an agent pickled by an earlier
    release"""


def main(words: Sequence[str]) -> int:
    """Go on from what the run directory holds; a finished run just prints its result again."""
    options = parse(Options, words, "prefrl resume", "Go on with a run that was stopped or killed.")
    run = open_run(options.run, options.trust)
    result = read_result(run)
    if result is not None:
        print(json.dumps(asdict(result)))
        return 0
    config = run.config()
    if config.runtime.launcher == "script":
        raise RunDirError(
            f"{run.path} belongs to a training script that uses prefrl.PreferenceCallback; run that script again to "
            f"continue it. `prefrl eval {run.path}` and `prefrl watch {run.path}` show its agent"
        )
    opens_viewer = options.viewer and config.oracle.asks_people
    if opens_viewer:
        check_display("resume with --no-viewer, and label where there is a screen")
    # An environment changed since is refused here.
    return launch(continue_run(run, *check_run(config)), opens_viewer, options.trust)
