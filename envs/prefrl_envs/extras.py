"""The optional extras of prefrl: the modules that each installs, and the command that installs one."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["EXTRA_OF_MODULE", "how_to_install"]

EXTRA_OF_MODULE = {
    "PIL": "human",
    "ale_py": "atari",
    "cv2": "atari",
    "matplotlib": "plots",
    "mujoco": "mujoco",
    "peft": "text",
    "pygame": "human",
    "tokenizers": "text",
    "transformers": "text",
}
"""the extra that installs each optional module; a module in several extras maps to the one whose commands need it"""


def how_to_install(extra: str) -> str:
    """The command that installs ``extra`` into the running environment, for error messages.

    prefrl is not on a package index, so the command runs in its checkout, whose folder is named if it is known.
    """
    checkout = _checkout()
    where = "in the checkout of prefrl" if checkout is None else f"in {checkout}"
    return f'install it with: {_pip()} install -e ".[{extra}]" ({where})'


def _pip() -> str:
    """``pip``, or ``python -m pip`` with a full path if ``pip`` is missing or belongs to another environment."""
    found = shutil.which("pip")
    if found is not None and Path(found).parent == Path(sys.executable).parent:
        return "pip"
    return f"{sys.executable} -m pip"


def _checkout() -> Path | None:
    """The folder that prefrl was installed from, as pip recorded it (PEP 610)."""
    try:
        recorded = importlib.metadata.distribution("prefrl").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    url = urlsplit(json.loads(recorded)["url"]) if recorded else None
    if url is None or url.scheme != "file":
        return None
    path = Path(url2pathname(url.path))
    return path if (path / "pyproject.toml").is_file() else None
