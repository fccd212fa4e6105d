"""How Python is started for a child process that must find the same modules as its parent."""

from __future__ import annotations

import os
import sys

__all__ = ["child_environment", "module_command"]


def module_command(module: str) -> list[str]:
    """``python -m module``, to be started with `child_environment`.

    The parent may have the current folder last on its path, or not at all; ``-m`` alone would put it first, and a
    ``random.py`` in it would break the child. Python 3.10 has no way to tell it not to.
    """
    keeps_path = ["-P"] if sys.version_info >= (3, 11) else []
    return [sys.executable, *keeps_path, "-m", module]


def child_environment(**variables: str) -> dict[str, str]:
    """The environment of this process with ``variables`` added, and its module search path as PYTHONPATH."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return os.environ | {"PYTHONPATH": path} | variables
