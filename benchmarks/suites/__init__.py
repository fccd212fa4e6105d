"""The benchmark suites, a package each: ``suite.py`` has jobs and report, ``job.py`` what one job runs."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from benchmarks.harness import Suite, main

__all__ = ["describe", "load", "run", "suite_names"]


def suite_names() -> list[str]:
    """All suites, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def describe(name: str) -> str:
    """What the suite measures: the docstring of its package."""
    return (importlib.import_module(f"{__name__}.{name}").__doc__ or "").strip()


def load(name: str) -> Suite:
    """The suite: ``SUITE`` in its ``suite.py``."""
    suite = importlib.import_module(f"{__name__}.{name}.suite").SUITE
    assert isinstance(suite, Suite)
    return suite


def run(name: str, arguments: Sequence[str] | None = None) -> int:
    """The command line of a suite; returns its exit status."""
    return main(load(name), arguments, describe(name))
