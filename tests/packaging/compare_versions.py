"""What is installed beside this script's Python, held against a lock file.

    .venv-newest/bin/python tests/packaging/compare_versions.py requirements.lock

Prints a line for each package whose version differs.
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

from packaging.requirements import Requirement

__all__ = ["differences", "locked_versions"]


_TORCH = ("torch", "triton", "nvidia-", "cuda-")
"""packages that the lock leaves to the machine"""


def locked_versions(lock: str) -> dict[str, str]:
    """The version of each package that ``lock``, the text of a lock file, names for this Python and platform."""
    lines = [line for line in lock.splitlines() if line and not line.startswith("#")]
    requirements = [Requirement(line) for line in lines]
    return {
        each.name: next(iter(each.specifier)).version
        for each in requirements
        if each.marker is None or each.marker.evaluate()
    }


def differences(locked: dict[str, str], installed: dict[str, str]) -> list[str]:
    """A line for each package whose versions differ, by name, but for torch and what comes with it."""
    names = {name for name in locked.keys() | installed.keys() if not name.startswith(_TORCH)}
    return [
        f"{name}: {locked.get(name, 'not')} locked, {installed.get(name, 'not')} installed"
        for name in sorted(names)
        if locked.get(name) != installed.get(name)
    ]


def _installed_versions() -> dict[str, str]:
    # Canonical names, as in the lock.
    found = importlib.metadata.distributions()
    return {each.metadata["Name"].lower().replace("_", "-").replace(".", "-"): each.version for each in found}


def main(lock: Path) -> None:
    """Print the differences, or that there are none."""
    installed = _installed_versions()
    torch = installed.get("torch", "none")
    others = {name: version for name, version in installed.items() if name not in ("pip", "prefrl")}
    lines = differences(locked_versions(lock.read_text()), others)
    found = f"{len(lines)} packages differ from {lock}:" if lines else f"all packages are as in {lock}"
    print(f"with torch {torch}, {found}")
    for line in lines:
        print(f"  {line}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
