"""Where a result was made: versions, machine and commit, and text without the paths of that machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

__all__ = ["ONE_THREAD", "ROOT", "WORK", "git_commit", "machine", "portable", "versions"]

ROOT = Path(__file__).resolve().parents[2]
"""the project's root, from which every command runs"""
WORK = ROOT / "benchmarks" / ".work"
"""virtual environments, run folders and other files that can be made again"""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""environment variables for jobs whose processes compute on one thread each"""

_PACKAGES = ("torch", "gymnasium", "stable_baselines3", "numpy", "prefrl")
# An absolute path of at least two parts; the look-behind keeps URLs and relative paths whole.
_ABSOLUTE_PATH = re.compile(r"(?<![\w./~\-])/(?:[\w.+@~\-]+/)+([\w.+@~\-]*)")


def portable(text: str) -> str:
    """Text with paths relative to the root, this interpreter called "python" and other paths cut to their last part."""
    text = text.replace(sys.executable, "python").replace(f"{ROOT}/", "").replace(str(ROOT), ".")
    return _ABSOLUTE_PATH.sub(r".../\1", text)


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that results depend on; None where a package is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found | {"platform": f"{platform.system()} {platform.machine()}"}


def machine() -> dict[str, str | int | float]:
    """Processor model, number of cores that this process may use, and memory in GiB."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": _cpu_model(), "cores": cores, "memory_gib": round(memory_bytes / 2**30, 1)}


def git_commit() -> str | None:
    """The commit's hash, with "+changes" when tracked files other than results differ; None without a repository."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    return f"{commit}+changes" if changes else commit


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
