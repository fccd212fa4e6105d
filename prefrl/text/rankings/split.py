"""Which rankings to train on, and what a learned reward has to beat on the others."""

from __future__ import annotations

from collections.abc import Iterable

from prefrl.data.validation_split import is_validation_segment
from prefrl.text.rankings.ranking import Ranking

__all__ = ["length_baseline", "length_matched", "split_by_prompt"]


def split_by_prompt(rankings: Iterable[Ranking], fraction: float) -> tuple[list[Ranking], list[Ranking]]:
    """Rankings to train on and to validate on, no prompt among both.

    The side of a prompt is a hash of it, whatever other rankings there are. Of few prompts, the share held
    out may be far from ``fraction``, and none.

    Raises:
        ValueError: when the fraction is outside [0, 1].
    """
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"the validation fraction is {fraction}; it must lie in [0, 1]")
    sides: tuple[list[Ranking], list[Ranking]] = [], []
    for ranking in rankings:
        sides[is_validation_segment(ranking.prompt, fraction)].append(ranking)
    return sides


def length_baseline(rankings: Iterable[Ranking]) -> tuple[float, int]:
    """Accuracy of "the longer response is better", in characters, and over how many pairs.

    Only pairs ranked unequal count, and equal lengths count half; the accuracy over no pairs is NaN. A reward
    model that does not beat it may have learned nothing but length (Singhal et al. 2023).
    """
    right, pairs = 0.0, 0
    for ranking in rankings:
        for chosen, rejected in ranking.pairs():
            right += 0.5 if len(chosen) == len(rejected) else len(chosen) > len(rejected)
            pairs += 1
    return (right / pairs if pairs else float("nan")), pairs


def length_matched(rankings: Iterable[Ranking], tolerance: float) -> list[Ranking]:
    """The pairs ranked unequal of which the shorter is at most a share ``tolerance`` shorter than the longer.

    Each is a ranking of its own, the better response first; lengths are in characters. Accuracy on these owes
    little to length.

    Raises:
        ValueError: when the tolerance is outside [0, 1].
    """
    if not 0.0 <= tolerance <= 1.0:
        raise ValueError(f"the tolerance is {tolerance}; as a share of the longer text it must lie in [0, 1]")
    return [
        Ranking(ranking.prompt, tuple(pair), (1, 2), ranking.id, ranking.source)
        for ranking in rankings
        for pair in ranking.pairs()
        if abs(len(pair.chosen) - len(pair.rejected)) <= tolerance * max(map(len, pair))
    ]
