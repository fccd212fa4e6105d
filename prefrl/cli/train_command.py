"""``prefrl train``: start a run."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from prefrl.cli.launch import launch
from prefrl.cli.missing_extra import check_module
from prefrl.cli.options import parse
from prefrl.config import AgentConfig, EnvConfig, RewardConfig, RunConfig
from prefrl.config.modality import modality_of
from prefrl.labelling.instructions import check_instructions, put_instructions
from prefrl.loop.assemble import check_run, create_run
from prefrl.loop.environments import is_drawn
from prefrl.loop.validation import check_config
from prefrl.oracles import find_teacher
from prefrl.presets import get_preset
from prefrl.viewer.window import check_display

__all__ = ["main"]

_SHORT = {"--oracle": "--oracle.kind", "--launcher": "--runtime.launcher", "--env": "--env.id"}
"""the long names of flags that people use most"""


@dataclass(frozen=True)
class Options:
    """Settings of the run; the defaults are the preset's."""

    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    run: Path | None = None
    """run directory to make; by default runs/PRESET-SEED-DATE"""
    viewer: bool = True
    """open a window for the person who answers; without it they join by `prefrl label`"""
    instructions: Path | None = None
    """text that tells people what to judge by, the question on its first line; by default one for the environment. It
    is copied into the run directory, and may be edited there"""
    teacher: str | None = None
    """a synthetic teacher of B-Pref: oracle, mistake, noisy, skip, equal or myopic; or module:name of a TeacherConfig
    of your own; by default the preset's"""


def main(words: Sequence[str]) -> int:
    """Train; the last line printed is the result as JSON."""
    name = words[0] if words and not words[0].startswith("-") else None
    rest = [_lengthen(word) for word in (words[1:] if name else words)]
    default = get_preset(name).config if name else RunConfig()
    usage = "prefrl train [PRESET]" if name is None else f"prefrl train {name}"
    options = parse(Options, rest, usage, "Train an agent from preferences.", Options(default))
    config = options.config
    if options.teacher is not None:
        oracle = dataclasses.replace(config.oracle, teacher=find_teacher(options.teacher))
        config = dataclasses.replace(config, oracle=oracle)
    check_config(config)
    opens_viewer = options.viewer and config.oracle.asks_people
    if options.instructions is not None:
        check_instructions(options.instructions)
    if opens_viewer:
        check_display("train with --no-viewer, and label where there is a screen")
    config, specs = check_run(config)
    modality = modality_of(specs[0])
    if modality.module is not None:
        check_module(
            modality.module, f"agents and rewards of {modality.plural} are made by {modality.module}"
        )
    if config.oracle.asks_people and is_drawn(config.env):
        check_module("PIL", "clips for people are made by Pillow")
    if name is None or _makes(config) != _makes(default):
        # Loaded late, as it takes seconds: a preset's own models are known to suit its environment.
        from prefrl_agents.factory import check_models

        check_models(config, specs)
    path = options.run or Path("runs") / f"{name or 'run'}-{config.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    run = create_run(path, config, specs)
    if config.oracle.asks_people:
        put_instructions(options.instructions, run, config.env.id)
    print(f"run directory: {run.path}", file=sys.stderr)
    return launch(run, opens_viewer)


def _makes(config: RunConfig) -> tuple[EnvConfig, AgentConfig, RewardConfig]:
    """What agent and reward are made of."""
    return config.env, config.agent, config.reward


def _lengthen(word: str) -> str:
    flag, equals, value = word.partition("=")
    return _SHORT.get(flag, flag) + equals + value
