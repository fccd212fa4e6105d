"""Conversion of settings to JSON and back."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["from_json", "to_json"]

_RETIRED = ("QueryConfig.by_prompt",)
"""settings of earlier releases that are now derived from others; they are ignored in old run directories"""


def to_json(config: Any) -> dict[str, Any]:
    """A JSON-ready dict; infinity becomes the string "inf"."""
    return json.loads(json.dumps(_encode_infinity(dataclasses.asdict(config))))


def _encode_infinity(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _encode_infinity(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode_infinity(part) for part in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def from_json(cls: type[Any], data: Mapping[str, Any], where: str = "config") -> Any:
    """Inverse of `to_json`; raises ValueError on unknown keys and on values of the wrong type."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} is {data!r}; an object with the settings of {cls.__name__} is needed")
    hints = typing.get_type_hints(cls)
    data = {key: value for key, value in data.items() if f"{cls.__name__}.{key}" not in _RETIRED}
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise ValueError(f"{where} has unknown settings {unknown}; {cls.__name__} knows {sorted(hints)}")
    return cls(**{key: _read(hints[key], value, f"{where}.{key}") for key, value in data.items()})


def _read(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast(type, hint), value, where)
    if origin is Literal:
        if value not in typing.get_args(hint):
            raise ValueError(f"{where} is {value!r}; it must be one of {list(typing.get_args(hint))}")
        return value
    if origin in (typing.Union, types.UnionType):
        inner = next(arg for arg in typing.get_args(hint) if arg is not type(None))
        return None if value is None else _read(inner, value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(typing.get_args(hint)[0], part, where) for part in value)
    if hint is float and value in ("inf", "-inf"):
        return float(value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    expected = origin or hint
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ValueError(f"{where} is {value!r}; {getattr(expected, '__name__', expected)} is needed")
    return value
