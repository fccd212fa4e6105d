from __future__ import annotations

import math

from prefrl.text.rankings import OrderAgreement, Ranking, order_agreement


def test_agreement_by_hand() -> None:
    rankings = [
        Ranking("p", ("a", "b", "c", "d"), (1, 2, 2, 3)),
        Ranking("p", ("a", "b"), (2, 1)),
        Ranking("q", ("a", "e"), (1, 2)),
    ]
    reference = [
        Ranking("p", ("a", "b"), (1, 2)),  # once the same, once opposite
        Ranking("p", ("d", "c"), (1, 2)),  # opposite
        Ranking("p", ("b", "c"), (1, 2)),  # tied
        Ranking("p", ("a", "e"), (1, 2)),  # e is ranked for another prompt
        Ranking("r", ("a", "b"), (1, 2)),  # no such prompt
        Ranking("p", ("a", "d"), (1, 1)),  # says nothing
    ]
    agreement = order_agreement(rankings, reference)
    assert agreement == OrderAgreement(same=1, opposite=2, tied=1, missing=2)
    assert agreement.share == 1 / 3


def test_a_ranking_agrees_with_itself() -> None:
    ranking = Ranking("p", ("a", "b", "c"), (2, 1, 3))
    assert order_agreement([ranking], [ranking]) == OrderAgreement(3, 0, 0, 0)
    assert math.isnan(order_agreement([], [ranking]).share)
