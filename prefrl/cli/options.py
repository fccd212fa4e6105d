"""Parses command-line arguments into dataclasses with tyro, extended by options that hold JSON objects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import tyro

from prefrl.config import JsonDict

__all__ = ["no_arguments", "parse"]

T = TypeVar("T")


def parse(cls: type[T], arguments: Sequence[str], prog: str, description: str, default: T | None = None) -> T:
    """Parse ``arguments`` into ``cls``; on invalid ones, print the problem with suggestions and exit with status 2."""
    registry = tyro.constructors.ConstructorRegistry()
    registry.primitive_rule(_json_rule)
    with registry:
        parsed = tyro.cli(cls, args=list(arguments), prog=prog, description=description, default=default)
    return cast(T, parsed)


def _json_rule(
    info: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """tyro rule for options that are JSON objects: ``--agent.hyperparameters '{"n_steps": 64}'``."""
    if info.type != JsonDict:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="JSON",
        instance_from_str=_read_object,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda value: [json.dumps(value)],
    )


def _read_object(arguments: list[str]) -> JsonDict:
    try:
        value = json.loads(arguments[0])
    except ValueError as error:
        raise ValueError(f"{arguments[0]} is not JSON ({error}); write '{{\"name\": value}}'") from error
    if not isinstance(value, dict):
        raise ValueError(f"{arguments[0]} is not a JSON object; write '{{\"name\": value}}'")
    return value


def no_arguments(arguments: Sequence[str], prog: str, description: str) -> None:
    """Parse for commands without options: answers ``--help`` and refuses anything else."""
    parse(_Nothing, arguments, prog, description)


@dataclass(frozen=True)
class _Nothing:
    """No options."""
