"""``prefrl resume``: continue a run."""

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
    """Options of ``prefrl resume``."""

    run: tyro.conf.Positional[Path]
    """run directory"""
    viewer: bool = True
    """open a labelling window; without it, people label with `prefrl label`"""
    trust: bool = False
    """allow the run directory to execute code: import modules that its settings name, and load an agent pickled by an
    earlier release"""


def main(arguments: Sequence[str]) -> int:
    """Continue from the state in the run directory; a finished run prints its result again."""
    options = parse(Options, arguments, "prefrl resume", "Continue a run that was stopped or killed.")
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
    # An environment that has changed since is refused here.
    return launch(continue_run(run, *check_run(config)), opens_viewer, options.trust)
