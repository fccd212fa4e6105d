"""Rows with ranks or scores: K responses a row, or one response a row."""

from __future__ import annotations

import reprlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from prefrl.text.rankings.ranking import Ranking
from prefrl.text.rankings.rows import RankingFileError, Row, listed
from prefrl.text.rankings.scores import draw_groups, ranks_of_scores

__all__ = ["RESPONSE_FIELDS", "SCORE_FIELDS", "ScoredPrompt", "k_wise_ranking", "scored_prompts"]

RESPONSE_FIELDS = ("response", "argument")
SCORE_FIELDS = ("score", "rank")


def k_wise_ranking(row: Row, source: str, criterion: str | None, tie_below: float) -> Ranking:
    """A ranking from ``prompt``, ``responses`` and ``ranks`` (1 the best) or ``scores`` (higher is better).

    Scores may be lists under the names of several criteria, of which ``criterion`` chooses one. Ranks count
    where a row has both, unless a criterion is chosen.

    Raises:
        RankingFileError: when a field is missing or of another type, or there is no such criterion.
        ValueError: when the ranks do not rank the responses.
    """
    prompt, responses = row.text("prompt"), row.texts("responses")
    if criterion is None and "ranks" in row.fields:
        ranks = _whole_numbers(row)
    else:
        ranks = ranks_of_scores(_scores(row, criterion), tie_below)
    if len(ranks) != len(responses):
        raise RankingFileError(
            f"{row.place}: {len(responses)} responses have {len(ranks)} ranks or scores; each needs one"
        )
    return Ranking(prompt, responses, ranks, row.name(), row.source(source))


def _whole_numbers(row: Row) -> tuple[int, ...]:
    ranks = row.elements("ranks")
    for index, rank in enumerate(ranks):
        if not isinstance(rank, int) or isinstance(rank, bool):
            raise row.wrong(f"ranks[{index}]", rank, "a whole number from 1 up, or name the field scores")
    return tuple(ranks)


def _scores(row: Row, criterion: str | None) -> tuple[float, ...]:
    scores = row.value("scores")
    if not isinstance(scores, Mapping):
        if criterion is not None:
            raise RankingFileError(
                f"{row.place}: criterion is {criterion!r}, but the row has one list of scores for all; "
                "leave the criterion out"
            )
        return row.numbers("scores")
    if criterion is None:
        raise RankingFileError(
            f"{row.place}: field 'scores' has the criteria {listed(scores)}; choose one of them as criterion "
            "(--criterion)"
        )
    return Row(f"{row.place}, scores", scores).numbers(criterion)


@dataclass
class ScoredPrompt:
    """The responses to one prompt, from several rows.

    A text that was scored several times is one response with the mean of its scores.
    """

    prompt: str
    place: str
    """of the first row"""
    scores: dict[str, list[float]] = field(default_factory=dict)
    """of each different response"""
    names: dict[str, str | None] = field(default_factory=dict)
    """the id of each different response"""

    def rankings(
        self,
        source: str,
        higher_is_better: bool,
        tie_below: float,
        items: int | None,
        rng: np.random.Generator,
    ) -> Iterator[Ranking]:
        """Rankings of ``items`` responses, no response in two of them; None ranks all at once.

        Raises:
            ValueError: when there are fewer responses than that, or than two.
        """
        responses, least = list(self.scores), items or 2
        if len(responses) < least:
            raise ValueError(
                f"the prompt {reprlib.repr(self.prompt)} has {len(responses)} different responses, "
                f"a ranking needs {least}"
            )
        means = [statistics.mean(scores) for scores in self.scores.values()]
        for group in draw_groups(len(responses), items, rng):
            yield Ranking(
                self.prompt,
                tuple(responses[index] for index in group),
                ranks_of_scores([means[index] for index in group], tie_below, higher_is_better),
                self._name([responses[index] for index in group]),
                source,
            )

    def _name(self, responses: Sequence[str]) -> str | None:
        names = [self.names[response] for response in responses]
        return None if None in names else "_".join(map(str, names))


def scored_prompts(rows: Sequence[Row]) -> tuple[list[ScoredPrompt], str]:
    """The responses of one row each, by prompt in order of appearance, and the field that scores them.

    Raises:
        RankingFileError: when a field is missing, is there under two names, or is of another type.
    """
    response_field, score_field = _one_of(rows[0], RESPONSE_FIELDS), _one_of(rows[0], SCORE_FIELDS)
    prompts: dict[str, ScoredPrompt] = {}
    for row in rows:
        text, response, score = row.text("prompt"), row.text(response_field), row.number(score_field)
        prompt = prompts.setdefault(text, ScoredPrompt(text, row.place))
        prompt.scores.setdefault(response, []).append(score)
        prompt.names.setdefault(response, row.name())
    return list(prompts.values()), score_field


def _one_of(row: Row, names: tuple[str, ...]) -> str:
    present = [name for name in names if name in row.fields]
    if len(present) != 1:
        raise RankingFileError(
            f"{row.place}: exactly one of the fields {listed(names)} is needed, found {listed(row.fields)}; "
            "rename or remove fields"
        )
    return present[0]
