"""Writing rankings to files in the formats that `load_rankings` reads."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from prefrl.text.rankings.files import write_rows
from prefrl.text.rankings.ranking import Pair, Ranking
from prefrl.text.rankings.transcripts import ASSISTANT, as_transcript, split_transcripts

__all__ = ["write_hh", "write_k_wise", "write_trl"]


def write_k_wise(path: Path | str, rankings: Iterable[Ranking]) -> int:
    """Write a ranking a line: ``prompt``, ``responses``, ``ranks``, ``id``, ``source``; nothing is lost.

    Args:
        path: .jsonl or .jsonl.gz; what was there is replaced whole or not at all.
        rankings: at least one.

    Returns:
        How many lines were written.

    Raises:
        RankingFileError: a ValueError, when there is nothing to write or the file cannot be written.
    """
    return write_rows(
        Path(path),
        (
            {
                "prompt": ranking.prompt,
                "responses": ranking.responses,
                "ranks": ranking.ranks,
                **_origin(ranking),
            }
            for ranking in rankings
        ),
    )


def write_trl(path: Path | str, rankings: Iterable[Ranking]) -> int:
    """Write a pair a line: ``prompt``, ``chosen``, ``rejected``, ``id``, ``source``, as TRL's trainers take them.

    A ranking of K responses gives up to K (K - 1) / 2 lines. Ties, which the format cannot say, are left out.
    Arguments, return value and errors are those of `write_k_wise`.
    """
    return write_rows(
        Path(path),
        (
            {
                "prompt": ranking.prompt,
                "chosen": pair.chosen,
                "rejected": pair.rejected,
                **_origin(ranking),
            }
            for ranking in rankings
            for pair in ranking.pairs()
        ),
    )


def write_hh(path: Path | str, rankings: Iterable[Ranking]) -> int:
    """Write a pair a line: ``chosen``, ``rejected``, transcripts as in HH-RLHF (Bai et al. 2022).

    A prompt that is a transcript up to "\\n\\nAssistant:" is written as it is. Any other becomes the first turn
    of one, and is read back as that. Ties, which the format cannot say, are left out.
    Arguments, return value and errors are those of `write_k_wise`.

    Raises:
        ValueError: also when a pair would not be read back as the same, since turns begin within its responses.
    """
    return write_rows(Path(path), _transcripts(rankings))


def _transcripts(rankings: Iterable[Ranking]) -> Iterator[dict[str, str]]:
    for ranking in rankings:
        for pair in ranking.pairs():
            prompt, replies = _as_turns(ranking.prompt, pair)
            chosen, rejected = (prompt + reply for reply in replies)
            try:
                reads_back = split_transcripts(chosen, rejected) == (prompt, *replies)
            except ValueError:
                reads_back = False
            if not reads_back:
                raise ValueError(
                    f"responses to {reprlib.repr(ranking.prompt)} have turns of a transcript within "
                    "them, so that the prompt would not be read back as it is; write them with write_trl"
                )
            yield {"chosen": chosen, "rejected": rejected}


def _as_turns(prompt: str, pair: Pair) -> tuple[str, Pair]:
    if prompt.endswith(ASSISTANT):
        return prompt, pair
    first_turn = as_transcript([("user", prompt)]) + ASSISTANT
    return first_turn, Pair(f" {pair.chosen}", f" {pair.rejected}")


def _origin(ranking: Ranking) -> dict[str, Any]:
    origin = {"id": ranking.id, "source": ranking.source}
    return {name: value for name, value in origin.items() if value is not None}
