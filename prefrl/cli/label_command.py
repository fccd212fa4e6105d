"""``prefrl label``: sit down and compare clips."""

from __future__ import annotations

import getpass
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tyro
from filelock import FileLock, Timeout

from prefrl.cli.options import parse
from prefrl.config import RunConfig
from prefrl.labelling.instructions import Instructions, find_instructions
from prefrl.labelling.rendering import SegmentRenderer, clip_fps
from prefrl.labelling.session import LabellingSession
from prefrl.labelling.status import StatusReader
from prefrl.oracles import SYNTHETIC
from prefrl.storage.run_dir import RunDir
from prefrl.viewer.events import Close
from prefrl.viewer.labelling import Labelling, Page
from prefrl.viewer.window import Window

__all__ = ["main"]

_DESCRIPTION = """Compare clips of a run's agent, and so teach it.

Joins a run at work, or one that waits; several people may label at once, each under a name of their own.
Q leaves: what was answered is saved, and the training goes on."""

_NOBODY = "person"
_NAME = re.compile(r"[\w.-]{1,40}")


@dataclass(frozen=True)
class Options:
    """Which run, and who labels."""

    run: tyro.conf.Positional[Path]
    """run directory"""
    annotator: str | None = None
    """name that the answers are signed with; by default the one you are logged in with"""
    instructions: Path | None = None
    """text to show instead of the run's: the question on the first line, what to judge by below"""


def main(words: Sequence[str]) -> int:
    """Label until the person leaves."""
    options = parse(Options, words, "prefrl label", _DESCRIPTION)
    run = RunDir.open(options.run)
    config = run.config()
    if not config.oracle.asks_people:
        raise ValueError(
            f"{run.path} asks nobody: its oracle is synthetic; start a run with --oracle human, or mixed"
        )
    annotator = _annotator(options.annotator)
    instructions = find_instructions(options.instructions, run, config.env.id)
    lock = FileLock(run.path / f"annotator-{annotator}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ValueError(
            f"somebody labels this run as {annotator!r} already; take another name with --annotator"
        ) from error
    with lock:
        _label(run, config, annotator, instructions)
    return 0


def _annotator(name: str | None) -> str:
    if name is None:
        return _login_name()
    if not _NAME.fullmatch(name):
        raise ValueError(f"--annotator is {name!r}; up to 40 letters, digits, points and dashes are needed")
    if name == SYNTHETIC:
        raise ValueError(f"--annotator is {name!r}, which the program signs with; take another name")
    return name


def _login_name() -> str:
    """The name one is logged in with, in letters that a file's name may have; containers may have none."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    return re.sub(r"[^\w.-]", "_", name)[:40] or _NOBODY


def _label(run: RunDir, config: RunConfig, annotator: str, instructions: Instructions) -> None:
    from prefrl.loop.environments import make_ordinary_environment

    make_env = partial(make_ordinary_environment, config.env)
    fps = clip_fps(make_env)
    lease_s = config.runtime.lease_s
    with Window(
        f"prefrl label {run.path} as {annotator}", way_out="label from a machine with a screen"
    ) as window:
        desk = LabellingSession(
            run.store,
            annotator,
            lease_s,
            lambda store: SegmentRenderer(store, make_env, fps),
            window.size,
        )
        with closing(desk), closing(StatusReader(run, annotator)) as situations:
            labelling = Labelling(window, desk, instructions, situations.newest, fps, lease_s)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: labelling.handle(Close()))
            while not labelling.is_over:
                seconds = labelling.tick()
                for event in window.events(seconds):
                    labelling.handle(event)
                situations.is_at_work = labelling.page in (Page.QUERY, Page.WAITING)
    print(
        f"{situations.labels_given()} labels given; go on with: prefrl label {run.path}",
        file=sys.stderr,
    )
