"""Connects a front end to a run: checks, the annotator's name, and the objects one annotator works with."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from filelock import FileLock, Timeout

from prefrl.labelling.controller import LabellingController
from prefrl.labelling.instructions import Instructions
from prefrl.labelling.rendering import SegmentRenderer, clip_fps
from prefrl.labelling.session import Fit, LabellingSession
from prefrl.labelling.status import StatusReader
from prefrl.oracles import SYNTHETIC
from prefrl.storage.run_dir import RunDir

__all__ = ["Connection", "check_asks_people", "connect", "find_annotator_name", "lock_annotator"]

_DEFAULT_NAME = "person"
_NAME = re.compile(r"[\w.-]{1,40}")


@dataclass(frozen=True)
class Connection:
    """What a front end works with."""

    controller: LabellingController
    status: StatusReader
    fps: float
    """environment steps per second, the normal speed of clips"""


def check_asks_people(run: RunDir) -> None:
    """Raise ValueError if people cannot answer in this run."""
    if not run.config().oracle.asks_people:
        raise ValueError(
            f"nobody can label {run.path}: its oracle is synthetic; start a run with --oracle human, or mixed"
        )


def find_annotator_name(name: str | None) -> str:
    """The name that answers are saved under: ``name``, or by default the name of the logged-in user.

    Raises:
        ValueError: if the name cannot be part of a file name, or belongs to the synthetic oracle.
    """
    if name is None:
        return _login_name()
    if not _NAME.fullmatch(name):
        raise ValueError(f"--annotator is {name!r}; up to 40 letters, digits, points and dashes are needed")
    if name == SYNTHETIC:
        raise ValueError(f"--annotator is {name!r}, the synthetic oracle's name; take another name")
    return name


@contextmanager
def lock_annotator(run: RunDir, annotator: str) -> Iterator[None]:
    """Make sure that nobody else labels this run under the same name meanwhile.

    Raises:
        ValueError: if somebody does already.
    """
    lock = FileLock(run.path / f"annotator-{annotator}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise ValueError(
            f"somebody labels this run as {annotator!r} already; take another name with --annotator"
        ) from error
    with lock:
        yield


@contextmanager
def connect(run: RunDir, annotator: str, instructions: Instructions, fit: Fit) -> Iterator[Connection]:
    """Label a run; at the end, unanswered queries are released.

    Args:
        run: its directory.
        annotator: name that answers are saved under.
        instructions: shown to the annotator.
        fit: prepares items for the front end, see `LabellingSession`.
    """
    # Imported here because it loads the environments.
    from prefrl.loop.environments import make_ordinary_environment

    config = run.config()
    make_env = partial(make_ordinary_environment, config.env)
    fps, lease_s = clip_fps(make_env), config.runtime.lease_s
    session = LabellingSession(
        run.store, annotator, lease_s, lambda store: SegmentRenderer(store, make_env, fps), fit
    )
    with closing(session), closing(StatusReader(run, annotator)) as status:
        yield Connection(LabellingController(session, status, instructions, lease_s), status, fps)


def _login_name() -> str:
    """The name of the logged-in user, in characters that a file name may have; containers may have none."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    return re.sub(r"[^\w.-]", "_", name)[:40] or _DEFAULT_NAME
