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

_SHORT_FLAGS = {"--oracle": "--oracle.kind", "--launcher": "--runtime.launcher", "--env": "--env.id"}
"""short forms of the most used flags"""


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl train``; the defaults are the preset's."""

    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    run: Path | None = None
    """run directory to create; by default runs/PRESET-SEED-DATE"""
    viewer: bool = True
    """open a labelling window if people answer; without it, people label with `prefrl label`"""
    instructions: Path | None = None
    """text file with instructions for people: the question on the first line, the criteria below; by default one for
    the environment. It is copied into the run directory, and can be edited there"""
    teacher: str | None = None
    """synthetic teacher of B-Pref: oracle, mistake, noisy, skip, equal or myopic, or your own TeacherConfig as
    module:name; by default the preset's"""


def main(arguments: Sequence[str]) -> int:
    """Train; the last line printed on standard output is the result as JSON."""
    name = arguments[0] if arguments and not arguments[0].startswith("-") else None
    rest = [_expand_short_flag(argument) for argument in (arguments[1:] if name else arguments)]
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
    if name is None or _model_settings(config) != _model_settings(default):
        # Imported only if needed, as it takes seconds: a preset's own models are known to suit its environment.
        from prefrl_agents.factory import check_models

        check_models(config, specs)
    path = options.run or Path("runs") / f"{name or 'run'}-{config.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    run = create_run(path, config, specs)
    if config.oracle.asks_people:
        put_instructions(options.instructions, run, config.env.id)
    print(f"run directory: {run.path}", file=sys.stderr)
    return launch(run, opens_viewer)


def _model_settings(config: RunConfig) -> tuple[EnvConfig, AgentConfig, RewardConfig]:
    """The settings that agent and reward are built from."""
    return config.env, config.agent, config.reward


def _expand_short_flag(argument: str) -> str:
    flag, equals, value = argument.partition("=")
    return _SHORT_FLAGS.get(flag, flag) + equals + value
