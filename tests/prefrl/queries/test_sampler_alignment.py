"""Every sampler of B-Pref against a plain implementation of its formula, in loops and without sharing any code."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prefrl.queries import Candidates, select

COUNT = 4


def softmax(values: list[float]) -> list[float]:
    weights = [math.exp(value - max(values)) for value in values]
    return [weight / sum(weights) for weight in weights]


def reference_disagreement(returns: np.ndarray, query: int) -> float:
    """Root of the variance over members of P(item preferred), averaged over items; for a pair the std of P."""
    members = [softmax(member[query].tolist()) for member in returns]
    variances = []
    for item in range(returns.shape[2]):
        shares = [member[item] for member in members]
        mean = sum(shares) / len(shares)
        variances.append(sum((share - mean) ** 2 for share in shares) / len(shares))
    if len(variances) == 2:
        assert variances[0] == pytest.approx(variances[1])
        return math.sqrt(variances[0])
    return math.sqrt(sum(variances) / len(variances))


def reference_entropy(returns: np.ndarray, query: int) -> float:
    """Mean over members of the entropy of P."""
    entropies = []
    for member in returns:
        entropies.append(-sum(share * math.log(share) for share in softmax(member[query].tolist())))
    return sum(entropies) / len(entropies)


def reference_information_gain(returns: np.ndarray, query: int) -> float:
    """Sum over answers and members of p(answer, member) log [p(answer, member) / (p(answer) p(member))]."""
    members = [softmax(member[query].tolist()) for member in returns]
    total = 0.0
    for item in range(returns.shape[2]):
        mean = sum(member[item] for member in members) / len(members)
        for member in members:
            total += member[item] / len(members) * math.log(member[item] / mean)
    return total


def reference_greedy(points: list[np.ndarray], asked: list[np.ndarray], count: int) -> list[int]:
    """K-centre greedy: the queries asked before, and those taken so far, are the centres."""
    centres, taken = list(asked), []
    for _ in range(count):
        best, best_gap = -1, -1.0
        for index, point in enumerate(points):
            gap = min(math.dist(point, centre) for centre in centres)
            if index not in taken and gap > best_gap:
                best, best_gap = index, gap
        taken.append(best)
        centres.append(points[best])
    return taken


SCORES = {
    "disagreement": reference_disagreement,
    "entropy": reference_entropy,
    "information_gain": reference_information_gain,
}


def random_candidates(items: int, seed: int) -> tuple[Candidates, np.ndarray, np.ndarray, np.ndarray]:
    """40 queries of segments of their own, with returns (3, 40, K), features (40, 6) and asked ones (5, 6)."""
    rng = np.random.default_rng(seed)
    queries = np.arange(10 * COUNT * items).reshape(-1, items)
    returns = rng.normal(scale=2.0, size=(3, len(queries), items))
    features, asked = rng.normal(size=(len(queries), 6)), rng.normal(size=(5, 6))
    candidates = Candidates(COUNT, queries, rng, (), lambda: returns, lambda: features, lambda: asked)
    return candidates, returns, features, asked


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("items", [2, 3, 4])
@pytest.mark.parametrize("sampler", list(SCORES))
def test_scores_are_those_of_the_formula_and_the_highest_are_taken(
    sampler: str, items: int, seed: int
) -> None:
    candidates, returns, _, _ = random_candidates(items, seed)
    scores = [SCORES[sampler](returns, query) for query in range(len(candidates.queries))]
    best = sorted(range(len(scores)), key=lambda query: -scores[query])[:COUNT]
    choice = select(sampler, candidates)
    assert choice.indices.tolist() == best
    np.testing.assert_allclose(choice.scores, [scores[query] for query in best], rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("items", [2, 3])
def test_k_center_takes_the_farthest_from_what_was_asked_and_taken(items: int, seed: int) -> None:
    candidates, _, features, asked = random_candidates(items, seed)
    assert select("k_center", candidates).indices.tolist() == reference_greedy(
        list(features), list(asked), COUNT
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("items", [2, 3])
@pytest.mark.parametrize("score", ["disagreement", "entropy"])
def test_prefiltered_k_center_is_greedy_within_the_better_half(score: str, items: int, seed: int) -> None:
    candidates, returns, features, asked = random_candidates(items, seed)
    scores = [SCORES[score](returns, query) for query in range(len(features))]
    half = sorted(range(len(scores)), key=lambda query: -scores[query])[: len(scores) // 2]
    taken = reference_greedy([features[query] for query in half], list(asked), COUNT)
    assert select(f"{score}_k_center", candidates).indices.tolist() == [half[place] for place in taken]


def test_uniform_takes_the_candidates_as_drawn() -> None:
    candidates, _, _, _ = random_candidates(2, 0)
    assert select("uniform", candidates).indices.tolist() == list(range(COUNT))
