"""Whether two sets of rankings order the same texts alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prefrl.text.rankings.ranking import Ranking

__all__ = ["OrderAgreement", "order_agreement"]


@dataclass(frozen=True)
class OrderAgreement:
    """Over the pairs of a reference, how they are ordered elsewhere."""

    same: int
    opposite: int
    tied: int
    missing: int
    """pairs of which no ranking holds both texts"""

    @property
    def share(self) -> float:
        """Share in the same order, ties left out; NaN when no pair is ordered."""
        ordered = self.same + self.opposite
        return self.same / ordered if ordered else float("nan")


def order_agreement(rankings: Iterable[Ranking], reference: Iterable[Ranking]) -> OrderAgreement:
    """Compare the order of ``rankings`` with all pairs of ``reference`` on the same texts and prompt.

    This tells the direction of scores that come without one: loaded with ``higher_is_better`` wrong, most pairs
    are in the opposite order. A pair that several rankings hold counts once for each of them.
    """
    ranks_by_prompt: dict[str, list[dict[str, int]]] = {}
    for ranking in rankings:
        ranks = dict(zip(ranking.responses, ranking.ranks, strict=True))
        ranks_by_prompt.setdefault(ranking.prompt, []).append(ranks)
    same = opposite = tied = missing = 0
    for ranking in reference:
        for chosen, rejected in ranking.pairs():
            holding = [
                ranks
                for ranks in ranks_by_prompt.get(ranking.prompt, [])
                if chosen in ranks and rejected in ranks
            ]
            same += sum(ranks[chosen] < ranks[rejected] for ranks in holding)
            opposite += sum(ranks[chosen] > ranks[rejected] for ranks in holding)
            tied += sum(ranks[chosen] == ranks[rejected] for ranks in holding)
            missing += not holding
    return OrderAgreement(same, opposite, tied, missing)
