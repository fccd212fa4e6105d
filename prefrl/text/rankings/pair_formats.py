"""Rows of a chosen and a rejected text: HH-RLHF's transcripts and the forms that TRL takes."""

from __future__ import annotations

from typing import Any

from prefrl.text.rankings.ranking import Ranking
from prefrl.text.rankings.rows import Row
from prefrl.text.rankings.transcripts import (
    ASSISTANT,
    SPEAKERS,
    as_transcript,
    check_reply,
    split_at_word,
    split_transcripts,
)

__all__ = ["hh_ranking", "trl_ranking"]


def hh_ranking(row: Row, source: str) -> Ranking:
    """A ranking of two replies from two transcripts; the same reply twice is a tie.

    Raises:
        RankingFileError: when a field is missing or no text.
        ValueError: when the transcripts are not two replies to one prompt.
    """
    return _ranking(row, source, *split_transcripts(row.text("chosen"), row.text("rejected")))


def trl_ranking(row: Row, source: str) -> Ranking:
    """A ranking of two responses, with the prompt in its own field or as the beginning of both.

    The fields are all text or all lists of messages, ``{"role": ..., "content": ...}``, which become a
    transcript as in HH-RLHF. Without a field ``prompt``, the prompt is what both begin with: of transcripts as
    in HH-RLHF, of other texts in whole words.

    Raises:
        RankingFileError: when a field is missing or of another type.
        ValueError: when no prompt is shared, or a message that was judged is not the assistant's.
    """
    if isinstance(row.value("chosen"), list):
        return _ranking(row, source, *_conversations(row))
    chosen, rejected = row.text("chosen"), row.text("rejected")
    if "prompt" in row.fields:
        return _ranking(row, source, row.text("prompt"), chosen, rejected)
    are_transcripts = ASSISTANT in chosen and ASSISTANT in rejected
    split = split_transcripts if are_transcripts else split_at_word
    return _ranking(row, source, *split(chosen, rejected))


def _conversations(row: Row) -> tuple[str, str, str]:
    sides = [as_transcript(_messages(row, name)) for name in ("chosen", "rejected")]
    if "prompt" not in row.fields:
        return split_transcripts(*sides)
    for side in sides:
        if not side.startswith(ASSISTANT):
            raise ValueError("a list of messages that was judged does not begin with one of the assistant")
    chosen, rejected = (side.removeprefix(ASSISTANT) for side in sides)
    check_reply(chosen)
    check_reply(rejected)
    before = _messages(row, "prompt")
    if not before:
        raise ValueError("the prompt has no message")
    return as_transcript(before) + ASSISTANT, chosen, rejected


def _messages(row: Row, name: str) -> list[tuple[str, str]]:
    return [_message(row, f"{name}[{index}]", value) for index, value in enumerate(row.elements(name))]


def _message(row: Row, name: str, value: Any) -> tuple[str, str]:
    if not isinstance(value, dict):
        raise row.wrong(name, value, 'a message {"role": ..., "content": ...}')
    message = Row(f"{row.place}, {name}", value)
    role = message.text("role")
    if role not in SPEAKERS:
        raise message.wrong("role", role, f"one of {', '.join(SPEAKERS)}")
    return role, message.text("content")


def _ranking(row: Row, source: str, prompt: str, chosen: str, rejected: str) -> Ranking:
    ranks = (1, 1) if chosen == rejected else (1, 2)
    return Ranking(prompt, (chosen, rejected), ranks, row.name(), row.source(source))
