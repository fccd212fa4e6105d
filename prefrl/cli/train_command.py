"""``prefrl train``: start a run."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from prefrl.cli.launch import launch
from prefrl.cli.options import parse
from prefrl.config import RunConfig
from prefrl.config_check import check_config
from prefrl.environments import check_environment
from prefrl.oracles import TEACHERS
from prefrl.presets import get_preset
from prefrl.run_dir import RunDir

__all__ = ["main"]

_SHORT = {"--oracle": "--oracle.kind", "--launcher": "--runtime.launcher", "--env": "--env.id"}
"""the long names of flags that people use most"""


@dataclass(frozen=True)
class Options:
    """Settings of the run; the defaults are the preset's."""

    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    run: Path | None = None
    """run directory to make; by default runs/PRESET-SEED-DATE"""
    teacher: Literal["oracle", "mistake", "noisy", "skip", "equal", "myopic"] | None = None
    """one of B-Pref's synthetic teachers; by default the preset's"""


def main(words: Sequence[str]) -> int:
    """Train; the last line printed is the result as JSON."""
    name = words[0] if words and not words[0].startswith("-") else None
    rest = [_lengthen(word) for word in (words[1:] if name else words)]
    default = get_preset(name).config if name else RunConfig()
    usage = "prefrl train [PRESET]" if name is None else f"prefrl train {name}"
    options = parse(Options, rest, usage, "Train an agent from preferences.", Options(default))
    config = options.config
    if options.teacher is not None:
        oracle = dataclasses.replace(config.oracle, teacher=TEACHERS[options.teacher])
        config = dataclasses.replace(config, oracle=oracle)
    check_config(config)
    specs = check_environment(config)
    if name is None or (config.env, config.agent) != (default.env, default.agent):
        # Loaded late, as it takes seconds: a preset's own agent is known to suit its environment.
        from prefrl.factory import check_agent

        check_agent(config)
    path = options.run or Path("runs") / f"{name or 'run'}-{config.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    run = RunDir.create(path, config)
    run.write_specs(*specs)
    print(f"run directory: {run.path}", file=sys.stderr)
    return launch(run)


def _lengthen(word: str) -> str:
    flag, equals, value = word.partition("=")
    return _SHORT.get(flag, flag) + equals + value
