"""The oracle of a run: by name, or from the user's module."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from prefrl.config import OracleConfig, RunConfig, TeacherConfig
from prefrl.data.types import Provenance, Query, Segment
from prefrl.oracles import ScriptedOracle, SyntheticOracle, as_oracle, check_oracle_kind, make_oracle

OUTSIDE = """
from prefrl.data.types import Comparison


def smaller_action(query):
    sizes = [abs(segment.actions).sum() for segment in query.segments]
    return [1 + sum(other < size for other in sizes) for size in sizes]


class Stubborn:
    def __init__(self, config):
        self.name = f"stubborn {config.seed}"

    def answer(self, query):
        return Comparison(query.id, (2, 1), self.name)


def make_stubborn(config):
    return Stubborn(config)


def make_function(config):
    return lambda query: (1, 1) if config.seed == 3 else None


def no_query(q):
    return [1 for _ in q.segments]


def no_oracle(config):
    return 7


class Nameless:
    def __init__(self, config):
        pass

    def answer(self, query):
        return None


at_once = Stubborn(type("Config", (), {"seed": 0}))
number = 7
"""


@pytest.fixture(autouse=True)
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the user's with oracles."""
    (tmp_path / "outside_oracles.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)


def config_of(kind: str) -> RunConfig:
    return dataclasses.replace(RunConfig(), oracle=OracleConfig(kind, TeacherConfig(mistake=0.2)), seed=3)


def query() -> Query:
    ends = np.zeros(1, bool)
    segments = tuple(
        Segment(np.zeros((1, 1)), np.full(1, action), np.zeros(1), ends, ends, Provenance("E-v0", 0, 0, 0))
        for action in (5.0, -1.0)
    )
    return Query(segments, id=4)


@pytest.mark.parametrize("kind", ["synthetic", "mixed"])
def test_synthetic_and_mixed_runs_have_the_teacher_of_the_settings(kind: str) -> None:
    oracle = make_oracle(config_of(kind))
    assert isinstance(oracle, SyntheticOracle)
    assert (oracle.teacher.mistake, oracle.seed) == (0.2, 3)


def test_where_people_answer_there_is_no_oracle() -> None:
    assert make_oracle(config_of("human")) is None


@pytest.mark.parametrize(
    ("kind", "ranks", "annotator"),
    [
        ("outside_oracles:smaller_action", (2, 1), "outside_oracles:smaller_action"),
        ("outside_oracles:Stubborn", (2, 1), "stubborn 3"),
        ("outside_oracles:make_stubborn", (2, 1), "stubborn 3"),
        ("outside_oracles:make_function", (1, 1), "outside_oracles:make_function"),
        ("outside_oracles:at_once", (2, 1), "stubborn 0"),
    ],
)
def test_an_oracle_from_outside_answers(kind: str, ranks: tuple[int, ...], annotator: str) -> None:
    check_oracle_kind(kind)
    config = config_of(kind)
    assert not config.oracle.asks_people
    oracle = make_oracle(config)
    assert oracle is not None
    comparison = oracle.answer(query())
    assert (comparison.query_id, comparison.ranks, comparison.annotator) == (4, ranks, annotator)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("outside_oracles:no_query", "AttributeError.*takes one query, in a parameter of that name"),
        ("outside_oracles:no_oracle", "is 7; an object with name and answer"),
        ("outside_oracles:Nameless", "has no name"),
    ],
)
def test_what_makes_no_oracle_is_refused(kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_oracle(config_of(kind))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("syntetic", "no oracle 'syntetic'; did you mean 'synthetic'"),
        ("outside_oracles:number", "is 7; a class, a function or an object"),
        ("outside_oracles:nothing", "has no 'nothing'"),
    ],
)
def test_a_kind_that_is_no_oracle_is_refused_before_it_is_made(kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_oracle_kind(kind)


def test_an_oracle_stays_itself_and_a_function_becomes_one() -> None:
    scripted = ScriptedOracle(lambda _: (1, 2))
    assert as_oracle(scripted, "other") is scripted
    assert as_oracle(lambda _: (1, 2), "mine").answer(query()).annotator == "mine"
    with pytest.raises(ValueError, match="'mine' is 3"):
        as_oracle(3, "mine")  # type: ignore[arg-type]
