"""``prefrl label``: compare clips or texts in a window."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from prefrl.cli.options import parse
from prefrl.labelling.connect import check_asks_people, connect, find_annotator_name, lock_annotator
from prefrl.labelling.instructions import Instructions, find_instructions
from prefrl.loop.trust import open_run
from prefrl.storage.run_dir import RunDir
from prefrl.viewer.labelling_view import LabellingView
from prefrl.viewer.scaling import WindowFit
from prefrl.viewer.window import Window

__all__ = ["main"]

_DESCRIPTION = """Compare clips of a run's agent to teach it what you prefer.

The run may be training or stopped; several people may label it at the same time, each under their own name.
Q leaves: your answers are saved, and training continues."""


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl label``."""

    run: tyro.conf.Positional[Path]
    """run directory"""
    annotator: str | None = None
    """name that the answers are saved under; by default your login name"""
    instructions: Path | None = None
    """text file with instructions to show instead of the run's: the question on the first line, the criteria below"""
    trust: bool = False
    """allow the run directory to execute code: import modules that its settings name, and load an agent pickled by an
    earlier release"""


def main(arguments: Sequence[str]) -> int:
    """Label until the person leaves."""
    options = parse(Options, arguments, "prefrl label", _DESCRIPTION)
    run = open_run(options.run, options.trust)
    check_asks_people(run)
    annotator = find_annotator_name(options.annotator)
    instructions = find_instructions(options.instructions, run, run.config().env.id)
    with lock_annotator(run, annotator):
        labels = _label(run, annotator, instructions)
    print(f"{labels} labels given; continue with: prefrl label {run.path}", file=sys.stderr)
    return 0


def _label(run: RunDir, annotator: str, instructions: Instructions) -> int:
    """Show the window until the person leaves; returns the number of labels given."""
    title, way_out = f"prefrl label {run.path} as {annotator}", "label from a machine with a screen"
    with Window(title, way_out=way_out) as window:
        fit = WindowFit(window.size)
        with connect(run, annotator, instructions, fit) as connection:
            controller = connection.controller
            view = LabellingView(window, controller, fit, connection.fps)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: controller.leave())
            while not controller.has_left:
                seconds = view.draw()
                for event in window.events(seconds):
                    view.handle(event)
        return connection.status.labels_given()
