"""The commands that jobs run: `prefrl`, a suite's own job, and the agent on the true reward."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .environment import ONE_THREAD, ROOT, WORK
from .jobs import Job, Output, last_json_line

__all__ = ["job_command", "prefrl_command", "relative", "run_folder", "train_job", "true_reward_job"]


def prefrl_command(*words: str) -> list[str]:
    """The command line of prefrl, run by this Python."""
    return [sys.executable, "-m", "prefrl.cli", *words]


def job_command(suite: str, *words: str, module: str = "job") -> list[str]:
    """What the suite runs in one job, ``benchmarks/suites/SUITE/job.py`` or another module beside it."""
    return [sys.executable, "-m", f"benchmarks.suites.{suite}.{module}", *words]


def run_folder(suite: str, name: str) -> Path:
    """The run folder of a job, kept until the job runs again."""
    return WORK / "runs" / suite / name


def relative(path: Path) -> str:
    """The path from the project's root, where every command runs."""
    return str(path.relative_to(ROOT))


def train_job(
    name: str,
    seed: int,
    preset: str,
    flags: Sequence[str],
    run: Path,
    config: Mapping[str, Any],
    env: Mapping[str, str] = ONE_THREAD,
    parse: Callable[[str], Output] = last_json_line,
) -> Job:
    """``prefrl train PRESET FLAGS`` into a fresh run folder; the arguments are those of `Job`."""
    command = prefrl_command("train", preset, *flags, "--seed", str(seed), "--run", relative(run))
    return Job(name, seed, command, config, env, parse, scratch=run)


def true_reward_job(
    name: str,
    seed: int,
    preset: str,
    flags: Sequence[str],
    config: Mapping[str, Any],
    parse: Callable[[str], Output] = last_json_line,
) -> Job:
    """The preset's agent trained on a reward that the environment pays: `benchmarks.harness.true_reward`."""
    command = [sys.executable, "-m", "benchmarks.harness.true_reward", preset, *flags, "--seed", str(seed)]
    return Job(name, seed, command, config, ONE_THREAD, parse)
