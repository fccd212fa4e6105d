"""Virtual environments of their own for peers whose dependencies do not go with ours."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from .environment import ROOT, WORK

__all__ = ["ensure_venv"]


def ensure_venv(name: str, requirements: Path, python_version: str) -> str:
    """The interpreter, relative to the root, of a virtual environment with the requirements; made if need be.

    Raises FileNotFoundError without a Python of that version ("3.11"), CalledProcessError when pip fails.
    """
    folder = WORK / name
    stamp = folder / "requirements.sha256"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"making {folder.relative_to(ROOT)}, which takes minutes", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([_find_python(python_version), "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", "-r", str(requirements)], check=True)
        stamp.write_text(digest)
    return str(python.relative_to(ROOT))


def _find_python(version: str) -> str:
    if f"{sys.version_info.major}.{sys.version_info.minor}" == version:
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None:
        raise FileNotFoundError(f"python{version} is not on the PATH; the peer works with no other version")
    return found
