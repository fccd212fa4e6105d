"""Which of prefrl's extras an error is about, if any."""

from __future__ import annotations

import importlib.util
import traceback

from prefrl_envs.extras import EXTRA_OF_MODULE, how_to_install

__all__ = ["check_module", "missing_extra"]

_OURS = ("prefrl", "prefrl_envs", "prefrl_agents")
_ASKED_BY_US = (*_OURS, "gymnasium", "stable_baselines3")
"""packages that import a module of an extra because prefrl or its user asked for what needs it"""


def missing_extra(error: BaseException) -> str | None:
    """The extra whose module is missing, where that caused ``error`` and no message names it yet.

    A module that is missing to the user's own code, or to a package that can do without it, is none of our extras.
    """
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, ImportError) and cause.name is not None):
        cause = cause.__cause__
    if not isinstance(cause, ImportError) or cause.name is None or "install it with" in str(error):
        return None
    extra = EXTRA_OF_MODULE.get(_package(cause.name))
    importer = _importer(cause)
    return extra if importer in _ASKED_BY_US or EXTRA_OF_MODULE.get(importer) == extra else None


def check_module(module: str, need: str) -> None:
    """Refuse to start work that will need a module of an extra where it is missing.

    Args:
        module: a key of `EXTRA_OF_MODULE`.
        need: what it is needed for, to begin the message with.

    Raises:
        RuntimeError: with the command that installs the extra.
    """
    if importlib.util.find_spec(module) is None:
        raise RuntimeError(f"{need}; {how_to_install(EXTRA_OF_MODULE[module])}")


def _importer(error: ImportError) -> str:
    """The package whose code tried the import that failed."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = [str(frame.f_globals.get("__name__", "")) for frame in frames]
    return next((_package(name) for name in reversed(names) if _package(name) != "importlib"), "")


def _package(module: str) -> str:
    return module.partition(".")[0]
