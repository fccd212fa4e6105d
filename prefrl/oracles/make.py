"""The oracle of a run: by the name in its settings, or one of the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from prefrl.config import RunConfig
from prefrl.config.registry import Registry
from prefrl.oracles.base import Oracle
from prefrl.oracles.scripted import ScriptedOracle
from prefrl.oracles.synthetic import SyntheticOracle

__all__ = ["ORACLES", "as_oracle", "check_oracle_kind", "make_oracle"]

OracleMaker = Callable[[RunConfig], "Oracle | None"]


def make_oracle(config: RunConfig) -> Oracle | None:
    """The program that answers the queries of a run, as ``oracle.kind`` says; None when only people answer.

    Raises:
        ValueError: when there is no such oracle, or what ``module:name`` refers to is none.
    """
    kind = config.oracle.kind
    found: Any = ORACLES.find(kind)
    if kind in ORACLES:
        made: Oracle | None = found(config)
        return made
    if _is_oracle(found) or _answers_queries(found):
        return as_oracle(found, kind)
    try:
        return as_oracle(found(config), kind)
    except (TypeError, AttributeError) as error:
        raise ValueError(
            f"oracle {kind!r} cannot be made from the settings of the run ({type(error).__name__}: {error}); a "
            "class or function that makes an oracle takes one RunConfig, a function that answers takes one query, in "
            "a parameter of that name"
        ) from error


def as_oracle(oracle: Oracle | Callable[..., Any], name: str) -> Oracle:
    """``oracle`` itself, or, for a plain function of a query, an oracle that answers with what it returns.

    Args:
        oracle: an `Oracle`, or a function of a `Query` that returns its ranks, None for "can't tell", or a
            `Comparison`.
        name: the annotator that a function's answers are signed with.

    Raises:
        ValueError: when it is neither.
    """
    if _is_oracle(oracle):
        if not isinstance(getattr(oracle, "name", None), str):
            raise ValueError(f"oracle {oracle!r} has no name; its answers are signed with it: give it a str")
        return oracle  # type: ignore[return-value]  # what the protocol asks for was just looked up
    if isinstance(oracle, type) or not callable(oracle):
        raise ValueError(
            f"oracle {name!r} is {oracle!r}; an object with name and answer(query), or a function of a query is needed"
        )
    return ScriptedOracle(oracle, name)


def check_oracle_kind(kind: str) -> None:
    """Raise ValueError unless ``oracle.kind`` names an oracle; it is not made yet."""
    found: object = ORACLES.find(kind)
    if not (callable(found) or _is_oracle(found)):
        raise ValueError(
            f"oracle {kind!r} is {found!r}; a class, a function or an object with answer(query) is needed"
        )


def _is_oracle(found: object) -> bool:
    return not isinstance(found, type) and callable(getattr(found, "answer", None))


def _answers_queries(found: object) -> bool:
    """Whether it is a function whose first parameter is called ``query``."""
    if isinstance(found, type) or not callable(found):
        return False
    try:
        return next(iter(inspect.signature(found).parameters), None) == "query"
    except ValueError:  # written in C, without a signature
        return False


def _synthetic(config: RunConfig) -> Oracle:
    return SyntheticOracle(config.oracle.teacher, config.seed)


def _nobody(config: RunConfig) -> None:
    """People answer from elsewhere."""


ORACLES: Registry[OracleMaker] = Registry(
    "oracle", {"synthetic": _synthetic, "human": _nobody, "mixed": _synthetic}
)
"""What answers by name, for ``oracle.kind``; ``module:name`` is one of your own. It refers to one of

- a class or function that is called with the `RunConfig` and returns an `Oracle`, or a function of a query;
- a function whose first parameter is called ``query``, which answers: it is given a `Query` of K segments, and returns
  their ranks (K whole numbers, 1 the best, equal ranks tie), None for "can't tell", or a `Comparison`;
- an `Oracle` object.

For example, in ``my_oracles.py``, to prefer the smaller actions::

    def gentle(query):
        sizes = [abs(segment.actions).sum() for segment in query.segments]
        return [1 + sum(other < size for other in sizes) for size in sizes]

and ``--oracle my_oracles:gentle``. The oracle process makes it, once for each start of the run.
"""
