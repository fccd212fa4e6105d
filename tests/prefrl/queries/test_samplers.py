"""Samplers choose by name, from outside by module:name, and what they return is checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.queries import SAMPLERS, Candidates, Choice, draw_candidates, find_sampler, select

PAIRS = np.array([[0, 1], [2, 3], [4, 5]])


def candidates_of(
    queries: np.ndarray,
    count: int,
    returns: np.ndarray | None = None,
    features: np.ndarray | None = None,
    asked: np.ndarray | None = None,
) -> Candidates:
    return Candidates(
        count,
        queries,
        np.random.default_rng(0),
        compute_returns=None if returns is None else lambda: returns,
        compute_features=None if features is None else lambda: features,
        compute_asked_features=None if asked is None else lambda: asked,
    )


def contradicting(*probabilities: float) -> np.ndarray:
    """Returns (2, C, 2): on each pair one member prefers the first item with this probability, one the second."""
    logits = np.array([math.log(p / (1 - p)) for p in probabilities])
    zeros = np.zeros_like(logits)
    return np.array([np.stack([logits, zeros], axis=-1), np.stack([-logits, zeros], axis=-1)])


def test_the_highest_scores_come_first() -> None:
    choice = select("disagreement", candidates_of(PAIRS, 2, contradicting(0.6, 0.9, 0.5)))
    assert choice.indices.tolist() == [1, 0]
    np.testing.assert_allclose(choice.scores, [0.4, 0.1])


def test_queries_that_share_a_segment_come_later_and_repeats_last() -> None:
    queries = np.array([[0, 1], [1, 0], [0, 2], [3, 4], [0, 5]])
    choice = select("disagreement", candidates_of(queries, 5, contradicting(0.9, 0.9, 0.8, 0.7, 0.6)))
    assert choice.indices.tolist() == [0, 3, 2, 4, 1]


def test_uniform_keeps_the_order_drawn_and_needs_no_reward() -> None:
    choice = select("uniform", candidates_of(PAIRS, 2))
    assert choice.indices.tolist() == [0, 1]
    assert choice.scores.tolist() == [0, 0]


def test_k_center_scores_by_distance_and_takes_repeats_last() -> None:
    queries = np.array([[0, 1], [1, 0], [2, 3]])
    features = np.array([[0.0, 3.0], [3.0, 0.0], [3.0, 3.0]])
    choice = select("k_center", candidates_of(queries, 3, features=features, asked=np.array([[3.0, 3.0]])))
    assert choice.indices.tolist() == [0, 2, 1]
    np.testing.assert_allclose(choice.scores, [3, 0, 0])


@pytest.mark.parametrize("sampler", ["disagreement_k_center", "entropy_k_center"])
def test_prefiltered_k_center_looks_at_the_better_half_alone(sampler: str) -> None:
    queries = np.arange(8).reshape(4, 2)
    features = np.array([[100.0], [1.0], [2.0], [50.0]])  # the farthest two are in the worse half
    spread = [0.1, 0.9, 0.8, 0.2] if sampler == "disagreement_k_center" else [0.1, 0.5, 0.45, 0.2]
    returns = contradicting(*(0.5 + share / 2 for share in spread))
    if sampler == "entropy_k_center":
        returns = np.log(np.array([[[share, 1 - share] for share in spread]]))
    choice = select(sampler, candidates_of(queries, 1, returns, features, asked=np.array([[0.0]])))
    assert choice.indices.tolist() == [2]
    assert choice.scores.tolist() == [2.0]
    everything = select(sampler, candidates_of(queries, 4, returns, features, asked=np.array([[0.0]])))
    assert everything.indices.tolist() == [0, 3, 2, 1], "where more than half are asked for, all count"


@given(st.sampled_from(list(SAMPLERS)), st.integers(0, 12), st.integers(0, 99))
def test_every_sampler_chooses_as_many_different_candidates_as_asked(
    sampler: str, count: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    queries = draw_candidates(5, 12, 2, rng)
    choice = select(
        sampler,
        candidates_of(queries, count, rng.normal(size=(3, 12, 2)), rng.normal(size=(12, 4))),
    )
    assert len(set(choice.indices.tolist())) == count == len(choice.scores)
    assert choice.indices.dtype == np.int64
    assert np.isfinite(choice.scores).all()
    chosen = [frozenset(queries[index].tolist()) for index in choice.indices]
    distinct = len({frozenset(row) for row in queries.tolist()})
    assert len(set(chosen)) == min(count, distinct)


@pytest.mark.parametrize(
    ("sampler", "count", "message"),
    [
        ("entropie", 1, "no query sampler 'entropie'; did you mean 'entropy'"),
        ("entropy", 1, "member_returns needs a learned reward"),
        ("k_center", 1, "no features"),
        ("uniform", 4, "4 of 3 candidate queries"),
        ("uniform", -1, "-1 of 3"),
    ],
)
def test_unknown_samplers_and_missing_inputs_are_named(sampler: str, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select(sampler, candidates_of(PAIRS, count))


OUTSIDE = """
import numpy as np
from prefrl.queries import Choice

