"""Separate virtual environments for peers whose dependencies conflict with ours."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from .environment import ROOT, WORK

__all__ = ["Virtualenv"]

_one_at_a_time = Lock()


@dataclass(frozen=True)
class Virtualenv:
    """A virtual environment in ``benchmarks/.work``.

    Args:
        name: of its folder.
        requirements: file of requirements, relative to the project's root.
        python_version: that the peer works with, such as "3.11".
    """

    name: str
    requirements: str
    python_version: str

    @property
    def python(self) -> str:
        """Its interpreter, relative to the project's root."""
        return str((self._folder / "bin" / "python").relative_to(ROOT))

    def ensure(self) -> None:
        """Make it, unless it is there with these requirements.

        Raises:
            FileNotFoundError: without a Python of that version.
            CalledProcessError: when pip fails.
        """
        requirements = ROOT / self.requirements
        stamp = self._folder / "requirements.sha256"
        digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
        with _one_at_a_time:
            if stamp.exists() and stamp.read_text() == digest:
                return
            print(f"creating {self._folder.relative_to(ROOT)}; this takes minutes", file=sys.stderr)
            shutil.rmtree(self._folder, ignore_errors=True)
            subprocess.run([_find_python(self.python_version), "-m", "venv", str(self._folder)], check=True)
            install = [str(ROOT / self.python), "-m", "pip", "install", "-qq", "-r", str(requirements)]
            subprocess.run(install, check=True)
            stamp.write_text(digest)

    @property
    def _folder(self) -> Path:
        return WORK / self.name


def _find_python(version: str) -> str:
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None:
        raise FileNotFoundError(f"python{version} is not on the PATH; the peer needs that version")
    return found
