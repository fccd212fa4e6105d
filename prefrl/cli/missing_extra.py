"""Finds the optional extra of prefrl whose missing module caused an error."""

from __future__ import annotations

import importlib.util
import traceback

from prefrl_envs.extras import EXTRA_OF_MODULE, how_to_install

__all__ = ["check_module", "missing_extra"]

_OURS = ("prefrl", "prefrl_envs", "prefrl_agents")
_OUR_IMPORTERS = (*_OURS, "gymnasium", "stable_baselines3")
"""packages that import a module of an extra because prefrl or its user asked for what needs it"""


def missing_extra(error: BaseException) -> str | None:
    """The extra whose missing module caused ``error``, or None.

    None also if the message already says how to install it, if the user's own code misses the module, or if a package
    misses it that can work without.
    """
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, ImportError) and cause.name is not None):
        cause = cause.__cause__
    if not isinstance(cause, ImportError) or cause.name is None or "install it with" in str(error):
        return None
    extra = EXTRA_OF_MODULE.get(_package(cause.name))
    importer = _importer(cause)
    return extra if importer in _OUR_IMPORTERS or EXTRA_OF_MODULE.get(importer) == extra else None


def check_module(module: str, need: str) -> None:
    """Raise RuntimeError if an optional module is missing that the work ahead needs.

    Args:
        module: a key of `EXTRA_OF_MODULE`.
        need: what it is needed for; the message starts with it.

    Raises:
        RuntimeError: with the command that installs the extra.
    """
    if importlib.util.find_spec(module) is None:
        raise RuntimeError(f"{need}; {how_to_install(EXTRA_OF_MODULE[module])}")


def _importer(error: ImportError) -> str:
    """The package whose code attempted the failed import."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = [str(frame.f_globals.get("__name__", "")) for frame in frames]
    return next((_package(name) for name in reversed(names) if _package(name) != "importlib"), "")


def _package(module: str) -> str:
    return module.partition(".")[0]
