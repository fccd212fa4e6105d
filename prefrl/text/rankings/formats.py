"""Reading rankings from files in the formats that are in use."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from prefrl.text.rankings.files import read_rows
from prefrl.text.rankings.pair_formats import hh_ranking, trl_ranking
from prefrl.text.rankings.ranking import Ranking
from prefrl.text.rankings.rows import RankingFileError, Row, listed
from prefrl.text.rankings.scored_formats import (
    RESPONSE_FIELDS,
    SCORE_FIELDS,
    k_wise_ranking,
    scored_prompts,
)
from prefrl.text.rankings.scores import check_items, check_tie_below
from prefrl.text.rankings.transcripts import ASSISTANT, HUMAN

__all__ = ["Format", "OddRows", "load_rankings"]

Format = Literal["auto", "hh", "trl", "k_wise", "long"]
OddRows = Literal["strict", "skip"]

ODD_NAMED = 3
_TAKES: dict[str, set[str]] = {
    "hh": set(),
    "trl": set(),
    "k_wise": {"criterion", "tie_below"},
    "long": {"higher_is_better", "tie_below", "items"},
}
"""the options that say something to a format"""

_Attempt = tuple[str, Callable[[], Iterable[Ranking]]]
"""where rankings may come from, and what makes them or raises ValueError where none can be"""


def load_rankings(
    path: Path | str,
    format: Format = "auto",
    *,
    odd_rows: OddRows = "strict",
    criterion: str | None = None,
    higher_is_better: bool | None = None,
    tie_below: float = 0.0,
    items: int | None = None,
    seed: int = 0,
) -> list[Ranking]:
    """Read a whole file of rankings, or nothing.

    Args:
        path: JSON lines (.jsonl) or one JSON list (.json), either also compressed (.gz).
        format: what a row is.

            - ``hh``: ``chosen``, ``rejected``: two transcripts "\\n\\nHuman: ...\\n\\nAssistant: ..." that part after
              their last "\\n\\nAssistant:" in common (HH-RLHF, Bai et al. 2022).
            - ``trl``: ``prompt``, ``chosen``, ``rejected`` as texts or as lists of messages; the prompt may also
              be the beginning of the other two.
            - ``k_wise``: ``prompt``, ``responses`` and ``ranks`` (1 the best) or ``scores`` (higher is better), a
              list or a list for each of several criteria.
            - ``long``: one response a row: ``prompt``, ``response`` or ``argument``, ``score`` or ``rank``.
            - ``auto``: recognised from the fields of the first row.

            Any row may have an ``id``, and but for ``long`` a ``source`` in place of the file's name.
        odd_rows: what to do when rows are well formed but rank nothing, as some of every large collection do:
            two transcripts without a prompt in common, a person's turn last, a single response, one text with
            two ranks. "strict" raises and "skip" warns; both say how many there are, which, and why.
        criterion: which scores of a ``k_wise`` file that has several.
        higher_is_better: direction of the numbers of a ``long`` file. None takes ``score`` for higher is better
            and ``rank`` for lower is better. The latter is what UKPConvArg1's ``rank`` means: so read, it agrees
            with 92% of the 5,352 human pairs of UKPConvArg1Strict whose texts it tells apart; see `order_agreement`.
        tie_below: scores that differ by less tie, see `ranks_of_scores`.
        items: responses of each ranking drawn from a ``long`` file, each response in at most one of them; None
            ranks all responses to a prompt at once.
        seed: of these draws.

    Raises:
        RankingFileError: a ValueError, naming the file, the line, the field and what was found, when the file
            cannot be read, a field is missing or of another type, a number is not finite, or, if strict, rows
            are odd.
        ValueError: when an option has no such value, or says nothing to the format.
    """
    path = Path(path)
    _check_choice("format", format, get_args(Format))
    _check_choice("odd_rows", odd_rows, get_args(OddRows))
    check_items(items)
    check_tie_below(tie_below)
    rows = read_rows(path)
    name = _recognised(rows[0]) if format == "auto" else format
    given = {
        "criterion": criterion is not None,
        "higher_is_better": higher_is_better is not None,
        "tie_below": tie_below != 0,
        "items": items is not None,
    }
    _refuse_unused(name, {option for option, is_given in given.items() if is_given})
    if name == "long":
        attempts = _drawn(rows, path.name, higher_is_better, tie_below, items, seed)
    else:
        parse: dict[str, Callable[[Row, str], Ranking]] = {
            "hh": hh_ranking,
            "trl": trl_ranking,
            "k_wise": partial(k_wise_ranking, criterion=criterion, tie_below=tie_below),
        }
        attempts = ((row.place, partial(_alone, parse[name], row, path.name)) for row in rows)
    rankings, odd = _gathered(attempts)
    if odd:
        _report(path, len(rankings), odd, odd_rows)
    return rankings


def _check_choice(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{option} is {value!r}; it must be one of {listed(known)}")


def _refuse_unused(name: str, given: set[str]) -> None:
    if unused := given - _TAKES[name]:
        raise ValueError(
            f"the format {name!r} has no use for {listed(sorted(unused))}; leave it out or give another format"
        )


def _recognised(row: Row) -> str:
    names = set(row.fields)
    if {"chosen", "rejected"} <= names:
        chosen = row.fields["chosen"]
        is_transcript = isinstance(chosen, str) and (chosen.startswith(HUMAN) or ASSISTANT in chosen)
        return "hh" if is_transcript and "prompt" not in names else "trl"
    if {"prompt", "responses"} <= names:
        return "k_wise"
    if "prompt" in names and names & {*RESPONSE_FIELDS} and names & {*SCORE_FIELDS}:
        return "long"
    raise RankingFileError(
        f"{row.place}: the fields {listed(row.fields)} are of no known format; rename them to 'chosen', 'rejected' "
        "(hh, trl), 'prompt', 'responses', 'ranks' or 'scores' (k_wise), or 'prompt', 'response', 'score' (long)"
    )


def _alone(parse: Callable[[Row, str], Ranking], row: Row, source: str) -> list[Ranking]:
    return [parse(row, source)]


def _drawn(
    rows: Sequence[Row],
    source: str,
    higher_is_better: bool | None,
    tie_below: float,
    items: int | None,
    seed: int,
) -> Iterator[_Attempt]:
    prompts, score_field = scored_prompts(rows)
    is_higher_better = score_field == "score" if higher_is_better is None else higher_is_better
    rng = np.random.default_rng(seed)
    for prompt in prompts:
        yield prompt.place, partial(prompt.rankings, source, is_higher_better, tie_below, items, rng)


def _gathered(attempts: Iterable[_Attempt]) -> tuple[list[Ranking], list[str]]:
    """The rankings that could be made, and for each attempt that failed where and why."""
    rankings: list[Ranking] = []
    odd: list[str] = []
    for place, attempt in attempts:
        try:
            # all of them or none: an error may come after the first
            rankings += list(attempt())
        except RankingFileError:
            raise
        except ValueError as error:
            odd.append(f"{place}: {error}")
    return rankings, odd


def _report(path: Path, rankings: int, odd: list[str], odd_rows: OddRows) -> None:
    named = "; ".join(reason.removeprefix(f"{path}, ") for reason in odd[:ODD_NAMED])
    more = f" (and {len(odd) - ODD_NAMED} more)" if len(odd) > ODD_NAMED else ""
    what = (
        f"{path}: {len(odd)} of its rows or prompts rank nothing, beside {rankings} rankings: {named}{more}"
    )
    if not rankings:
        raise RankingFileError(f"{what}; correct them, or give another file or format")
    if odd_rows == "strict":
        raise RankingFileError(
            f"{what}; correct them, or leave them out with odd_rows='skip' (--odd-rows skip)"
        )
    warnings.warn(f"{what}; they are left out", stacklevel=3)