def last_first(candidates):
    return candidates.queries.max(axis=1)

def two_at_random(candidates):
    return Choice(candidates.rng.permutation(len(candidates.queries))[: candidates.count], np.ones(candidates.count))

number = 3
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the user's with samplers."""
    (tmp_path / "outside_samplers.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("outside")
def test_a_sampler_from_outside_scores_or_chooses() -> None:
    by_score = select("outside_samplers:last_first", candidates_of(PAIRS, 2))
    assert by_score.indices.tolist() == [2, 1]
    assert by_score.scores.tolist() == [5, 3]
    chosen = select("outside_samplers:two_at_random", candidates_of(PAIRS, 2))
    assert chosen.indices.tolist() == np.random.default_rng(0).permutation(3)[:2].tolist()
    with pytest.raises(ValueError, match="'outside_samplers:number' is 3; a function of `Candidates`"):
        find_sampler("outside_samplers:number")


RETURNED: list[tuple[Callable[[Candidates], Any], str]] = [
    (lambda _: np.zeros(2), r"scores of shape \(2,\); \(3,\) is needed"),
    (lambda _: np.zeros((3, 1)), r"scores of shape \(3, 1\)"),
    (lambda _: [0.0, math.nan, 1.0], "not finite"),
    (lambda _: [0.0, math.inf, 1.0], "not finite"),
    (lambda _: None, "returned None; an array of scores or a Choice"),
    (lambda _: [[1.0], [2.0, 3.0], [4.0]], "an array of scores or a Choice"),
    (lambda _: Choice(np.array([0]), np.zeros(2)), r"indices of shape \(1,\).*\(2,\) whole numbers"),
    (lambda _: Choice(np.array([0.0, 1.0]), np.zeros(2)), "dtype float64.*whole numbers"),
    (
        lambda _: Choice(np.array([0, 3]), np.zeros(2)),
        r"chose the candidates \[0, 3\]; 2 different .* 0 to 2",
    ),
    (lambda _: Choice(np.array([1, 1]), np.zeros(2)), r"\[1, 1\]; 2 different"),
    (lambda _: Choice(np.array([0, 1]), np.zeros(3)), r"scores of shape \(3,\); \(2,\)"),
    (lambda _: Choice(np.array([0, 1]), np.array([math.nan, 0])), "not finite"),
]


@pytest.mark.parametrize(("sampler", "message"), RETURNED)
def test_what_a_sampler_returns_wrongly_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, sampler: Callable[[Candidates], Any], message: str
) -> None:
    monkeypatch.setitem(SAMPLERS._entries, "broken", sampler)
    with pytest.raises(ValueError, match=f"query sampler 'broken' .*{message}"):
        select("broken", candidates_of(PAIRS, 2))
